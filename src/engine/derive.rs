//! From one snapshot and a record to the next snapshot: pure, and the only way the look-up table
//! changes, at a start and on every batch alike.

use super::classes::{Classes, Mark};
use super::coverage::Covered;
use super::guard::Guard;
use super::snapshot::Snapshot;
use crate::addr::{IpRange, Range, RangeSet, Table, Word};
use crate::model::{
    Allow, Difference, Exemption, Op, Output, Record, SourceId, SourceRanges, Suppression, Time,
};
use std::sync::Arc;

/// Answers which ranges a source lists inside a range, suppressed or not: what a changed
/// suppression needs to know, and only the store has.
pub(super) trait Within {
    /// Why it could not answer.
    type Error;
    /// The ranges that `source` lists inside `range`.
    fn within(&self, source: SourceId, range: IpRange) -> Result<Vec<IpRange>, Self::Error>;
}

/// The state of the writer: the last snapshot, and the interning that snapshots share.
#[derive(Debug)]
pub(super) struct Derivation {
    pub(super) snapshot: Snapshot,
    pub(super) classes: Classes,
}

impl Derivation {
    /// Generation 0: nothing listed, the guard list exempt.
    pub(super) fn empty(zone: chrono_tz::Tz) -> Self {
        let mut classes = Classes::new();
        let guard = Guard::built_in();
        let table = Table::default();
        let mark = Mark::Exempt(Exemption::Guard, true);
        let table = Table {
            v4: table.v4.next(&marks(&guard.v4, mark), |mark, class| classes.step(class, *mark)),
            v6: table.v6.next(&marks(&guard.v6, mark), |mark, class| classes.step(class, *mark)),
        };
        let snapshot = Snapshot {
            generation: 0,
            time: Time::default(),
            sure: Time::default(),
            zone,
            table,
            standings: classes.standings(),
            sources: Arc::default(),
            coverage: Arc::default(),
            allows: Arc::default(),
            suppressions: Arc::default(),
            outputs: Arc::default(),
        };
        Self { snapshot, classes }
    }

    /// Goes on by one record.
    ///
    /// # Errors
    /// What `store` fails with; the state is to be thrown away then.
    pub(super) fn advance<S: Within>(&mut self, record: &Record, store: &S) -> Result<(), S::Error> {
        for op in &record.ops {
            match op {
                Op::Source(source) => {
                    self.classes.name(source.id, &source.name);
                    Arc::make_mut(&mut self.snapshot.sources).insert(source.id, source.clone());
                }
                Op::Listings { source, difference } => self.list(*source, difference),
                Op::Allows { removed, added } => self.allow(removed, added),
                Op::Suppressions { removed, added } => self.suppress(removed, added, store)?,
                Op::Outputs { removed, added } => self.publish(removed, added),
            }
        }
        self.snapshot.generation = record.generation;
        (self.snapshot.time, self.snapshot.sure) = (record.time, record.sure);
        self.snapshot.standings = self.classes.standings();
        Ok(())
    }

    /// Makes numbers of classes free that no address has any more. The snapshot must be the last
    /// one of all: what is thrown away later must not come back.
    pub(super) fn tidy(&mut self) {
        let table = &self.snapshot.table;
        self.classes.sweep(|| {
            let v4 = table.v4.runs().map(|(_, class)| class);
            v4.chain(table.v6.runs().map(|(_, class)| class))
        });
    }

    fn list(&mut self, source: SourceId, difference: &Difference) {
        self.list_family::<u32>(source, difference);
        self.list_family::<u128>(source, difference);
    }

    fn list_family<W: Family>(&mut self, source: SourceId, difference: &Difference) {
        // A listing that only says something else now covers what it covered.
        let gone = difference.gone::<W>();
        let mut new = difference.came::<W>();
        new.retain(|range| !self.is_suppressed(source, (*range).into()));
        self.cover(source, &gone, &new);
    }

    fn is_suppressed(&self, source: SourceId, range: IpRange) -> bool {
        let Some(source) = self.snapshot.sources.get(&source) else { return false };
        self.snapshot.suppressions.iter().any(|suppression| suppression.ends(&source.name, range))
    }

    /// Changes what a source covers, and the table where that makes a difference.
    fn cover<W: Family>(&mut self, source: SourceId, gone: &[Range<W>], new: &[Range<W>]) {
        if gone.is_empty() && new.is_empty() {
            return;
        }
        let all = Arc::make_mut(&mut self.snapshot.coverage);
        let coverage = Arc::make_mut(all.entry(source).or_default());
        W::change(coverage, gone, new);
        let touched = RangeSet::from_ranges([gone, new].concat());
        // What still is covered may be so by another listing of the source around it.
        let covered = if gone.is_empty() { touched.clone() } else { W::covered(coverage, &touched) };
        let mark = |listed| Mark::Source(source, listed);
        self.mark(&touched, &covered, mark(true), mark(false));
    }

    fn allow(&mut self, removed: &[Allow], added: &[Allow]) {
        let allows = Arc::make_mut(&mut self.snapshot.allows);
        allows.retain(|allow| !removed.iter().any(|gone| gone.range == allow.range));
        allows.extend_from_slice(added);
        allows.sort_by_key(|allow| allow.range);
        let now = Arc::clone(&self.snapshot.allows);
        let changed = removed.iter().chain(added).map(|allow| allow.range);
        self.exempt(Exemption::Allowlist, changed, now.iter().map(|allow| allow.range));
    }

    /// Changes what a ground exempts: within what `changed`, exactly what it holds for `now`.
    fn exempt(
        &mut self,
        ground: Exemption,
        changed: impl Iterator<Item = IpRange>,
        now: impl Iterator<Item = IpRange>,
    ) {
        let (touched4, touched6) = RangeSet::of_families(changed);
        let (now4, now6) = RangeSet::of_families(now);
        let mark = |exempt| Mark::Exempt(ground, exempt);
        self.mark(&touched4, &now4.intersect(&touched4), mark(true), mark(false));
        self.mark(&touched6, &now6.intersect(&touched6), mark(true), mark(false));
    }

    fn publish(&mut self, removed: &[Output], added: &[Output]) {
        let outputs = Arc::make_mut(&mut self.snapshot.outputs);
        outputs.retain(|output| !removed.iter().any(|gone| gone.key() == output.key()));
        outputs.extend_from_slice(added);
        outputs.sort_by_key(Output::key);
        let now = Arc::clone(&self.snapshot.outputs);
        let changed = removed.iter().chain(added).flat_map(networks);
        self.exempt(Exemption::Device, changed, now.iter().flat_map(networks));
    }

    fn suppress<S: Within>(
        &mut self,
        removed: &[Suppression],
        added: &[Suppression],
        store: &S,
    ) -> Result<(), S::Error> {
        let suppressions = Arc::make_mut(&mut self.snapshot.suppressions);
        let same = |a: &Suppression, b: &Suppression| a.range == b.range && a.source == b.source;
        suppressions.retain(|s| !removed.iter().any(|gone| same(gone, s)));
        suppressions.extend_from_slice(added);
        suppressions.sort_by(|a, b| (a.range, &a.source).cmp(&(b.range, &b.source)));
        for changed in removed.iter().chain(added) {
            let sources: Vec<SourceId> = self.snapshot.sources.keys().copied().collect();
            for source in sources {
                let listed = store.within(source, changed.range)?;
                let (ended, active): (Vec<_>, Vec<_>) =
                    listed.into_iter().partition(|range| self.is_suppressed(source, *range));
                self.recover(source, ended, active);
            }
        }
        Ok(())
    }

    /// Makes exactly `active` of the named listings count.
    fn recover(&mut self, source: SourceId, mut ended: Vec<IpRange>, mut active: Vec<IpRange>) {
        ended.sort_unstable();
        active.sort_unstable();
        let (ended, active) = (IpRange::by_family(ended), IpRange::by_family(active));
        self.cover(source, &ended.0, &active.0);
        self.cover(source, &ended.1, &active.1);
    }

    /// Gives `on` to all of `covered`, and `off` to the rest of `touched`.
    fn mark<W: Family>(&mut self, touched: &RangeSet<W>, covered: &RangeSet<W>, on: Mark, off: Mark) {
        let mut edits = marks(covered, on);
        edits.extend(marks(&touched.subtract(covered), off));
        edits.sort_unstable_by_key(|(range, _)| *range);
        W::rewrite(&mut self.snapshot.table, &edits, &mut self.classes);
    }
}

/// Whence a device asks.
fn networks(output: &Output) -> impl Iterator<Item = IpRange> + '_ {
    let Output::Device(device) = output else { return [].iter().copied() };
    device.networks.iter().copied()
}

fn marks<W: Word>(set: &RangeSet<W>, mark: Mark) -> Vec<(Range<W>, Mark)> {
    set.iter().map(|range| (range, mark)).collect()
}

/// What the two families do alike with different parts of the snapshot.
pub(super) trait Family: SourceRanges + Covered {
    /// Replaces the table by its next generation.
    fn rewrite(table: &mut Table, edits: &[(Range<Self>, Mark)], classes: &mut Classes);
}

impl Family for u32 {
    fn rewrite(table: &mut Table, edits: &[(Range<Self>, Mark)], classes: &mut Classes) {
        table.v4 = table.v4.next(edits, |mark, class| classes.step(class, *mark));
    }
}

impl Family for u128 {
    fn rewrite(table: &mut Table, edits: &[(Range<Self>, Mark)], classes: &mut Classes) {
        table.v6 = table.v6.next(edits, |mark, class| classes.step(class, *mark));
    }
}
