//! Zones: a response policy for resolvers, and the data of rbldnsd.

use super::page::Page;
use super::sheet::Sheet;
use crate::addr::{IpRange, Range};
use crate::model::{Families, Format};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A serial number has 32 bits and may go round (RFC 1982). The time of a release is later than that of every one
/// before it, also where two are made of one generation.
fn serial(sheet: &Sheet<'_>) -> u32 {
    sheet.time.unix() as u32
}

/// A response policy zone: an answer that holds a listed address becomes "no such name". Names are relative, so
/// the zone is called what the resolver calls it.
pub(super) fn rpz(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let serial = serial(sheet);
    page.put(format!(
        "$TTL 60\n@ SOA localhost. hostmaster.localhost. {serial} 300 60 604800 60\n@ NS localhost.\n"
    ))?;
    sheet.pieces(Format::Rpz.families()).try_for_each(|(range, _)| {
        page.entry(|out| {
            match range {
                IpRange::V4(range) => trigger_v4(out, range),
                IpRange::V6(range) => trigger_v6(out, range),
            }
            out.extend_from_slice(b".rpz-ip CNAME .\n");
        })
    })
}

/// `32.4.3.2.1` for 1.2.3.4: the prefix length, and the octets from the last to the first.
fn trigger_v4(out: &mut Vec<u8>, range: Range<u32>) {
    let [a, b, c, d] = Ipv4Addr::from_bits(range.first()).octets();
    // Writing to a Vec does not fail.
    let _ = write!(out, "{}.{d}.{c}.{b}.{a}", range.level());
}

/// `48.zz.1.db8.2001` for 2001:db8:1::/48: the prefix length, and the text of RFC 5952 from its last group to the first
/// with `zz` where it has `::`. That is the name that BIND calls canonical; it warns of every other.
fn trigger_v6(out: &mut Vec<u8>, range: Range<u128>) {
    let _ = write!(out, "{}", range.level());
    // Not by the address's own text: that of some addresses ends in an IPv4 one.
    let groups = Ipv6Addr::from_bits(range.first()).segments();
    let gap = longest_zeros(&groups);
    for at in (0..groups.len()).rev() {
        if !gap.contains(&at) {
            let _ = write!(out, ".{:x}", groups[at]);
        } else if at == gap.start {
            out.extend_from_slice(b".zz");
        }
    }
}

/// The first of the longest runs of two or more zero groups; empty if there is none.
fn longest_zeros(groups: &[u16; 8]) -> std::ops::Range<usize> {
    let run = |start: usize| start..start + groups[start..].iter().take_while(|group| **group == 0).count();
    // Of equals `max_by_key` takes the last: hence from the end.
    let longest = (0..groups.len()).rev().map(run).max_by_key(ExactSizeIterator::len);
    longest.filter(|run| run.len() > 1).unwrap_or(0..0)
}

/// A combined data set: `rbldnsd ZONE:combined:FILE`. Beside what is listed it has the entries by which a reader
/// tests that a list works (RFC 5782, section 5): 127.0.0.2 and ::ffff:127.0.0.2 are listed, those that end in 1 are not.
pub(super) fn rbldnsd(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let serial = serial(sheet);
    page.put(format!(
        "$SOA 60 localhost. hostmaster.localhost. {serial} 300 60 604800 60\n$NS 60 localhost.\n$TTL 60\n"
    ))?;
    let sets =
        [(Families::V4, "ip4set:v4", "127.0.0.2"), (Families::V6, "ip6trie:v6", "0:0:0:0:0:ffff:7f00:2")];
    for (family, set, test) in sets {
        page.put(format!("$DATASET {set} @\n:127.0.0.2:$ is listed by {}\n{test}\n", sheet.feed))?;
        sheet.write_entries(family, "", "\n", page)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trigger(range: Range<u128>) -> String {
        let mut out = Vec::new();
        trigger_v6(&mut out, range);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn a_trigger_has_its_gap_where_the_address_has_it(bits: u128, mask: u8) {
            // Groups chosen by the mask are zero, so that gaps of every length and place occur.
            let groups = Ipv6Addr::from_bits(bits).segments();
            let address = Ipv6Addr::from(std::array::from_fn::<u16, 8, _>(|at| if mask >> at & 1 == 0 { 0 } else { groups[at] | 1 }));
            prop_assume!(address.to_ipv4_mapped().is_none());
            let text = address.to_string().replace("::", ":zz:");
            let mut labels: Vec<&str> = text.split(':').filter(|label| !label.is_empty()).collect();
            labels.push("128");
            labels.reverse();
            prop_assert_eq!(trigger(Range::single(address.to_bits())), labels.join("."));
        }
    }

    #[test]
    fn a_trigger_begins_with_the_length_of_its_prefix() {
        assert_eq!(trigger(Range::prefix(0x2001_0db8_u128 << 96, 48)), "48.zz.db8.2001");
        assert_eq!(trigger(Range::prefix(1_u128 << 125, 3)), "3.zz.2000");
    }
}
