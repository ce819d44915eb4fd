//! The gate for feeds: whether what a feed would list next follows from what it lists, or waits for a person's word.
//!
//! Pure: sets in, grounds out. What ended by expiry, by an allow or by a person's hand is taken out of the base before
//! it comes here, so that ageing out never looks like shrinking.

use super::log::Difference;
use super::tide::{Distance, Fallen};
use crate::addr::{IpRange, IpSet};
use crate::model::{GateLimits, OutputName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Going or coming addresses are judged by their share from here on: one /16.
const MANY: u128 = 1 << 16;

/// All of IPv4.
const V4_SPACE: u128 = 1 << 32;

/// Why a feed is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Ground {
    /// Too many lines would go.
    Shrunk {
        /// Lines of the base.
        before: u64,
        /// Lines that would go.
        gone: u64,
        /// The share that may go, in percent.
        limit_percent: u32,
    },
    /// Too many addresses would be open again.
    Opened {
        /// Addresses of the base, at most `u64::MAX`.
        before: u64,
        /// Addresses that would go, likewise.
        gone: u64,
        /// The share that may go, in percent.
        limit_percent: u32,
    },
    /// Too many lines would come.
    Grown {
        /// Lines of the base.
        before: u64,
        /// Lines that would come.
        new: u64,
        /// The share that may come, in percent.
        limit_percent: u32,
    },
    /// Too much of the IPv4 Internet would be blocked.
    Space {
        /// IPv4 addresses that it would hold.
        addresses: u64,
        /// The share of all of them that it may hold, in percent.
        limit_percent: u32,
    },
    /// A new range is too broad.
    TooBroad {
        /// The first of them.
        range: IpRange,
        /// How many there are.
        count: u64,
    },
    /// It would bring what another feed's hold keeps back.
    Elsewhere {
        /// Lines of that.
        new: u64,
    },
    /// It would push out of a budget what readers have.
    Budget {
        /// The feed that would lose it.
        feed: OutputName,
        /// What that one has: lines, or bytes where only those are limited.
        before: u64,
        /// How much of it would be cut.
        gone: u64,
        /// The share that may go, in percent.
        limit_percent: u32,
    },
    /// All feeds together would change too much: see the hold of the whole.
    Whole,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shrunk { before, gone, limit_percent } => {
                write!(f, "{gone} of {before} lines would go, and {limit_percent} % may")
            }
            Self::Opened { before, gone, limit_percent } => {
                write!(f, "{gone} of {before} addresses would be open again, and {limit_percent} % may")
            }
            Self::Grown { before, new, limit_percent } => {
                write!(f, "{new} lines would come to {before}, and {limit_percent} % may")
            }
            Self::Space { addresses, limit_percent } => {
                write!(f, "{addresses} IPv4 addresses would be blocked, and {limit_percent} % of all may")
            }
            Self::TooBroad { range, count } => {
                write!(f, "{range} is too broad")?;
                if *count > 1 { write!(f, ", and {} more", count - 1) } else { Ok(()) }
            }
            Self::Elsewhere { new } => {
                write!(f, "{new} lines would come that another feed's hold keeps back")
            }
            Self::Budget { feed, before, gone, limit_percent } => write!(
                f,
                "it would push {gone} of {before} out of what a budget leaves {feed}, and {limit_percent} % may"
            ),
            Self::Whole => f.write_str("all feeds together are held"),
        }
    }
}

impl Difference {
    /// What leads from one list to another; linear.
    pub(super) fn between(before: &IpSet, after: &IpSet) -> Self {
        Self { removed: before.subtract(after), added: after.subtract(before) }
    }

    /// Whether nothing goes or comes that does not by `other`; linear.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.removed.subtract(&other.removed).is_empty() && self.added.subtract(&other.added).is_empty()
    }

    /// It in numbers; linear.
    pub(super) fn distance(&self) -> Distance {
        let Self { removed, added } = self;
        Distance {
            gone: removed.prefixes(),
            new: added.prefixes(),
            gone_addresses: removed.size(),
            new_addresses: added.size(),
        }
    }
}

/// What the gate makes of a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Judgement {
    /// Why it is held; none, and it is released.
    pub grounds: Vec<Ground>,
    /// How far it is from the base.
    pub distance: Distance,
}

/// Judges `next` against `base`; none is no base, as for a feed's first list, and then only what is too much in itself
/// counts. What is `fresh` may come however much it is; that is asked for only where too much comes. It has `fallen` so
/// far in the last day already. Linear, about 40 ms for a million lines that all differ.
pub(super) fn judge(
    base: Option<&IpSet>,
    next: &IpSet,
    fresh: impl FnOnce() -> IpSet,
    limits: &GateLimits,
    fallen: Fallen,
) -> Judgement {
    let nothing = IpSet::default();
    let before = base.unwrap_or(&nothing);
    if before == next {
        return Judgement::default();
    }
    let difference = Difference::between(before, next);
    let (distance, new) = (difference.distance(), difference.added);
    let mut grounds = too_much(before, next, &new, limits);
    if base.is_some() {
        let lines = before.prefixes();
        grounds.extend(shrinkage((lines, before.size()), distance, fallen, limits));
        let growth = |new| growth(lines, new, limits);
        grounds.extend(growth(distance.new).and_then(|_| growth(new.subtract(&fresh()).prefixes())));
    }
    Judgement { grounds, distance }
}

/// Why a list is too much in itself, if it is: the grounds on which a first list is held.
pub(super) fn first(list: &IpSet, limits: &GateLimits) -> Vec<Ground> {
    too_much(&IpSet::default(), list, list, limits)
}

fn too_much(before: &IpSet, next: &IpSet, new: &IpSet, limits: &GateLimits) -> Vec<Ground> {
    [space(before, next, new, limits), too_broad(new, limits)].into_iter().flatten().collect()
}

/// What goes by this step, and by this step on top of those of the last day: a list does not lose bit by bit what it may
/// not lose at once.
fn shrinkage(
    (lines, addresses): (u64, u128),
    distance: Distance,
    fallen: Fallen,
    limits: &GateLimits,
) -> impl Iterator<Item = Ground> {
    let limit_percent = limits.shrink_percent;
    let shrunk = loss((lines, distance), fallen, limits);
    let shrunk = shrunk.map(|(before, gone)| Ground::Shrunk { before, gone, limit_percent });
    let net = fallen.addresses.saturating_add(distance.gone_addresses).saturating_sub(distance.new_addresses);
    let opened = |before: u128, gone: u128| {
        let is_too_much = gone > MANY && exceeds(gone, before, limit_percent);
        is_too_much.then_some(Ground::Opened { before: narrow(before), gone: narrow(gone), limit_percent })
    };
    let by_day =
        || opened(addresses.saturating_add(fallen.addresses), net).filter(|_| net > fallen.addresses);
    let opened = opened(addresses, distance.gone_addresses).or_else(by_day);
    shrunk.into_iter().chain(opened)
}

/// The lines that a reader would lose by a step, or by that on top of those of the last day, of how many, if that is
/// too much.
pub(super) fn loss(
    (lines, distance): (u64, Distance),
    fallen: Fallen,
    limits: &GateLimits,
) -> Option<(u64, u64)> {
    let too_much = |before, gone| is_loss(before, gone, limits).then_some((before, gone));
    let net = (fallen.lines + distance.gone).saturating_sub(distance.new);
    let by_day = || too_much(lines + fallen.lines, net).filter(|_| net > fallen.lines);
    too_much(lines, distance.gone).or_else(by_day)
}

/// A number of addresses as JSON can tell it of a ground.
fn narrow(addresses: u128) -> u64 {
    addresses.try_into().unwrap_or(u64::MAX)
}

/// Whether a reader may not lose `gone` of what it has without a person's word.
fn is_loss(before: u64, gone: u64, limits: &GateLimits) -> bool {
    gone > limits.few && exceeds(gone.into(), before.into(), limits.shrink_percent)
}

fn growth(lines: u64, new: u64, limits: &GateLimits) -> Option<Ground> {
    let limit_percent = limits.grow_percent;
    let is_too_much = new > limits.few && exceeds(new.into(), lines.into(), limit_percent);
    is_too_much.then_some(Ground::Grown { before: lines, new, limit_percent })
}

fn exceeds(part: u128, of: u128, percent: u32) -> bool {
    part.saturating_mul(100) > of.saturating_mul(percent.into())
}

/// What was there before may stay: only a list that takes more is judged, and one that a person has let past the limit
/// may take as large a share more of what it has.
fn space(before: &IpSet, next: &IpSet, new: &IpSet, limits: &GateLimits) -> Option<Ground> {
    let limit_percent = limits.space_percent;
    let (had, addresses) = (before.v4.size(), next.v4.size());
    let is_past = |addresses| exceeds(addresses, V4_SPACE, limit_percent);
    let is_too_much = is_past(addresses)
        && !new.v4.is_empty()
        && (!is_past(had) || exceeds(new.v4.size(), had, limit_percent));
    is_too_much.then_some(Ground::Space { addresses: narrow(addresses), limit_percent })
}

fn too_broad(new: &IpSet, limits: &GateLimits) -> Option<Ground> {
    let mut broad = new.iter().filter(|range| limits.too_broad.excludes(*range));
    let range = broad.next()?;
    Some(Ground::TooBroad { range, count: 1 + broad.count() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    /// So many single addresses that do not touch, from an address on.
    fn singles(from: u32, count: u32) -> IpSet {
        (0..count).map(|n| IpRange::V4(crate::addr::Range::single(from + 2 * n))).collect()
    }

    fn codes(base: Option<&IpSet>, next: &IpSet) -> Vec<String> {
        let grounds = judge(base, next, IpSet::default, &GateLimits::default(), Fallen::default()).grounds;
        grounds
            .iter()
            .map(|ground| serde_json::to_value(ground).unwrap()["code"].as_str().unwrap().to_owned())
            .collect()
    }

    const A: u32 = 0x1400_0000;

    #[test]
    fn half_may_go_and_the_double_may_come() {
        let base = singles(A, 1000);
        assert!(codes(Some(&base), &singles(A, 500)).is_empty());
        assert_eq!(codes(Some(&base), &singles(A, 499)), ["shrunk"]);
        assert!(codes(Some(&base), &singles(A, 2000)).is_empty());
        assert_eq!(codes(Some(&base), &singles(A, 2001)), ["grown"]);
        assert_eq!(
            codes(Some(&base), &singles(A + 0x10_0000, 1001)),
            ["shrunk", "grown"],
            "all of it is another"
        );
    }

    #[test]
    fn a_few_lines_are_never_judged_by_their_share() {
        assert!(codes(Some(&singles(A, 100)), &IpSet::default()).is_empty());
        assert_eq!(codes(Some(&singles(A, 101)), &IpSet::default()), ["shrunk"]);
        assert!(codes(Some(&IpSet::default()), &singles(A, 100)).is_empty());
        assert_eq!(codes(Some(&IpSet::default()), &singles(A, 101)), ["grown"]);
    }

    #[test]
    fn one_line_may_hold_most_addresses() {
        let base = set(&["20.0.0.0/12", "30.0.0.0/16"]);
        assert_eq!(codes(Some(&base), &set(&["30.0.0.0/16"])), ["opened"]);
        assert!(codes(Some(&base), &set(&["20.0.0.0/12"])).is_empty());
    }

    #[test]
    fn a_poisoned_list_is_held_by_its_breadth_even_when_it_is_the_first() {
        assert_eq!(codes(None, &set(&["128.0.0.0/1"])), ["space", "too_broad"]);
        assert_eq!(codes(None, &set(&["20.0.0.0/7"])), ["too_broad"]);
        assert_eq!(codes(None, &set(&["2a00::/18"])), ["too_broad"]);
        assert!(codes(None, &set(&["20.0.0.0/8", "2a00::/19"])).is_empty());
        let broad = set(&["20.0.0.0/7"]);
        assert!(
            codes(Some(&broad), &broad.union(&set(&["30.0.0.1"]))).is_empty(),
            "what was consented to stays"
        );
    }

    #[test]
    fn a_list_may_not_lose_in_a_day_what_it_may_not_lose_at_once() {
        let fallen = |lines| Fallen { lines, addresses: 0 };
        let judged = |lines, to| {
            let limits = GateLimits::default();
            judge(Some(&singles(A, 500)), &singles(A, to), IpSet::default, &limits, fallen(lines)).grounds
        };
        assert_eq!(judged(0, 250), [], "half of it");
        let grounds = [Ground::Shrunk { before: 1000, gone: 750, limit_percent: 50 }];
        assert_eq!(judged(500, 250), grounds, "three quarters of what it was");
        assert_eq!(judged(500, 500), [], "it has fallen no further");
        assert_eq!(judged(500, 600), [], "it rises");
    }

    proptest! {
        #[test]
        fn a_difference_is_within_another_if_it_has_no_line_of_its_own(a: [bool; 8], b: [bool; 8]) {
            let some = |bits: &[bool]| -> IpSet {
                let at = (0..4).filter(|n| bits[*n as usize]);
                at.map(|n| IpRange::V4(crate::addr::Range::single(A + 2 * n))).collect()
            };
            let one = |bits: [bool; 8]| Difference { removed: some(&bits[..4]), added: some(&bits[4..]) };
            let golden = a.iter().zip(&b).all(|(a, b)| !*a || *b);
            prop_assert_eq!(one(a).is_within(&one(b)), golden);
        }
    }
}
