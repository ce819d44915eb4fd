//! A part of what lies ready, for readers whose download broke off (RFC 9110, 14): one range of bytes, and only of the
//! very bytes that the reader has the beginning of.

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};
use std::ops::Range;

/// What a request's range comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// No range, or none that must be heeded: the whole.
    Whole,
    /// These bytes.
    Part(Range<usize>),
    /// Bytes that there are not.
    Beyond,
}

/// What of `length` bytes with the tag `etag` a request asks for. A list of ranges, and any unit but bytes, is answered
/// with the whole, which RFC 9110 allows.
pub(super) fn asked(headers: &HeaderMap, etag: &str, length: usize) -> Asked {
    let Some(range) = headers.get(RANGE).and_then(|range| range.to_str().ok()) else { return Asked::Whole };
    if headers.get(IF_RANGE).is_some_and(|tag| tag.as_bytes() != etag.as_bytes()) {
        // The bytes that it has the beginning of are no more; a date is not strong enough to tell.
        return Asked::Whole;
    }
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return Asked::Whole;
    };
    let number = |text: &str| text.trim().parse::<usize>();
    match (number(first), number(last), first.trim().is_empty(), last.trim().is_empty()) {
        (Ok(first), Ok(last), ..) if first <= last && first < length => {
            Asked::Part(first..length.min(last.saturating_add(1)))
        }
        (Ok(first), _, _, true) if first < length => Asked::Part(first..length),
        (_, Ok(tail), true, _) if tail > 0 && length > 0 => Asked::Part(length - tail.min(length)..length),
        (Ok(first), Ok(last), ..) if first <= last => Asked::Beyond,
        (Ok(_), _, _, true) | (_, Ok(_), true, _) => Asked::Beyond,
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn of(pairs: &[(HeaderName, &'static str)]) -> Asked {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        asked(&pairs.collect(), "\"a\"", 10)
    }

    #[test]
    fn one_range_of_bytes_is_given() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-4", 2..5),
            ("bytes=7-", 7..10),
            ("bytes=7-99", 7..10),
            ("bytes=7-18446744073709551615", 7..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
        ] {
            assert_eq!(of(&[(RANGE, range)]), Asked::Part(part), "{range}");
        }
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(of(&[(RANGE, range)]), Asked::Beyond, "{range}");
        }
        for range in
            ["bytes=4-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=-", "bytes=18446744073709551616-"]
        {
            assert_eq!(of(&[(RANGE, range)]), Asked::Whole, "{range}");
        }
    }

    /// What RFC 9110, 14.1.2 says, number by number.
    fn slow(first: Option<u128>, last: Option<u128>, length: u128) -> Asked {
        let wanted = |at: &u128| match (first, last) {
            (Some(first), Some(last)) => (first..=last).contains(at),
            (Some(first), None) => *at >= first,
            (None, tail) => length - at <= tail.unwrap_or(0),
        };
        let bytes: Vec<u128> = (0..length).filter(wanted).collect();
        match (bytes.first(), bytes.last()) {
            (Some(first), Some(last)) => Asked::Part(*first as usize..*last as usize + 1),
            _ => Asked::Beyond,
        }
    }

    /// Numbers near the length, and near the largest that a word holds.
    fn number() -> impl Strategy<Value = Option<u64>> {
        prop_oneof![Just(None), (0..20_u64).prop_map(Some), (u64::MAX - 3..=u64::MAX).prop_map(Some)]
    }

    proptest! {
        #[test]
        fn any_range_is_what_the_rule_says(first in number(), last in number(), length in 0..20_usize) {
            let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
            let range = format!("bytes={}-{}", text(first), text(last));
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(&range).unwrap())]);
            let is_none = first.is_none() && last.is_none() || matches!((first, last), (Some(a), Some(b)) if a > b);
            let (first, last) = (first.map(u128::from), last.map(u128::from));
            let expected = if is_none { Asked::Whole } else { slow(first, last, length as u128) };
            prop_assert_eq!(asked(&headers, "", length), expected, "{}", range);
        }
    }

    #[test]
    fn only_the_bytes_that_the_reader_knows_go_on() {
        assert_eq!(of(&[(RANGE, "bytes=2-"), (IF_RANGE, "\"a\"")]), Asked::Part(2..10));
        for other in ["\"b\"", "W/\"a\"", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(of(&[(RANGE, "bytes=2-"), (IF_RANGE, other)]), Asked::Whole, "{other}");
        }
    }
}
