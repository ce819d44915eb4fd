//! The guard list: blocks that no public list has any business with, and that nobody can lift.
//!
//! From the IANA special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates): what is
//! not globally reachable; further multicast and reserved space. Blocks that lie inside and are
//! globally reachable (anycast of RFC 7723, RFC 8155 and others) are left out.

use crate::addr::{IpRange, Range, RangeSet};

const V4: [&str; 15] = [
    "0.0.0.0/8",       // this network, RFC 791
    "10.0.0.0/8",      // private, RFC 1918
    "100.64.0.0/10",   // shared by carriers, RFC 6598
    "127.0.0.0/8",     // loopback, RFC 1122
    "169.254.0.0/16",  // link-local, RFC 3927
    "172.16.0.0/12",   // private, RFC 1918
    "192.0.0.0/24",    // IETF protocols, RFC 6890
    "192.0.2.0/24",    // documentation, RFC 5737
    "192.88.99.0/24",  // 6to4 relays, ended by RFC 7526
    "192.168.0.0/16",  // private, RFC 1918
    "198.18.0.0/15",   // benchmarks, RFC 2544
    "198.51.100.0/24", // documentation, RFC 5737
    "203.0.113.0/24",  // documentation, RFC 5737
    "224.0.0.0/4",     // multicast, RFC 5771
    "240.0.0.0/4",     // reserved, and limited broadcast, RFC 1112 and 8190
];
const V4_REACHABLE: [&str; 2] = [
    "192.0.0.9",  // port control anycast, RFC 7723
    "192.0.0.10", // TURN anycast, RFC 8155
];

const V6: [&str; 8] = [
    "::/3",          // not unicast: loopback, mapped addresses, discard, and unassigned
    "2001::/23",     // IETF protocols, RFC 2928
    "2001:db8::/32", // documentation, RFC 3849
    "2002::/16",     // 6to4, RFC 3056: the IPv4 address inside is what counts
    "3fff::/20",     // documentation, RFC 9637
    "4000::/2",      // unassigned; segment routing, RFC 9602
    "8000::/2",      // unassigned
    "c000::/2",      // unique local, link-local, multicast, and unassigned
];
const V6_REACHABLE: [&str; 8] = [
    "64:ff9b::/96",    // translated IPv4, RFC 6052
    "2001:1::1",       // port control anycast, RFC 7723
    "2001:1::2",       // TURN anycast, RFC 8155
    "2001:1::3",       // DNS-SD anycast, RFC 9665
    "2001:3::/32",     // AMT, RFC 7450
    "2001:4:112::/48", // AS112, RFC 7535
    "2001:20::/28",    // ORCHIDv2, RFC 7343
    "2001:30::/28",    // drone remote identification, RFC 9374
];

/// The guarded addresses of both families.
#[derive(Clone, Debug)]
pub struct Guard {
    /// IPv4.
    pub v4: RangeSet<u32>,
    /// IPv6.
    pub v6: RangeSet<u128>,
}

impl Guard {
    /// The list that is built in.
    pub fn built_in() -> Self {
        let v4 = |texts: &[&str]| RangeSet::from_ranges(parse(texts).filter_map(as_v4).collect());
        let v6 = |texts: &[&str]| RangeSet::from_ranges(parse(texts).filter_map(as_v6).collect());
        Self { v4: v4(&V4).subtract(&v4(&V4_REACHABLE)), v6: v6(&V6).subtract(&v6(&V6_REACHABLE)) }
    }
}

fn parse<'a>(texts: &'a [&'a str]) -> impl Iterator<Item = IpRange> + 'a {
    // A text that does not parse would be missing from the list: a test counts them.
    texts.iter().filter_map(|text| text.parse().ok())
}

fn as_v4(range: IpRange) -> Option<Range<u32>> {
    if let IpRange::V4(range) = range { Some(range) } else { None }
}

fn as_v6(range: IpRange) -> Option<Range<u128>> {
    if let IpRange::V6(range) = range { Some(range) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_the_lists_parses_in_its_family() {
        assert!([&V4[..], &V4_REACHABLE].concat().iter().all(|t| as_v4(t.parse().unwrap()).is_some()));
        assert!([&V6[..], &V6_REACHABLE].concat().iter().all(|t| as_v6(t.parse().unwrap()).is_some()));
    }

    #[test]
    fn what_is_reachable_is_not_guarded_and_what_is_not_is() {
        let guard = Guard::built_in();
        let v4 = |text: &str| guard.v4.contains(text.parse::<std::net::Ipv4Addr>().unwrap().to_bits());
        let v6 = |text: &str| guard.v6.contains(text.parse::<std::net::Ipv6Addr>().unwrap().to_bits());
        assert!(["0.0.0.0", "10.9.8.7", "192.0.0.8", "239.1.1.1", "255.255.255.255"].into_iter().all(v4));
        assert!(!["1.1.1.1", "11.0.0.0", "192.0.0.9", "192.0.0.10", "223.255.255.255"].into_iter().any(v4));
        assert!(
            ["::1", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "5f00::1"]
                .into_iter()
                .all(v6)
        );
        assert!(
            !["2001:4860:4860::8888", "2a00::1", "64:ff9b::808:808", "2001:20::1", "2001:1::1"]
                .into_iter()
                .any(v6)
        );
    }
}
