//! What browsers need to be told, and what pages of elsewhere may have them do.
//!
//! A page that somebody is lured to can make their browser send what it likes to any port of their machine or network; it
//! can read the answer only where it is named here. It must not know who asks.

use super::body::{Body, Response};
use super::problem::Problem;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// What a browser says of where a request comes from.
pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a page may load and do.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The pages of elsewhere that may use the API.
#[derive(Clone, Debug, Default)]
pub struct Pages(Vec<HeaderValue>);

impl<'o> FromIterator<&'o str> for Pages {
    /// Of origins as browsers write them, `https://soc.example.com`.
    fn from_iter<I: IntoIterator<Item = &'o str>>(origins: I) -> Self {
        Self(origins.into_iter().filter_map(|origin| origin.parse().ok()).collect())
    }
}

impl Pages {
    /// The origin of a request, if it is named.
    pub(super) fn named(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.0.iter().find(|named| *named == origin).cloned()
    }
}

/// Refuses to change anything for a page of elsewhere.
///
/// # Errors
/// 403.
pub(super) fn refuse_cross_site(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || !is_cross_site(headers) {
        return Ok(());
    }
    Err(Problem::forbidden("cross_site").detail(
        "A page of another origin sent this. If it is to be allowed, name the origin under cors.origins in the \
         settings.",
    ))
}

/// Browsers say so themselves; older ones name only the page's origin, which then must be ours.
fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let ours = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_none_or(|host| ours.is_none_or(|ours| !host.eq_ignore_ascii_case(ours)))
}

/// The answer to a browser that asks before it sends something for a named page (the Fetch standard's preflight).
pub(super) fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response> {
    if *method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let may = response.headers_mut();
    may.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE"));
    let allowed = "authorization, content-type, if-none-match, last-event-id, x-api-key, x-request-id";
    may.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    may.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(response)
}

/// Lets the named page read an answer. No cookies are meant: whoever asks shows a key.
pub(super) fn show_to(page: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.append(VARY, HeaderValue::from_static("origin"));
    let exposed = "etag, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id";
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
}

/// What every answer says to browsers, unless its maker has said it otherwise.
///
/// Answers of the fast paths go without it. They are JSON or lines of text and say so, browsers take neither for
/// anything else, and nothing in them leads anywhere; four headers more would cost a tenth of a look-up.
pub(super) fn harden(headers: &mut HeaderMap, is_secured: bool) {
    say(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(headers, REFERRER_POLICY, "no-referrer");
    say(headers, RESOURCE_POLICY, "same-origin");
    if is_secured {
        say(headers, STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        say(headers, CONTENT_SECURITY_POLICY, PAGE_POLICY);
        say(headers, X_FRAME_OPTIONS, "DENY");
    }
}

fn say(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_page_of_elsewhere_changes_nothing() {
        let refused = |pairs: &[(&'static str, &'static str)]| {
            assert!(refuse_cross_site(&Method::GET, &headers(pairs)).is_ok());
            refuse_cross_site(&Method::POST, &headers(pairs)).is_err()
        };
        let here = ("host", "127.0.0.1:8080");
        for (pairs, expected) in [
            (vec![here], false),
            (vec![here, ("sec-fetch-site", "same-origin")], false),
            (vec![here, ("sec-fetch-site", "none")], false),
            (vec![here, ("sec-fetch-site", "cross-site")], true),
            (vec![here, ("sec-fetch-site", "same-site")], true),
            (vec![here, ("sec-fetch-site", "same-origin, cross-site")], true),
            (vec![here, ("origin", "http://127.0.0.1:8080")], false),
            (vec![here, ("origin", "http://127.0.0.1:3000")], true),
            (vec![here, ("origin", "https://evil.example")], true),
            (vec![here, ("origin", "null")], true),
            (vec![("origin", "https://evil.example")], true),
            // A proxy that names its own upstream as the Host: the browser knows better.
            (vec![here, ("origin", "https://a.example"), ("sec-fetch-site", "same-origin")], false),
        ] {
            assert_eq!(refused(&pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn an_origin_is_named_whole_or_not_at_all() {
        let pages: Pages = ["https://soc.example.com"].into_iter().collect();
        let named = |origin| pages.named(&headers(&[("origin", origin)])).is_some();
        assert!(named("https://soc.example.com"));
        for other in
            ["https://soc.example.com.evil", "https://soc.example.co", "http://soc.example.com", "null", "*"]
        {
            assert!(!named(other), "{other}");
        }
        assert!(pages.named(&headers(&[])).is_none());
    }

    #[test]
    fn a_page_has_a_policy_and_its_own_word_counts_more() {
        let mut text = headers(&[("content-type", "text/plain")]);
        harden(&mut text, false);
        assert!(text.len() == 4 && text["x-content-type-options"] == "nosniff", "{text:?}");
        let mut page =
            headers(&[("content-type", "text/html; charset=utf-8"), ("x-frame-options", "SAMEORIGIN")]);
        harden(&mut page, true);
        assert_eq!(page["x-frame-options"], "SAMEORIGIN");
        assert!(page["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert_eq!(page["strict-transport-security"], "max-age=31536000");
    }
}
