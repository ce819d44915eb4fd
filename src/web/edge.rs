//! What every request passes before anything looks at it: where two programs could read one request
//! differently, it is made plain or refused.
//!
//! hyper accepts what is refused here; what it refuses itself (a wrong Content-Length, a chunked body
//! not chunked last) needs no second look, and a bare LF for CR LF is gone once a request is parsed and
//! written anew. It must not know any route.

use super::body::Request;
use super::problem::Problem;
use http::header::{CONNECTION, CONTENT_LENGTH, Entry, HOST, HeaderName, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

/// Lets a request in, in one plain form: an origin-form target, one Host, no header that was for the
/// last hop only.
///
/// # Errors
/// A problem of status 400 (405 for TRACE and CONNECT) that names what is ambiguous.
pub fn admit(request: &mut Request) -> Result<(), Problem> {
    refuse_method(request.method())?;
    let odd = look_over(request.headers())?;
    if odd.twins {
        refuse_twins(request.headers())?;
    }
    if odd.connection {
        strip_hop_headers(request.headers_mut())?;
    }
    one_host(request, odd.hosts)?;
    refuse_climbing(request.uri().path())
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
struct Odd {
    hosts: usize,
    connection: bool,
    twins: bool,
}

fn look_over(headers: &HeaderMap) -> Result<Odd, Problem> {
    let mut odd = Odd { hosts: 0, connection: false, twins: false };
    let mut codings = 0;
    for (name, value) in headers {
        match *name {
            HOST => odd.hosts += 1,
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
            ref other => odd.twins |= other.as_str().contains('_'),
        }
    }
    Ok(odd)
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
/// When it names a header that frames or routes the message: taking those away would change what it says.
pub fn strip_hop_headers(headers: &mut HeaderMap) -> Result<(), Problem> {
    let Entry::Occupied(connection) = headers.entry(CONNECTION) else { return Ok(()) };
    let values: Vec<HeaderValue> = connection.remove_entry_mult().1.collect();
    for name in values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let Ok(name) = HeaderName::try_from(name.trim()) else { continue };
        if matches!(name, HOST | CONTENT_LENGTH | TRANSFER_ENCODING) {
            return Err(Problem::bad_request(
                "connection_header",
                format!("Connection may not name {name}."),
            ));
        }
        headers.remove(name);
    }
    Ok(())
}

/// One Host, equal to the target's when that is absolute, and an origin-form target from then on.
fn one_host(request: &mut Request, hosts: usize) -> Result<(), Problem> {
    let wrong = |detail: &'static str| Err(Problem::bad_request("host", detail));
    if hosts > 1 {
        return wrong("A request has one Host.");
    }
    let host = request.headers().get(HOST);
    match (request.uri().authority(), host) {
        (None, Some(host)) if is_host(host) => Ok(()),
        (None, Some(_)) => wrong("The Host is not a name or address with an optional port."),
        (None, None) if request.version() >= Version::HTTP_11 => wrong("A request needs a Host."),
        (None, None) => Ok(()),
        (Some(target), Some(host)) if !same_host(target, host) => {
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

/// Refuses a path that does not begin with `/`, and one with a segment `.` or `..`, plain or encoded.
fn refuse_climbing(path: &str) -> Result<(), Problem> {
    let bytes = path.as_bytes();
    let begins = |at: usize| matches!(bytes.get(at + 1), Some(b'.' | b'%'));
    let suspicious = memchr::memchr_iter(b'/', bytes).any(begins);
    if bytes.first() != Some(&b'/') || (suspicious && path.split('/').any(is_dots)) {
        return Err(Problem::bad_request("path", "The path is not a plain one."));
    }
    Ok(())
}

fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
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
        admit(&mut request(target, headers)).map_or_else(|problem| problem.code(), |()| "")
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
        for path in ["/a..b", "/...", "/.well-known", "/10.1.0.0%2F16", "/a/%41"] {
            assert_eq!(code(path, &[HERE]), "", "{path}");
        }
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
        assert_eq!(code("/", &[HERE, ("connection", "host")]), "connection_header");
    }

    #[test]
    fn trace_and_connect_are_not_served() {
        let mut trace = request("/", &[HERE]);
        *trace.method_mut() = Method::TRACE;
        assert_eq!(admit(&mut trace).unwrap_err().status(), 405);
    }
}
