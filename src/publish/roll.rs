//! What a release lists, line by line, each with what is known of it: for readers who take it in pieces and answer for
//! each line. It knows neither their protocols nor their bytes.

use super::formats::{Cut, MOST_ADDRESSES};
use super::release::Released;
use super::selection::{Annotated, Entry, Facts};
use crate::addr::{IpRange, IpSet, Range, RangeSet, Word};
use crate::model::Lines;
use std::net::IpAddr;
use std::sync::Arc;

/// A release as lines: single addresses where its feed is written so, else the fewest prefixes. Which lines there are
/// depends on what is listed alone, so that a line that was told of once is told of again until it goes.
#[derive(Debug)]
pub struct Roll {
    released: Arc<Released>,
    set: IpSet,
    notes: Annotated,
    lines: Lines,
}

/// One line of a roll.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line<'a> {
    /// A single address or a prefix.
    pub range: IpRange,
    /// What is known of its first address; none where a held feed keeps what nobody lists any more.
    pub facts: Option<&'a Facts>,
}

/// How far a reader has come in a set: at its beginning, at first.
#[derive(Clone, Debug, Default)]
pub struct Place {
    v4: Walk<u32>,
    v6: Walk<u128>,
}

/// Unfolded into single addresses the release would be too long; its feed's lines should be prefixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than {MOST_ADDRESSES} single addresses are listed; let the feed be written as prefixes")]
pub struct TooLong;

impl Roll {
    /// The roll of a release; `notes` are what is known of its set, or less.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn new(released: Arc<Released>, notes: Annotated) -> Result<Self, TooLong> {
        let set = released.release.set.unpack();
        let lines = match released.profile.lines() {
            Lines::Addresses if set.size() > u128::from(MOST_ADDRESSES) => return Err(TooLong),
            Lines::Addresses => Lines::Addresses,
            Lines::Cidrs | Lines::Ranges => Lines::Cidrs,
        };
        Ok(Self { released, set, notes, lines })
    }

    /// Of which release it is.
    pub fn released(&self) -> &Arc<Released> {
        &self.released
    }

    /// Everything that is listed.
    pub fn set(&self) -> &IpSet {
        &self.set
    }

    /// The line at `place` in `set`, whose ranges are ranges of the roll, and the place after it; IPv4 before IPv6,
    /// lowest first.
    pub fn next<'a>(&'a self, set: &IpSet, place: &mut Place) -> Option<Line<'a>> {
        let Annotated { v4, v6, facts } = &self.notes;
        let (range, noted) = match place.v4.next(&set.v4, v4, self.lines) {
            Some((range, noted)) => (range.into(), noted),
            None => {
                let (range, noted) = place.v6.next(&set.v6, v6, self.lines)?;
                (range.into(), noted)
            }
        };
        Some(Line { range, facts: noted.and_then(|at| facts.get(at as usize)) })
    }

    /// The place behind `line` in `set`, whether that is there or not; logarithmic.
    pub fn behind(&self, set: &IpSet, line: IpRange) -> Place {
        let Annotated { v4, v6, .. } = &self.notes;
        let mut place = Place::default();
        match line {
            IpRange::V4(line) => place.v4 = Walk::behind(&set.v4, v4, line, self.lines),
            IpRange::V6(line) => {
                // Everything of the other family comes before.
                place.v4 = Walk { at: set.v4.ranges().len(), ..Walk::default() };
                place.v6 = Walk::behind(&set.v6, v6, line, self.lines);
            }
        }
        place
    }

    /// The line that holds `address`, which must be canonical; logarithmic.
    pub fn holding(&self, address: IpAddr) -> Option<Line<'_>> {
        let Annotated { v4, v6, facts } = &self.notes;
        let (range, noted) = match address {
            IpAddr::V4(address) => {
                let range = line_at(&self.set.v4, address.to_bits(), self.lines)?;
                (range.into(), note_at(v4, range.first()))
            }
            IpAddr::V6(address) => {
                let range = line_at(&self.set.v6, address.to_bits(), self.lines)?;
                (range.into(), note_at(v6, range.first()))
            }
        };
        Some(Line { range, facts: noted.and_then(|at| facts.get(at as usize)) })
    }

    /// The lines into which a range of this or another release of the feed falls.
    pub(super) fn cut(&self, range: IpRange) -> Vec<IpRange> {
        match range {
            IpRange::V4(range) => Cut::new(range, self.lines).map(IpRange::from).collect(),
            IpRange::V6(range) => Cut::new(range, self.lines).map(IpRange::from).collect(),
        }
    }
}

fn line_at<W: Word>(set: &RangeSet<W>, address: W, lines: Lines) -> Option<Range<W>> {
    let after = set.ranges().partition_point(|range| range.first() <= address);
    let range = set.ranges().get(after.checked_sub(1)?).filter(|range| range.contains(address))?;
    match lines {
        Lines::Addresses => Some(Range::single(address)),
        _ => Cut::new(*range, lines).find(|line| line.contains(address)),
    }
}

fn note_at<W: Word>(entries: &[Entry<W>], address: W) -> Option<u32> {
    let at = entries.partition_point(|entry| entry.range.last() < address);
    entries.get(at).filter(|entry| entry.range.contains(address)).map(|entry| entry.facts)
}

/// How far somebody has come in one family.
#[derive(Clone, Debug)]
struct Walk<W> {
    /// The next range.
    at: usize,
    /// What is left of the one before.
    rest: Option<Cut<W>>,
    /// Everything before this entry of the notes lies behind.
    noted: usize,
}

impl<W> Default for Walk<W> {
    fn default() -> Self {
        Self { at: 0, rest: None, noted: 0 }
    }
}

impl<W: Word> Walk<W> {
    /// Lines depend on where they begin and on what follows alone, so that those behind a line are the same ones.
    fn behind(set: &RangeSet<W>, notes: &[Entry<W>], line: Range<W>, lines: Lines) -> Self {
        let at = set.ranges().partition_point(|range| range.last() <= line.last());
        let noted = notes.partition_point(|entry| entry.range.last() <= line.last());
        let begun = set.ranges().get(at).filter(|range| range.contains(line.last()));
        let rest = begun.and_then(|range| Range::new(line.last().next()?, range.last()));
        let rest = rest.map(|rest| Cut::new(rest, lines));
        Self { at: at + usize::from(rest.is_some()), rest, noted }
    }

    fn next(
        &mut self,
        set: &RangeSet<W>,
        notes: &[Entry<W>],
        lines: Lines,
    ) -> Option<(Range<W>, Option<u32>)> {
        let line = loop {
            if let Some(line) = self.rest.as_mut().and_then(Iterator::next) {
                break line;
            }
            self.rest = Some(Cut::new(*set.ranges().get(self.at)?, lines));
            self.at += 1;
        };
        while notes.get(self.noted).is_some_and(|entry| entry.range.last() < line.first()) {
            self.noted += 1;
        }
        let noted = notes.get(self.noted).filter(|entry| entry.range.contains(line.first()));
        Some((line, noted.map(|entry| entry.facts)))
    }
}
