//! Which addresses a program may be sent to by a stranger's words: those of the public internet.
//!
//! Pure. The blocks are the guard list's and a few more, because the guard list leaves out what is
//! globally reachable, and some of that ends at the machine next door.

use crate::addr::RangeSet;
use crate::engine::Guard;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

const MORE_V4: [&str; 5] = [
    "192.0.0.0/24",     // wholly: 192.0.0.9 is the network's own gateway, RFC 7723
    "192.31.196.0/24",  // AS112, a sink near by, RFC 7535
    "192.52.193.0/24",  // multicast tunnels, RFC 7450
    "192.175.48.0/24",  // AS112, RFC 7534
    "168.63.129.16/32", // a cloud's control address, behind every machine in it
];
const MORE_V6: [&str; 2] = [
    "2001::/23",         // wholly: Teredo, anycast of the own network, identifiers, RFC 2928
    "2620:4f:8000::/48", // AS112, RFC 7534
];

static CLOSED: LazyLock<Guard> = LazyLock::new(|| {
    let guard = Guard::built_in();
    let v4 = MORE_V4.iter().filter_map(|text| text.parse::<ipnet::Ipv4Net>().ok().map(Into::into));
    let v6 = MORE_V6.iter().filter_map(|text| text.parse::<ipnet::Ipv6Net>().ok().map(Into::into));
    Guard {
        v4: guard.v4.union(&RangeSet::from_ranges(v4.collect())),
        v6: guard.v6.union(&RangeSet::from_ranges(v6.collect())),
    }
});

/// Whether `address` is one of the public internet.
///
/// An IPv4-mapped address and one translated by NAT64 are judged by the IPv4 address inside. The
/// other forms with an address inside (6to4, Teredo, local NAT64, IPv4-compatible) are closed whatever
/// it is: nothing public is reached only through them, and what stands where in them is not certain.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !CLOSED.v4.contains(v4.to_bits()),
        IpAddr::V6(v6) => match translated(v6) {
            Some(v4) => is_public(v4.into()),
            None => !CLOSED.v6.contains(v6.to_bits()),
        },
    }
}

/// The IPv4 address in the well-known prefix of NAT64, `64:ff9b::/96` (RFC 6052).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const PREFIX: u128 = 0x0064_ff9b << 96;
    let bits = address.to_bits();
    // The low 32 bits are the address, so the cast keeps what is meant.
    (bits >> 32 == PREFIX >> 32).then_some(Ipv4Addr::from_bits(bits as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn every_block_of_the_lists_parses() {
        assert!(MORE_V4.iter().all(|text| text.parse::<ipnet::Ipv4Net>().is_ok()));
        assert!(MORE_V6.iter().all(|text| text.parse::<ipnet::Ipv6Net>().is_ok()));
    }

    #[test]
    fn the_first_and_the_last_of_every_special_block_are_closed_and_their_neighbours_open() {
        for (block, before, after) in [
            ("0.0.0.0/8", None, Some("1.0.0.0")),
            ("10.0.0.0/8", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0/10", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0/8", Some("126.255.255.255"), Some("128.0.0.0")),
            ("168.63.129.16/32", Some("168.63.129.15"), Some("168.63.129.17")),
            ("169.254.0.0/16", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0/12", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0/24", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0/24", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.31.196.0/24", Some("192.31.195.255"), Some("192.31.197.0")),
            ("192.52.193.0/24", Some("192.52.192.255"), Some("192.52.194.0")),
            ("192.88.99.0/24", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0/16", Some("192.167.255.255"), Some("192.169.0.0")),
            ("192.175.48.0/24", Some("192.175.47.255"), Some("192.175.49.0")),
            ("198.18.0.0/15", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0/24", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0/24", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0/4", Some("223.255.255.255"), None),
            ("240.0.0.0/4", None, None),
        ] {
            let net: ipnet::Ipv4Net = block.parse().unwrap();
            for inside in [net.network(), net.broadcast()] {
                assert!(!is_public(inside.into()), "{inside} of {block}");
                assert!(!is_public(inside.to_ipv6_mapped().into()), "mapped {inside} of {block}");
                let nat64 = Ipv6Addr::from_bits(0x64_ff9b << 96 | u128::from(inside.to_bits()));
                assert!(!is_public(nat64.into()), "translated {inside} of {block}");
            }
            for outside in [before, after].into_iter().flatten() {
                assert!(public(outside), "{outside} beside {block}");
                assert!(public(&format!("::ffff:{outside}")) && public(&format!("64:ff9b::{outside}")));
            }
        }
    }

    #[test]
    fn every_special_block_of_ipv6_is_closed() {
        for block in [
            "::/128",
            "::1/128",
            "::/96", // IPv4-compatible
            "64:ff9b:1::/48",
            "100::/64",
            "100:0:0:1::/64",
            "2001::/32",
            "2001:1::/32",
            "2001:2::/48",
            "2001:3::/32",
            "2001:4:112::/48",
            "2001:10::/28",
            "2001:20::/28",
            "2001:30::/28",
            "2001:db8::/32",
            "2002::/16",
            "2620:4f:8000::/48",
            "3fff::/20",
            "5f00::/16",
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
        ] {
            let net: ipnet::Ipv6Net = block.parse().unwrap();
            for inside in [net.network(), net.broadcast()] {
                assert!(!is_public(inside.into()), "{inside} of {block}");
            }
        }
    }

    #[test]
    fn what_carries_another_address_hides_nothing() {
        for closed in [
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:808:808::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "::8.8.8.8",
            "fd00:ec2::254",
        ] {
            assert!(!public(closed), "{closed}");
        }
        for open in
            ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2001:4860:4860::8888", "2606:4700::1111", "2a00::1"]
        {
            assert!(public(open), "{open}");
        }
    }
}
