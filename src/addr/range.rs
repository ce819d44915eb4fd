//! Inclusive ranges of addresses, the form in which everything downstream sees a prefix too.

use super::Word;
use ipnet::{Ipv4Net, Ipv6Net};
use std::fmt;
use std::net::IpAddr;

/// An inclusive range of addresses of one family; never empty.
///
/// Ordered by its first address, then by its last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Range<W> {
    first: W,
    last: W,
}

impl<W: Word> Range<W> {
    /// The whole address space, `/0`.
    pub const ALL: Self = Self { first: W::MIN, last: W::MAX };

    /// The range from `first` to `last`, both included; `None` if `first` is above `last`.
    #[inline]
    pub fn new(first: W, last: W) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The range of one address.
    #[inline]
    pub fn single(address: W) -> Self {
        Self { first: address, last: address }
    }

    /// The range of the prefix of `len` bits around `address`; host bits are cleared.
    #[inline]
    pub fn prefix(address: W, len: u8) -> Self {
        let first = address.first_of(len);
        Self { first, last: first.last_of(len) }
    }

    /// The lowest address.
    #[inline]
    pub fn first(self) -> W {
        self.first
    }

    /// The highest address.
    #[inline]
    pub fn last(self) -> W {
        self.last
    }

    /// Whether it holds just one address.
    #[inline]
    pub fn is_single(self) -> bool {
        self.first == self.last
    }

    /// How many addresses it holds; `u128::MAX` for all of IPv6, whose true count does not fit.
    #[inline]
    pub fn size(self) -> u128 {
        self.first.span_to(self.last)
    }

    /// Whether `address` lies inside.
    #[inline]
    pub fn contains(self, address: W) -> bool {
        self.first <= address && address <= self.last
    }

    /// Whether all of `other` lies inside.
    #[inline]
    pub fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// What both share, if anything.
    #[inline]
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// The length of the narrowest prefix that holds the whole range: 0 to [`Word::BITS`].
    ///
    /// Two ranges with the same level and the same first bits up to it share that prefix, which
    /// is what lets a store find the ranges around an address with one seek a level.
    #[inline]
    pub fn level(self) -> u8 {
        self.first.common_bits(self.last)
    }

    /// The prefix length, if the range is exactly a prefix.
    #[inline]
    pub fn prefix_len(self) -> Option<u8> {
        let len = self.level();
        (Self::prefix(self.first, len) == self).then_some(len)
    }
}

impl<W: Word> From<Range<W>> for IpRange {
    fn from(range: Range<W>) -> Self {
        if W::BITS == u32::BITS as u8 {
            // The widths are two, so the casts keep every bit.
            Self::V4(Range { first: u32::narrow(range.first.widen()), last: u32::narrow(range.last.widen()) })
        } else {
            Self::V6(Range { first: range.first.widen(), last: range.last.widen() })
        }
    }
}

impl<W: Word> fmt::Display for Range<W> {
    /// The shortest exact form: `a`, `a/len`, or `a-b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len() {
            Some(len) if len == W::BITS => write!(f, "{}", self.first.ip()),
            Some(len) => write!(f, "{}/{len}", self.first.ip()),
            None => write!(f, "{}-{}", self.first.ip(), self.last.ip()),
        }
    }
}

/// A range of either family: what one line of a list says. IPv4 sorts before IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IpRange {
    /// IPv4.
    V4(Range<u32>),
    /// IPv6, never an IPv4-mapped one.
    V6(Range<u128>),
}

impl IpRange {
    /// The IPv4 ranges and the IPv6 ranges among `ranges`, each in their order.
    pub fn by_family(ranges: impl IntoIterator<Item = Self>) -> (Vec<Range<u32>>, Vec<Range<u128>>) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                Self::V4(range) => v4.push(range),
                Self::V6(range) => v6.push(range),
            }
        }
        (v4, v6)
    }

    /// Whether `address`, canonical, lies inside; never across families.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4(r), IpAddr::V4(a)) => r.contains(a.to_bits()),
            (Self::V6(r), IpAddr::V6(a)) => r.contains(a.to_bits()),
            _ => false,
        }
    }

    /// Whether all of `other` lies inside; never across families.
    pub fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::V4(a), Self::V4(b)) => a.covers(b),
            (Self::V6(a), Self::V6(b)) => a.covers(b),
            _ => false,
        }
    }

    /// The lowest address.
    pub fn first(self) -> IpAddr {
        match self {
            Self::V4(r) => r.first().ip(),
            Self::V6(r) => r.first().ip(),
        }
    }

    /// How many addresses it holds, at most `u128::MAX`.
    pub fn size(self) -> u128 {
        match self {
            Self::V4(r) => r.size(),
            Self::V6(r) => r.size(),
        }
    }

    /// Length of the narrowest prefix that holds it, see [`Range::level`].
    pub fn level(self) -> u8 {
        match self {
            Self::V4(r) => r.level(),
            Self::V6(r) => r.level(),
        }
    }
}

impl From<Ipv4Net> for Range<u32> {
    /// The range of a prefix, host bits cleared.
    fn from(net: Ipv4Net) -> Self {
        Self::prefix(net.addr().to_bits(), net.prefix_len())
    }
}

impl From<Ipv6Net> for Range<u128> {
    /// The same.
    fn from(net: Ipv6Net) -> Self {
        Self::prefix(net.addr().to_bits(), net.prefix_len())
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(r) => r.fmt(f),
            Self::V6(r) => r.fmt(f),
        }
    }
}

impl serde::Serialize for IpRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for IpRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for IpRange {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IpRange".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An address, a prefix, or a range from its first to its last address.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_its_narrowest_prefix_and_says_whether_it_is_one() {
        let block = Range::prefix(0x0a01_02ff_u32, 24);
        assert_eq!((block.level(), block.prefix_len(), block.size()), (24, Some(24), 256));
        let straddling = Range::new(0x0a01_00ff_u32, 0x0a01_0100).unwrap();
        assert_eq!((straddling.level(), straddling.prefix_len()), (23, None));
        assert_eq!(Range::<u128>::ALL.prefix_len(), Some(0));
        assert_eq!(Range::new(2_u32, 1), None);
    }

    #[test]
    fn a_range_prints_in_its_shortest_exact_form() {
        assert_eq!(Range::single(0x0102_0304_u32).to_string(), "1.2.3.4");
        assert_eq!(Range::prefix(0x0102_0304_u32, 8).to_string(), "1.0.0.0/8");
        assert_eq!(Range::new(1_u32, 6).unwrap().to_string(), "0.0.0.1-0.0.0.6");
        assert_eq!(Range::prefix(1_u128 << 127, 1).to_string(), "8000::/1");
    }
}
