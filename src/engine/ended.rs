//! What sources list no more, and whether that was meant: a feed that is held follows what was, and nothing else.

use super::plan::listings::SOON;
use super::{Engine, EngineError};
use crate::addr::{IpRange, IpSet, Range};
use crate::journal::{Summary, What};
use crate::model::{Cause, Detail, Difference, Op, Record, SourceId, SourceRanges, Time};
use std::collections::BTreeMap;

/// So many heads of records are read at a time.
const HEADS: u64 = 256;

/// What a source lists no more, each address by what became of it last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gone {
    /// Because its time had come, or a person said so.
    pub ended: IpSet,
    /// Because the source said so, or no longer said otherwise.
    pub dropped: IpSet,
}

/// Ranges that went one after the other, each with whether that was meant.
type Went = Vec<(bool, Vec<IpRange>)>;

impl Gone {
    fn of(went: Went) -> Self {
        went.into_iter().fold(Self::default(), |Self { ended, dropped }, (is_meant, ranges)| {
            let ranges: IpSet = ranges.into_iter().collect();
            // What is gone a second time was listed again in between.
            match is_meant {
                true => Self { dropped: dropped.subtract(&ranges), ended: ended.union(&ranges) },
                false => Self { ended: ended.subtract(&ranges), dropped: dropped.union(&ranges) },
            }
        })
    }
}

impl Engine {
    /// What each source lists no more by the records after generation `after` and up to `last`, whoever else lists it
    /// still. Unpacks only records that took something away. Blocks on the disk.
    ///
    /// # Errors
    /// [`EngineError::Gone`], [`EngineError::ReadOnly`] when the journal is damaged, else a fault of the disk.
    pub fn gone(&self, after: u64, last: u64) -> Result<BTreeMap<SourceId, Gone>, EngineError> {
        let mut gone: BTreeMap<SourceId, Went> = BTreeMap::new();
        let journal = self.journal()?;
        let gather = |record: Record| {
            let is_meant = matches!(record.cause, Cause::Expiry | Cause::Manual | Cause::Rollback);
            for op in &record.ops {
                let Op::Listings { source, difference } = op else { continue };
                let went = gone.entry(*source).or_default();
                if went.last().is_none_or(|(before, _)| *before != is_meant) {
                    went.push((is_meant, Vec::new()));
                }
                let Some((_, ranges)) = went.last_mut() else { continue };
                ranges.extend(difference.gone::<u32>().into_iter().map(IpRange::V4));
                ranges.extend(difference.gone::<u128>().into_iter().map(IpRange::V6));
            }
            Ok::<_, EngineError>(())
        };
        self.kept(after, || journal.records(after, last, takes_away, gather))?;
        Ok(gone.into_iter().map(|(source, went)| (source, Gone::of(went))).collect())
    }

    /// What each source has given an end within a day, though it had none so near, by the records up to `last` and from
    /// a day before generation `after` on, as far as they are kept. When that ends, its source has taken it back.
    /// Unpacks the records in which something says something else now. Blocks on the disk.
    ///
    /// # Errors
    /// [`EngineError::ReadOnly`] when the journal is damaged, else a fault of the disk.
    pub fn hasty(&self, after: u64, last: u64) -> Result<BTreeMap<SourceId, IpSet>, EngineError> {
        let mut hasty: BTreeMap<SourceId, IpSet> = BTreeMap::new();
        let (journal, snapshot) = (self.journal()?, self.snapshot());
        let lasts = |source: &SourceId| {
            // What says no end of its own, and ends tomorrow by its source's policy, has always ended soon.
            snapshot.sources.get(source).is_none_or(|source| source.policy.expires_days.is_none_or(|d| d > 1))
        };
        let gather = |record: Record| {
            let soon = record.sure.plus(SOON);
            for op in &record.ops {
                let Op::Listings { source, difference } = op else { continue };
                let set = hasty.entry(*source).or_default();
                let is_soon = |detail: &Detail| detail.expires.map_or(!lasts(source), |end| end <= soon);
                let (shortened, others) = restated(difference, is_soon);
                *set = set.subtract(&others).union(&shortened);
            }
            Ok::<_, EngineError>(())
        };
        let begin = self.a_day_before(after)?;
        journal.records(begin, last, restates, gather)?;
        Ok(hasty)
    }

    /// The generation before the first record of the day up to that of `generation`.
    fn a_day_before(&self, generation: u64) -> Result<u64, EngineError> {
        let journal = self.journal()?;
        let (oldest, mut from) = (self.oldest()?, generation);
        let mut since: Option<Time> = None;
        while from > oldest {
            let begin = from.saturating_sub(HEADS).max(oldest);
            let heads = journal.summaries(begin, from + 1)?;
            let day =
                *since.get_or_insert(heads.last().map_or(Time::default(), |head| head.sure.plus(-SOON)));
            if let Some(before) = heads.iter().rev().find(|head| head.sure < day) {
                return Ok(before.generation);
            }
            from = begin;
        }
        Ok(from)
    }
}

/// What says something else now: what ends soon and did not, and all the rest.
fn restated(difference: &Difference, is_soon: impl Fn(&Detail) -> bool) -> (IpSet, IpSet) {
    let (mut shortened, mut others) = (Vec::new(), Vec::new());
    let mut sort = |range: IpRange, old: &Detail, new: &Detail| {
        if is_soon(new) && !is_soon(old) { shortened.push(range) } else { others.push(range) }
    };
    both::<u32>(difference, |range, old, new| sort(range.into(), old, new));
    both::<u128>(difference, |range, old, new| sort(range.into(), old, new));
    (shortened.into_iter().collect(), others.into_iter().collect())
}

/// Tells each range that was listed and is, with what was said of it and what is.
fn both<W: SourceRanges>(difference: &Difference, mut tell: impl FnMut(Range<W>, &Detail, &Detail)) {
    let Difference { removed, added } = difference;
    let mut before = removed.family::<W>().iter().peekable();
    for row in added.family::<W>() {
        while before.next_if(|old| old.key() < row.key()).is_some() {}
        if let Some(old) = before.next_if(|old| old.range == row.range) {
            tell(row.range, removed.detail(old.detail), added.detail(row.detail));
        }
    }
}

fn takes_away(summary: &Summary) -> bool {
    summary.changes.iter().any(|change| change.what == What::Listings && change.removed > 0)
}

fn restates(summary: &Summary) -> bool {
    let is_other = matches!(summary.cause, Cause::Run | Cause::Import);
    let mut listings = summary.changes.iter().filter(|change| change.what == What::Listings);
    is_other && listings.any(|change| change.removed > 0 && change.added > 0)
}
