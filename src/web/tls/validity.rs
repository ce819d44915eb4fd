//! When a certificate ends, read from its bytes (RFC 5280, 4.1).
//!
//! It walks past everything else and judges nothing: that is the library's part.

use chrono::{DateTime, NaiveDateTime, Utc};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// Which version of certificates it is; the first left it out.
const VERSION: u8 = 0xA0;

/// The end of a certificate's validity; none for bytes that are no certificate.
pub(super) fn end(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (mut body, _) = expect(SEQUENCE, certificate)?;
    if body.first() == Some(&VERSION) {
        body = expect(VERSION, body)?.1;
    }
    // Serial number, algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        body = expect(tag, body)?.1;
    }
    let (validity, _) = expect(SEQUENCE, body)?;
    let (_, _, after_begin) = element(validity)?;
    let (tag, text, _) = element(after_begin)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

fn time(tag: u8, text: &str) -> Option<DateTime<Utc>> {
    let full = match tag {
        // Two digits of the year: 50 to 99 are of the last century (RFC 5280, 4.1.2.5.1).
        UTC_TIME => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%SZ").ok().map(|time| time.and_utc())
}

/// The content of an element of that tag, and what follows it.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag, content and what follows (X.690, 8.1), with lengths of up to three bytes.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike as _, TimeZone as _};

    #[test]
    fn the_end_is_read_in_both_forms_of_time() {
        for year in [2026, 2049, 2050, 2999] {
            let mut wanted = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
            wanted.not_after = rcgen::date_time_ymd(year, 5, 17);
            let made = wanted.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let expected = Utc.with_ymd_and_hms(year, 5, 17, 0, 0, 0).unwrap();
            assert_eq!(end(made.der()), Some(expected), "{}", expected.year());
        }
    }

    #[test]
    fn bytes_that_are_cut_or_changed_never_panic() {
        let made = super::super::tests::Made::new("a.example");
        let whole = made.der;
        for at in 0..whole.len() {
            assert_eq!(end(&whole[..at]), None, "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 0xFF;
            let _ = end(&changed);
        }
    }
}
