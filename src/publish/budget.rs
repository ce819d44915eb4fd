//! What stays when a feed holds more than its readers can take: the best by the profile's preferences, and nothing
//! that ranks below what is left out, but for what is too much by itself.

use super::select::{Scene, SelectError};
use super::sweep::{Listings, Standing};
use crate::addr::{IpRange, IpSet};
use crate::model::{Budget, Lines, Preference, Profile};

/// What a set comes to as lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Lines.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Size {
    /// Whether a reader with `budget` can take it.
    pub fn fits(self, budget: Budget) -> bool {
        budget.entries.is_none_or(|most| self.entries <= most)
            && budget.bytes.is_none_or(|most| self.bytes <= most)
    }
}

/// What a budget has cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// What could be taken.
    pub budget: Budget,
    /// What it would have been.
    pub wanted: Size,
    /// What it is.
    pub taken: Size,
    /// Addresses that are left out.
    pub addresses: u128,
}

/// What the devices that read a feed can take of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Room {
    /// All of it.
    pub whole: Budget,
    /// Each document: each part of a feed that has parts, else the feed.
    pub each: Budget,
}

impl Room {
    /// What there is for all of a feed, its own budget included.
    pub(super) fn of(self, profile: &Profile) -> Budget {
        let whole = tighter(profile.budget, self.whole);
        if profile.parts <= 1 { tighter(whole, self.each) } else { whole }
    }
}

/// Both budgets at once.
pub(super) fn tighter(a: Budget, b: Budget) -> Budget {
    let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    Budget { entries: least(a.entries, b.entries), bytes: least(a.bytes, b.bytes) }
}

/// The part of `set` that fits `budget`, by the preferences of `profile`. `size` tells what a set comes to as lines,
/// and fails as it likes. About a second for a million listings, and only when there is too much.
///
/// # Errors
/// [`SelectError`], or what `size` fails with.
pub(super) fn fit<E: From<SelectError>>(
    scene: Scene<'_>,
    profile: &Profile,
    budget: Budget,
    set: &IpSet,
    size: impl Fn(&IpSet) -> Result<Size, E>,
) -> Result<IpSet, E> {
    let listings = Listings::read(scene, &profile.filter)?;
    let mut ranked: Vec<(Rank, IpRange)> = Vec::new();
    listings.walk(set, |range, standing| ranked.push((rank(standing, &profile.prefer), range)));
    ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    // What alone is too much is left out, and does not stand in the way of what comes after it.
    let lines = profile.lines();
    let fits_alone =
        |range: &IpRange| budget.entries.is_none_or(|most| alone(*range, lines) <= u128::from(most));
    let ranked: Vec<IpRange> = ranked.into_iter().map(|(_, range)| range).filter(fits_alone).collect();
    best(&ranked, budget, size)
}

/// The lines that a range takes by itself.
fn alone(range: IpRange, lines: Lines) -> u128 {
    match lines {
        Lines::Addresses => range.size(),
        Lines::Ranges => 1,
        Lines::Cidrs => match range {
            IpRange::V4(range) => range.prefixes().count() as u128,
            IpRange::V6(range) => range.prefixes().count() as u128,
        },
    }
}

/// How much a stretch is worth; the first place counts most.
type Rank = [i64; Preference::USUAL.len()];

fn rank(standing: &Standing, prefer: &[Preference]) -> Rank {
    let mut rank = Rank::default();
    for (place, preference) in rank.iter_mut().zip(prefer) {
        *place = match preference {
            Preference::Confidence => standing.confidence().map_or(-1, i64::from),
            Preference::Severity => standing.severity().map_or(-1, |severity| severity as i64),
            Preference::Recency => standing.newest().map_or(-1, |newest| newest.unix()),
            Preference::Sources => standing.sources().len() as i64,
        };
    }
    rank
}

/// As many of the first as fit, by halving. What joins makes fewer lines of more ranges, so that it may stop a little
/// early; it never takes too much.
fn best<E>(ranked: &[IpRange], budget: Budget, size: impl Fn(&IpSet) -> Result<Size, E>) -> Result<IpSet, E> {
    let (mut fits, mut too_many) = (0, ranked.len() + 1);
    let mut found = IpSet::default();
    // Most ranges are single lines, so that the first two guesses mostly end the search.
    let guess = budget.entries.and_then(|most| usize::try_from(most).ok()).unwrap_or(0);
    let mut guesses = [guess, guess.saturating_add(1)].into_iter();
    while fits + 1 < too_many {
        let guess = guesses.next().filter(|guess| (fits + 1..too_many).contains(guess));
        let next = guess.unwrap_or(fits.midpoint(too_many));
        let set: IpSet = ranked[..next].iter().copied().collect();
        if size(&set)?.fits(budget) {
            (fits, found) = (next, set);
        } else {
            too_many = next;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn prefixes(set: &IpSet) -> Result<Size, Infallible> {
        Ok(Size { entries: set.prefixes(), bytes: 0 })
    }

    proptest! {
        #[test]
        fn as_many_of_the_best_as_fit(ranges in proptest::collection::btree_set(0_u32..400, 0..60), most in 1_u64..70) {
            let ranked: Vec<IpRange> =
                ranges.iter().map(|n| IpRange::V4(crate::addr::Range::single(n.wrapping_mul(2_654_435_761)))).collect();
            let set = best(&ranked, Budget { entries: Some(most), bytes: None }, prefixes).unwrap();
            prop_assert!(set.prefixes() <= most);
            let taken = ranked.iter().take_while(|range| set.contains(range.first())).count();
            let rest: IpSet = ranked[..taken].iter().copied().collect();
            prop_assert_eq!(&rest, &set, "the first ones, and no others");
            let more: IpSet = ranked[..ranked.len().min(taken + 1)].iter().copied().collect();
            prop_assert!(taken == ranked.len() || more.prefixes() > most, "one more would not have fitted");
        }
    }

    #[test]
    fn one_line_too_many_costs_one_line() {
        let ranked: Vec<IpRange> =
            (0..300_001_u32).map(|n| IpRange::V4(crate::addr::Range::single(3 * n))).collect();
        let set = best(&ranked, Budget { entries: Some(300_000), bytes: None }, prefixes).unwrap();
        assert_eq!(set.prefixes(), 300_000);
    }
}
