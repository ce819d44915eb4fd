//! Sets of addresses of both families, side by side.

use super::{IpRange, Range, RangeSet, Word};
use std::net::IpAddr;

/// A set of addresses of both families. Two sets hold the same addresses if and only if they are equal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IpSet {
    /// The IPv4 addresses.
    pub v4: RangeSet<u32>,
    /// The IPv6 addresses.
    pub v6: RangeSet<u128>,
}

impl IpSet {
    /// The set of all addresses of `ranges`, which may overlap and come in any order.
    pub fn from_ranges(ranges: impl IntoIterator<Item = IpRange>) -> Self {
        let (v4, v6) = RangeSet::of_families(ranges);
        Self { v4, v6 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether `address`, which must be canonical, is inside; logarithmic.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// Addresses, at most `u128::MAX`.
    pub fn size(&self) -> u128 {
        self.v4.size().saturating_add(self.v6.size())
    }

    /// Ranges, IPv4 first and lowest first.
    pub fn iter(&self) -> impl Iterator<Item = IpRange> + '_ {
        self.v4.iter().map(IpRange::V4).chain(self.v6.iter().map(IpRange::V6))
    }

    /// How many prefixes it takes at least to hold exactly this; linear.
    pub fn prefixes(&self) -> u64 {
        fn count<W: Word>(set: &RangeSet<W>) -> usize {
            set.iter()
                .map(|range: Range<W>| if range.is_single() { 1 } else { range.prefixes().count() })
                .sum()
        }
        (count(&self.v4) + count(&self.v6)) as u64
    }

    /// What is in either; linear.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// What is in both; linear.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersect(&other.v4), v6: self.v6.intersect(&other.v6) }
    }

    /// What is in this one and not in `other`; linear.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        Self { v4: self.v4.subtract(&other.v4), v6: self.v6.subtract(&other.v6) }
    }
}

impl FromIterator<IpRange> for IpSet {
    /// See [`IpSet::from_ranges`].
    fn from_iter<I: IntoIterator<Item = IpRange>>(ranges: I) -> Self {
        Self::from_ranges(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    #[test]
    fn both_families_go_through_every_operation() {
        let (a, b) = (set(&["20.0.0.0/30", "2a00::/126"]), set(&["20.0.0.2-20.0.0.9", "2a00::2", "2a00::3"]));
        assert_eq!(a.union(&b), set(&["20.0.0.0-20.0.0.9", "2a00::/126"]));
        assert_eq!(a.intersect(&b), set(&["20.0.0.2/31", "2a00::2/127"]));
        assert_eq!(a.subtract(&b), set(&["20.0.0.0/31", "2a00::/127"]));
        assert_eq!((a.size(), b.size()), (8, 10));
        assert_eq!((a.prefixes(), b.prefixes()), (2, 4), "20.0.0.2/31 .4/30 .8/31, and one of IPv6");
        assert!(a.contains("20.0.0.3".parse().unwrap()) && !a.contains("2a00::4".parse().unwrap()));
        assert_eq!(
            a.iter().map(|range| range.to_string()).collect::<Vec<_>>(),
            ["20.0.0.0/30", "2a00::/126"]
        );
        assert!(!a.is_empty() && a.subtract(&a).is_empty());
    }
}
