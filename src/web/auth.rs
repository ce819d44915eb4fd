//! Who may write: the administrator's key, until users and their keys come.
//!
//! The key itself is never kept, only its digest; it must not appear in any log or answer.

use super::problem::Problem;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header for programs that cannot set `Authorization`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Lets everybody read and only the administrator write.
#[derive(Clone)]
pub struct Guard {
    key: [u8; 32],
    safe_posts: &'static [&'static str],
    own_locks: &'static [&'static str],
}

impl Guard {
    /// A guard with the administrator's key, and the paths of the POST requests that change nothing
    /// (a question too long for a GET).
    pub fn new(key: &str, safe_posts: &'static [&'static str]) -> Self {
        Self { key: Sha256::digest(key.as_bytes()).into(), safe_posts, own_locks: &[] }
    }

    /// Leaves the reading of paths that begin so to who answers them: readers there show keys of other kinds.
    #[must_use]
    pub fn with_own_locks(mut self, prefixes: &'static [&'static str]) -> Self {
        self.own_locks = prefixes;
        self
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
        if credentials.peek().is_some() {
            let right = credentials.all(|credential| credential.is_some_and(|key| self.is_key(key)));
            let is_others = !right && self.has_own_lock(method, path);
            return if right || is_others {
                Ok(right)
            } else {
                Err(refusal("key_wrong", "The key is wrong."))
            };
        }
        match local {
            true => Ok(true),
            false if self.is_safe(method, path) => Ok(false),
            false => Err(key_missing()),
        }
    }

    /// Digests are compared, so that neither the time nor the length says anything about the key.
    fn is_key(&self, presented: &[u8]) -> bool {
        Sha256::digest(presented).as_slice().ct_eq(&self.key).into()
    }

    fn has_own_lock(&self, method: &Method, path: &str) -> bool {
        matches!(*method, Method::GET | Method::HEAD)
            && self.own_locks.iter().any(|prefix| path.starts_with(prefix))
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
    fn where_readers_show_other_keys_theirs_are_not_judged_here() {
        let guard = Guard::new("open sesame", &[]).with_own_locks(&["/feeds/"]);
        let check = |method, path, value: &'static str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, http::HeaderValue::from_static(value))]);
            guard.check(&method, path, &headers, false).map_err(|problem| problem.code())
        };
        assert_eq!(check(Method::GET, "/feeds/a", "Basic ZWRnZTp3b3Jk"), Ok(false));
        assert_eq!(check(Method::GET, "/feeds/a", "Bearer open sesame"), Ok(true));
        assert_eq!(check(Method::POST, "/feeds/a", "Basic ZWRnZTp3b3Jk"), Err("key_wrong"));
        assert_eq!(check(Method::GET, "/feed", "Basic ZWRnZTp3b3Jk"), Err("key_wrong"));
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
