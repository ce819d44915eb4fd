//! What a list comes to as its readers get it, and the part of it that they can take.

use super::budget::{Cut, Room, Size, fit, tighter};
use super::fault::FollowError;
use super::formats::{self, MOST_ADDRESSES, WriteError};
use super::log::Difference;
use super::select::Scene;
use super::split::split;
use super::tide::Distance;
use crate::addr::IpSet;
use crate::model::{Budget, Document, Lines, Profile, Time};

/// What a budget takes from readers, and what they get besides: they are `served` something, would be `seen` something
/// else, and of that it leaves them what is `within`.
pub(super) fn pressed(served: &IpSet, seen: &IpSet, within: &IpSet) -> Distance {
    let removed = served.intersect(seen).subtract(within);
    Difference { removed, added: within.subtract(served) }.distance()
}

/// As much of `set` as fits the budget of the profile, the room of its devices, and what its form can tell at all; and
/// what was cut, if anything was.
///
/// # Errors
/// As [`fit`].
pub(super) fn fitted(
    scene: Scene<'_>,
    profile: &Profile,
    room: Room,
    set: &IpSet,
) -> Result<(IpSet, Option<Cut>), FollowError> {
    let Room { mut whole, mut each } = room;
    whole = tighter(profile.budget, whole);
    if profile.lines() == Lines::Addresses && set.size() > u128::from(MOST_ADDRESSES) {
        whole = tighter(whole, Budget { entries: Some(MOST_ADDRESSES), bytes: None });
    }
    if profile.parts <= 1 {
        (whole, each) = (tighter(whole, each), Budget::default());
    }
    let (mut within, mut budget) = (in_parts(scene, profile, each, set)?, each);
    if whole != Budget::default() {
        let left = within.as_ref().unwrap_or(set);
        if !size(profile, left)?.fits(whole) {
            (within, budget) = (Some(fit(scene, profile, whole, left, |set| size(profile, set))?), whole);
        }
    }
    let Some(within) = within else { return Ok((set.clone(), None)) };
    let (wanted, taken) = (size(profile, set)?, size(profile, &within)?);
    let addresses = set.subtract(&within).size();
    Ok((within, Some(Cut { budget, wanted, taken, addresses })))
}

/// As much of each part as fits `each`; nothing where all of it does.
fn in_parts(
    scene: Scene<'_>,
    profile: &Profile,
    each: Budget,
    set: &IpSet,
) -> Result<Option<IpSet>, FollowError> {
    if each == Budget::default() {
        return Ok(None);
    }
    let single = Profile { parts: 1, ..profile.clone() };
    let mut parts = split(set, profile.parts);
    let mut is_cut = false;
    for part in &mut parts {
        if !size(&single, part)?.fits(each) {
            *part = fit(scene, profile, each, part, |set| size(&single, set))?;
            is_cut = true;
        }
    }
    Ok(is_cut.then(|| parts.into_iter().reduce(|all, part| all.union(&part)).unwrap_or_default()))
}

/// What a set comes to in the form of a profile, all parts together: written once to be counted, 15 ns a line. Facts
/// are left out, so that the bytes of a format that tells them are fewer than it has: no budget of bytes is taken for it.
///
/// # Errors
/// As [`formats::write`].
pub(super) fn size(profile: &Profile, set: &IpSet) -> Result<Size, FollowError> {
    let mut all = Size::default();
    for part in split(set, profile.parts) {
        let mut counter = Counter(0);
        let sheet = formats::Sheet {
            feed: profile.name.as_str(),
            generation: 0,
            time: Time::default(),
            lines: profile.lines(),
            selection: &part,
            entries: None,
        };
        match formats::write(Document::List(profile.format), &sheet, &mut counter) {
            Ok(counts) => all.entries = all.entries.saturating_add(counts.entries),
            // More than any budget.
            Err(WriteError::TooLong) => return Ok(Size { entries: u64::MAX, bytes: u64::MAX }),
            Err(error) => return Err(error.into()),
        }
        all.bytes += counter.0;
    }
    Ok(all)
}

/// Counts bytes.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
