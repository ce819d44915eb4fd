//! Addresses and ranges to text, straight into a buffer: what feeds are rendered with.
//!
//! The same text as `Display`, several times as fast. It knows nothing of any feed's syntax.

use super::{IpRange, Range, Word};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Each octet's digits, and in the fourth byte how many there are.
static OCTETS: [[u8; 4]; 256] = octets();

const fn octets() -> [[u8; 4]; 256] {
    let mut table = [[0; 4]; 256];
    let mut n = 0;
    while n < 256 {
        let (hundreds, tens, ones) =
            (b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8);
        table[n] = match n {
            0..=9 => [ones, 0, 0, 1],
            10..=99 => [tens, ones, 0, 2],
            _ => [hundreds, tens, ones, 3],
        };
        n += 1;
    }
    table
}

/// Appends one address; IPv6 as RFC 5952 wants it.
#[inline]
pub fn write_address<W: Word>(out: &mut Vec<u8>, address: W) {
    match address.ip() {
        IpAddr::V4(a) => write_v4(out, a),
        IpAddr::V6(a) => write_v6(out, a),
    }
}

/// Appends `address/len`, or the address alone if `len` is the family's width.
#[inline]
pub fn write_prefix<W: Word>(out: &mut Vec<u8>, address: W, len: u8) {
    write_address(out, address);
    if len < W::BITS {
        let [a, b, c, count] = OCTETS[usize::from(len)];
        out.extend_from_slice(&[b'/', a, b, c]);
        out.truncate(out.len() - 3 + usize::from(count));
    }
}

/// Appends `first-last`, or the address alone if there is just one.
#[inline]
pub fn write_span<W: Word>(out: &mut Vec<u8>, range: Range<W>) {
    write_address(out, range.first());
    if !range.is_single() {
        out.push(b'-');
        write_address(out, range.last());
    }
}

/// Appends the shortest exact form: `a`, `a/len`, or `a-b`.
#[inline]
pub fn write_range<W: Word>(out: &mut Vec<u8>, range: Range<W>) {
    match range.prefix_len() {
        Some(len) => write_prefix(out, range.first(), len),
        None => write_span(out, range),
    }
}

/// Appends the shortest exact form of a range of either family, see [`write_range`].
pub fn write_ip_range(out: &mut Vec<u8>, range: IpRange) {
    match range {
        IpRange::V4(r) => write_range(out, r),
        IpRange::V6(r) => write_range(out, r),
    }
}

#[inline]
fn write_v4(out: &mut Vec<u8>, address: Ipv4Addr) {
    // Four bytes are stored for each octet whatever its length, and the next one overwrites what
    // was too much: no branch depends on the digits.
    let mut text = [0; 16];
    let mut used = 0;
    for octet in address.octets() {
        let digits = OCTETS[usize::from(octet)];
        text[used..used + 4].copy_from_slice(&digits);
        used += usize::from(digits[3]);
        text[used] = b'.';
        used += 1;
    }
    // All 16 bytes, which is two instructions; a copy of unknown length is a call.
    out.extend_from_slice(&text);
    out.truncate(out.len() - text.len() + used - 1);
}

fn write_v6(out: &mut Vec<u8>, address: Ipv6Addr) {
    if let Some(mapped) = address.to_ipv4_mapped() {
        out.extend_from_slice(b"::ffff:");
        return write_v4(out, mapped);
    }
    let groups = address.segments();
    let gap = longest_zeros(&groups);
    write_groups(out, &groups[..gap.start]);
    if !gap.is_empty() {
        out.extend_from_slice(b"::");
    }
    write_groups(out, &groups[gap.end..]);
}

/// The first of the longest runs of two or more zero groups; empty at the end if there is none.
fn longest_zeros(groups: &[u16; 8]) -> std::ops::Range<usize> {
    let mut longest = 8..8;
    let mut start = 0;
    for (at, group) in groups.iter().enumerate() {
        if *group != 0 {
            start = at + 1;
        } else if at + 1 - start > longest.len().max(1) {
            longest = start..at + 1;
        }
    }
    longest
}

fn write_groups(out: &mut Vec<u8>, groups: &[u16]) {
    let mut text = [0; 40];
    let mut used = 0;
    for group in groups {
        let digits = (16 - group.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            text[used] = b"0123456789abcdef"[usize::from(group >> (4 * digit) & 15)];
            used += 1;
        }
        text[used] = b':';
        used += 1;
    }
    out.extend_from_slice(&text[..used.saturating_sub(1)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b">".to_vec();
        write(&mut out);
        String::from_utf8(out.split_off(1)).unwrap()
    }

    #[test]
    fn a_span_and_a_prefix_of_one_address_are_that_address() {
        assert_eq!(text(|out| write_span(out, Range::single(0x0102_0304_u32))), "1.2.3.4");
        assert_eq!(text(|out| write_prefix(out, 0x0102_0304_u32, 32)), "1.2.3.4");
        assert_eq!(text(|out| write_prefix(out, 0_u128, 128)), "::");
        assert_eq!(text(|out| write_span(out, Range::prefix(0x0102_0304_u32, 31))), "1.2.3.4-1.2.3.5");
    }

    proptest! {
        #[test]
        fn addresses_are_written_as_the_standard_library_does(bits: u128, mask: u8) {
            prop_assert_eq!(text(|out| write_address(out, bits as u32)), Ipv4Addr::from_bits(bits as u32).to_string());
            // Groups chosen by the mask are zero, so that gaps of every length and place occur.
            let groups = Ipv6Addr::from_bits(bits).segments();
            let groups: [u16; 8] = std::array::from_fn(|at| if mask >> at & 1 == 0 { 0 } else { groups[at] >> (at * 2) });
            let address = Ipv6Addr::from(groups);
            prop_assert_eq!(text(|out| write_address(out, address.to_bits())), address.to_string());
            let mapped = Ipv4Addr::from_bits(bits as u32).to_ipv6_mapped();
            prop_assert_eq!(text(|out| write_address(out, mapped.to_bits())), mapped.to_string());
        }

        #[test]
        fn ranges_are_written_as_they_display(a: u128, b: u128, len in 0_u8..=128) {
            for range in [Range::new(a.min(b), a.max(b)).unwrap(), Range::prefix(a, len)] {
                prop_assert_eq!(text(|out| write_ip_range(out, range.into())), range.to_string());
            }
            let (a, b) = (a as u32, b as u32);
            for range in [Range::new(a.min(b), a.max(b)).unwrap(), Range::prefix(a, len / 4)] {
                prop_assert_eq!(text(|out| write_ip_range(out, range.into())), range.to_string());
            }
        }
    }
}
