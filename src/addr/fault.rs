//! Why a piece of text is not an address, a prefix or a range.
//!
//! Each fault has a code that never changes (programs match on it) and a sentence for people. It
//! knows nothing of files and lines: whoever reads a list adds those.

use thiserror::Error;

/// What is wrong with a text that should be an address, a prefix or a range.
///
/// The caller can do one thing with all of them: leave the value out and say why.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Fault {
    /// Nothing but blanks.
    #[error("there is nothing here")]
    Empty,
    /// Longer than any address, prefix or range can be.
    #[error("longer than any address or range can be")]
    TooLong,
    /// Control bytes: binary data, or a damaged file.
    #[error("contains bytes that are not text")]
    NotText,
    /// Begins like a web page.
    #[error("looks like a piece of a web page")]
    Html,
    /// A name; names are never looked up.
    #[error("is a host name; names are never looked up, give its address")]
    Hostname,
    /// A URL.
    #[error("is a URL; give the address alone")]
    Url,
    /// An octet such as `010`, which some programs read as octal.
    #[error("a number begins with a zero, which some programs read as octal")]
    LeadingZero,
    /// An octet above 255.
    #[error("a part of the address is above 255")]
    OctetTooLarge,
    /// Not four octets.
    #[error("an IPv4 address has four numbers")]
    OctetCount,
    /// Several addresses without anything between them.
    #[error("looks like several addresses glued together")]
    Glued,
    /// Not a valid IPv6 address.
    #[error("is not a valid IPv6 address")]
    Ipv6,
    /// Square brackets around the address.
    #[error("give the address without brackets")]
    Brackets,
    /// A zone such as `%eth0`, which means something on one machine only.
    #[error("an address with a zone (%) means something on one machine only")]
    Zone,
    /// An address followed by a port.
    #[error("give the address without the port")]
    Port,
    /// The prefix length is not a number within the family's width.
    #[error("the prefix length is not a number from 1 to 32, or to 128 for IPv6")]
    PrefixLength,
    /// An IPv4-mapped address with a prefix length that leaves the mapped block.
    #[error("an IPv4-mapped address takes a prefix length from 97 to 128")]
    MappedPrefix,
    /// What follows the address is not a netmask.
    #[error("what follows the address is not a netmask")]
    Netmask,
    /// A netmask with holes, or a wildcard mask.
    #[error("the netmask is not contiguous")]
    NotContiguous,
    /// All addresses of a family: `/0` or the same as a range.
    #[error("covers all addresses of the family, which is never accepted")]
    ZeroPrefix,
    /// A range whose first address is above its last.
    #[error("the range ends before it begins")]
    Reversed,
    /// A range from one family to the other.
    #[error("the range begins in one address family and ends in the other")]
    MixedFamilies,
    /// Anything else.
    #[error("is not an address, a prefix or a range")]
    NotAddress,
}

impl Fault {
    /// The stable code, in lower case with underscores.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::NotText => "not_text",
            Self::Html => "html",
            Self::Hostname => "hostname",
            Self::Url => "url",
            Self::LeadingZero => "leading_zero",
            Self::OctetTooLarge => "octet_too_large",
            Self::OctetCount => "octet_count",
            Self::Glued => "glued",
            Self::Ipv6 => "ipv6",
            Self::Brackets => "brackets",
            Self::Zone => "zone",
            Self::Port => "port",
            Self::PrefixLength => "prefix_length",
            Self::MappedPrefix => "mapped_prefix",
            Self::Netmask => "netmask",
            Self::NotContiguous => "not_contiguous",
            Self::ZeroPrefix => "zero_prefix",
            Self::Reversed => "reversed",
            Self::MixedFamilies => "mixed_families",
            Self::NotAddress => "not_address",
        }
    }

    /// What is most probably wrong with `text`, which is no address. Cold: only bad lines come here.
    #[cold]
    pub(super) fn of_address(text: &[u8]) -> Self {
        let has = |wanted: u8| text.contains(&wanted);
        match text.first() {
            None => return Self::Empty,
            Some(b'<') => return Self::Html,
            Some(_) => {}
        }
        if text.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace()) {
            Self::NotText
        } else if text.windows(3).any(|w| w == b"://") {
            Self::Url
        } else if has(b'[') || has(b']') {
            Self::Brackets
        } else if has(b'%') {
            Self::Zone
        } else if has(b':') {
            Self::of_colons(text)
        } else if text.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
            Self::of_octets(text)
        } else if text.iter().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(b)) {
            Self::Hostname
        } else {
            Self::NotAddress
        }
    }

    fn of_colons(text: &[u8]) -> Self {
        let mut parts = text.split(|b| *b == b':');
        let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let port = parts.next().is_none() && before.contains(&b'.') && !after.is_empty();
        if port && after.iter().all(u8::is_ascii_digit) { Self::Port } else { Self::Ipv6 }
    }

    fn of_octets(text: &[u8]) -> Self {
        let octets = || text.split(|b| *b == b'.');
        match octets().count() {
            0..4 => Self::OctetCount,
            4 if octets().any(<[u8]>::is_empty) => Self::OctetCount,
            4 if octets().any(|o| o.len() > 1 && o[0] == b'0') => Self::LeadingZero,
            4 => Self::OctetTooLarge,
            _ => Self::Glued,
        }
    }
}
