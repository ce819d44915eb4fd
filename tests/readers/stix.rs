//! The validator of the standard's own authors.

use super::{List, succeed};
use ironlist::model::{Format, Lines};
use std::process::Command;

#[test]
fn a_bundle_is_valid_stix_whatever_the_reasons_say() {
    // Where tests/run puts it: Debian does not have it.
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/target/readers/bin/stix2_validator");
    for list in [List::new(1, 40), List::empty()] {
        let (file, _) = list.publish(Format::Stix, Lines::Cidrs);
        let said = succeed(Command::new(program).args(["--version", "2.1"]).arg(&file));
        assert!(said.contains("STIX JSON: Valid"), "{said}");
    }
}
