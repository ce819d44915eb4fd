//! What a feed costs: rendering a million lines, making them ready to go out, and writing every other format. One
//! thread, its CPU time: what else runs on the machine does not count.
//!
//! `cargo bench --bench feed [-- --smoke]`. The target is for rendering; the rest says how soon after a change a
//! firewall can have it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends where it fails, and prints")]

mod support;

use ironlist::addr::RangeSet;
use ironlist::disk::Medium;
use ironlist::engine::{Engine, Options, Snapshot};
use ironlist::model::{Batch, Cause, Change, Detail, Document, Format, RowsBuilder, Scope, Time};
use ironlist::publish::formats::{Sheet, write};
use ironlist::publish::{Annotated, Entry, Facts, Lines, Profile, Released, Selection, render};
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds for a million lines.
const TARGET: f64 = 50.0;

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    // Overlaps, and neighbours that become one prefix: a million and a half make a million lines.
    let (prefixes, rounds) = if smoke { (20_000, 1) } else { (1_500_000, 21) };
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(folder.path(), prefixes);
    println!("{:28} {:>10} {:>8} {:>18}", "", "lines", "ms", "ms a million lines");
    let profile = Profile::fortigate();
    let room = render(&snapshot, &profile, 0).unwrap().text.len();
    let lines = row("rendering, prefixes", rounds, || render(&snapshot, &profile, room).unwrap().entries);
    row("of that, walking the table", rounds, || snapshot.table.v4.runs().count() as u64);
    let ranges = Profile { lines: Lines::Ranges, ..profile.clone() };
    row("rendering, ranges", rounds, || render(&snapshot, &ranges, room).unwrap().entries);
    let rendered = render(&snapshot, &profile, room).unwrap();
    let released = Released::new(rendered.clone(), 1, Time::default());
    let few = rounds.div_ceil(4);
    row("tags and compression", few, || Released::new(rendered.clone(), 1, Time::default()).entries);
    let file = folder.path().join("bench.feed");
    row("writing the file", few, || {
        released.save(&file, &profile).unwrap();
        released.entries
    });
    row("reading the file", few, || Released::load(&file, &profile).unwrap().unwrap().entries);
    formats(if smoke { 20_000 } else { 1_000_000 }, few);
    let (text, gzip) = (released.text.bytes.len(), released.gzip.bytes.len());
    println!("bytes: {text}, compressed {gzip}");
    let verdict = if lines <= TARGET { "reached" } else { "missed" };
    println!("target: at most {TARGET} ms to render a million lines: {verdict}");
}

/// Every format of `count` prefixes; of those that tell more of an entry, half are told about.
fn formats(count: usize, rounds: usize) {
    let v4: RangeSet<u32> = support::clustered4(count, 7).into_iter().map(|(range, _)| range).collect();
    let known = Facts {
        sources: ["regtech", "secudium"].iter().map(|name| name.parse().unwrap()).collect(),
        reason: Some("brute force, SSH".into()),
        confidence: Some(80),
        since: Some(Time::from_unix(1_790_000_000)),
        ..Facts::default()
    };
    let entries = v4.iter().zip([0, 1].into_iter().cycle()).map(|(range, facts)| Entry { range, facts });
    let annotated = Annotated { v4: entries.collect(), v6: Vec::new(), facts: vec![known, Facts::default()] };
    let selection = Selection { v4, v6: RangeSet::EMPTY };
    let (selection, entries) = (&selection, Some(&annotated));
    for format in Format::ALL.into_iter().filter(|format| *format != Format::Sophos) {
        let lines = format.lines()[0];
        let sheet = Sheet { feed: "bench", generation: 1, time: Time::default(), lines, selection, entries };
        let rounds = if format.needs_facts() { 1 } else { rounds };
        let mut out = Vec::new();
        row(format.as_str(), rounds, || {
            out.clear();
            write(Document::List(format), &sheet, &mut out).unwrap().entries
        });
    }
}

/// Prints the median, and answers the median for a million lines.
fn row(name: &str, rounds: usize, mut run: impl FnMut() -> u64) -> f64 {
    let mut lines = 0;
    let mut millis: Vec<f64> = (0..rounds)
        .map(|_| {
            let before = cpu();
            lines = run();
            (cpu() - before).as_secs_f64() * 1e3
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    let median = millis[millis.len() / 2];
    let scaled = median * 1e6 / lines as f64;
    println!("{name:28} {lines:10} {median:8.1} {scaled:18.1}");
    scaled
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// A generation that lists `count` clustered prefixes.
fn snapshot(folder: &std::path::Path, count: usize) -> Arc<Snapshot> {
    let engine = Engine::open(Options::new(Medium::folder(folder))).unwrap();
    let mut rows = RowsBuilder::default();
    for (range, _) in support::clustered4(count, 7) {
        rows.push(range.into(), &Detail::default());
    }
    let batch = Batch {
        id: uuid::Uuid::now_v7(),
        actor: "bench".into(),
        reason: String::new(),
        cause: Cause::Manual,
        change: Change::List { source: "bench".parse().unwrap(), rows: rows.finish().0, scope: Scope::Part },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.submit(batch)).unwrap();
    Arc::clone(&engine.snapshot())
}
