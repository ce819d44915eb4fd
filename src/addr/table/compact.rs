//! The form for fewer entries: sorted runs under a direct index on the first bits.
//!
//! The index (as in DXR) has up to two places a run, so a look-up reads one place of it and then
//! searches the few runs that end in that block. 12 bytes a run and at most 8 for the index. The
//! next generation copies it all, which takes a few milliseconds at its largest.

use super::{Class, Run, overlay::overlay};
use crate::addr::Range;

/// Sorted maximal runs, none of them clear.
#[derive(Debug)]
pub(super) struct Compact {
    runs: Box<[Run<u32>]>,
    /// For each block of `1 << shift` addresses, and for the end, how many runs end before it.
    index: Box<[u32]>,
    shift: u32,
}

impl Default for Compact {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Compact {
    pub(super) fn new(runs: Vec<Run<u32>>) -> Self {
        let bits = (2 * runs.len()).max(2).ilog2().min(24);
        let shift = 32 - bits;
        let mut index = Vec::with_capacity((1 << bits) + 1);
        for (i, (range, _)) in (0_u32..).zip(&runs) {
            let block = (range.last() >> shift) as usize;
            if block >= index.len() {
                index.resize(block + 1, i);
            }
        }
        index.resize((1 << bits) + 1, runs.len() as u32);
        Self { runs: runs.into(), index: index.into(), shift }
    }

    #[inline]
    pub(super) fn get(&self, addr: u32) -> Class {
        let block = (addr >> self.shift) as usize;
        let (from, to) = (self.index[block] as usize, self.index[block + 1] as usize);
        let skip = self.runs[from..to].partition_point(|(range, _)| range.last() < addr);
        match self.runs.get(from + skip) {
            Some((range, class)) if range.first() <= addr => *class,
            _ => Class::CLEAR,
        }
    }

    pub(super) fn runs(&self) -> &[Run<u32>] {
        &self.runs
    }

    /// The runs of the next generation, see [`overlay`].
    pub(super) fn overlaid<E>(
        &self,
        edits: &[(Range<u32>, E)],
        f: &mut impl FnMut(&E, Class) -> Class,
    ) -> Vec<Run<u32>> {
        let mut runs = Vec::with_capacity(self.runs.len() + edits.len());
        overlay(&self.runs, edits, Range::ALL, f, &mut runs);
        runs
    }

    /// See [`super::runs::Runs`].
    pub(super) fn fill(&self, at: u32, out: &mut Vec<Run<u32>>) -> Option<u32> {
        /// Runs in a block.
        const BLOCK: usize = 1024;
        let from = self.runs.partition_point(|(range, _)| range.last() < at);
        let to = (from + BLOCK).min(self.runs.len());
        out.extend_from_slice(&self.runs[from..to]);
        self.runs.get(to).map(|(range, _)| range.first())
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.runs) + size_of_val(&*self.index)
    }
}
