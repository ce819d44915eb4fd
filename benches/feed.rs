//! What a feed costs: rendering a million lines, making them ready to go out, and writing every other format. One
//! thread, its CPU time: what else runs on the machine does not count.
//!
//! `cargo bench --bench feed [-- --smoke]`. The targets are for rendering, and for how soon after a change every feed
//! has it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends where it fails, and prints")]

mod support;

use ironlist::addr::{IpRange, IpSet, Range, RangeSet};
use ironlist::disk::Medium;
use ironlist::engine::{Engine, Options};
use ironlist::model::{
    Batch, Cause, Change, Detail, Document, Families, Format, Lines, Output, Profile, RowsBuilder, Scope,
    Time,
};
use ironlist::publish::formats::{Counts, Sheet, write};
use ironlist::publish::{Annotated, Coding, Entry, Facts, Feeds, Packed, Rendition, Scene, wanted};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds for a million lines.
const TARGET: f64 = 50.0;
/// Milliseconds for the feeds after a change.
const REBUILD: f64 = 500.0;

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    // Overlaps, and neighbours that become one prefix: a million and a half make a million lines.
    let (prefixes, rounds) = if smoke { (20_000, 1) } else { (1_500_000, 21) };
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path(), prefixes);
    let snapshot = Arc::clone(&house.engine.snapshot());
    println!("{:28} {:>10} {:>8} {:>18}", "", "lines", "ms", "ms a million lines");
    row("walking the table", rounds, || snapshot.table.v4.runs().count() as u64);
    let profile = Profile::fortigate();
    let scene = Scene { snapshot: &snapshot, view: None };
    let lines = row("selecting and writing", rounds, || {
        let set = wanted(scene, &profile).unwrap().subtract(&snapshot.exempt());
        text(&set, Lines::Cidrs).1
    });
    let set = wanted(scene, &profile).unwrap();
    row("writing ranges", rounds, || text(&set, Lines::Ranges).1);
    let few = rounds.div_ceil(4);
    let mut sizes = Vec::new();
    row("tags and compression", few, || {
        let (text, entries) = text(&set, Lines::Cidrs);
        let rendition = Rendition::new(text, Counts { entries, ..Counts::default() });
        rendition.compress();
        sizes = Coding::ALL.iter().map(|coding| rendition.bytes(*coding).unwrap().len()).collect();
        entries
    });
    println!(
        "bytes: {}, gzip {}, zstd {}, set {}",
        sizes[2],
        sizes[1],
        sizes[0],
        Packed::of(&set).bytes().len()
    );
    formats(if smoke { 20_000 } else { 1_000_000 }, few);
    let verdict = |is_reached| if is_reached { "reached" } else { "missed" };
    println!("target: at most {TARGET} ms to select and write a million lines: {}", verdict(lines <= TARGET));
    let (rebuilt, compressed) = house.rebuild(few);
    println!(
        "three feeds (IPv4, IPv6, both) after 1,000 changes: offered and on the disk after {rebuilt:.0} ms, \
         compressed after {compressed:.0} ms, medians of {few}"
    );
    println!("target: at most {REBUILD} ms: {}", verdict(rebuilt <= REBUILD));
}

/// The lines of a set, and how many.
fn text(set: &IpSet, lines: Lines) -> (Vec<u8>, u64) {
    let sheet =
        Sheet { feed: "bench", generation: 1, time: Time::default(), lines, selection: set, entries: None };
    let mut out = Vec::with_capacity(20 << 20);
    let counts = write(Document::List(Format::Fortigate), &sheet, &mut out).unwrap();
    (out, counts.entries)
}

/// A blacklist with the two feeds of a FortiGate.
struct House {
    engine: Engine,
    feeds: Feeds,
}

impl House {
    fn new(folder: &std::path::Path, prefixes: usize) -> Self {
        let engine = Engine::open(Options::new(Medium::folder(folder))).unwrap();
        let house = Self { feeds: Feeds::open(folder, Profile::fortigate(), engine.now()).unwrap(), engine };
        for (name, families) in [("v4", Families::V4), ("v6", Families::V6)] {
            let profile = Profile { families, ..Profile::fortigate() };
            let profile = Profile { name: name.parse().unwrap(), ..profile };
            house.submit(Change::Publish(Output::Feed(profile)));
        }
        let v4 = support::clustered4(prefixes, 7).into_iter().map(|(range, _)| IpRange::V4(range));
        let v6 = (0..prefixes as u128 / 100).map(|n| IpRange::V6(Range::single((0x2a00 << 112) + (n << 66))));
        house.list(v4.chain(v6));
        house.feeds.refresh(&house.engine);
        house
    }

    fn list(&self, ranges: impl Iterator<Item = IpRange>) {
        let mut rows = RowsBuilder::default();
        ranges.for_each(|range| rows.push(range, &Detail::default()));
        let source = "bench".parse().unwrap();
        self.submit(Change::List { source, rows: rows.finish().0, scope: Scope::Part });
    }

    fn submit(&self, change: Change) {
        let (actor, reason) = ("bench".into(), String::new());
        let batch = Batch { id: uuid::Uuid::now_v7(), actor, reason, cause: Cause::Manual, change };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.engine.submit(batch)).unwrap();
    }

    /// Milliseconds from a durable change of 1,000 entries until every feed offers it and has it on the disk, and until
    /// all of it is compressed.
    fn rebuild(&self, rounds: usize) -> (f64, f64) {
        let (mut kept, mut compressed): (Vec<f64>, Vec<f64>) = (0..rounds as u32)
            .map(|round| {
                let first = 0xc800_0000 + round * 4096;
                self.list((0..1000).map(|n| IpRange::V4(Range::single(first + 3 * n))));
                let before = Instant::now();
                self.feeds.refresh(&self.engine);
                let kept = before.elapsed().as_secs_f64() * 1e3;
                self.feeds.compress();
                (kept, before.elapsed().as_secs_f64() * 1e3)
            })
            .unzip();
        (median(&mut kept), median(&mut compressed))
    }
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
    let selection = IpSet { v4, v6: RangeSet::EMPTY };
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
    let median = median(&mut millis);
    let scaled = median * 1e6 / lines as f64;
    println!("{name:28} {lines:10} {median:8.1} {scaled:18.1}");
    scaled
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
