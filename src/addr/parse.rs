//! Text to addresses and ranges: the one boundary where they become canonical.
//!
//! Every written form of one value is understood here; where the value stands in a file is the
//! readers' business. No name is ever resolved.

use super::{Fault, IpRange, Range, Word};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// No written range is longer: two IPv6 addresses of 45 bytes each, a dash and some blanks.
const LONGEST: usize = 128;

/// Reads one address, blanks around it allowed; an IPv4-mapped IPv6 address becomes IPv4.
pub fn parse_address(text: &[u8]) -> Result<IpAddr, Fault> {
    address(checked(text)?)
}

/// Reads one address, prefix or range, blanks around it allowed.
///
/// Forms: `a`, `a/len` (host bits are cleared), `a/m.m.m.m` and `a m.m.m.m` with a contiguous
/// netmask, `a-b` and `a - b`. IPv4-mapped IPv6 becomes IPv4. About 10 ns for an IPv4 address
/// or prefix.
///
/// # Errors
/// A [`Fault`]; among them one for anything that covers all addresses of a family.
#[inline]
pub fn parse_range(text: &[u8]) -> Result<IpRange, Fault> {
    match parse_v4_range(text) {
        Some(range) => Ok(IpRange::V4(range)),
        None => any_range(text),
    }
}

/// Reads `a` or `a/len` of IPv4 and nothing else: the form of nearly every line of every list.
///
/// `None` says only that [`parse_range`] has to look.
#[inline]
pub fn parse_v4_range(text: &[u8]) -> Option<Range<u32>> {
    leading_v4_range(text).filter(|(_, used)| *used == text.len()).map(|(range, _)| range)
}

/// The `a` or `a/len` of IPv4 that `text` begins with, and how many bytes it takes.
///
/// Whether what follows may follow is for the caller to say.
#[inline]
pub fn leading_v4_range(text: &[u8]) -> Option<(Range<u32>, usize)> {
    let (address, used) = leading_v4(text)?;
    match text.get(used..)? {
        [b'/', len @ ..] => {
            let (len, digits) = leading_v4_len(len)?;
            Some((Range::prefix(address, len), used + 1 + digits))
        }
        _ => Some((Range::single(address), used)),
    }
}

/// Reads a dotted IPv4 address that fills all of `text`.
#[inline]
pub fn parse_v4(text: &[u8]) -> Option<u32> {
    leading_v4(text).filter(|(_, used)| *used == text.len()).map(|(address, _)| address)
}

/// The dotted IPv4 address that `text` begins with, and how many bytes it takes.
///
/// The byte after it is any but a digit. Leading zeros are refused.
#[inline]
pub fn leading_v4(text: &[u8]) -> Option<(u32, usize)> {
    match text.first_chunk::<16>() {
        Some(chunk) => dotted(chunk),
        None => dotted(&pad(text)),
    }
}

/// Fewer than 16 bytes, and zeros behind them.
#[inline]
fn pad(text: &[u8]) -> [u8; 16] {
    let mut padded = [0; 16];
    padded[..text.len()].copy_from_slice(text);
    padded
}

/// The dotted address at the beginning of `text` and its length, all octets at once.
///
/// Without branches that depend on the digits: how many digits an octet has cannot be predicted,
/// and a wrong guess costs as much as parsing the octet.
#[inline]
fn dotted(text: &[u8; 16]) -> Option<(u32, usize)> {
    let mut ends = not_digits(text);
    let mut address = 0;
    let mut start = 0;
    let mut good = true;
    for octet in 0..4 {
        let end = ends.trailing_zeros() as usize;
        ends &= ends.wrapping_sub(1);
        let count = end.wrapping_sub(start);
        good &= count.wrapping_sub(1) < 3;
        // Beyond 12 no octet begins that ends within the text.
        let field = u32::from_le_bytes(*text.get(start..)?.first_chunk()?) ^ 0x3030_3030;
        // Most significant digit first, so that octets compare as numbers do.
        let padded = field.swap_bytes() >> (8 * (4_usize.wrapping_sub(count) & 3));
        good &= padded <= 0x02_05_05;
        good &= (count == 1) | (field & 0xff != 0);
        let value = (padded >> 16) * 100 + (padded >> 8 & 0xff) * 10 + (padded & 0xff);
        address = address << 8 | (value & 0xff);
        good &= (octet == 3) | (text[end & 15] == b'.');
        start = end + 1;
    }
    good.then_some((address, start - 1))
}

/// One bit for each byte of `text` that is no digit; the bits from 16 on are set, so that there
/// always is an end.
#[inline]
fn not_digits(text: &[u8; 16]) -> u32 {
    let digits = u128::from_le_bytes(*text) ^ u128::from_ne_bytes([b'0'; 16]);
    let gather = |half: u64| -> u32 {
        let above = (half & 0x7f7f_7f7f_7f7f_7f7f).wrapping_add(0x7676_7676_7676_7676) | half;
        let flags = (above & 0x8080_8080_8080_8080) >> 7;
        (flags.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    };
    gather(digits as u64) | gather((digits >> 64) as u64) << 8 | 0xffff_0000
}

/// A prefix length of IPv4 from 1 to 32, and its digits.
#[inline]
fn leading_v4_len(text: &[u8]) -> Option<(u8, usize)> {
    let digit = |at: usize| text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10);
    let first = digit(0).filter(|digit| *digit > 0)?;
    let (len, used) = digit(1).map_or((first, 1), |second| (first * 10 + second, 2));
    (len <= 32 && digit(used).is_none()).then_some((len, used))
}

/// `text` without the blanks around it, if it can be a value at all.
fn checked(text: &[u8]) -> Result<&[u8], Fault> {
    let text = text.trim_ascii();
    match text.len() {
        0 => Err(Fault::Empty),
        1..=LONGEST => Ok(text),
        _ if text[0] == b'<' => Err(Fault::Html),
        _ => Err(Fault::TooLong),
    }
}

fn address(text: &[u8]) -> Result<IpAddr, Fault> {
    if let Some(address) = parse_v4(text) {
        return Ok(Ipv4Addr::from_bits(address).into());
    }
    v6(text).map(|address| address.to_canonical()).ok_or_else(|| Fault::of_address(text))
}

fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[inline(never)]
fn any_range(text: &[u8]) -> Result<IpRange, Fault> {
    let text = checked(text)?;
    let separator = |b: &u8| matches!(b, b'/' | b'-') || b.is_ascii_whitespace();
    let Some(at) = text.iter().position(separator) else {
        return address(text).map(single);
    };
    let (before, rest) = (&text[..at], text[at..].trim_ascii());
    match rest[0] {
        b'/' if rest.starts_with(b"//") => Err(Fault::Url),
        b'/' => with_len_or_mask(before, rest[1..].trim_ascii_start()),
        b'-' => parse_between(before, &rest[1..]),
        _ => with_mask(v4(before)?, rest),
    }
}

fn single(address: IpAddr) -> IpRange {
    match address {
        IpAddr::V4(a) => Range::single(a.to_bits()).into(),
        IpAddr::V6(a) => Range::single(a.to_bits()).into(),
    }
}

fn v4(text: &[u8]) -> Result<u32, Fault> {
    match address(text)? {
        IpAddr::V4(a) => Ok(a.to_bits()),
        IpAddr::V6(_) => Err(Fault::Netmask),
    }
}

fn with_len_or_mask(before: &[u8], after: &[u8]) -> Result<IpRange, Fault> {
    let base = address(before)?;
    if after.contains(&b'.') {
        return with_mask(v4(before)?, after);
    }
    let len = prefix_len(after)?;
    match (base, v6(before).is_some()) {
        (_, _) if len == 0 => Err(Fault::ZeroPrefix),
        (IpAddr::V4(a), false) if len <= 32 => Ok(Range::prefix(a.to_bits(), len).into()),
        (IpAddr::V4(_), true) if len == 96 => Err(Fault::ZeroPrefix),
        (IpAddr::V4(a), true) if (97..=128).contains(&len) => Ok(Range::prefix(a.to_bits(), len - 96).into()),
        (IpAddr::V4(_), true) => Err(Fault::MappedPrefix),
        (IpAddr::V6(a), _) if len <= 128 => Ok(Range::prefix(a.to_bits(), len).into()),
        _ => Err(Fault::PrefixLength),
    }
}

fn prefix_len(text: &[u8]) -> Result<u8, Fault> {
    match text {
        [b'0', b'0'..=b'9', ..] => Err(Fault::LeadingZero),
        [] | [_, _, _, _, ..] => Err(Fault::PrefixLength),
        digits => digits.iter().try_fold(0_u8, |len, digit| {
            let digit = digit.wrapping_sub(b'0');
            let next = len.checked_mul(10).and_then(|len| len.checked_add(digit));
            next.filter(|_| digit < 10).ok_or(Fault::PrefixLength)
        }),
    }
}

fn with_mask(address: u32, mask: &[u8]) -> Result<IpRange, Fault> {
    let mask = parse_v4(mask).ok_or(Fault::Netmask)?;
    match mask.leading_ones() {
        0 if mask == 0 => Err(Fault::ZeroPrefix),
        len if mask.checked_shl(len).unwrap_or(0) == 0 => Ok(Range::prefix(address, len as u8).into()),
        _ => Err(Fault::NotContiguous),
    }
}

/// The range from one written address to another, both included, as from two columns.
pub fn parse_between(first: &[u8], last: &[u8]) -> Result<IpRange, Fault> {
    match (parse_address(first)?, parse_address(last)?) {
        (IpAddr::V4(a), IpAddr::V4(b)) => from_to(a.to_bits(), b.to_bits()).map(IpRange::V4),
        (IpAddr::V6(a), IpAddr::V6(b)) => from_to(a.to_bits(), b.to_bits()).map(IpRange::V6),
        _ => Err(Fault::MixedFamilies),
    }
}

fn from_to<W: Word>(first: W, last: W) -> Result<Range<W>, Fault> {
    let range = Range::new(first, last).ok_or(Fault::Reversed)?;
    if range == Range::ALL { Err(Fault::ZeroPrefix) } else { Ok(range) }
}

impl FromStr for IpRange {
    type Err = Fault;

    /// See [`parse_range`].
    fn from_str(text: &str) -> Result<Self, Fault> {
        parse_range(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> Result<String, Fault> {
        parse_range(text.as_bytes()).map(|range| range.to_string())
    }

    #[test]
    fn every_written_form_of_a_range_is_understood() {
        for (text, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            (" 1.2.3.4\t", "1.2.3.4"),
            ("255.255.255.255", "255.255.255.255"),
            ("0.0.0.0", "0.0.0.0"),
            ("1.2.3.4/32", "1.2.3.4"),
            ("1.2.3.4/24", "1.2.3.0/24"),
            ("1.2.3.4/1", "0.0.0.0/1"),
            ("1.2.3.4 / 24", "1.2.3.0/24"),
            ("1.2.3.4/255.255.0.0", "1.2.0.0/16"),
            ("1.2.3.4 255.255.255.0", "1.2.3.0/24"),
            ("1.2.3.4\t255.255.255.255", "1.2.3.4"),
            ("1.2.3.4-1.2.3.9", "1.2.3.4-1.2.3.9"),
            ("1.2.3.0 - 1.2.3.255", "1.2.3.0/24"),
            ("1.2.3.4- 1.2.3.4", "1.2.3.4"),
            ("2001:DB8::1", "2001:db8::1"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("2001:db8::1-2001:db8::9", "2001:db8::1-2001:db8::9"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("::ffff:102:304/120", "1.2.3.0/24"),
            ("::ffff:1.2.3.4-::ffff:1.2.3.9", "1.2.3.4-1.2.3.9"),
        ] {
            assert_eq!(range(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_a_code() {
        for (text, code) in [
            ("", "empty"),
            (" \t", "empty"),
            ("010.1.1.1", "leading_zero"),
            ("1.1.1.01", "leading_zero"),
            ("1.1.1.00", "leading_zero"),
            ("1.2.3.4/08", "leading_zero"),
            ("1.2.3.256", "octet_too_large"),
            ("1.2.3.3254", "octet_too_large"),
            ("176.221.42.3254.174.140.223", "glued"),
            ("1.2.3", "octet_count"),
            ("16909060", "octet_count"),
            ("1..2.3", "octet_count"),
            ("1.2.3.4-9", "octet_count"),
            ("0.0.0.0/0", "zero_prefix"),
            ("9.9.9.9/0", "zero_prefix"),
            ("::/0", "zero_prefix"),
            ("::ffff:0:0/96", "zero_prefix"),
            ("1.2.3.4/0.0.0.0", "zero_prefix"),
            ("0.0.0.0-255.255.255.255", "zero_prefix"),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "zero_prefix"),
            ("1.2.3.4/33", "prefix_length"),
            ("1.2.3.4/", "prefix_length"),
            ("1.2.3.4/+8", "prefix_length"),
            ("1.2.3.4/999", "prefix_length"),
            ("2001:db8::/129", "prefix_length"),
            ("::ffff:1.2.3.4/24", "mapped_prefix"),
            ("::ffff:1.2.3.4/64", "mapped_prefix"),
            ("1.2.3.4/255.0.255.0", "not_contiguous"),
            ("1.2.3.4 0.0.0.255", "not_contiguous"),
            ("1.2.3.4 something", "netmask"),
            ("2001:db8:: 255.255.0.0", "netmask"),
            ("1.2.3.9-1.2.3.4", "reversed"),
            ("1.2.3.4-2001:db8::1", "mixed_families"),
            ("www.example.com", "hostname"),
            ("my-host.example.com", "hostname"),
            ("localhost", "hostname"),
            ("http://1.2.3.4/x", "url"),
            ("[2001:db8::1]", "brackets"),
            ("fe80::1%eth0", "zone"),
            ("1.2.3.4:80", "port"),
            ("2001:db8::12345", "ipv6"),
            ("<!DOCTYPE html>", "html"),
            ("\u{0}\u{1}\u{2}", "not_text"),
            ("하나", "not_address"),
        ] {
            assert_eq!(range(text).map_err(Fault::code), Err(code), "{text}");
        }
        assert_eq!(range(&"1".repeat(200)), Err(Fault::TooLong));
    }

    #[test]
    fn a_leading_address_says_how_much_it_took() {
        assert_eq!(leading_v4(b"1.2.3.4 # seen"), Some((0x0102_0304, 7)));
        assert_eq!(leading_v4(b"100.200.100.200\n1.1.1.1\n"), Some((0x64c8_64c8, 15)));
        assert_eq!(leading_v4(b"1.2.3.4.5"), Some((0x0102_0304, 7)));
        assert_eq!(leading_v4(b"1.2.3."), None);
    }

    proptest! {
        #[test]
        fn every_ipv4_address_reads_back(bits: u32, rest in "[ \\-/#,\n]?.{0,20}") {
            let text = Ipv4Addr::from_bits(bits).to_string();
            prop_assert_eq!(parse_v4(text.as_bytes()), Some(bits));
            if !rest.starts_with(|c: char| c.is_ascii_digit()) {
                let longer = format!("{text}{rest}");
                prop_assert_eq!(leading_v4(longer.as_bytes()), Some((bits, text.len())));
            }
        }

        #[test]
        fn the_fast_parser_agrees_with_the_standard_one(text in "[0-9.]{0,17}|[0-9a/.]{7,15}|([0-9]{1,3}\\.){3}[0-9]{1,3}") {
            let standard = text.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
            prop_assert_eq!(parse_v4(text.as_bytes()), standard);
        }

        #[test]
        fn ranges_of_both_families_read_back(a: u128, b: u128, len in 1_u8..=128) {
            let wide = IpRange::from(Range::new(a.min(b), a.max(b)).unwrap());
            let prefix = IpRange::from(Range::prefix(a | 1 << 127, len));
            let short = IpRange::from(Range::prefix(b as u32, len.div_ceil(4)));
            for range in [wide, prefix, short] {
                prop_assert_eq!(range.to_string().parse(), Ok(range));
            }
        }

        #[test]
        fn no_bytes_make_the_parser_stumble(text: Vec<u8>) {
            if let Err(fault) = parse_range(&text) {
                prop_assert!(!fault.code().is_empty());
            }
        }
    }
}
