//! Which listings stand on each address of a set: one walk along the addresses, on which listings begin and end.
//! Overlapping listings cost their logarithm, however many a hostile list lays over each other.

use super::select::{Scene, SelectError, each_taken};
use crate::addr::{IpRange, IpSet, Range, RangeSet, Word};
use crate::model::{Country, Filter, Severity, SourceId, Time};
use std::collections::{BTreeMap, HashMap};

/// What a listing says that is worth telling, once for all listings that say the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Words {
    pub(super) reason: Option<Box<str>>,
    pub(super) threat: Option<Box<str>>,
    pub(super) country: Option<Country>,
}

/// What counts of one listing. The order is that of weight: the gravest, then the surest, then the newest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Mark {
    severity: Option<Severity>,
    confidence: Option<u8>,
    since: Time,
    until: Option<Time>,
    words: u32,
    source: SourceId,
}

/// The listings that a filter takes, ready to be walked along.
#[derive(Default)]
pub(super) struct Listings {
    v4: Vec<(Range<u32>, u32)>,
    v6: Vec<(Range<u128>, u32)>,
    marks: Vec<Mark>,
    pub(super) words: Vec<Words>,
}

impl Listings {
    /// Reads them from the store.
    ///
    /// # Errors
    /// [`SelectError`].
    pub(super) fn read(scene: Scene<'_>, filter: &Filter) -> Result<Self, SelectError> {
        let mut listings = Self::default();
        let mut numbers: HashMap<Words, u32> = HashMap::new();
        each_taken(scene, filter, |range, taken| {
            let (source, detail) = (taken.source, taken.detail);
            let words = Words {
                reason: detail.reason.clone(),
                threat: detail.threat.clone(),
                country: detail.country,
            };
            let next = numbers.len() as u32;
            let words = *numbers.entry(words).or_insert(next);
            let mark = Mark {
                severity: detail.severity,
                confidence: source.confidence_of(detail),
                since: detail.first_seen,
                until: source.expiry_of(detail),
                words,
                source: source.id,
            };
            listings.push(range, mark);
        })?;
        listings.words = in_order(numbers);
        Ok(listings)
    }

    fn push(&mut self, range: IpRange, mark: Mark) {
        let number = self.marks.len() as u32;
        self.marks.push(mark);
        match range {
            IpRange::V4(range) => self.v4.push((range, number)),
            IpRange::V6(range) => self.v6.push((range, number)),
        }
    }

    /// Cuts `set` where a listing begins or ends, and tells each stretch, lowest first, with what stands on it.
    pub(super) fn walk(self, set: &IpSet, mut tell: impl FnMut(IpRange, &Standing)) -> Vec<Words> {
        walk(self.v4, &self.marks, &set.v4, |range, standing| tell(range.into(), standing));
        walk(self.v6, &self.marks, &set.v6, |range, standing| tell(range.into(), standing));
        self.words
    }
}

fn in_order(numbers: HashMap<Words, u32>) -> Vec<Words> {
    let mut all: Vec<(u32, Words)> = numbers.into_iter().map(|(words, number)| (number, words)).collect();
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, words)| words).collect()
}

/// The listings that stand on a stretch, counted so that each can be taken away again.
#[derive(Default)]
pub(super) struct Standing {
    marks: BTreeMap<Mark, u32>,
    sources: BTreeMap<SourceId, u32>,
    confidence: BTreeMap<Option<u8>, u32>,
    since: BTreeMap<Time, u32>,
    until: BTreeMap<Option<Time>, u32>,
}

impl Standing {
    fn put(&mut self, mark: Mark) {
        *self.marks.entry(mark).or_default() += 1;
        *self.sources.entry(mark.source).or_default() += 1;
        *self.confidence.entry(mark.confidence).or_default() += 1;
        *self.since.entry(mark.since).or_default() += 1;
        *self.until.entry(mark.until).or_default() += 1;
    }

    fn take(&mut self, mark: Mark) {
        less(&mut self.marks, mark);
        less(&mut self.sources, mark.source);
        less(&mut self.confidence, mark.confidence);
        less(&mut self.since, mark.since);
        less(&mut self.until, mark.until);
    }

    /// Who lists, by number.
    pub(super) fn sources(&self) -> impl ExactSizeIterator<Item = SourceId> + '_ {
        self.sources.keys().copied()
    }

    /// The surest statement.
    pub(super) fn confidence(&self) -> Option<u8> {
        self.confidence.last_key_value().and_then(|(confidence, _)| *confidence)
    }

    /// The gravest.
    pub(super) fn severity(&self) -> Option<Severity> {
        self.marks.last_key_value().and_then(|(mark, _)| mark.severity)
    }

    /// When it was first learned of.
    pub(super) fn first(&self) -> Option<Time> {
        self.since.first_key_value().map(|(since, _)| *since)
    }

    /// When something new was last learned of it.
    pub(super) fn newest(&self) -> Option<Time> {
        self.since.last_key_value().map(|(since, _)| *since)
    }

    /// Until when somebody lists it; none: for good, as far as is known.
    pub(super) fn until(&self) -> Option<Time> {
        let is_open = self.until.contains_key(&None);
        self.until.last_key_value().and_then(|(until, _)| *until).filter(|_| !is_open)
    }

    /// The words of the weightiest statement, as an index.
    pub(super) fn words(&self) -> Option<u32> {
        self.marks.last_key_value().map(|(mark, _)| mark.words)
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let std::collections::btree_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

fn walk<W: Word>(
    listings: Vec<(Range<W>, u32)>,
    marks: &[Mark],
    set: &RangeSet<W>,
    mut tell: impl FnMut(Range<W>, &Standing),
) {
    let mut begins = listings.clone();
    begins.sort_unstable_by_key(|(range, _)| range.first());
    let mut ends = listings;
    ends.sort_unstable_by_key(|(range, _)| range.last());
    let (mut begins, mut ends) = (begins.into_iter().peekable(), ends.into_iter().peekable());
    let mut standing = Standing::default();
    for range in set.iter() {
        let mut next = Some(range.first());
        while let Some(at) = next.filter(|at| *at <= range.last()) {
            // What ended before this began before it too, so that each is put before it is taken.
            while let Some((_, mark)) = begins.next_if(|(listing, _)| listing.first() <= at) {
                standing.put(marks[mark as usize]);
            }
            while let Some((_, mark)) = ends.next_if(|(listing, _)| listing.last() < at) {
                standing.take(marks[mark as usize]);
            }
            let begins_next = begins.peek().and_then(|(listing, _)| listing.first().prev());
            let ends_next = ends.peek().map(|(listing, _)| listing.last());
            let last = [begins_next, ends_next].into_iter().flatten().fold(range.last(), W::min);
            if let Some(stretch) = Range::new(at, last) {
                tell(stretch, &standing);
            }
            next = last.next();
        }
    }
}
