//! What a list comes to as its readers get it, and the part of it that they can take.

use super::annotate::annotate;
use super::budget::{Cut, Room, Size, fit, tighter};
use super::fault::FollowError;
use super::formats::{self, MOST_ADDRESSES, WriteError};
use super::log::Difference;
use super::select::{Scene, SelectError};
use super::selection::Annotated;
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

/// What sets come to in the form of a profile. Where a form tells more than addresses, lines are cut wherever that
/// changes.
pub(super) struct Measure<'p> {
    profile: &'p Profile,
    told: Option<Annotated>,
}

impl<'p> Measure<'p> {
    /// A measure for `set` and what is inside it. About a second for a million listings where the form tells more than
    /// addresses.
    ///
    /// # Errors
    /// [`SelectError`].
    pub(super) fn of(scene: Scene<'_>, profile: &'p Profile, set: &IpSet) -> Result<Self, SelectError> {
        let told = profile.format.needs_facts().then(|| annotate(scene, &profile.filter, set));
        Ok(Self { profile, told: told.transpose()? })
    }

    /// A measure for those who cannot look at listings: it counts too few lines for a form that tells of them.
    pub(super) fn blind(profile: &'p Profile) -> Self {
        Self { profile, told: None }
    }

    /// All parts of `set` together: written once to be counted, 15 ns a line.
    ///
    /// # Errors
    /// As [`formats::write`].
    pub(super) fn size(&self, set: &IpSet) -> Result<Size, FollowError> {
        split(set, self.profile.parts).iter().try_fold(Size::default(), |all, part| {
            let Size { entries, bytes } = self.part(part)?;
            let (entries, bytes) = (all.entries.saturating_add(entries), all.bytes.saturating_add(bytes));
            Ok(Size { entries, bytes })
        })
    }

    /// One part.
    fn part(&self, part: &IpSet) -> Result<Size, FollowError> {
        let told = self.told.as_ref().map(|told| told.within(part));
        let mut counter = Counter(0);
        let sheet = formats::Sheet {
            feed: self.profile.name.as_str(),
            generation: 0,
            time: Time::default(),
            lines: self.profile.lines(),
            selection: part,
            entries: told.as_ref(),
        };
        match formats::write(Document::List(self.profile.format), &sheet, &mut counter) {
            Ok(counts) => Ok(Size { entries: counts.entries, bytes: counter.0 }),
            // More than any budget.
            Err(WriteError::TooLong) => Ok(Size { entries: u64::MAX, bytes: u64::MAX }),
            Err(error) => Err(error.into()),
        }
    }
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
    if whole == Budget::default() && each == Budget::default() {
        return Ok((set.clone(), None));
    }
    let measure = Measure::of(scene, profile, set)?;
    let (mut within, mut budget) = (in_parts(scene, &measure, each, set)?, each);
    let left = within.as_ref().unwrap_or(set);
    if !measure.size(left)?.fits(whole) {
        (within, budget) = (Some(fit(scene, profile, whole, left, |set| measure.size(set))?), whole);
    }
    let Some(within) = within else { return Ok((set.clone(), None)) };
    let (wanted, taken) = (measure.size(set)?, measure.size(&within)?);
    let addresses = set.subtract(&within).size();
    Ok((within, Some(Cut { budget, wanted, taken, addresses })))
}

/// As much of each part as fits `each`; nothing where all of it does.
fn in_parts(
    scene: Scene<'_>,
    measure: &Measure<'_>,
    each: Budget,
    set: &IpSet,
) -> Result<Option<IpSet>, FollowError> {
    if each == Budget::default() {
        return Ok(None);
    }
    let mut parts = split(set, measure.profile.parts);
    let mut is_cut = false;
    for part in &mut parts {
        if !measure.part(part)?.fits(each) {
            *part = fit(scene, measure.profile, each, part, |set| measure.part(set))?;
            is_cut = true;
        }
    }
    Ok(is_cut.then(|| parts.into_iter().reduce(|all, part| all.union(&part)).unwrap_or_default()))
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
