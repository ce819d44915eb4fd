//! Which role answers which path, of which class it is, and what the earlier system called it.
//!
//! Plain tables; they must not know where the roles are.

use super::limits::Class;
use crate::web::{Request, Role};
use http::uri::PathAndQuery;
use http::{Method, Uri};

/// Prefixes of whole path segments; none is a prefix of another.
const ROUTES: &[(&str, Role)] = &[
    ("/api/v1/blacklist", Role::Blacklist),
    ("/api/v1/feeds", Role::Blacklist),
    ("/api/v1/fortigate", Role::Blacklist),
    ("/feeds", Role::Blacklist),
    ("/f", Role::Blacklist),
    ("/api/v1/devices", Role::Blacklist),
    ("/api/v1/webhooks", Role::Blacklist),
    ("/api/v1/generations", Role::Blacklist),
    ("/api/v1/changes", Role::Blacklist),
    ("/api/v1/pulls", Role::Blacklist),
    ("/api/v1/remnants", Role::Blacklist),
    ("/api/v1/auth", Role::Blacklist),
    ("/v1", Role::Blacklist),
    ("/taxii2", Role::Blacklist),
    ("/api/v1/collection", Role::Collection),
    ("/api/v1/analytics", Role::Analytics),
];

/// One hold: of a source, or of a feed.
const HOLDS: &str = "/api/v1/holds/";

/// Paths of the earlier system's door that begin unlike its roles'. Firewalls read both, so both lead to the
/// released feed: a listing of what is active may be empty, and an empty answer opens a firewall.
pub(super) const EARLIER: [(&str, &str); 2] =
    [("/api/fortigate", "/api/v1/fortigate"), ("/api/blacklist/active", "/api/v1/fortigate")];

/// Who looks after the house is never limited.
const FREE: [&str; 2] = ["/health", "/ready"];
/// What ways out for firewalls begin with.
const LISTS: [&str; 8] = [
    "/feeds",
    "/f",
    "/api/v1/blacklist/fortigate",
    "/v1",
    "/taxii2",
    "/api/v1/changes",
    EARLIER[0].0,
    EARLIER[1].0,
];
/// Look-ups, by what stands before the address.
const CHECKS: [&str; 2] = ["/api/v1/blacklist/check/", "/api/v1/blacklist/search/"];
/// Questions too long for a GET.
const QUESTIONS: [&str; 2] = ["/api/v1/blacklist/check", "/api/v1/blacklist/search"];
const IMPORT: &str = "/api/v1/blacklist/ips/bulk";
/// Who somebody is: what whoever has shown nothing yet may send, too.
pub(super) const AUTH: &str = "/api/v1/auth";

/// Of which class a request is; none: it is never limited.
pub(super) fn class(method: &Method, path: &str) -> Option<Class> {
    let is_question = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_question && CHECKS.iter().any(|prefix| path.starts_with(prefix)) {
        return Some(Class::Check);
    }
    if FREE.contains(&path) {
        return None;
    }
    Some(match is_question {
        _ if leads(AUTH, path) => Class::Auth,
        true if LISTS.iter().any(|prefix| leads(prefix, path)) => Class::Feeds,
        true => Class::Read,
        false if QUESTIONS.contains(&path) || path == IMPORT => Class::Bulk,
        false => Class::Write,
    })
}

/// Whether a request may change something. Of several instances it is for the first one: what it changes is there,
/// and whoever asks next is told of it.
pub(super) fn is_change(request: &Request) -> bool {
    match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => false,
        Method::POST => !QUESTIONS.contains(&request.uri().path()),
        _ => true,
    }
}

/// Whether `prefix` is a beginning of `path` in whole segments.
fn leads(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The role that answers `path`, and the prefix that says so.
pub(super) fn find(path: &str) -> Option<(&'static str, Role)> {
    if let Some(hold) = path.strip_prefix(HOLDS) {
        // A run's hold is named by a number, a feed's by the feed.
        let id = hold.split('/').next().unwrap_or(hold);
        let role = if uuid::Uuid::try_parse(id).is_ok() { Role::Collection } else { Role::Blacklist };
        return Some((HOLDS, role));
    }
    ROUTES.iter().find(|(prefix, _)| leads(prefix, path)).copied()
}

/// Turns a path of the earlier system's door into the blacklist's; its query is kept.
pub(super) fn rewrite(request: &mut Request) {
    let uri = request.uri();
    let Some((_, inner)) = EARLIER.iter().find(|(earlier, _)| *earlier == uri.path()) else { return };
    let target = uri.query().map_or_else(|| (*inner).to_owned(), |query| format!("{inner}?{query}"));
    // Both halves come from valid targets.
    if let Ok(target) = PathAndQuery::try_from(target) {
        *request.uri_mut() = Uri::from(target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Body;

    #[test]
    fn a_prefix_ends_at_a_segment() {
        assert_eq!(find("/api/v1/blacklist/check/192.0.2.1").unwrap().1, Role::Blacklist);
        assert_eq!(find("/api/v1/collection"), Some(("/api/v1/collection", Role::Collection)));
        assert_eq!(find("/f/token/list.txt").unwrap().0, "/f");
        assert_eq!(find("/feedsx"), None);
        assert_eq!(find("/"), None);
    }

    #[test]
    fn every_request_is_of_a_class_but_those_that_look_after_the_house() {
        let class = |method: Method, path| class(&method, path).map(Class::name);
        assert_eq!(class(Method::GET, "/health"), None);
        for (method, path, expected) in [
            (Method::GET, "/api/v1/blacklist/check/192.0.2.1", "check"),
            (Method::GET, "/api/v1/blacklist/search/192.0.2.1", "check"),
            (Method::POST, "/api/v1/blacklist/check", "bulk"),
            (Method::GET, "/f/token/fortigate", "feeds"),
            (Method::HEAD, "/api/fortigate", "feeds"),
            (Method::GET, "/v1/decisions/stream", "feeds"),
            (Method::GET, "/feedsx", "read"),
            (Method::GET, "/metrics", "read"),
            (Method::POST, "/api/v1/blacklist/ips", "write"),
            (Method::DELETE, "/feeds/x", "write"),
            (Method::GET, "/api/v1/auth/me", "auth"),
            (Method::POST, "/api/v1/auth/login", "auth"),
        ] {
            assert_eq!(class(method, path), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_hold_belongs_to_whoever_keeps_it() {
        let role = |path| find(path).unwrap().1;
        assert_eq!(role("/api/v1/holds/0192f0c1-7c1e-7000-8000-000000000000/consent"), Role::Collection);
        assert_eq!(role("/api/v1/holds/fortigate/consent"), Role::Blacklist);
    }

    #[test]
    fn no_prefix_hides_another() {
        for (prefix, _) in ROUTES {
            assert_eq!(find(prefix).unwrap().0, *prefix);
        }
    }

    #[test]
    fn earlier_paths_lead_to_todays_with_their_query() {
        for (earlier, today) in [
            ("/api/fortigate", "/api/v1/fortigate"),
            ("/api/fortigate?a=1", "/api/v1/fortigate?a=1"),
            ("/api/blacklist/active?limit=5", "/api/v1/fortigate?limit=5"),
            ("/api/v1/blacklist/active", "/api/v1/blacklist/active"),
        ] {
            let mut request = http::Request::builder().uri(earlier).body(Body::empty()).unwrap();
            rewrite(&mut request);
            assert_eq!(request.uri(), today);
        }
    }
}
