//! What every request passes before anything looks at it: where two programs could read one request
//! differently, it is made plain or refused.
//!
//! hyper accepts what is refused here; what it refuses itself (a wrong Content-Length, a chunked body
//! not chunked last) needs no second look, and a bare LF for CR LF is gone once a request is parsed and
//! written anew. It must not know any route.

use super::body::Request;
use super::browser::SEC_FETCH_SITE;
use super::claim::X_API_KEY;
use super::problem::Problem;
use super::proxy;
use http::header::{
    ACCEPT_LANGUAGE, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, Entry, FORWARDED, HOST,
    HeaderName, ORIGIN, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

/// How names of headers begin that mean something between processes of ours alone.
const INTERNAL: &str = "x-ironlist-";
/// Goes with an upgrade that is not made.
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The longest target, in bytes: the longest question of ours has some hundred.
const TARGET_LIMIT: usize = 8 << 10;
/// The most headers, which is what hyper takes over HTTP/1.
const HEADERS_LIMIT: usize = 100;

/// What the headers of a request show that others look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// It says that it came through a proxy.
    pub(super) forwarded: bool,
    /// A browser sent it.
    pub(super) browser: bool,
    /// It says what only processes of ours say to each other.
    pub(super) internal: bool,
}

/// Lets a request in, in one plain form: an origin-form target, one Host, no header that was for the
/// last hop only.
///
/// # Errors
/// A problem that names what is ambiguous: of status 400, 405 for TRACE and CONNECT, 414 and 431 for what is too long,
/// 417 for an expectation that nobody has heard of.
pub fn admit(request: &mut Request) -> Result<Signs, Problem> {
    refuse_method(request.method())?;
    refuse_excess(request)?;
    let odd = look_over(request.headers())?;
    if odd.twins {
        refuse_twins(request.headers())?;
    }
    if odd.connection {
        strip_hop_headers(request.headers_mut())?;
    }
    if odd.upgrade {
        request.headers_mut().remove(UPGRADE);
        request.headers_mut().remove(HTTP2_SETTINGS);
    }
    one_host(request, &odd)?;
    refuse_odd_path(request.uri().path())?;
    Ok(odd.signs)
}

/// Takes away the headers that are `meant`. To look at those there are costs less than to look for each that there may be.
pub fn strip_all(headers: &mut HeaderMap, meant: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| meant(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether only processes of ours say it to each other.
pub fn is_internal(name: &HeaderName) -> bool {
    name.as_str().starts_with(INTERNAL)
}

fn refuse_excess(request: &Request) -> Result<(), Problem> {
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > TARGET_LIMIT) {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "target_too_long")
            .detail(format!("A path with its query has at most {TARGET_LIMIT} bytes.")));
    }
    if request.headers().len() > HEADERS_LIMIT {
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers")
            .detail(format!("A request has at most {HEADERS_LIMIT} headers.")));
    }
    Ok(())
}

/// TRACE shows a caller's headers to whoever made it send them (RFC 9110, 9.3.8); this is no tunnel either.
fn refuse_method(method: &Method) -> Result<(), Problem> {
    if matches!(*method, Method::TRACE | Method::CONNECT) {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
            .detail("TRACE and CONNECT are not served."));
    }
    Ok(())
}

/// What one pass over the headers saw that needs a second look.
#[derive(Default)]
struct Odd {
    hosts: usize,
    /// Whether one of them is no Host.
    no_host: bool,
    connection: bool,
    upgrade: bool,
    twins: bool,
    signs: Signs,
}

fn look_over(headers: &HeaderMap) -> Result<Odd, Problem> {
    let mut odd = Odd::default();
    let mut codings = 0;
    for (name, value) in headers {
        match *name {
            HOST => {
                odd.hosts += 1;
                odd.no_host |= !is_host(value);
            }
            CONNECTION => odd.connection = true,
            TRANSFER_ENCODING => {
                codings += 1;
                if codings > 1 || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(Problem::bad_request(
                        "transfer_encoding",
                        "Only Transfer-Encoding: chunked, alone and once, is understood.",
                    ));
                }
            }
            UPGRADE => odd.upgrade = true,
            FORWARDED | VIA => odd.signs.forwarded = true,
            // A page can have none of them left out; over plain HTTP a question to its own name has the last one alone.
            ORIGIN | ACCEPT_LANGUAGE => odd.signs.browser = true,
            EXPECT if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                return Err(Problem::new(StatusCode::EXPECTATION_FAILED, "expectation")
                    .detail("Only 100-continue can be expected."));
            }
            ref other => odd.look_at(other.as_str()),
        }
    }
    Ok(odd)
}

impl Odd {
    fn look_at(&mut self, name: &str) {
        self.twins |= name.contains('_');
        match name.as_bytes().first() {
            Some(b's') => self.signs.browser |= name == SEC_FETCH_SITE.as_str(),
            Some(b'x') if name.starts_with(INTERNAL) => self.signs.internal = true,
            Some(b'x' | b'c' | b't' | b'f') => self.signs.forwarded |= proxy::is_told_by(name),
            _ => {}
        }
    }
}

/// Programs that turn `-` into `_` (CGI did) would see one header where the other was checked.
fn refuse_twins(headers: &HeaderMap) -> Result<(), Problem> {
    let twin = headers.keys().find(|name| {
        name.as_str().contains('_') && headers.contains_key(name.as_str().replace('_', "-").as_str())
    });
    match twin {
        Some(name) => Err(Problem::bad_request(
            "header_twins",
            format!("The header {name} stands beside its spelling with hyphens."),
        )),
        None => Ok(()),
    }
}

/// Removes the headers that `Connection` names, and `Connection` itself (RFC 9110, 7.6.1).
///
/// # Errors
/// When it names a header that frames or routes the message, or says who sends it: taking those away would change what it
/// says, and a wrong key would be none.
pub fn strip_hop_headers(headers: &mut HeaderMap) -> Result<(), Problem> {
    let Entry::Occupied(connection) = headers.entry(CONNECTION) else { return Ok(()) };
    let values: Vec<HeaderValue> = connection.remove_entry_mult().1.collect();
    for name in values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let Ok(name) = HeaderName::try_from(name.trim()) else { continue };
        if is_for_the_end(&name) {
            return Err(Problem::bad_request(
                "connection_header",
                format!("Connection may not name {name}."),
            ));
        }
        headers.remove(name);
    }
    Ok(())
}

fn is_for_the_end(name: &HeaderName) -> bool {
    matches!(
        *name,
        HOST | CONTENT_LENGTH | TRANSFER_ENCODING | AUTHORIZATION | COOKIE | ORIGIN | FORWARDED | VIA
    ) || *name == X_API_KEY
        || *name == SEC_FETCH_SITE
        || proxy::is_told_by(name.as_str())
}

/// One Host, equal to the target's when that is absolute, and an origin-form target from then on.
fn one_host(request: &mut Request, odd: &Odd) -> Result<(), Problem> {
    let wrong = |detail: &'static str| Err(Problem::bad_request("host", detail));
    let is_another =
        |target: &Authority| request.headers().get(HOST).is_some_and(|host| !same_host(target, host));
    match (request.uri().authority(), odd.hosts) {
        (_, 2..) => wrong("A request has one Host."),
        (None, 1) if odd.no_host => wrong("The Host is not a name or address with an optional port."),
        (None, 0) if request.version() >= Version::HTTP_11 => wrong("A request needs a Host."),
        (None, _) => Ok(()),
        (Some(target), _) if is_another(target) => {
            wrong("The Host differs from the one in the request's target.")
        }
        (Some(_), _) => to_origin_form(request),
    }
}

fn is_host(host: &HeaderValue) -> bool {
    let bytes = host.as_bytes();
    let allowed = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'~');
    !bytes.is_empty() && bytes.len() <= 261 && bytes.iter().all(allowed)
}

fn same_host(target: &Authority, host: &HeaderValue) -> bool {
    target.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())
}

fn to_origin_form(request: &mut Request) -> Result<(), Problem> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let authority = parts.authority.take().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(authority)) = authority
        && is_host(&authority)
    {
        request.headers_mut().insert(HOST, authority);
    } else {
        return Err(Problem::bad_request("host", "The target's host is not a name or address."));
    }
    let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

/// Refuses a path that two programs could read differently: one that does not begin with `/`, with a segment `.` or
/// `..`, plain or encoded, with a backslash, which some take for a slash, or with an encoded control character.
fn refuse_odd_path(path: &str) -> Result<(), Problem> {
    let bytes = path.as_bytes();
    // Most have none of these bytes. A segment that begins with one does so behind a slash.
    let first = memchr::memchr3(b'.', b'%', b'\\', bytes);
    let rest = first.map_or(&[][..], |at| &bytes[at.saturating_sub(1)..]);
    let begins = |at: usize| matches!(rest.get(at + 1), Some(b'.' | b'%'));
    let suspicious = memchr::memchr_iter(b'/', rest).any(begins);
    let climbs = suspicious && rest.split(|byte| *byte == b'/').any(is_dots);
    if bytes.first() != Some(&b'/')
        || climbs
        || memchr::memchr2(b'%', b'\\', rest).is_some_and(|at| is_odd(&rest[at..]))
    {
        return Err(Problem::bad_request("path", "The path is not a plain one."));
    }
    Ok(())
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(&*segment.to_ascii_lowercase(), b"." | b"%2e" | b".." | b".%2e" | b"%2e." | b"%2e%2e")
}

/// Whether there is a backslash, a control character that is encoded, or an encoding that is none.
fn is_odd(bytes: &[u8]) -> bool {
    let digit = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    (0..bytes.len()).any(|at| match bytes[at] {
        b'\\' => true,
        b'%' => match (digit(at + 1), digit(at + 2)) {
            (Some(high), Some(low)) => matches!(high << 4 | low, 0..=0x1F | 0x5C | 0x7F),
            _ => true,
        },
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Body;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request {
        let mut builder = http::Request::builder().uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::empty()).unwrap()
    }

    fn code(target: &str, headers: &[(&str, &str)]) -> &'static str {
        admit(&mut request(target, headers)).map_or_else(|problem| problem.code(), |_| "")
    }

    const HERE: (&str, &str) = ("host", "a:8080");

    #[test]
    fn a_plain_request_passes_unchanged() {
        let mut plain = request("/api/v1/blacklist/check/192.0.2.1?x=..", &[HERE, ("accept", "*/*")]);
        admit(&mut plain).unwrap();
        assert_eq!(plain.uri(), "/api/v1/blacklist/check/192.0.2.1?x=..");
        assert_eq!(plain.headers().len(), 2);
    }

    #[test]
    fn only_one_plain_chunked_coding_passes() {
        assert_eq!(code("/", &[HERE, ("transfer-encoding", "Chunked")]), "");
        for coding in ["identity, chunked", "gzip, chunked", "chunked, chunked", "xchunked"] {
            assert_eq!(code("/", &[HERE, ("transfer-encoding", coding)]), "transfer_encoding");
        }
        let twice = [HERE, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert_eq!(code("/", &twice), "transfer_encoding");
    }

    #[test]
    fn a_request_has_exactly_one_host_and_the_target_agrees() {
        assert_eq!(code("/", &[]), "host");
        assert_eq!(code("/", &[HERE, HERE]), "host");
        assert_eq!(code("/", &[("host", "a b")]), "host");
        assert_eq!(code("/", &[("host", "")]), "host");
        assert_eq!(code("http://b/", &[HERE]), "host");
        assert_eq!(code("http://u:p@b/", &[]), "host");
        let mut absolute = request("http://A:8080/x?y", &[HERE]);
        admit(&mut absolute).unwrap();
        assert_eq!(absolute.uri(), "/x?y");
    }

    #[test]
    fn an_old_client_may_leave_the_host_out() {
        let mut old = request("/", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert!(admit(&mut old).is_ok());
    }

    #[test]
    fn dots_do_not_climb_in_any_spelling() {
        for path in ["/..", "/a/../b", "/a/.", "/%2e%2E/b", "/.%2e", "/a/%2e", "*"] {
            assert_eq!(code(path, &[HERE]), "path", "{path}");
        }
        for path in ["/a..b", "/...", "/.well-known", "/10.1.0.0%2F16", "/a/%41", "/a?x=%00\\.."] {
            assert_eq!(code(path, &[HERE]), "", "{path}");
        }
    }

    #[test]
    fn what_two_programs_read_differently_is_no_path() {
        for path in ["/a\\b", "/a%5Cb", "/a%00", "/a%0d%0aX:1", "/%7f", "/a%", "/a%4", "/a%zz", "/%2"] {
            assert_eq!(code(path, &[HERE]), "path", "{path}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_much_is_refused() {
        let most = format!("/{}", "a".repeat(TARGET_LIMIT - 1));
        assert_eq!(code(&most, &[HERE]), "");
        assert_eq!(code(&format!("{most}?"), &[HERE]), "target_too_long");
        let many: Vec<(&str, &str)> = std::iter::once(HERE).chain([("x", "y"); HEADERS_LIMIT]).collect();
        assert_eq!(code("/", &many[1..]), "host");
        assert_eq!(code("/", &many), "too_many_headers");
    }

    #[test]
    fn no_upgrade_is_made_or_passed_on_and_nothing_strange_expected() {
        let pairs = [
            HERE,
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
        ];
        let mut upgrade = request("/", &pairs);
        admit(&mut upgrade).unwrap();
        assert_eq!(upgrade.headers().len(), 1, "{:?}", upgrade.headers());
        let mut alone = request("/", &[HERE, pairs[2], pairs[3]]);
        admit(&mut alone).unwrap();
        assert_eq!(alone.headers().len(), 1, "{:?}", alone.headers());
        assert_eq!(code("/", &[HERE, ("expect", "100-Continue")]), "");
        assert_eq!(code("/", &[HERE, ("expect", "a miracle")]), "expectation");
    }

    #[test]
    fn what_others_look_at_is_seen() {
        let signs = |name: &str| admit(&mut request("/", &[HERE, (name, "x")])).unwrap();
        let none = Signs::default();
        for name in
            ["forwarded", "via", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "cf-connecting-ip"]
        {
            assert_eq!(signs(name), Signs { forwarded: true, ..none }, "{name}");
        }
        for name in ["origin", "sec-fetch-site", "accept-language"] {
            assert_eq!(signs(name), Signs { browser: true, ..none }, "{name}");
        }
        assert_eq!(signs("x-ironlist-anything"), Signs { internal: true, ..none });
        for name in ["accept", "x-api-key", "x-request-id", "sec-fetch-mode", "te"] {
            assert_eq!(signs(name), none, "{name}");
        }
    }

    #[test]
    fn what_is_said_between_processes_is_taken_from_strangers() {
        let mut said =
            request("/", &[HERE, ("x-ironlist-gateway", "1"), ("x-ironlist-new", "1"), ("x-iron", "1")]);
        strip_all(said.headers_mut(), is_internal);
        assert_eq!(said.headers().len(), 2);
    }

    #[test]
    fn a_header_may_not_stand_beside_its_twin() {
        let twins = [HERE, ("x_forwarded_for", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8")];
        assert_eq!(code("/", &twins), "header_twins");
        assert_eq!(code("/", &twins[..2]), "");
    }

    #[test]
    fn what_connection_names_is_gone_and_framing_cannot_be_named() {
        let mut hop =
            request("/", &[HERE, ("connection", "close, X-Secret"), ("x-secret", "1"), ("x-kept", "1")]);
        admit(&mut hop).unwrap();
        assert!(!hop.headers().contains_key("x-secret") && !hop.headers().contains_key(CONNECTION));
        assert!(hop.headers().contains_key("x-kept"));
        for name in
            ["host", "X-API-Key", "close, authorization", "x-forwarded-for", "forwarded", "origin", "cookie"]
        {
            assert_eq!(code("/", &[HERE, ("connection", name)]), "connection_header", "{name}");
        }
    }

    #[test]
    fn trace_and_connect_are_not_served() {
        let mut trace = request("/", &[HERE]);
        *trace.method_mut() = Method::TRACE;
        assert_eq!(admit(&mut trace).unwrap_err().status(), 405);
    }
}
