//! What collection costs: a workbook of REGTECH's size from its bytes to the journal, and what the gate and a window
//! ask of a large source.
//!
//! `cargo bench --bench collect`; `-- --smoke` for small ones.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "../tests/fakes/mod.rs"]
mod fakes;

use ironlist::addr::{IpRange, Range};
use ironlist::collect::formats::{Options as ListOptions, SheetReader};
use ironlist::collect::{self, Terms};
use ironlist::disk::Medium;
use ironlist::engine::{Clock, Engine, Options};
use ironlist::model::{
    Batch, Cause, Change, Country, Day, Detail, Policy, Receipt, Rows, RowsBuilder, Scope, Time,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the portal held in June 2025.
const ROWS: usize = 130_000;

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    let divide = if smoke { 100 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder for the data");
    let engine = Engine::open(Options::new(Medium::folder(folder.path()))).expect("a fresh folder opens");
    workbook(&engine, &runtime, ROWS / divide);
    large_source(&engine, &runtime, 1_000_000 / divide);
    engine.stop();
    unchanged(&runtime, 500_000 / divide);
}

/// What a list that does not change adds to the journal: at once, and a day later.
fn unchanged(runtime: &Runtime, lines: usize) {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let now = Arc::new(AtomicI64::new(1_780_000_000));
    let clock = Arc::clone(&now);
    let clock: Clock = Arc::new(move || Time::from_unix(clock.load(Ordering::Relaxed)));
    let options = Options { clock, ..Options::new(Medium::folder(folder.path())) };
    let engine = Engine::open(options).expect("a fresh folder opens");
    let rows = || {
        let mut rows = RowsBuilder::default();
        addresses(lines).for_each(|range| rows.push(IpRange::V4(range), &Detail::default()));
        rows.finish().0
    };
    let mut before = list(&engine, runtime, "hourly", rows(), Scope::Whole).generation;
    for (what, hours) in [("an hour later", 1), ("a day later", 24)] {
        now.fetch_add(hours * 3_600, Ordering::Relaxed);
        let begin = Instant::now();
        let generation = list(&engine, runtime, "hourly", rows(), Scope::Whole).generation;
        let time = begin.elapsed();
        let sealed = runtime.block_on(engine.sealed(before, 1 << 20)).expect("the disk reads");
        let bytes: usize = sealed.iter().map(Vec::len).sum();
        println!(
            "{lines} lines unchanged, {what}: {bytes} B in the journal, target 1,024; {}",
            seconds(time)
        );
        before = generation;
    }
    engine.stop();
}

/// From the bytes of a workbook, read by the confined child, to a durable and visible batch.
fn workbook(engine: &Engine, runtime: &Runtime, rows: usize) {
    let book = book(rows);
    let begin = Instant::now();
    let sheet_reader =
        SheetReader { program: Some(env!("CARGO_BIN_EXE_ironlist").into()), ..SheetReader::default() };
    let options = ListOptions { sheet: Some("요주의 IP".into()), sheet_reader, ..ListOptions::default() };
    let terms = Terms::new(Detail::default(), &Policy::default());
    let intake = collect::read(&book, &options, &terms).expect("the workbook reads");
    let read = begin.elapsed();
    let receipt = list(engine, runtime, "regtech", intake.rows, Scope::Part);
    assert_eq!(receipt.added, rows as u64);
    println!(
        "workbook of {rows} rows ({} KB): read in {}, in the journal in {}, target 3 s",
        book.len() >> 10,
        seconds(read),
        seconds(begin.elapsed())
    );
}

/// A workbook as the portal makes it, three sheets with inline strings.
fn book(rows: usize) -> Vec<u8> {
    let first = fakes::data::day("2099-06-01");
    let row = |n: usize| fakes::data::row(n as u32, first + chrono::Days::new(n as u64 % 90));
    let rows: Vec<_> = (0..rows).map(row).collect();
    fakes::books::regtech(&rows, true)
}

/// Different addresses outside what the guard list holds.
fn addresses(count: usize) -> impl Iterator<Item = Range<u32>> {
    (0..count as u32).map(|n| Range::single((20 << 24) + n.wrapping_mul(97)))
}

/// How long the gate takes to count protected rows, and a window to find out that nothing changed.
fn large_source(engine: &Engine, runtime: &Runtime, listings: usize) {
    let days: i32 = 90;
    let day = |n: usize| Day::from_date(chrono::NaiveDate::default()).plus(20_000 + n as i32 % days);
    let rows = |of: Option<i32>| {
        let mut rows = RowsBuilder::default();
        for (n, range) in addresses(listings).enumerate() {
            if of.is_none_or(|of| n as i32 % days == of) {
                let detail =
                    Detail { listed: Some(day(n)), country: Country::new("CN"), ..Detail::default() };
                rows.push(IpRange::V4(range), &detail);
            }
        }
        rows.finish().0
    };
    let all = rows(None);
    let source = "large".parse().expect("a good name");
    let begin = Instant::now();
    let protected = engine.snapshot().protected(&source, &all, true).after;
    println!("{protected} of {listings} rows protected: counted in {}", seconds(begin.elapsed()));
    list(engine, runtime, "large", all, Scope::Part);
    let (window, first) = (rows(Some(0)), day(0));
    let begin = Instant::now();
    let receipt = list(engine, runtime, "large", window, Scope::Window { first, last: first });
    assert_eq!((receipt.added, receipt.removed), (0, 0));
    println!("a window of one day over {listings} listings, unchanged: {}", seconds(begin.elapsed()));
}

fn list(engine: &Engine, runtime: &Runtime, source: &str, rows: Rows, scope: Scope) -> Receipt {
    let change = Change::List { source: source.parse().expect("a good name"), rows, scope };
    let batch = Batch {
        id: uuid::Uuid::now_v7(),
        actor: "bench".into(),
        reason: String::new(),
        cause: Cause::Run,
        change,
    };
    runtime.block_on(engine.submit(batch)).expect("the disk takes it")
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
