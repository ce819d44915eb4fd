//! Gathering the ranges of a large list before they are a set.
//!
//! Cut by their first bits as they come, so that each bucket is sorted within the cache, and by a
//! thread of its own where the caller has several. What a large list costs is mostly the first touch of memory:
//! so a bucket grows by pieces that are never moved, and its set is put where its ranges were.

use super::set::merge_sorted;
use super::{Range, RangeSet, Word, sort};

const BITS: u8 = 8;
/// Ranges that a bucket first has room for, and how many its further pieces hold.
const FIRST_PIECE: usize = 64;
const PIECE: usize = 2048;

/// Ranges in any order.
#[derive(Clone, Debug)]
pub struct Buckets<W> {
    buckets: Vec<Bucket<W>>,
}

#[derive(Clone, Debug, Default)]
struct Bucket<W> {
    /// The piece that is being filled.
    open: Vec<Range<W>>,
    full: Vec<Vec<Range<W>>>,
}

impl<W: Word> Default for Buckets<W> {
    fn default() -> Self {
        Self { buckets: vec![Bucket::default(); 1 << BITS] }
    }
}

impl<W: Word> Buckets<W> {
    /// Adds a range.
    #[inline]
    pub fn push(&mut self, range: Range<W>) {
        self.buckets[range.first().digit(W::BITS - BITS)].push(range);
    }

    /// What all `parts` hold, bucket by bucket.
    pub fn regroup(parts: Vec<Self>) -> impl Iterator<Item = Pieces<W>> {
        let mut parts: Vec<_> = parts.into_iter().map(|part| part.buckets.into_iter()).collect();
        (0..1 << BITS).map(move |_| {
            Pieces(parts.iter_mut().filter_map(Iterator::next).flat_map(Bucket::pieces).collect())
        })
    }
}

impl<W: Word> Bucket<W> {
    #[inline]
    fn push(&mut self, range: Range<W>) {
        if self.open.len() == self.open.capacity() {
            self.turn();
        }
        self.open.push(range);
    }

    #[cold]
    fn turn(&mut self) {
        let room = if self.open.is_empty() { FIRST_PIECE } else { PIECE };
        let full = std::mem::replace(&mut self.open, Vec::with_capacity(room));
        if !full.is_empty() {
            self.full.push(full);
        }
    }

    fn pieces(mut self) -> impl Iterator<Item = Vec<Range<W>>> {
        self.full.push(self.open);
        self.full.into_iter()
    }
}

/// The ranges of one bucket.
#[derive(Clone, Debug)]
pub struct Pieces<W>(Vec<Vec<Range<W>>>);

/// Room for sorting, to be used again for the next bucket.
#[derive(Clone, Debug, Default)]
pub struct Room<W> {
    ranges: Vec<Range<W>>,
    other: Vec<Range<W>>,
}

impl<W: Word> Pieces<W> {
    /// The set of the bucket's ranges, as sets that follow each other and do not touch.
    pub fn into_sets(mut self, room: &mut Room<W>) -> Vec<RangeSet<W>> {
        let Room { ranges, other } = room;
        ranges.clear();
        for piece in &mut self.0 {
            ranges.append(piece);
        }
        sort::by_first(ranges, other);
        merge_sorted(ranges);
        let mut rest = ranges.as_slice();
        for piece in &mut self.0 {
            let (here, after) = rest.split_at(piece.capacity().min(rest.len()));
            piece.extend_from_slice(here);
            rest = after;
        }
        self.0.into_iter().filter(|piece| !piece.is_empty()).map(RangeSet::of_merged).collect()
    }
}
