//! The gate for sources: whether what a source delivers is believed, or held for a person's word.
//!
//! Pure: numbers in, grounds out. It does not know where a delivery came from, nor what becomes of
//! what is held. Listings that expired are in neither number, so ageing out never looks like shrinking.

use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Servers that share a name do not agree on a document's date to the second.
const OLDER: i64 = 3_600;

/// How much may change from one delivery of a source to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The share of its listings that may vanish at once, in percent.
    pub shrink_percent: u32,
    /// How much longer it may become at once, in percent.
    pub grow_percent: u32,
    /// The share of its lines that may be no listings, in percent.
    pub bad_percent: u32,
    /// Fewer listings or lines than this are never judged by their share.
    pub few: u64,
    /// So many more protected addresses may appear at once.
    pub protected: u64,
    /// Whether a document that is dated before the last one is taken.
    pub allow_older: bool,
    /// Days after which a document's own date is old, so that somebody is told; 0 for never.
    pub old_days: u16,
}

impl Default for Limits {
    /// Half may vanish, the double may come, a quarter may be wrong.
    fn default() -> Self {
        Self {
            shrink_percent: 50,
            grow_percent: 100,
            bad_percent: 25,
            few: 100,
            protected: 10,
            allow_older: false,
            old_days: 30,
        }
    }
}

impl Limits {
    /// The moment from which a document of that date is old.
    pub fn old_from(&self, dated: Option<Time>) -> Option<Time> {
        let days = Some(i64::from(self.old_days)).filter(|days| *days > 0)?;
        Some(dated?.plus(days * 86_400))
    }
}

/// What is known of the source before the delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Before {
    /// What it lists now, within what the delivery speaks of.
    pub listings: u64,
    /// What its run has believed of other windows so far: a source may not lose window by window what it may
    /// not lose at once.
    pub run: Lost,
    /// Whether something of the source waits for a person's word already. Then few are no excuse: else each run
    /// could lose a few more.
    pub doubted: bool,
    /// What it lists now in all; none: it has never been collected whole, so that nobody knows how much
    /// is usual. A window grows as its days pass, and only the source as a whole has a size to judge by.
    pub total: Option<u64>,
    /// Protected listings among those, by today's allowlist; none: it has never been collected whole.
    pub protected: Option<u64>,
    /// The date of the last document that was believed.
    pub dated: Option<Time>,
}

/// What deliveries have cost the source that were believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// What it listed, within what they spoke of.
    pub of: u64,
    /// Those of them that are gone. What came new elsewhere makes up for none.
    pub gone: u64,
}

impl Lost {
    /// With one more that is believed.
    #[must_use]
    pub const fn with(self, before: u64, after: u64) -> Self {
        Self {
            of: self.of.saturating_add(before),
            gone: self.gone.saturating_add(before.saturating_sub(after)),
        }
    }
}

/// What a delivery came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrival {
    /// What the source would list after it, within what the delivery speaks of.
    pub listings: u64,
    /// Lines that gave a listing.
    pub read: u64,
    /// Lines that gave none.
    pub rejected: u64,
    /// Listings of addresses that the guard list or the allowlist protect, among what the source would list.
    pub protected: u64,
    /// The document's own date.
    pub dated: Option<Time>,
}

/// Why a delivery is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Ground {
    /// It lists nothing.
    Empty {
        /// What the source lists.
        before: u64,
    },
    /// It is a web page.
    Html,
    /// Too many of its lines are no listings.
    MostlyBad {
        /// Lines that gave a listing.
        read: u64,
        /// Lines that gave none.
        rejected: u64,
    },
    /// Too much would vanish.
    Shrunk {
        /// What the source lists.
        before: u64,
        /// What it would list.
        after: u64,
        /// The share that may vanish, in percent.
        limit_percent: u32,
    },
    /// Too much would come.
    Grown {
        /// What the source lists.
        before: u64,
        /// What it would list.
        after: u64,
        /// How much longer it may become, in percent.
        limit_percent: u32,
    },
    /// The document is older than the last one.
    Older {
        /// The last one's date.
        before: Time,
        /// This one's.
        after: Time,
    },
    /// Many more addresses than before are protected: they are never published, but a list that is
    /// full of them is not what it was.
    Protected {
        /// Of those that the source lists.
        before: u64,
        /// Of those that it would list.
        after: u64,
        /// How many more may appear.
        limit: u64,
    },
}

/// Judges a delivery: no ground, and it is believed.
pub fn judge(before: &Before, arrival: &Arrival, limits: &Limits) -> Vec<Ground> {
    let grounds = [
        size(before, arrival, limits),
        quality(arrival, limits),
        age(before, arrival, limits),
        guarded(before, arrival, limits),
    ];
    grounds.into_iter().flatten().collect()
}

fn size(before: &Before, arrival: &Arrival, limits: &Limits) -> Option<Ground> {
    let (total, lost) = (before.total, before.run.with(before.listings, arrival.listings));
    let few = if before.doubted { 0 } else { limits.few };
    let (before, after) = (before.listings, arrival.listings);
    let shrinks = |lost: Lost, few: u64| lost.gone > few.max(part(lost.of, limits.shrink_percent));
    let grows =
        |total: &u64| after.saturating_sub(before) > limits.few.max(part(*total, limits.grow_percent));
    if after == 0 && before > 0 {
        Some(Ground::Empty { before })
    } else if after < before && (shrinks(lost, few) || shrinks(Lost::default().with(before, after), few)) {
        Some(Ground::Shrunk { before, after, limit_percent: limits.shrink_percent })
    } else {
        let total = total.filter(|total| *total > 0).filter(grows)?;
        let after = total.saturating_add(after - before);
        Some(Ground::Grown { before: total, after, limit_percent: limits.grow_percent })
    }
}

fn quality(arrival: &Arrival, limits: &Limits) -> Option<Ground> {
    let Arrival { read, rejected, .. } = *arrival;
    let bad = rejected > limits.few && rejected > part(read.saturating_add(rejected), limits.bad_percent);
    bad.then_some(Ground::MostlyBad { read, rejected })
}

fn age(before: &Before, arrival: &Arrival, limits: &Limits) -> Option<Ground> {
    let (before, after) = (before.dated?, arrival.dated?);
    (after < before.plus(-OLDER) && !limits.allow_older).then_some(Ground::Older { before, after })
}

fn guarded(before: &Before, arrival: &Arrival, limits: &Limits) -> Option<Ground> {
    // A first delivery has nothing to rise from: lists of bogons are full of protected addresses.
    let (before, after, limit) = (before.protected?, arrival.protected, limits.protected);
    (after.saturating_sub(before) > limit).then_some(Ground::Protected { before, after, limit })
}

fn part(of: u64, percent: u32) -> u64 {
    u64::try_from(u128::from(of) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

impl Ground {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "empty",
            Self::Html => "html",
            Self::MostlyBad { .. } => "mostly_bad",
            Self::Shrunk { .. } => "shrunk",
            Self::Grown { .. } => "grown",
            Self::Older { .. } => "older",
            Self::Protected { .. } => "protected",
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { before } => write!(f, "it lists nothing; now it is {before}"),
            Self::Html => f.write_str("it is a web page, not a list"),
            Self::MostlyBad { read, rejected } => {
                write!(f, "{rejected} of its {} lines are no listings", read.saturating_add(*rejected))
            }
            Self::Shrunk { before, after, limit_percent } => {
                write!(
                    f,
                    "it would go from {before} to {after} listings; {limit_percent} % may vanish at once"
                )
            }
            Self::Grown { before, after, limit_percent } => {
                write!(f, "it would go from {before} to {after} listings; {limit_percent} % may come at once")
            }
            Self::Older { before, after } => write!(f, "it is dated {after}, the one before {before}"),
            Self::Protected { before, after, limit } => write!(
                f,
                "{after} of its addresses are protected, {before} were before; {limit} more may appear at once"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codes(before: Before, arrival: Arrival) -> Vec<&'static str> {
        judge(&before, &arrival, &Limits::default()).iter().map(Ground::code).collect()
    }

    fn sizes(before: u64, after: u64) -> Vec<&'static str> {
        let before = Before { listings: before, total: Some(before), ..Before::default() };
        codes(before, Arrival { listings: after, read: after, ..Arrival::default() })
    }

    #[test]
    fn a_list_may_lose_half_and_double_and_not_more() {
        for (before, after, expected) in [
            (1_000, 500, None),
            (1_000, 499, Some("shrunk")),
            (1_000, 2_000, None),
            (1_000, 2_001, Some("grown")),
            (1_000, 0, Some("empty")),
            (1, 0, Some("empty")),
            (0, 0, None),
            (0, 1_000_000, None),
            (130_000, 64_999, Some("shrunk")),
        ] {
            assert_eq!(sizes(before, after), Vec::from_iter(expected), "{before} to {after}");
        }
    }

    #[test]
    fn few_listings_come_and_go_as_they_like() {
        assert!(sizes(20, 1).is_empty());
        assert!(sizes(20, 120).is_empty());
        assert_eq!(sizes(20, 121), ["grown"]);
    }

    #[test]
    fn a_window_that_listed_something_and_says_nothing_is_held_however_little_it_was() {
        let empty = |before| codes(Before { listings: before, ..Before::default() }, Arrival::default());
        assert_eq!((empty(0), empty(1), empty(5_000)), (vec![], vec!["empty"], vec!["empty"]));
    }

    /// What becomes of windows that come one after the other, each with what it lists before and after.
    fn windows(doubted: bool, all: &[(u64, u64)]) -> Vec<bool> {
        let mut run = Lost::default();
        let mut held = |&(listings, after): &(u64, u64)| {
            let before = Before { listings, run, doubted, ..Before::default() };
            let is_held = !codes(before, Arrival { listings: after, ..Arrival::default() }).is_empty();
            run = if is_held { run } else { run.with(listings, after) };
            is_held
        };
        all.iter().map(&mut held).collect()
    }

    #[test]
    fn a_source_does_not_lose_window_by_window_what_it_may_not_lose_at_once() {
        assert_eq!(windows(false, &[(77, 1), (77, 1), (77, 77), (77, 1)]), [false, true, false, true]);
        assert_eq!(
            windows(false, &[(5, 900), (77, 1), (77, 1)]),
            [false, false, true],
            "what is new is no help"
        );
        let large = [(9_000, 9_000), (77, 1), (77, 1)];
        assert_eq!(windows(false, &large), [false; 3], "little of what was read");
        assert_eq!(windows(true, &[(77, 1), (77, 40), (9, 9)]), [true, false, false]);
    }

    #[test]
    fn a_window_may_grow_as_its_days_pass_and_the_source_may_not_double() {
        let window = |total, before, after| {
            let before = Before { listings: before, total, ..Before::default() };
            codes(before, Arrival { listings: after, ..Arrival::default() })
        };
        assert!(window(Some(20_000), 100, 1_500).is_empty());
        assert_eq!(window(Some(20_000), 100, 20_101), ["grown"]);
        assert!(window(None, 0, 1_000_000).is_empty(), "a first backfill has no size yet");
    }

    #[test]
    fn lines_that_are_none_are_judged_by_their_share() {
        let bad = |read, rejected| codes(Before::default(), Arrival { read, rejected, ..Arrival::default() });
        assert!(bad(10_000, 3_333).is_empty());
        assert_eq!(bad(10_000, 3_334), ["mostly_bad"]);
        assert!(bad(0, 100).is_empty(), "a handful says nothing");
    }

    #[test]
    fn a_document_older_than_the_last_is_held_unless_it_may_be() {
        let dated = |unix| Some(Time::from_unix(unix));
        let before = Before { dated: dated(100 + OLDER), ..Before::default() };
        let arrival = |unix| Arrival { dated: dated(unix), ..Arrival::default() };
        assert_eq!(codes(before, arrival(99)), ["older"]);
        assert!(codes(before, arrival(100)).is_empty());
        assert!(codes(before, Arrival::default()).is_empty(), "no date, no judgement");
        let limits = Limits { allow_older: true, ..Limits::default() };
        assert!(judge(&before, &arrival(99), &limits).is_empty());
    }

    #[test]
    fn a_rise_of_protected_addresses_is_a_sign_and_their_presence_is_not() {
        let protected = |before, after| {
            let before = Before { protected: before, ..Before::default() };
            codes(before, Arrival { protected: after, ..Arrival::default() })
        };
        assert!(protected(None, 5_000).is_empty());
        assert!(protected(Some(5_000), 5_010).is_empty());
        assert_eq!(protected(Some(0), 11), ["protected"]);
    }

    #[test]
    fn every_ground_that_holds_is_told_with_its_numbers() {
        let dated = Some(Time::from_unix(9 + OLDER));
        let before =
            Before { listings: 10_000, total: Some(10_000), protected: Some(0), dated, ..Before::default() };
        let arrival = Arrival {
            listings: 200,
            read: 200,
            rejected: 900,
            protected: 90,
            dated: Some(Time::from_unix(1)),
        };
        let grounds = judge(&before, &arrival, &Limits::default());
        let codes: Vec<_> = grounds.iter().map(Ground::code).collect();
        assert_eq!(codes, ["shrunk", "mostly_bad", "older", "protected"]);
        let told = grounds[0].to_string();
        assert!(told.contains("10000") && told.contains("200") && told.contains("50 %"), "{told}");
        let json = serde_json::to_value(grounds[0]).unwrap();
        assert_eq!(json["code"], grounds[0].code());
        assert_eq!(serde_json::from_value::<Ground>(json).unwrap(), grounds[0]);
    }

    proptest! {
        /// Against the shares counted out as fractions.
        #[test]
        fn sizes_are_judged_as_fractions_would(before in 0_u64..1 << 40, after in 0_u64..1 << 40,
            shrink in 0_u32..=100, grow in 0_u32..1000, few in 0_u64..1000) {
            let limits = Limits { shrink_percent: shrink, grow_percent: grow, few, ..Limits::default() };
            let arrival = Arrival { listings: after, ..Arrival::default() };
            let held = Before { listings: before, total: Some(before), ..Before::default() };
            let held = !judge(&held, &arrival, &limits).is_empty();
            let (b, a) = (i128::from(before), i128::from(after));
            let lost = (b - a) * 100 > b * i128::from(shrink) && b - a > i128::from(few);
            let won = b > 0 && (a - b) * 100 > b * i128::from(grow) && a - b > i128::from(few);
            // Whole percents of whole listings are rounded down; the fraction may be one listing stricter.
            let near = |share: u32| ((b - a).abs() * 100 - b * i128::from(share)).abs() <= 100;
            let expected = lost || won || (a == 0 && b > 0);
            prop_assert!(held == expected || near(shrink) || near(grow));
        }
    }
}
