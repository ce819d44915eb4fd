//! Import, start and memory of the engine, against FireHOL's `iprange` merging the same file.
//!
//! `cargo bench --bench engine` for 1,000,000 lines; `-- 10000000` for another count; `-- --smoke`
//! for a few.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

mod support;

use ironlist::addr::Range;
use ironlist::collect::{self, Terms, formats};
use ironlist::disk::Medium;
use ironlist::engine::{Engine, Options};
use ironlist::model::{Batch, Cause, Change, Detail, Policy, Scope};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program's allocator: memory is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let smoke = arguments.iter().any(|a| a == "--smoke" || a == "--test");
    let lines =
        arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(if smoke { 5_000 } else { 1_000_000 });
    let rounds = if smoke { 1 } else { 3 };
    let folder = tempfile::tempdir().expect("a folder for the data");
    let file = folder.path().join("list.txt");
    std::fs::write(&file, shuffled(lines)).expect("room for the list");
    for round in 0..rounds {
        let data = folder.path().join(format!("data-{round}"));
        std::fs::create_dir(&data).expect("a folder for the store");
        import(&file, &data, lines);
        start(&data);
    }
    merge(&file);
}

/// The generator's prefixes as lines in no order.
fn shuffled(lines: usize) -> String {
    let mut ranges: Vec<Range<u32>> =
        support::clustered4(lines, 7).into_iter().map(|(range, _)| range).collect();
    fastrand::Rng::with_seed(8).shuffle(&mut ranges);
    ranges.iter().fold(String::new(), |text, range| text + &range.to_string() + "\n")
}

fn import(file: &std::path::Path, data: &std::path::Path, lines: usize) {
    let engine = Engine::open(Options::new(Medium::folder(data))).expect("a fresh folder opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let begin = Instant::now();
    let bytes = std::fs::read(file).expect("the list is there");
    let terms = Terms::new(Detail::default(), &Policy::default());
    let intake = collect::read(&bytes, &formats::Options::default(), &terms).expect("the list reads");
    let parsed = begin.elapsed();
    let batch = Batch {
        id: uuid::Uuid::now_v7(),
        actor: "bench".into(),
        reason: String::new(),
        cause: Cause::Import,
        change: Change::List {
            source: "bench".parse().expect("a good name"),
            rows: intake.rows,
            scope: Scope::Part,
        },
    };
    let receipt = runtime.block_on(engine.submit(batch)).expect("the disk takes it");
    let whole = begin.elapsed();
    assert_eq!(receipt.added, lines as u64);
    println!(
        "import {lines}: read and sorted {} ms, durable and visible {} ms",
        parsed.as_millis(),
        whole.as_millis()
    );
    let begin = Instant::now();
    engine.stop();
    println!("  settled and stopped in {} ms", begin.elapsed().as_millis());
}

fn start(data: &std::path::Path) {
    let begin = Instant::now();
    let engine = Engine::open(Options::new(Medium::folder(data))).expect("the folder opens again");
    let opened = begin.elapsed();
    std::thread::sleep(Duration::from_millis(300));
    println!(
        "  opened in {} ms; table {} MB of {} MB resident",
        opened.as_millis(),
        engine.snapshot().table.bytes() >> 20,
        resident() >> 20
    );
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0 kB");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) << 10
}

fn merge(file: &std::path::Path) {
    let begin = Instant::now();
    match Command::new("iprange").arg(file).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => {
            println!("iprange merely merges it in {} ms", begin.elapsed().as_millis());
        }
        _ => println!("iprange is not installed: no comparison"),
    }
}
