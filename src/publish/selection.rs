//! What a feed lists, and what is known of it: plain data, the same for every format. It knows neither bytes nor
//! where the data came from.

use crate::addr::{IpSet, Range, RangeSet, Word};
use crate::disk::{Digest, digest};
use crate::model::{Country, Severity, SourceName, Time};
use std::sync::Arc;

/// What is known of an entry: of all listings that cover it, the gravest, the surest, the longest.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Facts {
    /// Who lists it, in the order of their names.
    pub sources: Arc<[SourceName]>,
    /// The kind of threat, in a source's words: hostile text.
    pub threat: Option<Box<str>>,
    /// Why, in a source's words: hostile text.
    pub reason: Option<Box<str>>,
    /// Where it is.
    pub country: Option<Country>,
    /// How grave.
    pub severity: Option<Severity>,
    /// How sure, 0 to 100.
    pub confidence: Option<u8>,
    /// Since when it is listed.
    pub since: Option<Time>,
    /// The first moment at which it will not be; none: nobody says.
    pub until: Option<Time>,
}

/// A stretch of one family of which the same is known throughout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<W> {
    /// Where.
    pub range: Range<W>,
    /// What is known: an index into [`Annotated::facts`].
    pub facts: u32,
}

/// A selection cut into stretches of which the same is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Annotated {
    /// IPv4, lowest first, disjoint.
    pub v4: Vec<Entry<u32>>,
    /// IPv6, lowest first, disjoint.
    pub v6: Vec<Entry<u128>>,
    /// What is known, each once.
    pub facts: Vec<Facts>,
}

impl Annotated {
    /// Whether the stretches are exactly `selection`, and each has facts; 2 ns a stretch.
    pub fn is_exactly(&self, selection: &IpSet) -> bool {
        let known = |facts: u32| (facts as usize) < self.facts.len();
        fits(&self.v4, &selection.v4, known) && fits(&self.v6, &selection.v6, known)
    }

    /// What tells it from every other; linear, about 20 ns a stretch.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.v4.len() * 12 + self.v6.len() * 36);
        for Entry { range, facts } in &self.v4 {
            put(&mut bytes, range.first().to_le_bytes(), range.last().to_le_bytes(), *facts);
        }
        for Entry { range, facts } in &self.v6 {
            put(&mut bytes, range.first().to_le_bytes(), range.last().to_le_bytes(), *facts);
        }
        // The form of plain data is the same as often as it is written.
        let facts = format!("{:?}", self.facts);
        digest(&[&(self.v4.len() as u64).to_le_bytes(), &bytes, facts.as_bytes()])
    }

    /// The same for a part of the selection; linear.
    #[must_use]
    pub fn within(&self, part: &IpSet) -> Self {
        Self { v4: inside(&self.v4, &part.v4), v6: inside(&self.v6, &part.v6), facts: self.facts.clone() }
    }
}

fn put<const N: usize>(bytes: &mut Vec<u8>, first: [u8; N], last: [u8; N], facts: u32) {
    bytes.extend_from_slice(&first);
    bytes.extend_from_slice(&last);
    bytes.extend_from_slice(&facts.to_le_bytes());
}

/// What `entries` say of `part`; both are sorted.
fn inside<W: Word>(entries: &[Entry<W>], part: &RangeSet<W>) -> Vec<Entry<W>> {
    let mut entries = entries.iter().peekable();
    let mut inside = Vec::new();
    for range in part.iter() {
        while entries.next_if(|entry| entry.range.last() < range.first()).is_some() {}
        while let Some(entry) = entries.peek() {
            let Some(both) = entry.range.intersect(range) else { break };
            inside.push(Entry { range: both, facts: entry.facts });
            if entry.range.last() > range.last() {
                break;
            }
            entries.next();
        }
    }
    inside
}

/// Whether `entries`, joined where they touch, are the ranges of `set` in their order.
fn fits<W: Word>(entries: &[Entry<W>], set: &RangeSet<W>, known: impl Fn(u32) -> bool) -> bool {
    let mut entries = entries.iter();
    let filled = set.iter().all(|range| {
        let mut next = Some(range.first());
        while let Some(first) = next.filter(|first| *first <= range.last()) {
            match entries.next() {
                Some(entry) if entry.range.first() == first && known(entry.facts) => {
                    if entry.range.last() > range.last() {
                        return false;
                    }
                    next = entry.range.last().next();
                }
                _ => return false,
            }
        }
        true
    });
    filled && entries.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(ranges: &[(u32, u32)]) -> Vec<Entry<u32>> {
        let entry = |&(first, last)| Entry { range: Range::new(first, last).unwrap(), facts: 0 };
        ranges.iter().map(entry).collect()
    }

    #[test]
    fn stretches_fit_a_selection_only_if_they_are_all_of_it_and_no_more() {
        let v4 = RangeSet::from_ranges(entries(&[(1, 9), (20, 20)]).iter().map(|e| e.range).collect());
        let selection = IpSet { v4, v6: RangeSet::EMPTY };
        let fits = |ranges: &[(u32, u32)]| {
            let facts = vec![Facts::default()];
            Annotated { v4: entries(ranges), v6: Vec::new(), facts }.is_exactly(&selection)
        };
        assert!(fits(&[(1, 9), (20, 20)]) && fits(&[(1, 4), (5, 9), (20, 20)]));
        assert!(!fits(&[(1, 9)]) && !fits(&[(1, 4), (6, 9), (20, 20)]) && !fits(&[(1, 8), (20, 20)]));
        assert!(!fits(&[(1, 10), (20, 20)]) && !fits(&[(1, 9), (20, 20), (22, 22)]));
        assert!(!fits(&[(1, 5), (5, 9), (20, 20)]) && !fits(&[(0, 9), (20, 20)]));
        let nameless = Annotated { v4: entries(&[(1, 9), (20, 20)]), ..Annotated::default() };
        assert!(!nameless.is_exactly(&selection), "facts that are not there");
    }

    #[test]
    fn the_whole_space_fits_itself() {
        let all = IpSet { v4: [Range::ALL].into_iter().collect(), v6: RangeSet::EMPTY };
        let annotated =
            Annotated { v4: entries(&[(0, u32::MAX)]), facts: vec![Facts::default()], v6: Vec::new() };
        assert!(annotated.is_exactly(&all));
    }
}
