//! Who may write: the administrator's key, until users and their keys come.
//!
//! The key itself is never kept, only its digest; it must not appear in any log or answer.

use super::app::Peer;
use super::problem::Problem;
use super::vouch;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header for programs that cannot set `Authorization`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Keys, as their digests.
#[derive(Clone, Default)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Whether `presented` is one of them. Digests are compared, so that neither the time nor the length says anything
    /// about a key.
    pub fn has(&self, presented: &[u8]) -> bool {
        let digest = Sha256::digest(presented);
        self.0.iter().fold(false, |found, key| found | bool::from(digest.as_slice().ct_eq(key)))
    }
}

impl<'k> FromIterator<&'k str> for Keys {
    fn from_iter<I: IntoIterator<Item = &'k str>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| Sha256::digest(key.as_bytes()).into()).collect())
    }
}

/// Lets everybody read and only the administrator write.
#[derive(Clone)]
pub struct Guard {
    keys: Keys,
    /// What gateways elsewhere show that have the key.
    gateways: Keys,
    safe_posts: &'static [&'static str],
    /// What begins so has keys of its own.
    elsewhere: Vec<&'static str>,
}

impl Guard {
    /// A guard with the administrator's key, and the paths of the POST requests that change nothing
    /// (a question too long for a GET).
    pub fn new(key: &str, safe_posts: &'static [&'static str]) -> Self {
        let gateways = [&*vouch::word(key.as_bytes())].into_iter().collect();
        Self { keys: [key].into_iter().collect(), gateways, safe_posts, elsewhere: Vec::new() }
    }

    /// Leaves paths that begin with one of `prefixes` to their handlers, which have keys of their own: no key is wrong
    /// there for the guard, and none is missing.
    #[must_use]
    pub fn leaving(mut self, prefixes: &'static [&'static str]) -> Self {
        self.elsewhere.extend_from_slice(prefixes);
        self
    }

    /// Who asks: the other end of the connection, or the caller of a gateway there.
    ///
    /// # Errors
    /// 401 for what only claims to be a gateway.
    pub fn caller(&self, peer: Peer, headers: &mut HeaderMap) -> Result<Peer, Problem> {
        vouch::caller(peer, headers, &self.gateways)
    }

    /// Whether the caller is the administrator; `local` callers, through the socket of the data folder, are.
    ///
    /// # Errors
    /// 401 when a key is given and wrong, whatever the request, or missing where one is needed.
    pub fn check(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        local: bool,
    ) -> Result<bool, Problem> {
        let mut credentials = presented(headers).peekable();
        let is_elsewhere = self.elsewhere.iter().any(|prefix| path.starts_with(prefix));
        if credentials.peek().is_some() {
            let right = credentials.all(|credential| credential.is_some_and(|key| self.keys.has(key)));
            return if right || is_elsewhere { Ok(right) } else { Err(key_wrong()) };
        }
        match local {
            true => Ok(true),
            false if is_elsewhere || self.is_safe(method, path) => Ok(false),
            false => Err(key_missing()),
        }
    }

    fn is_safe(&self, method: &Method, path: &str) -> bool {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => true,
            Method::POST => self.safe_posts.contains(&path),
            _ => false,
        }
    }
}

/// Every credential of a request: the keys in `Authorization: Bearer` and `X-API-Key`, and nothing for one of
/// another kind, which is no less a claim to be somebody.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = Option<&[u8]>> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    bearers.chain(headers.get_all(X_API_KEY).iter().map(|value| Some(value.as_bytes())))
}

/// 401: this is the administrator's, and no key was given.
pub(super) fn key_missing() -> Problem {
    refusal("key_missing", "This needs the administrator's key.")
}

/// 401: a key was given, and it is another one.
pub(super) fn key_wrong() -> Problem {
    refusal("key_wrong", "The key is wrong.")
}

fn refusal(code: &'static str, detail: &'static str) -> Problem {
    Problem::unauthorized(code, r#"Bearer realm="ironlist""#).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
        local: bool,
    ) -> Result<bool, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        let guard = Guard::new("open sesame", &["/check"]);
        guard.check(&method, path, &headers, local).map_err(|problem| problem.code())
    }

    #[test]
    fn reading_needs_no_key_and_writing_does() {
        assert_eq!(check(Method::GET, "/x", None, false), Ok(false));
        assert_eq!(check(Method::POST, "/check", None, false), Ok(false));
        assert_eq!(check(Method::POST, "/check/more", None, false), Err("key_missing"));
        assert_eq!(check(Method::DELETE, "/check", None, false), Err("key_missing"));
        assert_eq!(check(Method::from_bytes(b"BREW").unwrap(), "/x", None, false), Err("key_missing"));
    }

    #[test]
    fn either_header_carries_the_key() {
        for header in [
            ("authorization", "Bearer open sesame"),
            ("authorization", "bearer open sesame"),
            ("x-api-key", "open sesame"),
        ] {
            assert_eq!(check(Method::PUT, "/x", Some(header), false), Ok(true));
        }
    }

    #[test]
    fn a_wrong_key_is_never_a_silent_anonymous() {
        for header in [
            ("authorization", "Bearer "),
            ("authorization", "Bearer"),
            ("authorization", "Basic b3BlbiBzZXNhbWU="),
            ("authorization", "open sesame"),
            ("x-api-key", "open sesame ."),
            ("x-api-key", ""),
        ] {
            assert_eq!(check(Method::GET, "/x", Some(header), true), Err("key_wrong"));
        }
    }

    #[test]
    fn a_path_with_keys_of_its_own_is_left_to_its_handler() {
        let guard = Guard::new("open sesame", &[]).leaving(&["/v1/"]);
        let check = |path: &str, key: Option<&'static str>| {
            let name = |key| (X_API_KEY, http::HeaderValue::from_static(key));
            let headers = key.map(name).into_iter().collect();
            guard.check(&Method::POST, path, &headers, false).ok()
        };
        assert_eq!(check("/v1/x", None), Some(false));
        assert_eq!(check("/v1/x", Some("another")), Some(false));
        assert_eq!(check("/v1/x", Some("open sesame")), Some(true));
        assert_eq!((check("/v1", Some("another")), check("/api/v1/x", None)), (None, None));
    }

    #[test]
    fn two_credentials_must_both_be_right() {
        let guard = Guard::new("open sesame", &[]);
        let check = |bearer: &'static str, key: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, http::HeaderValue::from_static(bearer));
            headers.insert(X_API_KEY, http::HeaderValue::from_static(key));
            guard.check(&Method::GET, "/x", &headers, false).is_ok()
        };
        assert!(check("Bearer open sesame", "open sesame"));
        assert!(!check("Bearer open sesame", "another"));
        assert!(!check("Basic x", "open sesame"));
    }

    #[test]
    fn the_socket_of_the_data_folder_is_the_administrators() {
        assert_eq!(check(Method::DELETE, "/x", None, true), Ok(true));
    }
}
