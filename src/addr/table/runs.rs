//! The iterator over the runs of any table.

use super::Run;
use crate::addr::{Range, Word};

/// The maximal runs inside a range, ascending, clipped to it.
///
/// A table hands out its runs block by block, so that its inner loop stays tight: `fill(at, out)`
/// appends the runs of the block that holds `at`, or of the first block after it that has any, and
/// returns the first address behind that block, `None` at the end of the space.
pub(super) struct Runs<W, F> {
    fill: F,
    within: Range<W>,
    /// Where the next block begins.
    at: Option<W>,
    block: Vec<Run<W>>,
    taken: usize,
}

impl<W: Word, F: FnMut(W, &mut Vec<Run<W>>) -> Option<W>> Runs<W, F> {
    pub(super) fn new(within: Range<W>, fill: F) -> Self {
        Self { fill, within, at: Some(within.first()), block: Vec::new(), taken: 0 }
    }

    /// Reads the next block; a run that is still held back may grow by it.
    fn refill(&mut self, at: W) {
        self.block.drain(..self.taken);
        self.taken = 0;
        self.at = (self.fill)(at, &mut self.block).filter(|next| *next <= self.within.last());
    }
}

impl<W: Word, F: FnMut(W, &mut Vec<Run<W>>) -> Option<W>> Iterator for Runs<W, F> {
    type Item = Run<W>;

    #[inline]
    fn next(&mut self) -> Option<Run<W>> {
        loop {
            // The last run of a block may go on in the next one.
            let held = usize::from(self.at.is_some());
            if self.taken + held < self.block.len() {
                let (range, class) = self.block[self.taken];
                self.taken += 1;
                match range.intersect(self.within) {
                    Some(range) => return Some((range, class)),
                    None => continue,
                }
            }
            let at = self.at?;
            self.refill(at);
        }
    }
}
