//! The fewest prefixes that hold exactly the addresses of a range.
//!
//! The cover of a [`super::RangeSet`] is the covers of its ranges, one after the other: ranges that do not
//! touch share no prefix. The range cover of a set is the set itself.

use super::{Range, Word};

/// The prefixes of one range, lowest first: address and prefix length. See [`Range::prefixes`].
#[derive(Clone, Debug)]
pub struct Prefixes<W> {
    rest: Option<Range<W>>,
}

impl<W: Word> Range<W> {
    /// The fewest prefixes that together are exactly this range, lowest first; at most
    /// `2 * BITS - 2` of them.
    #[inline]
    pub fn prefixes(self) -> Prefixes<W> {
        Prefixes { rest: Some(self) }
    }
}

impl<W: Word> Iterator for Prefixes<W> {
    type Item = (W, u8);

    /// The widest prefix that begins where the rest begins and does not reach beyond its end.
    #[inline]
    fn next(&mut self) -> Option<(W, u8)> {
        let range = self.rest?;
        if let Some(len) = range.prefix_len() {
            self.rest = None;
            return Some((range.first(), len));
        }
        // Not a prefix, so less than the whole space: the size is exact, and below it.
        let fits = range.size().ilog2() as u8;
        let len = W::BITS - range.first().zero_bits().min(fits);
        let end = range.first().last_of(len);
        self.rest = end.next().and_then(|first| Range::new(first, range.last()));
        Some((range.first(), len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The fewest prefixes by trying all: the whole block if it is inside, else both halves.
    fn golden<W: Word>(block: Range<W>, range: Range<W>, out: &mut Vec<(W, u8)>) {
        if range.covers(block) {
            out.push((block.first(), block.level()));
        } else if range.intersect(block).is_some() {
            let len = block.level() + 1;
            let low = Range::prefix(block.first(), len);
            golden(low, range, out);
            golden(Range::prefix(low.last().next().unwrap(), len), range, out);
        }
    }

    fn agree<W: Word>(range: Range<W>) {
        let mut expected = Vec::new();
        golden(Range::ALL, range, &mut expected);
        assert_eq!(range.prefixes().collect::<Vec<_>>(), expected, "{range}");
    }

    #[test]
    fn covers_at_the_edges_of_the_space_are_minimal() {
        agree(Range::<u32>::ALL);
        agree(Range::<u128>::ALL);
        agree(Range::new(1, u32::MAX - 1).unwrap());
        agree(Range::new(0, u32::MAX - 1).unwrap());
        agree(Range::new(1, u32::MAX).unwrap());
        agree(Range::new(1, u128::MAX - 1).unwrap());
        agree(Range::new(0, u128::MAX - 1).unwrap());
        agree(Range::single(u128::MAX));
        assert_eq!(Range::new(1, u32::MAX - 1).unwrap().prefixes().count(), 62);
        assert_eq!(Range::new(1, u128::MAX - 1).unwrap().prefixes().count(), 254);
    }

    proptest! {
        #[test]
        fn covers_are_exact_and_minimal(a: u128, b: u128, shift in 0_u32..120) {
            agree(Range::new(a.min(b), a.max(b)).unwrap());
            let (a, b) = (a >> shift, b >> shift);
            agree(Range::new(a.min(b), a.max(b)).unwrap());
            let (a, b) = (a as u32, b as u32);
            agree(Range::new(a.min(b), a.max(b)).unwrap());
        }
    }
}
