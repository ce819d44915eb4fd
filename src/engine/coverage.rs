//! What one source lists, in memory: Roaring bitmaps for single IPv4 addresses, sorted ranges for
//! all else. Listings that a suppression has ended are left out.
//!
//! From here the engine learns what a source still covers when one of its overlapping listings
//! ends, and analytics what two sources share, without a page read.

use crate::addr::{Range, RangeSet, Word};
use roaring::RoaringBitmap;

/// The active listings of one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Single IPv4 addresses: 2 to 7 bytes each.
    pub(super) singles: RoaringBitmap,
    /// Other IPv4 ranges, sorted, each once; they may overlap.
    pub(super) wide: Vec<Range<u32>>,
    /// IPv6 ranges, sorted, each once; they may overlap.
    pub(super) v6: Vec<Range<u128>>,
}

impl Coverage {
    /// How many listings.
    pub fn len(&self) -> u64 {
        self.singles.len() + (self.wide.len() + self.v6.len()) as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Single IPv4 addresses listed.
    pub fn singles(&self) -> &RoaringBitmap {
        &self.singles
    }

    /// IPv4 ranges of more than one address, sorted.
    pub fn wide(&self) -> &[Range<u32>] {
        &self.wide
    }

    /// IPv6 ranges, sorted.
    pub fn v6(&self) -> &[Range<u128>] {
        &self.v6
    }
}

/// The families of a [`Coverage`].
pub(super) trait Covered: Word {
    /// Takes away `gone` and puts in place `new`, each sorted by range.
    fn change(coverage: &mut Coverage, gone: &[Range<Self>], new: &[Range<Self>]);
    /// What of `within` the source covers.
    fn covered(coverage: &Coverage, within: &RangeSet<Self>) -> RangeSet<Self>;
    /// Whether just this range is listed.
    fn lists(coverage: &Coverage, range: Range<Self>) -> bool;
    /// How many listings have an address of `set`.
    fn meeting(coverage: &Coverage, set: &RangeSet<Self>) -> u64;
}

impl Covered for u32 {
    fn change(coverage: &mut Coverage, gone: &[Range<Self>], new: &[Range<Self>]) {
        let single = |ranges: &[Range<Self>]| -> RoaringBitmap {
            ranges.iter().filter(|r| r.is_single()).map(|r| r.first()).collect()
        };
        coverage.singles -= single(gone);
        coverage.singles |= single(new);
        let wide = |ranges: &[Range<Self>]| -> Vec<_> {
            ranges.iter().copied().filter(|r| !r.is_single()).collect()
        };
        merge(&mut coverage.wide, &wide(gone), &wide(new));
    }

    fn covered(coverage: &Coverage, within: &RangeSet<Self>) -> RangeSet<Self> {
        let mut ranges = RangeSet::from_ranges(coverage.wide.clone()).intersect(within).ranges().to_vec();
        for range in within.iter() {
            let inside = coverage.singles.range(range.first()..=range.last());
            ranges.extend(inside.map(Range::single));
        }
        RangeSet::from_ranges(ranges)
    }

    fn lists(coverage: &Coverage, range: Range<Self>) -> bool {
        match range.is_single() {
            true => coverage.singles.contains(range.first()),
            false => coverage.wide.binary_search(&range).is_ok(),
        }
    }

    fn meeting(coverage: &Coverage, set: &RangeSet<Self>) -> u64 {
        let singles =
            set.iter().map(|range| coverage.singles.range_cardinality(range.first()..=range.last()));
        singles.sum::<u64>() + count(&coverage.wide, set)
    }
}

impl Covered for u128 {
    fn change(coverage: &mut Coverage, gone: &[Range<Self>], new: &[Range<Self>]) {
        merge(&mut coverage.v6, gone, new);
    }

    fn covered(coverage: &Coverage, within: &RangeSet<Self>) -> RangeSet<Self> {
        RangeSet::from_ranges(coverage.v6.clone()).intersect(within)
    }

    fn lists(coverage: &Coverage, range: Range<Self>) -> bool {
        coverage.v6.binary_search(&range).is_ok()
    }

    fn meeting(coverage: &Coverage, set: &RangeSet<Self>) -> u64 {
        count(&coverage.v6, set)
    }
}

fn count<W: Word>(ranges: &[Range<W>], set: &RangeSet<W>) -> u64 {
    ranges.iter().filter(|range| set.meets(**range)).count() as u64
}

/// Sorted `kept`, without `gone`, with `new`.
fn merge<W: Word>(kept: &mut Vec<Range<W>>, gone: &[Range<W>], new: &[Range<W>]) {
    if !gone.is_empty() {
        kept.retain(|range| gone.binary_search(range).is_err());
    }
    if !new.is_empty() {
        kept.extend_from_slice(new);
        // Two sorted runs: the sort finds them, and merges.
        kept.sort();
        kept.dedup();
    }
}
