//! What a request says about what its reader has and takes (RFC 9110, 12.5.3 and 13.1): pure functions of its
//! headers.

use crate::publish::Coding;
use http::header::{ACCEPT_ENCODING, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderValue};
use std::time::SystemTime;

/// Whether the reader wants nothing but what it knows (RFC 9110, 13.1.1 and 13.1.4), and it is no more: who goes on with a
/// download must not get the end of another one. Tags are compared strongly.
pub(super) fn is_past<'a>(
    headers: &HeaderMap,
    codings: &[Coding],
    etag: impl Fn(Coding) -> &'a str,
    modified: SystemTime,
) -> bool {
    // Hardly anybody asks so.
    if !headers.keys().any(|name| matches!(*name, IF_MATCH | IF_UNMODIFIED_SINCE)) {
        return false;
    }
    let mut lists = headers.get_all(IF_MATCH).iter().filter_map(|list| list.to_str().ok()).peekable();
    if lists.peek().is_some() {
        let is_ours = |tag: &str| tag == "*" || codings.iter().any(|coding| tag == etag(*coding));
        return !lists.flat_map(|list| list.split(',')).any(|tag| is_ours(tag.trim()));
    }
    date(headers.get(IF_UNMODIFIED_SINCE)).is_some_and(|known| modified > known)
}

fn date(value: Option<&HeaderValue>) -> Option<SystemTime> {
    httpdate::parse_http_date(value?.to_str().ok()?).ok()
}

/// What a reader has already.
pub(super) struct Held {
    pub(super) coding: Coding,
    /// Whether it has just that: who says "anything" has something, perhaps another.
    pub(super) is_certain: bool,
}

/// The coding in which the reader has the document already, if it does. A tag that it names counts more than a time, and
/// that of any of the `codings` will do that it can read: right after a change the bytes go out plain to those who would
/// rather have others, and they need not be sent again for that. What it cannot read now it must not be sent to a copy
/// of. A time is that of the `preferred` one.
pub(super) fn held<'a>(
    headers: &HeaderMap,
    (preferred, codings): (Coding, &[Coding]),
    etag: impl Fn(Coding) -> &'a str,
    modified: SystemTime,
) -> Option<Held> {
    let tags = headers.get_all(IF_NONE_MATCH);
    if tags.iter().next().is_some() {
        let is_named = |coding: &Coding| tags.iter().any(|list| names_tag(list, etag(*coding)));
        let others = codings.iter().filter(|coding| reads(headers, **coding));
        let coding = std::iter::once(&preferred).chain(others).copied().find(is_named)?;
        return Some(Held { coding, is_certain: tags.iter().all(|tags| tags != "*") });
    }
    let since = date(headers.get(IF_MODIFIED_SINCE))?;
    (modified <= since).then_some(Held { coding: preferred, is_certain: true })
}

/// Weak comparison. A comma within another's tag cuts that one in pieces, of which none can be `etag`: that
/// begins and ends with a quote, and holds neither comma nor quote.
fn names_tag(list: &HeaderValue, etag: &str) -> bool {
    let is_it = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    // Most name the one that they were given.
    list.as_bytes() == etag.as_bytes() || list.to_str().unwrap_or("").split(',').map(str::trim).any(is_it)
}

/// The coding in which the reader wants the bytes: of those that it likes best, the shortest.
pub(super) fn preferred(headers: &HeaderMap) -> Coding {
    let [zstd, gzip, plain] = weights(headers);
    if zstd > 0 && zstd >= gzip.max(plain) {
        Coding::Zstd
    } else if gzip > 0 && gzip >= plain {
        Coding::Gzip
    } else {
        Coding::Identity
    }
}

/// Whether the reader can read bytes in a coding; plain ones everybody can.
fn reads(headers: &HeaderMap, coding: Coding) -> bool {
    let [zstd, gzip, _] = weights(headers);
    match coding {
        Coding::Zstd => zstd > 0,
        Coding::Gzip => gzip > 0,
        Coding::Identity => true,
    }
}

/// How much it likes zstd, gzip and plain bytes, in thousandths.
fn weights(headers: &HeaderMap) -> [u32; 3] {
    let (mut gzip, mut zstd, mut plain, mut any) = (None, None, None, None);
    for list in headers.get_all(ACCEPT_ENCODING) {
        for coding in list.to_str().unwrap_or("").split(',') {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let place = match name.trim() {
                name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => &mut gzip,
                name if name.eq_ignore_ascii_case("zstd") => &mut zstd,
                name if name.eq_ignore_ascii_case("identity") => &mut plain,
                "*" => &mut any,
                _ => continue,
            };
            *place = Some(thousandths(weight));
        }
    }
    // Whoever says "*" takes gzip for sure, and may never have heard of zstd.
    [zstd.unwrap_or(0), gzip.or(any).unwrap_or(0), plain.unwrap_or(1)]
}

/// The weight in `q=0.5`, in thousandths; none is the whole, and what does not read is nothing.
fn thousandths(parameter: &str) -> u32 {
    let parameter = parameter.trim();
    if parameter.is_empty() {
        return 1000;
    }
    let weight = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let weight = weight.and_then(|(_, value)| value.trim().parse::<f32>().ok()).unwrap_or(0.0);
    (weight.clamp(0.0, 1.0) * 1000.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn prefers(value: &'static str) -> Coding {
        preferred(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
    }

    #[test]
    fn compressed_bytes_go_only_to_those_who_take_them() {
        for value in [
            "gzip",
            "deflate, GZIP;q=0.5",
            "x-gzip",
            "*",
            "br, *;q=0.1",
            "identity;q=0.5, gzip",
            "gzip ; q = 1.0",
        ] {
            assert_eq!(prefers(value), Coding::Gzip, "{value}");
        }
        for value in [
            "",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "deflate",
            "identity",
            "*;q=0",
            "gzip;q=0.5, identity",
            "gzip;level=9",
            "gzipped",
        ] {
            assert_eq!(prefers(value), Coding::Identity, "{value}");
        }
        for value in ["zstd", "gzip, ZSTD", "br, gzip;q=0.5, zstd;q=0.5"] {
            assert_eq!(prefers(value), Coding::Zstd, "{value}");
        }
        assert_eq!(prefers("gzip, zstd;q=0.9"), Coding::Gzip);
        assert_eq!(preferred(&HeaderMap::new()), Coding::Identity);
    }

    fn unmodified(pairs: &[(http::HeaderName, &'static str)]) -> bool {
        let headers =
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        held(&headers, (Coding::Gzip, &Coding::ALL), |_| "\"abc\"", modified)
            .is_some_and(|held| held.coding == Coding::Gzip)
    }

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        for value in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\"", "\"x,y\" ,W/\"abc\""] {
            assert!(unmodified(&[(IF_NONE_MATCH, value)]), "{value}");
        }
        for value in ["\"abcd\"", "abc", "", "\"x\"", "w/\"abc\""] {
            assert!(!unmodified(&[(IF_NONE_MATCH, value)]), "{value}");
        }
        assert!(unmodified(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")]));
    }

    #[test]
    fn whoever_wants_only_what_it_knows_is_told_when_that_is_no_more() {
        let past = |pairs: &[(http::HeaderName, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
            is_past(&pairs.collect(), &Coding::ALL, |_| "\"abc\"", modified)
        };
        for same in ["\"abc\"", "*", "\"x\", \"abc\""] {
            assert!(!past(&[(IF_MATCH, same)]), "{same}");
        }
        for other in ["\"x\"", "W/\"abc\"", "", "abc"] {
            assert!(past(&[(IF_MATCH, other)]), "{other}");
        }
        assert!(!past(&[(IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")]));
        assert!(past(&[(IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")]));
        let both = [(IF_MATCH, "*"), (IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")];
        assert!(!past(&both) && !past(&[]) && !past(&[(IF_UNMODIFIED_SINCE, "yesterday")]));
    }

    #[test]
    fn whoever_says_anything_is_not_known_to_have_it() {
        let is_certain = |tag: &'static str| {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(tag))]);
            held(&headers, (Coding::Gzip, &Coding::ALL), |_| "\"x\"", UNIX_EPOCH).unwrap().is_certain
        };
        assert!(is_certain("\"x\"") && is_certain("\"y\", W/\"x\"") && !is_certain("*"));
    }

    #[test]
    fn a_time_counts_only_without_a_tag_and_in_any_form_of_date() {
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Mon, 07 Nov 1994 08:49:37 GMT",
        ] {
            assert!(unmodified(&[(IF_MODIFIED_SINCE, value)]), "{value}");
        }
        for value in ["Sun, 06 Nov 1994 08:49:36 GMT", "yesterday", ""] {
            assert!(!unmodified(&[(IF_MODIFIED_SINCE, value)]), "{value}");
        }
        let later = (IF_MODIFIED_SINCE, "Mon, 07 Nov 1994 08:49:37 GMT");
        assert!(!unmodified(&[(IF_NONE_MATCH, "\"x\""), later]));
        assert!(!unmodified(&[]));
    }
}
