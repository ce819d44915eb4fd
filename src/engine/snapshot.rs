//! One generation in memory, immutable: what every look-up and feed reads.

use super::classes::{Standing, Standings};
use super::coverage::{Coverage, Covered};
use super::guard::Guard;
use crate::addr::{Class, IpRange, IpSet, Range, RangeSet, Table};
use crate::model::{
    Allow, Device, Output, Policy, Profile, Rows, Source, SourceId, SourceName, SourceRanges, Suppression,
    Time,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The blacklist as of one generation. Cheap to clone; shares with its neighbours what did not
/// change.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The record that made it; 0 before the first.
    pub generation: u64,
    /// That record's time; whatever depends on time depends on this one, so that a feed is a
    /// function of its generation.
    pub time: Time,
    /// The last moment that was believed then: that time, unless the wall clock was doubted. How old something is,
    /// is judged by this one.
    pub sure: Time,
    /// The zone of days of a source that does not say its own.
    pub zone: chrono_tz::Tz,
    /// Which class each address belongs to.
    pub table: Table,
    /// What the classes stand for.
    pub standings: Standings,
    /// All sources, by number.
    pub sources: Arc<BTreeMap<SourceId, Source>>,
    /// What each source lists.
    pub coverage: Arc<BTreeMap<SourceId, Arc<Coverage>>>,
    /// The allowlist, sorted by range.
    pub allows: Arc<Vec<Allow>>,
    /// The suppressions.
    pub suppressions: Arc<Vec<Suppression>>,
    /// The feeds and devices, by key.
    pub outputs: Arc<Vec<Output>>,
}

/// Listings of a source that have an address which is exempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Protected {
    /// Of those that it lists.
    pub before: u64,
    /// Of those that it would list.
    pub after: u64,
}

impl Snapshot {
    /// What is known of `address`, which must be canonical. One or two cache misses; no lock, no
    /// allocation.
    #[inline]
    pub fn check(&self, address: IpAddr) -> &Standing {
        self.standing(self.table.get(address))
    }

    /// What a class of this table stands for.
    #[inline]
    pub fn standing(&self, class: Class) -> &Standing {
        &self.standings[class.index()]
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.values().find(|source| source.name.as_str() == name)
    }

    /// What of `set` a source lists, suppressed listings aside; about 20 ns a listing of it.
    pub fn listed_by(&self, source: SourceId, set: &IpSet) -> IpSet {
        let Some(coverage) = self.coverage.get(&source) else { return IpSet::default() };
        IpSet { v4: u32::covered(coverage, &set.v4), v6: u128::covered(coverage, &set.v6) }
    }

    /// What of a suppression's range would be listed all the same: by other sources, or by listings that reach beyond it.
    /// Linear in the ranges that are listed, and in the addresses that others list in there.
    pub fn despite(&self, suppression: &Suppression) -> IpSet {
        let within: IpSet = [suppression.range].into_iter().collect();
        let mut listed = IpSet::default();
        for source in self.sources.values() {
            let is_meant = suppression.source.as_ref().is_none_or(|name| *name == source.name);
            let stays = match self.coverage.get(&source.id) {
                Some(coverage) if is_meant => {
                    let v4 = coverage.wide.iter().copied().map(IpRange::V4);
                    let wide = v4.chain(coverage.v6.iter().copied().map(IpRange::V6));
                    wide.filter(|range| !suppression.range.covers(*range))
                        .collect::<IpSet>()
                        .intersect(&within)
                }
                _ => self.listed_by(source.id, &within),
            };
            listed = listed.union(&stays);
        }
        listed
    }

    /// Listings of a source that have an address which is exempt by today's allowlist or the guard list: now, and
    /// once it lists `rows`, which are the `whole` of it or come beside the others. About 20 ns each.
    pub fn protected(&self, source: &SourceName, rows: &Rows, whole: bool) -> Protected {
        let guard = Guard::built_in();
        let (v4, v6) = RangeSet::of_families(self.allows.iter().map(|allow| allow.range));
        let of_v4 = self.protected_family(source, rows, whole, &guard.v4.union(&v4));
        let of_v6 = self.protected_family(source, rows, whole, &guard.v6.union(&v6));
        Protected { before: of_v4.before + of_v6.before, after: of_v4.after + of_v6.after }
    }

    fn protected_family<W: Covered + SourceRanges>(
        &self,
        source: &SourceName,
        rows: &Rows,
        whole: bool,
        exempt: &RangeSet<W>,
    ) -> Protected {
        let known = self.source(source.as_str()).and_then(|known| self.coverage.get(&known.id));
        let before = known.map_or(0, |known| W::meeting(known, exempt));
        // Coverage leaves out what a suppression has ended, so that rows must too.
        let is_ended = |range: Range<W>| {
            self.suppressions.iter().any(|suppression| suppression.ends(source, range.into()))
        };
        let comes = |range: Range<W>| {
            exempt.meets(range)
                && (whole || !known.is_some_and(|known| W::lists(known, range)))
                && !is_ended(range)
        };
        let coming = rows.family::<W>().iter().filter(|row| comes(row.range)).count() as u64;
        Protected { before, after: if whole { coming } else { before + coming } }
    }

    /// All feeds that people made.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.outputs
            .iter()
            .filter_map(|output| if let Output::Feed(profile) = output { Some(profile) } else { None })
    }

    /// All devices.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.outputs
            .iter()
            .filter_map(|output| if let Output::Device(device) = output { Some(device) } else { None })
    }

    /// What is never published: the guard list, the allowlist, and the networks that devices are declared to ask from.
    pub fn exempt(&self) -> IpSet {
        let guard = Guard::built_in();
        let ranges = self.allows.iter().map(|allow| allow.range);
        let own = self.devices().flat_map(|device| device.networks.iter().copied());
        let people: IpSet = ranges.chain(own).collect();
        IpSet { v4: guard.v4.union(&people.v4), v6: guard.v6.union(&people.v6) }
    }

    /// The policy of the source of that name; the one it would begin with while there is none.
    pub fn policy(&self, name: &str) -> Policy {
        let usual = || Policy { zone: self.zone, ..Policy::default() };
        self.source(name).map_or_else(usual, |source| source.policy.clone())
    }

    /// The first moment at which an allow or a suppression expires.
    pub(super) fn next_policy_expiry(&self) -> Option<Time> {
        let allows = self.allows.iter().filter_map(|allow| allow.expires);
        allows.chain(self.suppressions.iter().filter_map(|s| s.expires)).min()
    }

    /// The first moment of the next day, if that makes a listing too old for a feed: a feed is a function of its
    /// generation, so that a day which does so must make one.
    pub(super) fn next_age(&self) -> Option<Time> {
        let counts_days = self.profiles().any(|profile| profile.filter.max_age_days.is_some());
        counts_days.then(|| self.sure.day_in(self.zone).end_in(self.zone))
    }

    /// Active listings of all sources together.
    pub fn listings(&self) -> u64 {
        self.coverage.values().map(|coverage| coverage.len()).sum()
    }

    /// Ranges that at least one source lists: exact, by merging what the sources list.
    ///
    /// Linear in the listings; about 5 ms a million.
    pub fn entries(&self) -> u64 {
        let singles = self.coverage.values().fold(roaring::RoaringBitmap::new(), |all, c| all | c.singles());
        let distinct_wide = distinct(self.coverage.values().flat_map(|c| c.wide().iter().copied()));
        let distinct_v6 = distinct(self.coverage.values().flat_map(|c| c.v6().iter().copied()));
        singles.len() + distinct_wide + distinct_v6
    }
}

fn distinct<T: Ord>(ranges: impl Iterator<Item = T>) -> u64 {
    let mut all: Vec<T> = ranges.collect();
    all.sort_unstable();
    all.dedup();
    all.len() as u64
}
