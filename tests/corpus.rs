//! What the fuzzers have found, replayed.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../fuzz/laws.rs"]
mod laws;

use std::fs;
use std::path::Path;

#[test]
fn the_laws_hold_for_every_input_of_the_corpora() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, law) in laws::LAWS {
        let inputs: Vec<_> =
            fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{name}");
        for input in inputs {
            println!("{}", input.display());
            law(&fs::read(input).unwrap());
        }
    }
}
