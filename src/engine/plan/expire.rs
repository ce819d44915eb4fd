//! What is over: listings, allows and suppressions whose time has come.
//!
//! A listing ends when it says so itself, or else when its source has not been seen for too long.

use super::Plan;
use crate::engine::snapshot::Snapshot;
use crate::model::{Allow, Difference, Op, Rows, RowsBuilder, Source, SourceId, Time};
use crate::store::{Dimension, Tables, View};
use std::collections::BTreeMap;

/// A moment at which something is over, if there is any up to `now`: then there is something to
/// [`plan`]. A few page reads, however much is listed.
pub(in crate::engine) fn next<T: Tables>(
    snapshot: &Snapshot,
    view: &View<'_, T>,
    now: Time,
) -> Result<Option<Time>, redb::Error> {
    let unseen = unseen(snapshot, view, now)?.first().and_then(|source| source.ends());
    let policy = [snapshot.next_policy_expiry(), snapshot.next_age()];
    Ok([view.next_due()?, unseen].into_iter().chain(policy).flatten().min())
}

/// The sources whose listings without an expiry of their own are over, as far as they have any.
fn unseen<'s, T: Tables>(
    snapshot: &'s Snapshot,
    view: &View<'_, T>,
    now: Time,
) -> Result<Vec<&'s Source>, redb::Error> {
    let mut unseen = Vec::new();
    for source in snapshot.sources.values().filter(|source| source.ends().is_some_and(|at| at <= now)) {
        if view.standing_of(Dimension::Lasting, source.id)? > 0 {
            unseen.push(source);
        }
    }
    Ok(unseen)
}

impl Snapshot {
    /// How many listings are over by `at` unless their source is seen again. Reads the blocks that
    /// hold such as say so themselves, and gathers nothing.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn expiring<T: Tables>(&self, view: &View<'_, T>, at: Time) -> Result<u64, redb::Error> {
        let mut count = view.count_due(at)?;
        for source in unseen(self, view, at)? {
            count += view.standing_of(Dimension::Lasting, source.id)?;
        }
        Ok(count)
    }
}

/// Whether very much would end at `now`: more than a twentieth of all that can.
pub(in crate::engine) fn is_mass<T: Tables>(
    snapshot: &Snapshot,
    view: &View<'_, T>,
    now: Time,
) -> Result<bool, redb::Error> {
    let policy =
        snapshot.allows.iter().map(|a| a.expires).chain(snapshot.suppressions.iter().map(|s| s.expires));
    let ending = policy.clone().filter(|expires| is_over(*expires, now)).count() as u64;
    let mut all = policy.count() as u64;
    for source in snapshot.sources.keys() {
        all += view.standing_of(Dimension::Source, *source)?;
    }
    Ok((snapshot.expiring(view, now)? + ending) * 20 > all)
}

fn is_over(expires: Option<Time>, now: Time) -> bool {
    expires.is_some_and(|at| at <= now)
}

/// Works out what is over at `now`.
pub(super) fn plan<T: Tables>(
    snapshot: &Snapshot,
    view: &View<'_, T>,
    now: Time,
) -> Result<Plan, redb::Error> {
    let mut plan = Plan::default();
    for (source, removed) in listings(snapshot, view, now)? {
        let difference = Difference { removed: removed.finish().0, added: Rows::default() };
        plan.receipt.removed += difference.removed.len() as u64;
        plan.ops.push(Op::Listings { source, difference });
    }
    let allows: Vec<Allow> = snapshot.allows.iter().filter(|a| is_over(a.expires, now)).cloned().collect();
    if !allows.is_empty() {
        plan.receipt.removed += allows.len() as u64;
        plan.ops.push(Op::Allows { removed: allows, added: Vec::new() });
    }
    let suppressions = snapshot.suppressions.iter();
    let ended: Vec<_> = suppressions.filter(|s| is_over(s.expires, now)).cloned().collect();
    if !ended.is_empty() {
        plan.receipt.removed += ended.len() as u64;
        plan.ops.push(Op::Suppressions { removed: ended, added: Vec::new() });
    }
    if snapshot.next_age().is_some_and(|at| at <= now) {
        // It changes nothing but the generation's time.
        plan.ops.push(Op::Outputs { removed: Vec::new(), added: Vec::new() });
    }
    Ok(plan)
}

fn listings<T: Tables>(
    snapshot: &Snapshot,
    view: &View<'_, T>,
    now: Time,
) -> Result<BTreeMap<SourceId, RowsBuilder>, redb::Error> {
    let mut over: BTreeMap<SourceId, RowsBuilder> = BTreeMap::new();
    for found in view.due(now)? {
        over.entry(found.source).or_default().push(found.range, &found.detail);
    }
    for source in unseen(snapshot, view, now)? {
        let removed = over.entry(source.id).or_default();
        view.each_listing(source.id, |range, detail| {
            if detail.expires.is_none() {
                removed.push(range, detail);
            }
            Ok(())
        })?;
    }
    Ok(over)
}
