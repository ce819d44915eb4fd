//! What came and went, by source, from a certain day or hour on; and what stands after all of it.
//!
//! Everything about the past is worked out backwards from what stands now, so that it adds up
//! whatever the wall clock did.

use super::Look;
use super::calendar::Span;
use crate::model::{SourceId, SourceName};
use crate::store::{Dimension, Tally, Unit};
use std::collections::BTreeMap;

/// What came and went of one source in one day or hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// The day or hour.
    pub at: i64,
    /// Whose listings.
    pub source: SourceName,
    /// The counts.
    pub tally: Tally,
}

/// The flows from a day or hour on, in the order of time.
#[derive(Clone, Debug)]
pub struct Ledger {
    flows: Vec<Flow>,
    /// Listings that stand now.
    standing: u64,
}

impl Ledger {
    /// Puts a ledger together; `flows` are in the order of time.
    pub fn new(flows: Vec<Flow>, standing: u64) -> Self {
        Self { flows, standing }
    }

    /// Reads all flows since the beginning of `span`, those of a time yet to come included: a
    /// clock that was put back leaves some. Costs what lies in the span: 3 ms for
    /// a year of hours.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn read(look: &Look, span: &Span) -> Result<Self, redb::Error> {
        let names: BTreeMap<SourceId, SourceName> =
            look.view.sources()?.into_iter().map(|source| (source.id, source.name)).collect();
        let flow = |at, key: &str, tally| {
            let source = names.get(&SourceId(key.parse().ok()?))?.clone();
            Some(Flow { at, source, tally })
        };
        let cells = look.view.activity(span.unit, span.first(), i64::MAX, Dimension::Source)?;
        let flows = cells.iter().filter_map(|cell| flow(cell.at, &cell.key, cell.tally)).collect();
        Ok(Self { flows, standing: standing(look)? })
    }

    /// The flows from one day or hour to another, both included.
    pub fn within(&self, from: i64, to: i64) -> &[Flow] {
        let begin = self.flows.partition_point(|flow| flow.at < from);
        let end = self.flows.partition_point(|flow| flow.at <= to);
        &self.flows[begin..end.max(begin)]
    }

    /// How many listings stood at the end of a day or hour that the ledger holds.
    pub fn standing_after(&self, at: i64) -> u64 {
        let Tally { came, went } = total(self.within(at.saturating_add(1), i64::MAX));
        (self.standing + went).saturating_sub(came)
    }
}

/// Listings that stand now, suppressed ones included.
///
/// # Errors
/// A fault of the disk.
pub(super) fn standing(look: &Look) -> Result<u64, redb::Error> {
    Ok(look.view.standing(Dimension::All)?.iter().map(|(_, count)| count).sum())
}

/// What came and went of all sources in one stretch of days or hours.
///
/// # Errors
/// A fault of the disk.
pub(super) fn all(look: &Look, unit: Unit, from: i64, to: i64) -> Result<BTreeMap<i64, Tally>, redb::Error> {
    let cells = look.view.activity(unit, from, to, Dimension::All)?;
    Ok(cells.into_iter().map(|cell| (cell.at, cell.tally)).collect())
}

/// All flows together.
pub(super) fn total(flows: &[Flow]) -> Tally {
    sum(flows.iter().map(|flow| flow.tally))
}

/// All tallies together.
pub(super) fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    tallies.fold(Tally::default(), |a, b| Tally { came: a.came + b.came, went: a.went + b.went })
}

/// What was gained, or lost when it is negative.
pub(super) fn net(tally: Tally) -> i64 {
    tally.came.cast_signed() - tally.went.cast_signed()
}
