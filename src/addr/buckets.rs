//! Gathering the ranges of a large list before they are a set.
//!
//! Cut by their first bits as they come, so that each bucket is sorted within the cache, and by a
//! thread of its own where the caller has several.

use super::{Range, Word};

const BITS: u8 = 8;

/// Ranges in any order.
#[derive(Clone, Debug)]
pub struct Buckets<W> {
    buckets: Vec<Vec<Range<W>>>,
}

impl<W> Default for Buckets<W> {
    fn default() -> Self {
        Self { buckets: (0..1 << BITS).map(|_| Vec::new()).collect() }
    }
}

impl<W: Word> Buckets<W> {
    /// Adds a range.
    #[inline]
    pub fn push(&mut self, range: Range<W>) {
        self.buckets[range.first().digit(W::BITS - BITS)].push(range);
    }

    /// The ranges of all `parts`, bucket by bucket: made sets, each by itself, they are the parts
    /// of [`super::RangeSet::joined`].
    pub fn regroup(parts: Vec<Self>) -> impl Iterator<Item = Vec<Vec<Range<W>>>> {
        let mut parts: Vec<_> = parts.into_iter().map(|part| part.buckets.into_iter()).collect();
        (0..1 << BITS).map(move |_| parts.iter_mut().filter_map(Iterator::next).collect())
    }
}
