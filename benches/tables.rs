//! The look-up tables against `prefix-trie`: ratios of medians measured in turns in one run.
//!
//! `cargo bench --bench tables` measures everything; names of sections (`ipv4`, `small`, `large`,
//! `ipv6`, `swap`) choose; `-- --smoke` only shows, in a second, that it works.
#![allow(clippy::print_stdout, reason = "a benchmark is a program that prints a table")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod support;

use arc_swap::ArcSwap;
use ipnet::{Ipv4Net, Ipv6Net};
use ironlist::addr::{Class, Range, Table4, Table6, Word};
use prefix_trie::PrefixMap;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{CLASSES, Prefix, clustered4, clustered6, flatten, in_turns, inside4, inside6, median, time};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a class stands for: the answer counts only with its source set and its exemption.
#[derive(Clone, Copy)]
struct Info {
    sources: u32,
    exempted: bool,
}

fn infos() -> Vec<Info> {
    (0..=CLASSES).map(|i| Info { sources: i * 3, exempted: i % 50 == 1 }).collect()
}

/// Work that depends on the whole answer.
#[inline(always)]
fn judge(infos: &[Info], number: usize) -> u64 {
    let info = infos[number];
    u64::from(info.sources) << 1 | u64::from(info.exempted)
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    divide: usize,
    rounds: usize,
    lookups: usize,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let smoke = args.iter().any(|arg| arg == "--smoke");
    let scale = if smoke {
        Scale { divide: 100, rounds: 3, lookups: 10_000 }
    } else {
        Scale { divide: 1, rounds: 9, lookups: 1_000_000 }
    };
    let chosen: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |section: &str| chosen.is_empty() || chosen.iter().any(|arg| *arg == section);

    println!("{:34} {:>10} {:>10} {:>7} {:>7}", "", "ours", "peer", "ratio", "target");
    if wanted("small") {
        ipv4("IPv4 100 k", 100_000 / scale.divide, scale, [0.5, f64::NAN, f64::NAN]);
        ipv4("IPv4 400 k", 400_000 / scale.divide, scale, [0.5, f64::NAN, f64::NAN]);
    }
    if wanted("ipv4") {
        ipv4("IPv4 1 M", 1_000_000 / scale.divide, scale, [0.20, 0.40, 0.12]);
    }
    if wanted("large") {
        ipv4("IPv4 10 M", 10_000_000 / scale.divide, scale, [0.20, 0.40, 0.12]);
    }
    if wanted("ipv6") {
        ipv6("IPv6 1 M", 1_000_000 / scale.divide, scale);
    }
    if wanted("swap") {
        swap(1_000_000 / scale.divide, scale);
    }
}

/// A line of the result: nanoseconds (or what the name says) and their ratio.
fn row(name: &str, (ours, peer): (f64, f64), target: f64) {
    let target = if target.is_nan() { String::new() } else { format!("{target:.2}") };
    println!("{name:34} {ours:>10.1} {peer:>10.1} {:>7.3} {target:>7}", ours / peer);
}

/// A line without a peer, with the highest value allowed.
fn single(name: &str, value: f64, target: f64) {
    let target = if target.is_nan() { String::new() } else { format!("{target:.1}") };
    println!("{name:34} {value:>10.2} {:>10} {:>7} {target:>7}", "", "");
}

fn edits<W: Word>(prefixes: &[Prefix<W>]) -> Vec<(Range<W>, Class)> {
    flatten(prefixes).into_iter().map(|(range, number)| (range, Class::new(number).unwrap())).collect()
}

fn ipv4(name: &str, n: usize, scale: Scale, [hit, miss, batch]: [f64; 3]) {
    let prefixes = clustered4(n, 1);
    let table = Table4::default().next(&edits(&prefixes), |class, _| *class);
    let peer: PrefixMap<Ipv4Net, u32> =
        prefixes.iter().map(|(range, number)| (net4(*range), *number)).collect();
    let infos = infos();
    let mut rng = fastrand::Rng::with_seed(2);
    let hits: Vec<u32> = (0..scale.lookups).map(|_| inside4(prefixes[rng.usize(..n)].0, &mut rng)).collect();
    let uncovered = std::iter::repeat_with(|| rng.u32(..)).filter(|addr| table.get(*addr).is_clear());
    let misses: Vec<u32> = uncovered.take(scale.lookups).collect();

    for (kind, addrs, target) in [("hit", &hits, hit), ("miss", &misses, miss)] {
        let nets: Vec<Ipv4Net> = addrs.iter().map(|addr| net4(Range::single(*addr))).collect();
        let number = |net: &Ipv4Net| peer.get_lpm(net).map_or(0, |(_, number)| *number as usize);
        assert!(addrs.iter().zip(&nets).all(|(addr, net)| table.get(*addr).index() == number(net)));
        let each = |ns: f64| ns / scale.lookups as f64;
        let ours =
            || each(time(|| addrs.iter().map(|addr| judge(&infos, table.get(*addr).index())).sum::<u64>()));
        let theirs = || each(time(|| nets.iter().map(|net| judge(&infos, number(net))).sum::<u64>()));
        row(&format!("{name}, {kind}, ns"), in_turns(scale.rounds, ours, theirs), target);
        let mut out = vec![Class::CLEAR; 1024];
        let ours = || each(time(|| batches(&table, addrs, &mut out, &infos)));
        let target = if kind == "hit" { batch } else { f64::NAN };
        row(&format!("{name}, batched {kind}, ns"), in_turns(scale.rounds, ours, theirs), target);
    }
    memory4(name, n, &table);
    build4(name, &prefixes, scale);
}

fn batches(table: &Table4, addrs: &[u32], out: &mut [Class], infos: &[Info]) -> u64 {
    let mut sum = 0;
    for addrs in addrs.chunks(out.len()) {
        table.get_batch(addrs, out);
        sum += out[..addrs.len()].iter().map(|class| judge(infos, class.index())).sum::<u64>();
    }
    sum
}

fn memory4(name: &str, n: usize, table: &Table4) {
    let root = if n < 500_000 { 0 } else { 64 << 20 };
    let rest = table.bytes().saturating_sub(root) as f64 / n as f64;
    let what = if root == 0 { "B an entry" } else { "B an entry over 64 MiB" };
    single(&format!("{name}, {what}"), rest, if root == 0 { 24.0 } else { 30.0 });
    single(&format!("{name}, runs an entry"), table.runs().count() as f64 / n as f64, f64::NAN);
}

fn build4(name: &str, prefixes: &[Prefix<u32>], scale: Scale) {
    let rounds = scale.rounds.min(5);
    let build = || Table4::default().next(&edits(prefixes), |class, _| *class);
    let (ours, peer) = in_turns(
        rounds,
        || time(build) / 1e6,
        || time(|| prefixes.iter().map(|(r, n)| (net4(*r), *n)).collect::<PrefixMap<Ipv4Net, u32>>()) / 1e6,
    );
    row(&format!("{name}, build, ms"), (ours, peer), f64::NAN);
    let mut table = build();
    let mut rng = fastrand::Rng::with_seed(3);
    let times = (0..40).map(|_| {
        let changes = changes4(prefixes, 1000, &mut rng);
        let start = Instant::now();
        let next = table.next(&changes, |class, _| *class);
        let time = start.elapsed().as_secs_f64() * 1e3;
        table = next;
        time
    });
    single(&format!("{name}, next after 1,000 changes, ms"), median(times.collect()), ours / 100.0);
    let times = (0..rounds)
        .map(|_| time(|| table.runs().map(|(range, _)| u64::from(range.first())).sum::<u64>()) / 1e6);
    single(&format!("{name}, all runs, ms"), median(times.collect()), f64::NAN);
}

/// Sorted disjoint changes of /24 to /32: half of them end an entry, half of them begin one.
fn changes4(prefixes: &[Prefix<u32>], n: usize, rng: &mut fastrand::Rng) -> Vec<(Range<u32>, Class)> {
    let change = |rng: &mut fastrand::Rng| {
        let (range, number) = prefixes[rng.usize(..prefixes.len())];
        let len = range.prefix_len().unwrap_or(32).max(24);
        let near = range.first() ^ if rng.bool() { rng.u32(..256) } else { 0 };
        (Range::prefix(near, len), if rng.bool() { Class::CLEAR } else { Class::new(number).unwrap() })
    };
    let mut changes: Vec<_> = std::iter::repeat_with(|| change(rng)).take(n).collect();
    changes.sort_unstable();
    let mut end = None;
    changes.retain(|(range, _)| {
        let disjoint = end.is_none_or(|end| end < range.first());
        end = if disjoint { Some(range.last()) } else { end };
        disjoint
    });
    changes
}

fn ipv6(name: &str, n: usize, scale: Scale) {
    let prefixes = clustered6(n, 1);
    let table = Table6::default().next(&edits(&prefixes), |class, _| *class);
    let peer: PrefixMap<Ipv6Net, u32> =
        prefixes.iter().map(|(range, number)| (net6(*range), *number)).collect();
    let infos = infos();
    let mut rng = fastrand::Rng::with_seed(2);
    let hits: Vec<u128> = (0..scale.lookups).map(|_| inside6(prefixes[rng.usize(..n)].0, &mut rng)).collect();
    let uncovered = std::iter::repeat_with(|| rng.u128(..)).filter(|addr| table.get(*addr).is_clear());
    let misses: Vec<u128> = uncovered.take(scale.lookups).collect();
    let mut beside = || inside6(Range::prefix(prefixes[rng.usize(..n)].0.first(), 32), &mut rng);
    let near = std::iter::repeat_with(&mut beside).filter(|addr| table.get(*addr).is_clear());
    let near: Vec<u128> = near.take(scale.lookups).collect();

    for (kind, addrs, target) in
        [("hit", &hits, 0.30), ("miss", &misses, 1.1), ("miss in a listed /32", &near, f64::NAN)]
    {
        let nets: Vec<Ipv6Net> = addrs.iter().map(|addr| net6(Range::single(*addr))).collect();
        let number = |net: &Ipv6Net| peer.get_lpm(net).map_or(0, |(_, number)| *number as usize);
        assert!(addrs.iter().zip(&nets).all(|(addr, net)| table.get(*addr).index() == number(net)));
        let each = |ns: f64| ns / scale.lookups as f64;
        let ours =
            || each(time(|| addrs.iter().map(|addr| judge(&infos, table.get(*addr).index())).sum::<u64>()));
        let theirs = || each(time(|| nets.iter().map(|net| judge(&infos, number(net))).sum::<u64>()));
        row(&format!("{name}, {kind}, ns"), in_turns(scale.rounds, ours, theirs), target);
    }
    single(&format!("{name}, B an entry"), table.bytes() as f64 / n as f64, f64::NAN);
    build6(name, &prefixes, scale);
}

fn build6(name: &str, prefixes: &[Prefix<u128>], scale: Scale) {
    let build = || Table6::default().next(&edits(prefixes), |class, _| *class);
    let (ours, peer) = in_turns(
        scale.rounds.min(3),
        || time(build) / 1e6,
        || time(|| prefixes.iter().map(|(r, n)| (net6(*r), *n)).collect::<PrefixMap<Ipv6Net, u32>>()) / 1e6,
    );
    row(&format!("{name}, build, ms"), (ours, peer), f64::NAN);
    let (table, step) = (build(), prefixes.len() / 1000);
    let changes: Vec<_> = prefixes.chunks(step.max(1)).map(|p| (Range::single(p[0].0.first()), ())).collect();
    let changes = changes.iter().fold(Vec::<(Range<u128>, ())>::new(), |mut kept, change| {
        if kept.last().is_none_or(|before| before.0 < change.0) {
            kept.push(*change);
        }
        kept
    });
    let times = (0..scale.rounds).map(|_| time(|| table.next(&changes, |(), _| Class::CLEAR)) / 1e6);
    single(&format!("{name}, next after 1,000 changes, ms"), median(times.collect()), f64::NAN);
    let times = (0..3).map(|_| time(|| table.runs().map(|(range, _)| range.first()).max()) / 1e6);
    single(&format!("{name}, all runs, ms"), median(times.collect()), f64::NAN);
}

/// The 99th percentile of single look-ups, with and without another thread that makes a generation
/// of 1,000 changes and swaps it in, over and over.
fn swap(n: usize, scale: Scale) {
    let prefixes = clustered4(n, 1);
    let table = Table4::default().next(&edits(&prefixes), |class, _| *class);
    let current = ArcSwap::from_pointee(table);
    let mut rng = fastrand::Rng::with_seed(4);
    let hits: Vec<u32> = (0..scale.lookups).map(|_| inside4(prefixes[rng.usize(..n)].0, &mut rng)).collect();
    let changes: Vec<_> = (0..64).map(|_| changes4(&prefixes, 1000, &mut rng)).collect();
    let swapping = |pause| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for changes in changes.iter().cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                    current.store(current.load().next(changes, |class, _| *class).into());
                    std::thread::sleep(pause);
                }
            });
            let time = percentile99(&current, &hits);
            done.store(true, Ordering::Relaxed);
            time
        })
    };
    let alone = || percentile99(&current, &hits);
    let gentle = in_turns(scale.rounds, || swapping(Duration::from_millis(10)), alone);
    row("IPv4 1 M, p99 at 100 swaps/s, ns", gentle, 1.2);
    row(
        "IPv4 1 M, p99 swapping nonstop, ns",
        in_turns(scale.rounds, || swapping(Duration::ZERO), alone),
        1.2,
    );
}

fn percentile99(current: &ArcSwap<Table4>, addrs: &[u32]) -> f64 {
    let mut times: Vec<u64> = Vec::with_capacity(addrs.len());
    for addr in addrs {
        let start = Instant::now();
        black_box(current.load().get(*addr));
        times.push(start.elapsed().as_nanos() as u64);
    }
    let place = times.len() * 99 / 100;
    *times.select_nth_unstable(place).1 as f64
}

fn net4(range: Range<u32>) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::from_bits(range.first()), range.prefix_len().unwrap()).unwrap()
}

fn net6(range: Range<u128>) -> Ipv6Net {
    Ipv6Net::new(Ipv6Addr::from_bits(range.first()), range.prefix_len().unwrap()).unwrap()
}
