//! What devices can take of all their feeds together, the first served first; and whom a feed that grows would push out.

use super::budget::{Room, Size, tighter};
use super::feed::Feed;
use super::gate::{Ground, loss};
use super::select::Scene;
use super::size::Measure;
use super::tide::{Distance, Fallen};
use crate::model::{Budget, Device, GateLimits, OutputName, Profile, Time};
use std::sync::Arc;

/// What devices can still take of all their feeds together.
pub(super) struct Shares<'a>(Vec<(&'a Device, Budget)>, Scene<'a>);

/// What is left for a feed and those that are served after it, on one device.
#[derive(Clone, Debug)]
pub(super) struct Rivals {
    left: Budget,
    /// The others, in their turn.
    others: Vec<Rival>,
}

/// A feed that is served after another one.
#[derive(Clone, Debug)]
struct Rival {
    name: OutputName,
    /// What it has now.
    has: Size,
    /// What budgets have taken from it in the last day.
    fallen: Fallen,
    limits: GateLimits,
}

impl<'a> Shares<'a> {
    /// Nothing is taken yet in `scene`.
    pub(super) fn new(scene: Scene<'a>, devices: impl Iterator<Item = &'a Device>) -> Self {
        let is_limited =
            |device: &&Device| device.budget != Budget::default() || device.each != Budget::default();
        Self(devices.filter(is_limited).map(|device| (device, device.budget)).collect(), scene)
    }

    fn readers(&self, feed: &OutputName) -> impl Iterator<Item = (&'a Device, Budget)> {
        self.0.iter().copied().filter(|(device, _)| device.reads().contains(feed))
    }

    /// What its readers can take of a feed.
    pub(super) fn left(&self, feed: &OutputName) -> Room {
        let least = |least: Room, (device, left): (&Device, Budget)| Room {
            whole: tighter(least.whole, left),
            each: tighter(least.each, device.each),
        };
        self.readers(feed).fold(Room::default(), least)
    }

    /// The budgets that people have set and a feed must keep: when they are others, what that costs is meant.
    pub(super) fn set(&self, profile: &Profile) -> Vec<Budget> {
        let of_devices = self.readers(&profile.name).flat_map(|(device, _)| [device.budget, device.each]);
        [profile.budget].into_iter().chain(of_devices).collect()
    }

    /// Whom `profile` shares its readers with, of those in turn behind it.
    pub(super) fn rivals(
        &self,
        profile: &Profile,
        behind: &[Profile],
        moment: Time,
        feed: impl Fn(&OutputName) -> Option<Arc<Feed>>,
    ) -> Vec<Rivals> {
        let rival = |other: &Profile| {
            let (feed, name, limits) = (feed(&other.name)?, other.name.clone(), other.gate);
            Some(Rival { name, has: served(self.1, &feed)?, fallen: feed.pressed(moment), limits })
        };
        let of_device = |(device, left): (&Device, Budget)| {
            let others = behind.iter().filter(|other| device.reads().contains(&other.name));
            Rivals { left, others: others.filter_map(rival).collect() }
        };
        self.readers(&profile.name)
            .filter(|(device, _)| device.budget != Budget::default())
            .map(of_device)
            .collect()
    }

    pub(super) fn take(&mut self, profile: &Profile, feed: &Feed) {
        if self.readers(&profile.name).next().is_none() {
            return;
        }
        let Some(size) = served(self.1, feed) else { return };
        for (_, left) in self.0.iter_mut().filter(|(device, _)| device.reads().contains(&profile.name)) {
            left.entries = left.entries.map(|most| most.saturating_sub(size.entries));
            left.bytes = left.bytes.map(|most| most.saturating_sub(size.bytes));
        }
    }
}

/// What a feed comes to for its readers now. Where listings cannot be read it is counted without what they tell, and what
/// cannot be counted at all is as long as any: to take it for nothing would give its room away, and the reader would cut
/// what it has no room for.
fn served(scene: Scene<'_>, feed: &Feed) -> Option<Size> {
    let released = feed.released()?;
    let (profile, set) = (&released.profile, released.release.set.unpack());
    let measure = Measure::of(scene, profile, &set).unwrap_or_else(|_| Measure::blind(profile));
    Some(measure.size(&set).unwrap_or(Size { entries: u64::MAX, bytes: u64::MAX }))
}

impl Rivals {
    /// Why a feed may not grow from one size to another, if that pushes too much of another out.
    pub(super) fn pushed(&self, before: Size, after: Size) -> Option<Ground> {
        let entries = self.left.entries.filter(|_| after.entries > before.entries);
        let bytes = self.left.bytes.filter(|_| after.bytes > before.bytes);
        let of_day = |rival: &Rival| rival.fallen;
        let by_entries = entries.and_then(|left| self.lost(left, after, |size| size.entries, of_day));
        // What went before is known in lines alone.
        let unknown = |_: &Rival| Fallen::default();
        by_entries.or_else(|| bytes.and_then(|left| self.lost(left, after, |size| size.bytes, unknown)))
    }

    fn lost(
        &self,
        left: u64,
        after: Size,
        measure: impl Fn(Size) -> u64,
        fallen: impl Fn(&Rival) -> Fallen,
    ) -> Option<Ground> {
        let mut left = left.saturating_sub(measure(after));
        self.others.iter().find_map(|rival| {
            let before = measure(rival.has);
            let gone = before.saturating_sub(left);
            left -= before.min(left);
            let distance = Distance { gone, ..Distance::default() };
            let (before, gone) = loss((before, distance), fallen(rival), &rival.limits)?;
            let limit_percent = rival.limits.shrink_percent;
            Some(Ground::Budget { feed: rival.name.clone(), before, gone, limit_percent })
        })
    }
}
