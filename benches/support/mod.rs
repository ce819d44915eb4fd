//! Data and clockwork shared by the benchmarks: everything comes from a seed, nothing from outside.

// Each benchmark is a program of its own and uses its part of this.
#![allow(dead_code, reason = "shared by several benchmark programs")]

use ironlist::addr::{Range, Word};
use std::cmp::Reverse;
use std::hint::black_box;
use std::time::Instant;

/// A prefix and the number that stands for what is known about it.
pub(crate) type Prefix<W> = (Range<W>, u32);

/// Numbers in use: how many different sets of sources a real installation sees, and more.
pub(crate) const CLASSES: u32 = 400;

/// `n` prefixes of /8 to /32, sorted, clustered as in real lists: about 2.5 in a /24 they touch,
/// most of them single addresses, few of them wide.
pub(crate) fn clustered4(n: usize, seed: u64) -> Vec<Prefix<u32>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let networks: Vec<u32> =
        (0..(n / 40).clamp(1, 40_000)).map(|_| rng.u32(1 << 8..224 << 8) << 16).collect();
    let mut prefixes = Vec::with_capacity(n + 64);
    while prefixes.len() < n {
        prefixes
            .extend((prefixes.len()..n).flat_map(|_| block4(&networks, &mut rng)).take(n - prefixes.len()));
        prefixes.sort_unstable_by_key(|range| (range.first(), Reverse(range.last())));
        prefixes.dedup();
    }
    numbered(prefixes, &mut rng)
}

/// The prefixes of one touched /24.
fn block4(networks: &[u32], rng: &mut fastrand::Rng) -> Vec<Range<u32>> {
    let block = networks[rng.usize(..networks.len())] | rng.u32(..1 << 16) & !0xff;
    match rng.u32(..100_000) {
        0 => vec![Range::prefix(block, rng.u8(8..12))],
        1..=9 => vec![Range::prefix(block, rng.u8(12..16))],
        10..=999 => vec![Range::prefix(block, rng.u8(16..24))],
        1000..=9999 => vec![Range::prefix(block, 24)],
        _ => {
            // Geometric: each prefix is followed by another with three chances in five.
            let more = std::iter::repeat_with(|| rng.u32(..100) < 63).take_while(|more| *more).count();
            (0..=more).map(|_| Range::prefix(block | rng.u32(..256), host4(rng))).collect()
        }
    }
}

fn host4(rng: &mut fastrand::Rng) -> u8 {
    if rng.u32(..100) < 88 { 32 } else { rng.u8(25..32) }
}

/// `n` prefixes of /32 to /128, sorted, clustered by network, site and subnet.
pub(crate) fn clustered6(n: usize, seed: u64) -> Vec<Prefix<u128>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let registries = [
        0x2001_u128,
        0x2400,
        0x2401,
        0x2402,
        0x2404,
        0x2600,
        0x2602,
        0x2604,
        0x2606,
        0x2607,
        0x2800,
        0x2803,
        0x2804,
        0x2a00,
        0x2a01,
        0x2a02,
        0x2a03,
        0x2a0b,
        0x2a0e,
        0x2c0f,
    ];
    let mut network = || registries[rng.usize(..registries.len())] << 112 | u128::from(rng.u16(..)) << 96;
    let networks: Vec<u128> = (0..(n / 50).max(1)).map(|_| network()).collect();
    let sites: Vec<u128> = (0..n / 5 + 1)
        .map(|_| networks[rng.usize(..networks.len())] | u128::from(rng.u16(..)) << 80)
        .collect();
    let mut prefixes = Vec::with_capacity(n);
    while prefixes.len() < n {
        prefixes.extend((prefixes.len()..n).map(|_| prefix6(&sites, &mut rng)));
        prefixes.sort_unstable_by_key(|range| (range.first(), Reverse(range.last())));
        prefixes.dedup();
    }
    numbered(prefixes, &mut rng)
}

fn prefix6(sites: &[u128], rng: &mut fastrand::Rng) -> Range<u128> {
    let subnet = sites[rng.usize(..sites.len())] | u128::from(rng.u16(..16)) << 64;
    let len = match rng.u32(..1000) {
        0..=9 => rng.u8(32..48),
        10..=79 => 48,
        80..=109 => 56,
        110..=349 => 64,
        350..=379 => rng.u8(65..128),
        _ => 128,
    };
    Range::prefix(subnet | u128::from(rng.u64(..)), len)
}

fn numbered<W: Word>(prefixes: Vec<Range<W>>, rng: &mut fastrand::Rng) -> Vec<Prefix<W>> {
    // A few sets of sources are common, most are rare.
    prefixes.into_iter().map(|range| (range, 1 + rng.u32(..CLASSES).min(rng.u32(..CLASSES)))).collect()
}

/// Disjoint ranges with the number of the longest of `prefixes` that holds them; a prefix comes
/// before those inside it.
pub(crate) fn flatten<W: Word>(prefixes: &[Prefix<W>]) -> Vec<Prefix<W>> {
    let mut flat = Flat { out: Vec::with_capacity(prefixes.len()), open: Vec::new(), at: W::MIN };
    for prefix in prefixes {
        flat.close_before(Some(prefix.0.first()));
        flat.emit_before(prefix.0.first());
        flat.open.push(*prefix);
    }
    flat.close_before(None);
    flat.out
}

/// The sweep of [`flatten`]: prefixes that are open at `at`, the innermost last.
struct Flat<W> {
    out: Vec<Prefix<W>>,
    open: Vec<Prefix<W>>,
    at: W,
}

impl<W: Word> Flat<W> {
    fn close_before(&mut self, limit: Option<W>) {
        while let Some((range, number)) = self.open.last().copied()
            && limit.is_none_or(|limit| range.last() < limit)
        {
            self.out.extend(Range::new(self.at, range.last()).map(|range| (range, number)));
            self.at = self.at.max(range.last().next().unwrap_or(W::MAX));
            self.open.pop();
        }
    }

    fn emit_before(&mut self, first: W) {
        if let Some((_, number)) = self.open.last()
            && let Some(last) = first.prev()
        {
            self.out.extend(Range::new(self.at, last).map(|range| (range, *number)));
        }
        self.at = first;
    }
}

/// A random address inside a range; for IPv6 of its last 64 bits at most.
pub(crate) fn inside4(range: Range<u32>, rng: &mut fastrand::Rng) -> u32 {
    rng.u32(range.first()..=range.last())
}

/// As [`inside4`].
pub(crate) fn inside6(range: Range<u128>, rng: &mut fastrand::Rng) -> u128 {
    rng.u128(range.first()..=range.last())
}

/// Nanoseconds of one call, whose result is kept from the optimiser.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos() as f64
}

/// The middle of some measurements.
pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Medians of `ours` and `peer`, measured in turns so that a noisy neighbour meets both.
pub(crate) fn in_turns(
    rounds: usize,
    mut ours: impl FnMut() -> f64,
    mut peer: impl FnMut() -> f64,
) -> (f64, f64) {
    let (ours, peer): (Vec<f64>, Vec<f64>) = (0..rounds).map(|_| (ours(), peer())).unzip();
    (median(ours), median(peer))
}
