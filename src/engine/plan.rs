//! From a batch to the steps it takes: the difference between what is and what is wanted.
//!
//! Reads, and changes nothing.

use super::snapshot::Snapshot;
use crate::addr::IpRange;
use crate::model::{
    Allow, Batch, Change, Detail, Difference, Mode, Op, Receipt, Row, Rows, RowsBuilder, Scope, Source,
    SourceId, SourceName, SourceRanges, Suppression, Time,
};
use crate::store::{Found, Tables, View};
use std::collections::BTreeMap;

/// Why a batch is not carried out; asking again will not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No source has that name.
    #[error("there is no source {0}")]
    UnknownSource(SourceName),
    /// The source does not list exactly this range.
    #[error("{0} does not list {1} as such")]
    NotListed(SourceName, IpRange),
    /// The allowlist does not hold exactly this range.
    #[error("{0} is not on the allowlist as such")]
    NotAllowed(IpRange),
    /// There is no such suppression.
    #[error("there is no suppression of {0} for that source")]
    NotSuppressed(IpRange),
    /// Sources are numbered with 16 bits.
    #[error("there are 65,535 sources already")]
    TooManySources,
}

/// What a batch comes to.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The steps; none if there is nothing to change.
    pub ops: Vec<Op>,
    /// Their counts; the generation is filled in by whoever makes the record.
    pub receipt: Receipt,
}

/// Works out what `batch` changes at `now`.
pub(super) fn plan<T: Tables>(
    batch: Batch,
    snapshot: &Snapshot,
    view: &View<'_, T>,
    now: Time,
) -> Result<Result<Plan, Refusal>, redb::Error> {
    match batch.change {
        Change::List { source, mut rows, scope } => {
            rows.stamp(now);
            list(&source, &rows, scope, snapshot, view, now)
        }
        Change::Unlist { source, mut ranges } => {
            // A range named twice ends once, and is counted once.
            ranges.sort_unstable();
            ranges.dedup();
            unlist(&source, &ranges, snapshot, view)
        }
        Change::Allow(allow) => Ok(Ok(allow_plan(allow, snapshot))),
        Change::Disallow(range) => Ok(disallow(range, snapshot)),
        Change::Suppress(suppression) => Ok(Ok(suppress(suppression, snapshot))),
        Change::Unsuppress { range, source } => Ok(unsuppress(range, source.as_ref(), snapshot)),
        Change::Expire => expire(snapshot, view, now).map(Ok),
    }
}

fn list<T: Tables>(
    name: &SourceName,
    rows: &Rows,
    scope: Scope,
    snapshot: &Snapshot,
    view: &View<'_, T>,
    now: Time,
) -> Result<Result<Plan, Refusal>, redb::Error> {
    let known = snapshot.source(name.as_str()).cloned();
    let is_new = known.is_none();
    let mut source = match known {
        Some(source) => source,
        None => match new_source(name, snapshot, now) {
            Ok(source) => source,
            Err(refusal) => return Ok(Err(refusal)),
        },
    };
    let mut comparison = Comparison::default();
    comparison.compare::<u32, T>(source.id, rows, scope, view)?;
    comparison.compare::<u128, T>(source.id, rows, scope, view)?;
    let mut plan = Plan::default();
    if scope == Scope::Whole {
        source.last_seen = Some(now);
    }
    if is_new || scope == Scope::Whole {
        plan.ops.push(Op::Source(source.clone()));
    }
    comparison.finish(source.id, &mut plan);
    Ok(Ok(plan))
}

fn new_source(name: &SourceName, snapshot: &Snapshot, now: Time) -> Result<Source, Refusal> {
    let next = snapshot.sources.last_key_value().map_or(Some(0), |(id, _)| id.0.checked_add(1));
    let id = SourceId(next.ok_or(Refusal::TooManySources)?);
    let zone = chrono_tz::Asia::Seoul;
    Ok(Source { id, name: name.clone(), mode: Mode::default(), zone, last_seen: None, since: now })
}

/// Gathers a difference and its counts.
#[derive(Default)]
struct Comparison {
    removed: RowsBuilder,
    added: RowsBuilder,
    receipt: Receipt,
}

impl Comparison {
    fn compare<W: SourceRanges, T: Tables>(
        &mut self,
        source: SourceId,
        rows: &Rows,
        scope: Scope,
        view: &View<'_, T>,
    ) -> Result<(), redb::Error> {
        match scope {
            Scope::Part => self.compare_part::<W, T>(source, rows, view),
            Scope::Whole => self.compare_whole::<W, T>(source, rows, view),
        }
    }

    fn compare_part<W: SourceRanges, T: Tables>(
        &mut self,
        source: SourceId,
        rows: &Rows,
        view: &View<'_, T>,
    ) -> Result<(), redb::Error> {
        let mut lookup = view.lookup::<W>(source)?;
        for row in rows.family::<W>() {
            self.row(rows, row, lookup.find(row.range)?);
        }
        Ok(())
    }

    fn compare_whole<W: SourceRanges, T: Tables>(
        &mut self,
        source: SourceId,
        rows: &Rows,
        view: &View<'_, T>,
    ) -> Result<(), redb::Error> {
        let mut wanted = rows.family::<W>().iter().peekable();
        view.each_row::<W>(source, |range, old| {
            let key = (range.level(), range);
            while let Some(row) = wanted.next_if(|row| row.key() < key) {
                self.row(rows, row, None);
            }
            match wanted.next_if(|row| row.range == range) {
                Some(row) => self.row(rows, row, Some(old)),
                None => self.gone(range, old),
            }
            Ok(())
        })?;
        wanted.for_each(|row| self.row(rows, row, None));
        Ok(())
    }

    /// One wanted listing against what the source says now.
    fn row<W: SourceRanges>(&mut self, rows: &Rows, row: &Row<W>, old: Option<&Detail>) {
        let new = rows.detail(row.detail);
        match old {
            None => {
                self.receipt.added += 1;
                self.added.push_row(row.range, new);
            }
            Some(old) if old.same_statement(new) => self.receipt.unchanged += 1,
            Some(old) => {
                self.receipt.changed += 1;
                self.removed.push_row(row.range, old);
                self.added.push_row(row.range, &Detail { first_seen: old.first_seen, ..new.clone() });
            }
        }
    }

    fn gone<W: SourceRanges>(&mut self, range: crate::addr::Range<W>, old: &Detail) {
        self.receipt.removed += 1;
        self.removed.push_row(range, old);
    }

    fn finish(self, source: SourceId, plan: &mut Plan) {
        let difference = Difference { removed: self.removed.finish().0, added: self.added.finish().0 };
        if !difference.is_empty() {
            plan.ops.push(Op::Listings { source, difference });
        }
        plan.receipt = self.receipt;
    }
}

fn unlist<T: Tables>(
    name: &SourceName,
    ranges: &[IpRange],
    snapshot: &Snapshot,
    view: &View<'_, T>,
) -> Result<Result<Plan, Refusal>, redb::Error> {
    let Some(source) = snapshot.source(name.as_str()) else {
        return Ok(Err(Refusal::UnknownSource(name.clone())));
    };
    let mut comparison = Comparison::default();
    for range in ranges {
        let found = match range {
            IpRange::V4(range) => take(&mut comparison, source.id, *range, view)?,
            IpRange::V6(range) => take(&mut comparison, source.id, *range, view)?,
        };
        if !found {
            return Ok(Err(Refusal::NotListed(name.clone(), *range)));
        }
    }
    let mut plan = Plan::default();
    comparison.finish(source.id, &mut plan);
    Ok(Ok(plan))
}

fn take<W: SourceRanges, T: Tables>(
    comparison: &mut Comparison,
    source: SourceId,
    range: crate::addr::Range<W>,
    view: &View<'_, T>,
) -> Result<bool, redb::Error> {
    let mut lookup = view.lookup::<W>(source)?;
    let old = lookup.find(range)?;
    if let Some(old) = old {
        comparison.gone(range, old);
    }
    Ok(old.is_some())
}

fn allow_plan(allow: Allow, snapshot: &Snapshot) -> Plan {
    let old: Vec<Allow> = snapshot.allows.iter().filter(|old| old.range == allow.range).cloned().collect();
    let receipt = replaced(old.len());
    Plan { ops: vec![Op::Allows { removed: old, added: vec![allow] }], receipt }
}

fn disallow(range: IpRange, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let removed: Vec<Allow> = snapshot.allows.iter().filter(|old| old.range == range).cloned().collect();
    if removed.is_empty() {
        return Err(Refusal::NotAllowed(range));
    }
    let receipt = Receipt { removed: removed.len() as u64, ..Receipt::default() };
    Ok(Plan { ops: vec![Op::Allows { removed, added: Vec::new() }], receipt })
}

fn suppress(suppression: Suppression, snapshot: &Snapshot) -> Plan {
    let old = suppressions_of(suppression.range, suppression.source.as_ref(), snapshot);
    let receipt = replaced(old.len());
    Plan { ops: vec![Op::Suppressions { removed: old, added: vec![suppression] }], receipt }
}

fn unsuppress(range: IpRange, source: Option<&SourceName>, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let removed = suppressions_of(range, source, snapshot);
    if removed.is_empty() {
        return Err(Refusal::NotSuppressed(range));
    }
    let receipt = Receipt { removed: removed.len() as u64, ..Receipt::default() };
    Ok(Plan { ops: vec![Op::Suppressions { removed, added: Vec::new() }], receipt })
}

fn suppressions_of(range: IpRange, source: Option<&SourceName>, snapshot: &Snapshot) -> Vec<Suppression> {
    let same = |s: &&Suppression| s.range == range && s.source.as_ref() == source;
    snapshot.suppressions.iter().filter(same).cloned().collect()
}

fn replaced(old: usize) -> Receipt {
    if old == 0 {
        Receipt { added: 1, ..Receipt::default() }
    } else {
        Receipt { changed: 1, ..Receipt::default() }
    }
}

fn expire<T: Tables>(snapshot: &Snapshot, view: &View<'_, T>, now: Time) -> Result<Plan, redb::Error> {
    let mut plan = Plan::default();
    let mut over: BTreeMap<SourceId, Vec<Found>> = BTreeMap::new();
    for found in view.due(now)? {
        over.entry(found.source).or_default().push(found);
    }
    for (source, listings) in over {
        let mut removed = RowsBuilder::default();
        listings.iter().for_each(|found| removed.push(found.range, &found.detail));
        plan.receipt.removed += listings.len() as u64;
        let difference = Difference { removed: removed.finish().0, added: Rows::default() };
        plan.ops.push(Op::Listings { source, difference });
    }
    let is_over = |expires: Option<Time>| expires.is_some_and(|at| at <= now);
    let allows: Vec<Allow> = snapshot.allows.iter().filter(|a| is_over(a.expires)).cloned().collect();
    if !allows.is_empty() {
        plan.receipt.removed += allows.len() as u64;
        plan.ops.push(Op::Allows { removed: allows, added: Vec::new() });
    }
    let ended: Vec<_> = snapshot.suppressions.iter().filter(|s| is_over(s.expires)).cloned().collect();
    if !ended.is_empty() {
        plan.receipt.removed += ended.len() as u64;
        plan.ops.push(Op::Suppressions { removed: ended, added: Vec::new() });
    }
    Ok(plan)
}
