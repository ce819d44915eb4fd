//! What a list comes to as its readers get it, and the part of it that they can take.

use super::budget::{Size, fit};
use super::feed::Cut;
use super::formats::{self, MOST_ADDRESSES, WriteError};
use super::refresh::FollowError;
use super::select::Scene;
use super::split::split;
use crate::addr::IpSet;
use crate::model::{Budget, Document, Lines, Profile, Time};

/// As much of `set` as fits the budget of the profile, that of its devices, and what its form can tell at all; and what
/// was cut, if anything was.
///
/// # Errors
/// As [`fit`].
pub(super) fn fitted(
    scene: Scene<'_>,
    profile: &Profile,
    devices: Budget,
    set: &IpSet,
) -> Result<(IpSet, Option<Cut>), FollowError> {
    let mut budget = tighter(profile.budget, devices);
    if profile.lines() == Lines::Addresses && set.size() > u128::from(MOST_ADDRESSES) {
        budget = tighter(budget, Budget { entries: Some(MOST_ADDRESSES), bytes: None });
    }
    if budget == Budget::default() {
        return Ok((set.clone(), None));
    }
    let wanted = size(profile, set)?;
    if wanted.fits(budget) {
        return Ok((set.clone(), None));
    }
    let within = fit(scene, profile, budget, set, |set| size(profile, set))?;
    let addresses = set.subtract(&within).size();
    let taken = size(profile, &within)?;
    Ok((within, Some(Cut { budget, wanted, taken, addresses })))
}

/// Both budgets at once.
pub(super) fn tighter(a: Budget, b: Budget) -> Budget {
    let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    Budget { entries: least(a.entries, b.entries), bytes: least(a.bytes, b.bytes) }
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
