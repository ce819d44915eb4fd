//! What a source says against what it said before: one pass over both, in the order of rows.

use super::{Moment, Plan, Refusal, new_source};
use crate::addr::{IpRange, Range};
use crate::engine::snapshot::Snapshot;
use crate::model::{
    Detail, Difference, Held, Op, Receipt, Row, Rows, RowsBuilder, Scope, Source, SourceId, SourceName,
    SourceRanges, Time,
};
use crate::store::{Dimension, Tables, View};

/// Who gives a listing an end within so many seconds might as well have taken it back: a day.
pub(in crate::engine) const SOON: i64 = 86_400;

/// What a source's statement comes to. A complete run that finds nothing new is worth a record once
/// a day, so that the day it was last seen is known. What is over already is not listed, nor does a
/// source begin with nothing.
pub(super) fn list<T: Tables>(
    name: &SourceName,
    rows: &Rows,
    scope: Scope,
    snapshot: &Snapshot,
    view: &View<'_, T>,
    moment: Moment,
) -> Result<Result<Plan, Refusal>, redb::Error> {
    let now = moment.now;
    let known = snapshot.source(name.as_str()).cloned();
    let is_new = known.is_none();
    let mut source = match known.map_or_else(|| new_source(name, snapshot, now), Ok) {
        Ok(source) => source,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut comparison = Comparison::of(rows, moment, &source);
    comparison.compare::<u32, T>(source.id, rows, scope, view)?;
    comparison.compare::<u128, T>(source.id, rows, scope, view)?;
    let mut plan = comparison.finish(source.id);
    if is_new && plan.ops.is_empty() {
        return Ok(Ok(plan));
    }
    if scope == Scope::Part {
        plan.before = view.standing_of(Dimension::Source, source.id)?;
    }
    let is_seen = scope != Scope::Part && (!plan.ops.is_empty() || source.is_due_to_be_seen(now));
    if is_seen {
        source.last_seen = Some(now);
    }
    if is_new || is_seen {
        plan.ops.insert(0, Op::Source(source));
    }
    Ok(Ok(plan))
}

/// What it takes that a source lists again what it listed at an earlier generation, but for what has expired since. Its
/// policy and the day it was last seen stay; there is a record even if nothing else differs, for the hold that it sets.
pub(super) fn restore<T: Tables>(
    name: &SourceName,
    rows: &Rows,
    held: Held,
    snapshot: &Snapshot,
    view: &View<'_, T>,
    moment: Moment,
) -> Result<Result<Plan, Refusal>, redb::Error> {
    let Some(source) = snapshot.source(name.as_str()) else {
        return Ok(Err(Refusal::UnknownSource(name.clone())));
    };
    let is_over = |detail| moment.is_over(source.expiry_of(detail));
    let over = rows.details().iter().map(is_over).collect();
    let mut comparison = Comparison { over, exact: true, ..Comparison::default() };
    comparison.compare::<u32, T>(source.id, rows, Scope::Whole, view)?;
    comparison.compare::<u128, T>(source.id, rows, Scope::Whole, view)?;
    let mut plan = comparison.finish(source.id);
    // What only people list, nobody but people can bring back.
    let held = (name.as_str() != SourceName::MANUAL).then_some(held);
    plan.ops.insert(0, Op::Source(Source { held, ..source.clone() }));
    Ok(Ok(plan))
}

/// Gathers a difference and its counts.
#[derive(Default)]
struct Comparison {
    removed: RowsBuilder,
    added: RowsBuilder,
    receipt: Receipt,
    before: u64,
    /// Of each detail of the rows, whether it says that the listing is over.
    over: Vec<bool>,
    /// What ends until then ends soon.
    soon: Option<Time>,
    /// When what says no end of its own ends now.
    ends: Option<Time>,
    ending: u64,
    /// Whether a listing is also of the moment at which it was learned of, rather than of what it says alone.
    exact: bool,
}

impl Comparison {
    fn of(rows: &Rows, moment: Moment, source: &Source) -> Self {
        let over = rows.details().iter().map(|detail| moment.is_over(detail.expires)).collect();
        Self { over, soon: Some(moment.sure.plus(SOON)), ends: source.ends(), ..Self::default() }
    }

    /// Whether a statement puts an end to a listing that had none so near.
    fn ends_soon(&self, old: &Detail, new: &Detail) -> bool {
        let is_soon = |end: Option<Time>| self.soon.is_some_and(|soon| end.is_some_and(|end| end <= soon));
        is_soon(new.expires) && !is_soon(old.expires.or(self.ends))
    }

    fn compare<W: SourceRanges, T: Tables>(
        &mut self,
        source: SourceId,
        rows: &Rows,
        scope: Scope,
        view: &View<'_, T>,
    ) -> Result<(), redb::Error> {
        match scope {
            Scope::Part => self.compare_part::<W, T>(source, rows, view),
            Scope::Whole | Scope::Window { .. } => self.compare_all::<W, T>(source, rows, scope, view),
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

    fn compare_all<W: SourceRanges, T: Tables>(
        &mut self,
        source: SourceId,
        rows: &Rows,
        scope: Scope,
        view: &View<'_, T>,
    ) -> Result<(), redb::Error> {
        let mut wanted = rows.family::<W>().iter().peekable();
        view.each_row::<W>(source, |range, old| {
            let key = (range.level(), range);
            while let Some(row) = wanted.next_if(|row| row.key() < key) {
                self.row(rows, row, None);
            }
            let is_meant = scope.means(old);
            self.before += u64::from(is_meant);
            match wanted.next_if(|row| row.range == range) {
                Some(row) if scope.is_outdated(rows.detail(row.detail), old) => self.receipt.unchanged += 1,
                Some(row) => self.row(rows, row, Some(old)),
                None if is_meant => self.gone(range, old),
                None => {}
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
            _ if self.over[row.detail as usize] => {
                self.receipt.expired += 1;
                if let Some(old) = old {
                    self.gone(row.range, old);
                }
            }
            None => {
                self.receipt.added += 1;
                self.added.push_row(row.range, new);
            }
            Some(old) if old == new || (!self.exact && old.same_statement(new)) => {
                self.receipt.unchanged += 1;
            }
            Some(old) => {
                self.receipt.changed += 1;
                self.ending += u64::from(self.ends_soon(old, new));
                self.removed.push_row(row.range, old);
                let first_seen = if self.exact { new.first_seen } else { old.first_seen };
                self.added.push_row(row.range, &Detail { first_seen, ..new.clone() });
            }
        }
    }

    fn gone<W: SourceRanges>(&mut self, range: Range<W>, old: &Detail) {
        self.receipt.removed += 1;
        self.removed.push_row(range, old);
    }

    fn finish(self, source: SourceId) -> Plan {
        let difference = Difference { removed: self.removed.finish().0, added: self.added.finish().0 };
        let ops = if difference.is_empty() { Vec::new() } else { vec![Op::Listings { source, difference }] };
        Plan { ops, receipt: self.receipt, before: self.before, ending: self.ending }
    }
}

pub(super) fn unlist<T: Tables>(
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
    Ok(Ok(comparison.finish(source.id)))
}

fn take<W: SourceRanges, T: Tables>(
    comparison: &mut Comparison,
    source: SourceId,
    range: Range<W>,
    view: &View<'_, T>,
) -> Result<bool, redb::Error> {
    let mut lookup = view.lookup::<W>(source)?;
    let old = lookup.find(range)?;
    if let Some(old) = old {
        comparison.gone(range, old);
    }
    Ok(old.is_some())
}
