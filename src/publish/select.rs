//! What a feed would list: from a generation and a profile to a set of addresses. Pure but for the store, which is
//! asked only where a filter looks at what listings say.

use crate::addr::{IpRange, IpSet, Range, RangeSet, Run, Word};
use crate::engine::Snapshot;
use crate::model::{Detail, Families, Filter, Profile, Source, SourceId, Time};
use crate::store::View;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A generation in memory, and the store as of the same one where it can be read.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The generation.
    pub snapshot: &'a Snapshot,
    /// What its listings say.
    pub view: Option<&'a View<'a>>,
}

/// Why a feed cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The filter or the budget looks at what listings say, and the store is damaged.
    #[error("the store cannot be read, and this feed looks at what listings say")]
    NoStore,
    /// A fault of the disk.
    #[error(transparent)]
    Disk(#[from] redb::Error),
}

/// What a feed takes of a generation, whatever its form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Selector {
    /// Which listings.
    pub filter: Filter,
    /// Of which families.
    pub families: Families,
}

impl Selector {
    /// That of a profile.
    pub(super) fn of(profile: &Profile) -> Self {
        Self { filter: profile.filter.clone(), families: profile.families }
    }
}

/// A listing that a filter takes.
pub(super) struct Taken<'a> {
    /// Whose.
    pub(super) source: &'a Source,
    /// What it says.
    pub(super) detail: &'a Detail,
}

/// What the filter of `profile` takes of `snapshot`, whatever is exempt. Walks the look-up table in about 30 ns a run
/// where the filter asks only who lists, and else reads the listings in about 0.1 µs each.
///
/// # Errors
/// [`SelectError`], where the listings are read.
pub fn wanted(scene: Scene<'_>, profile: &Profile) -> Result<IpSet, SelectError> {
    Ok(of_families(taken(scene, &profile.filter)?, profile.families))
}

/// What a filter takes, whatever is exempt, of both families.
///
/// # Errors
/// [`SelectError`], where the listings are read.
pub(super) fn taken(scene: Scene<'_>, filter: &Filter) -> Result<IpSet, SelectError> {
    if filter.is_by_source() { Ok(by_source(scene.snapshot, filter)) } else { by_detail(scene, filter) }
}

fn by_detail(scene: Scene<'_>, filter: &Filter) -> Result<IpSet, SelectError> {
    let mut ranges = Vec::new();
    each_taken(scene, filter, |range, _| ranges.push(range))?;
    Ok(ranges.into_iter().collect())
}

/// What `families` has of `set`.
pub(super) fn of_families(set: IpSet, families: Families) -> IpSet {
    match families {
        Families::Both => set,
        Families::V4 => IpSet { v6: RangeSet::EMPTY, ..set },
        Families::V6 => IpSet { v4: RangeSet::EMPTY, ..set },
    }
}

/// The sources that `filter` takes listings of.
pub(super) fn sources(snapshot: &Snapshot, filter: &Filter) -> BTreeSet<SourceId> {
    snapshot.sources.values().filter(|source| takes_source(filter, source)).map(|source| source.id).collect()
}

fn takes_source(filter: &Filter, source: &Source) -> bool {
    let licence = |licence: &String| source.policy.licence.as_deref() == Some(licence);
    (filter.sources.is_empty() || filter.sources.contains(&source.name))
        && !filter.not_sources.contains(&source.name)
        && (filter.licences.is_empty() || filter.licences.iter().any(licence))
}

fn by_source(snapshot: &Snapshot, filter: &Filter) -> IpSet {
    of_sources(snapshot, &sources(snapshot, filter))
}

fn of_sources(snapshot: &Snapshot, taken: &BTreeSet<SourceId>) -> IpSet {
    let standings = snapshot.standings.iter();
    let is_taken: Vec<bool> =
        standings.map(|standing| standing.ids.iter().any(|id| taken.contains(id))).collect();
    let (v4, v6) = (&snapshot.table.v4, &snapshot.table.v6);
    IpSet { v4: runs(v4.runs(), v4.stored(), &is_taken), v6: runs(v6.runs(), v6.stored(), &is_taken) }
}

/// The runs of classes that are taken, of `most` at most.
fn runs<W: Word>(runs: impl Iterator<Item = Run<W>>, most: usize, is_taken: &[bool]) -> RangeSet<W> {
    // Room for all at once: to grow means to copy, and what is not touched costs nothing.
    let mut ranges: Vec<Range<W>> = Vec::with_capacity(most);
    ranges.extend(runs.filter(|(_, class)| is_taken[class.index()]).map(|(range, _)| range));
    RangeSet::from_ranges(ranges)
}

/// Calls `each` for every listing that `filter` takes and no suppression has ended.
///
/// # Errors
/// [`SelectError`].
pub(super) fn each_taken(
    scene: Scene<'_>,
    filter: &Filter,
    mut each: impl FnMut(IpRange, Taken<'_>),
) -> Result<(), SelectError> {
    let Scene { snapshot, view: Some(view) } = scene else { return Err(SelectError::NoStore) };
    for id in sources(snapshot, filter) {
        let Some(source) = snapshot.sources.get(&id) else { continue };
        let ended =
            |range| snapshot.suppressions.iter().any(|suppression| suppression.ends(&source.name, range));
        view.each_listing(id, |range, detail| {
            if takes(filter, source, detail, snapshot) && !ended(range) {
                each(range, Taken { source, detail });
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Whether `filter` takes what a source that it takes says so.
fn takes(filter: &Filter, source: &Source, detail: &Detail, snapshot: &Snapshot) -> bool {
    let threat =
        |wanted: &String| detail.threat.as_ref().is_some_and(|threat| threat.eq_ignore_ascii_case(wanted));
    let is_young = |days: u16| {
        let day = |time: Time| time.day_in(snapshot.zone);
        day(detail.first_seen) >= day(snapshot.sure).plus(-i32::from(days))
    };
    filter.confidence.is_none_or(|least| source.confidence_of(detail) >= Some(least))
        && filter.severity.is_none_or(|least| detail.severity >= Some(least))
        && (filter.threats.is_empty() || filter.threats.iter().any(threat))
        && (filter.countries.is_empty()
            || detail.country.is_some_and(|country| filter.countries.contains(&country)))
        && !detail.country.is_some_and(|country| filter.not_countries.contains(&country))
        && filter.max_age_days.is_none_or(is_young)
}

/// A source is new for so many seconds: its first collection comes in pieces, newest first.
const NEW: i64 = 2 * 86_400;

/// What is listed by sources that people have added lately.
pub(super) fn fresh(snapshot: &Snapshot) -> IpSet {
    // Whoever came under a clock that was ahead is not new for as long as that was.
    let is_new = |source: &&Source| (0..NEW).contains(&(snapshot.sure.unix() - source.since.unix()));
    let new: BTreeSet<SourceId> = snapshot.sources.values().filter(is_new).map(|source| source.id).collect();
    if new.is_empty() { IpSet::default() } else { of_sources(snapshot, &new) }
}
