//! The IPv6 table: sorted runs in chunks under an index.
//!
//! Runs of any bounds are kept as they are, so holes and ranges cost one or two runs and never a
//! cascade of prefixes, and nothing an attacker lists can make a long chain. The chunks are shared
//! by the generations; the index over their first addresses is made anew.

use super::overlay::{overlay, push};
use super::runs::Runs;
use super::{Class, Run};
use crate::addr::Range;
use std::fmt;
use std::sync::Arc;

/// Runs in a chunk: at most, and at least where a change passes by.
const CHUNK_MAX: usize = if cfg!(test) { 8 } else { 16 };
const CHUNK_MIN: usize = CHUNK_MAX / 4;

/// Sorted disjoint runs, one to [`CHUNK_MAX`].
struct Chunk {
    len: usize,
    /// The first 64 bits of where each run begins. Two cache lines that are read side by side settle nearly always
    /// which run it is; a binary search over the runs would wait for four, one after the other.
    heads: [u64; CHUNK_MAX],
    runs: [Run<u128>; CHUNK_MAX],
}

impl Chunk {
    fn new(runs: &[Run<u128>]) -> Self {
        let mut chunk = Self {
            len: runs.len().min(CHUNK_MAX),
            heads: [u64::MAX; CHUNK_MAX],
            runs: [(Range::ALL, Class::CLEAR); CHUNK_MAX],
        };
        for ((head, own), run) in chunk.heads.iter_mut().zip(&mut chunk.runs).zip(runs) {
            (*head, *own) = (head_of(run.0.first()), *run);
        }
        chunk
    }

    fn runs(&self) -> &[Run<u128>] {
        &self.runs[..self.len]
    }

    fn first(&self) -> u128 {
        self.runs[0].0.first()
    }

    fn last(&self) -> u128 {
        self.runs().last().map_or(self.first(), |(range, _)| range.last())
    }

    #[inline]
    fn get(&self, addr: u128) -> Class {
        let head = head_of(addr);
        let after = self.heads.iter().filter(|other| **other <= head).count().min(self.len);
        // Of runs that share their first 64 bits some may begin behind the address.
        match self.runs[..after].iter().rev().find(|(range, _)| range.first() <= addr) {
            Some((range, class)) if addr <= range.last() => *class,
            _ => Class::CLEAR,
        }
    }
}

#[inline]
fn head_of(addr: u128) -> u64 {
    (addr >> 64) as u64
}

/// The class of every IPv6 address. Immutable, cheap to clone, shared between threads.
#[derive(Clone, Default)]
pub struct Table6(Arc<Chunks>);

struct Chunks {
    /// Each with the first 64 bits of its first address: who has found one has the other in the same cache line.
    chunks: Box<[(u64, Arc<Chunk>)]>,
    /// A bit for each value of the first 16 bits of an address: whether the chunks reach there.
    /// These 8 KiB stay in the nearest cache and settle most look-ups of addresses not listed.
    reached: Box<[u64; 1 << 10]>,
    /// For each value of the first 16 bits, and for the end, how many chunks begin below it.
    index: Box<[u32]>,
    runs: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Chunks {
    fn new(chunks: Vec<Arc<Chunk>>) -> Self {
        let mut index = Vec::with_capacity((1 << 16) + 1);
        for (i, chunk) in (0_u32..).zip(&chunks) {
            let block = (chunk.first() >> 112) as usize;
            if block >= index.len() {
                index.resize(block + 1, i);
            }
        }
        index.resize((1 << 16) + 1, chunks.len() as u32);
        let mut reached = Box::new([0; 1 << 10]);
        for chunk in &chunks {
            let (first, last) = (chunk.first() >> 112, chunk.last() >> 112);
            (first..=last).for_each(|block| reached[block as usize / 64] |= 1 << (block % 64));
        }
        let runs = chunks.iter().map(|chunk| chunk.len).sum();
        let chunks = chunks.into_iter().map(|chunk| (head_of(chunk.first()), chunk)).collect();
        Self { chunks, reached, index: index.into(), runs }
    }

    #[inline]
    fn is_reached(&self, addr: u128) -> bool {
        let block = (addr >> 112) as usize;
        self.reached[block / 64] >> (block % 64) & 1 == 1
    }

    /// The chunk whose runs may hold `addr`: the last that begins at or before it.
    #[inline]
    fn find(&self, addr: u128) -> Option<usize> {
        let (block, head) = ((addr >> 112) as usize, head_of(addr));
        let (from, to) = (self.index[block] as usize, self.index[block + 1] as usize);
        let chunks = &self.chunks[from..to];
        let after = chunks.partition_point(|(fence, _)| *fence <= head);
        if after == 0 || chunks[after - 1].0 != head {
            return (from + after).checked_sub(1);
        }
        // Chunks may share their first 64 bits, as many as somebody likes: no walk along them.
        let same = chunks[..after].partition_point(|(fence, _)| *fence < head);
        let ties = &chunks[same..after];
        (from + same + ties.partition_point(|(_, chunk)| chunk.first() <= addr)).checked_sub(1)
    }

    /// The first address of chunk `i`, if there is one.
    fn first(&self, i: usize) -> Option<u128> {
        self.chunks.get(i).map(|(_, chunk)| chunk.first())
    }

    /// The addresses whose runs, if they have any, are in chunk `i`: up to the next chunk's first,
    /// and for the first chunk from `::` on.
    fn territory(&self, i: usize) -> Range<u128> {
        let first = if i == 0 { 0 } else { self.first(i).unwrap_or(0) };
        let last = self.first(i + 1).map_or(u128::MAX, |next| next - 1);
        Range::new(first, last).unwrap_or(Range::ALL)
    }

    fn runs_of(&self, i: usize) -> &[Run<u128>] {
        self.chunks.get(i).map(|(_, chunk)| chunk.runs()).unwrap_or_default()
    }
}

impl Table6 {
    /// The class of an address. Takes no lock and allocates nothing.
    #[inline]
    pub fn get(&self, addr: u128) -> Class {
        if !self.0.is_reached(addr) {
            return Class::CLEAR;
        }
        self.0.find(addr).map_or(Class::CLEAR, |chunk| self.0.chunks[chunk].1.get(addr))
    }

    /// The classes of `addrs` in `out`, as far as the shorter reaches.
    pub fn get_batch(&self, addrs: &[u128], out: &mut [Class]) {
        for (addr, class) in addrs.iter().zip(out) {
            *class = self.get(*addr);
        }
    }

    /// The table in which each address of an edit's range has the class `f(edit, old class)`; the
    /// others keep theirs, and this table stays as it is.
    ///
    /// The edits are sorted and disjoint. `f` may be called several times for one edit, once for
    /// each stretch under it. Costs a copy of the index and of the chunks that the edits touch.
    #[must_use]
    pub fn next<E>(&self, edits: &[(Range<u128>, E)], mut f: impl FnMut(&E, Class) -> Class) -> Self {
        debug_assert!(edits.is_sorted_by(|a, b| a.0.last() < b.0.first()));
        let (old, mut next) = (&self.0, Rewrite::default());
        let (mut edits, mut kept) = (edits, 0);
        while let Some((range, _)) = edits.first() {
            let touched = old.find(range.first()).unwrap_or(0).max(kept);
            next.keep(old.chunks.get(kept..touched).unwrap_or_default());
            kept = touched + 1;
            let within = old.territory(touched);
            let touching = edits.partition_point(|(range, _)| range.first() <= within.last());
            overlay(old.runs_of(touched), &edits[..touching], within, &mut f, &mut next.pending);
            // The last of them may reach into the next territory.
            let done = edits[..touching].partition_point(|(range, _)| range.last() <= within.last());
            edits = &edits[done..];
        }
        next.keep(old.chunks.get(kept..).unwrap_or_default());
        Self(Arc::new(Chunks::new(next.finish())))
    }
}

impl Table6 {
    /// The maximal runs of one class, ascending, without the clear ones.
    pub fn runs(&self) -> impl Iterator<Item = Run<u128>> {
        self.runs_in(Range::ALL)
    }

    /// [`Table6::runs`] inside `range`, cut off at its ends.
    pub fn runs_in(&self, range: Range<u128>) -> impl Iterator<Item = Run<u128>> {
        Runs::new(range, |at, out| {
            let i = self.0.find(at).unwrap_or(0);
            self.0.runs_of(i).iter().for_each(|(range, class)| push(out, *range, *class));
            self.0.first(i + 1)
        })
    }

    /// About how many runs there are. Costs nothing.
    pub fn stored(&self) -> usize {
        self.0.runs
    }

    /// Bytes held, together with other generations of the same chain.
    pub fn bytes(&self) -> usize {
        let Chunks { chunks, reached, index, .. } = &*self.0;
        size_of_val(&**chunks)
            + size_of_val(&**index)
            + size_of_val(&**reached)
            + chunks.len() * (size_of::<Chunk>() + 2 * size_of::<usize>())
    }
}

/// The chunks of the next generation in the making.
#[derive(Default)]
struct Rewrite {
    chunks: Vec<Arc<Chunk>>,
    /// Runs behind those chunks, to be cut into chunks.
    pending: Vec<Run<u128>>,
}

impl Rewrite {
    /// Takes over chunks that did not change, except a few to join what would become too small.
    fn keep(&mut self, mut chunks: &[(u64, Arc<Chunk>)]) {
        while (1..CHUNK_MIN).contains(&self.pending.len())
            && let Some(((_, chunk), rest)) = chunks.split_first()
        {
            chunk.runs().iter().for_each(|(range, class)| push(&mut self.pending, *range, *class));
            chunks = rest;
        }
        if !chunks.is_empty() {
            self.cut();
            self.chunks.extend(chunks.iter().map(|(_, chunk)| Arc::clone(chunk)));
        }
    }

    /// Cuts what is pending into chunks of equal length.
    fn cut(&mut self) {
        let pieces = self.pending.len().div_ceil(CHUNK_MAX).max(1);
        let len = self.pending.len().div_ceil(pieces).max(1);
        self.chunks.extend(self.pending.chunks(len).map(|runs| Arc::new(Chunk::new(runs))));
        self.pending.clear();
    }

    fn finish(mut self) -> Vec<Arc<Chunk>> {
        self.cut();
        self.chunks
    }
}

impl fmt::Debug for Table6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table6").field("stored", &self.stored()).finish_non_exhaustive()
    }
}
