//! What somebody shows for themselves, who knows whose it is, and how those are refused who show nothing that counts.
//!
//! Keys themselves are never kept here, only digests; they must not appear in any log or answer.

use super::problem::Problem;
use crate::rights::{Identity, Right};
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The header for programs that cannot set `Authorization`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The longest key that anybody looks at, in bytes.
const LONGEST: usize = 4096;

/// A key or token that somebody shows, with its SHA-256, which is made once for all who compare it.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// Itself.
    pub text: &'a str,
    /// Its SHA-256.
    pub digest: [u8; 32],
}

impl<'a> Key<'a> {
    /// The key with this text.
    pub fn of(text: &'a str) -> Self {
        Self { text, digest: Sha256::digest(text.as_bytes()).into() }
    }
}

/// Keys, as their digests.
#[derive(Clone, Default)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Whether `shown` is one of them. Digests are compared, so that neither the time nor the length says anything about a
    /// key.
    pub fn has(&self, shown: Key<'_>) -> bool {
        self.0.iter().fold(false, |found, key| found | bool::from(shown.digest.ct_eq(key)))
    }
}

impl<'k> FromIterator<&'k str> for Keys {
    fn from_iter<I: IntoIterator<Item = &'k str>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| Key::of(key).digest).collect())
    }
}

/// Somebody, if they said who.
pub(super) type Who = Option<Arc<Identity>>;

/// What a caller shows for itself.
#[derive(Clone, Copy)]
pub enum Claim<'a> {
    /// A key or token, as `Authorization: Bearer` or `X-API-Key`.
    Key(Key<'a>),
    /// The SHA-256 of the certificate (DER) whose key the caller has proved to hold.
    Certificate(&'a [u8; 32]),
}

/// Why a claim makes nobody known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unproven {
    /// It is nobody's.
    Wrong,
    /// It was somebody's, and is over.
    Expired,
    /// It is somebody's, who may not ask from there.
    Elsewhere,
    /// It cannot be looked up now.
    Unknown,
}

/// Who makes a claim.
pub type Found = Result<Arc<Identity>, Unproven>;

/// Somebody who was refused something.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    /// Who they are, or wanted to be.
    pub claimed: Claimed<'a>,
    /// From where.
    pub from: IpAddr,
    /// What for: method and path, or the path alone.
    pub what: &'a str,
    /// The answer's code.
    pub why: &'static str,
}

/// Who is refused.
#[derive(Clone, Copy)]
pub enum Claimed<'a> {
    /// Whoever shows this.
    Shown(Claim<'a>),
    /// Somebody who is known.
    Known(&'a Identity),
    /// Somebody who says so.
    Named(&'a str),
    /// Nobody in particular.
    Nobody,
}

/// Whoever knows whose a key is: in this process, or in another that is asked.
pub trait Authority: Send + Sync {
    /// Who shows `claim` from `address`, where that can be said without waiting.
    fn at_once(&self, claim: Claim<'_>, from: IpAddr) -> Option<Found>;

    /// The same, after asking whoever knows.
    fn ask<'a>(&'a self, claim: Claim<'a>, from: IpAddr) -> BoxFuture<'a, Found>;

    /// Whether it was somebody's of late: whoever shows it is asked about, whatever others show from there.
    fn is_known(&self, _: Claim<'_>, _from: IpAddr) -> bool {
        false
    }

    /// Hears of a refusal; it must not wait.
    fn refused(&self, _: Refused<'_>) {}
}

/// What is shown is no credential, or more than one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TwoOrNone;

/// What the headers of a request show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credentials<'a> {
    /// Nothing.
    Nothing,
    /// A key or token, in `Authorization: Bearer` or `X-API-Key`.
    Token(&'a str),
    /// A name and a password of HTTP's Basic scheme, still in base64.
    Basic(&'a [u8]),
}

/// What the headers show; the one reader of them, so that no key is right for one part of the program and too long, or
/// written with a space too much, for another.
///
/// # Errors
/// For two, and for a credential of another kind, which is no less a claim to be somebody.
pub fn credentials(headers: &HeaderMap) -> Result<Credentials<'_>, TwoOrNone> {
    // To go over them once costs less than to look for two.
    let mut all = headers.iter().filter_map(|(name, value)| match *name {
        AUTHORIZATION => Some(authorized(value)),
        _ if *name == X_API_KEY => Some(token(value.as_bytes())),
        _ => None,
    });
    let first = all.next().unwrap_or(Ok(Credentials::Nothing));
    if all.next().is_some() { Err(TwoOrNone) } else { first }
}

fn authorized(value: &HeaderValue) -> Result<Credentials<'_>, TwoOrNone> {
    let bytes = value.as_bytes();
    let space = bytes.iter().position(|byte| *byte == b' ').ok_or(TwoOrNone)?;
    let (scheme, rest) = bytes.split_at(space);
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return token(rest);
    }
    let is_pair = scheme.eq_ignore_ascii_case(b"basic") && rest.len() <= LONGEST;
    if is_pair { Ok(Credentials::Basic(rest.trim_ascii())) } else { Err(TwoOrNone) }
}

fn token(bytes: &[u8]) -> Result<Credentials<'_>, TwoOrNone> {
    let text = std::str::from_utf8(bytes.trim_ascii()).map_err(|_| TwoOrNone)?;
    if text.is_empty() || text.len() > LONGEST { Err(TwoOrNone) } else { Ok(Credentials::Token(text)) }
}

/// The key or token that a request shows, if it is one.
pub fn key_in(headers: &HeaderMap) -> Option<&str> {
    shown(headers).ok().flatten()
}

/// The key of a request, for whoever knows no names with passwords.
pub(super) fn shown(headers: &HeaderMap) -> Result<Option<&str>, TwoOrNone> {
    match credentials(headers)? {
        Credentials::Nothing => Ok(None),
        Credentials::Token(key) => Ok(Some(key)),
        Credentials::Basic(_) => Err(TwoOrNone),
    }
}

impl From<Unproven> for Problem {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Wrong => key_wrong(),
            Unproven::Expired => {
                refusal("key_expired", "The key or token is over; log in again, or ask for a new one.")
            }
            Unproven::Elsewhere => {
                Self::forbidden("key_elsewhere").detail("This key may not be used from your address.")
            }
            Unproven::Unknown => {
                Self::unavailable("identity_unknown", 5).detail("Keys cannot be looked up now.")
            }
        }
    }
}

/// 401 for nobody, and 403 for somebody who lacks the right.
pub(super) fn lacking(who: &Who, right: Right) -> Problem {
    match who {
        None => key_missing(),
        Some(who) => Problem::new(StatusCode::FORBIDDEN, "right_missing")
            .detail(format!("{who} does not have the right `{right}` that this needs.")),
    }
}

/// 401: this needs a key, and none was given.
fn key_missing() -> Problem {
    refusal("key_missing", "This needs a key or a login.")
}

/// 401: a key was given, and it is nobody's.
pub(super) fn key_wrong() -> Problem {
    refusal("key_wrong", "The key is wrong.")
}

fn refusal(code: &'static str, detail: &'static str) -> Problem {
    Problem::unauthorized(code, r#"Bearer realm="ironlist""#).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_credential_is_a_token_or_a_pair() {
        assert_eq!(credentials(&of(&[])), Ok(Credentials::Nothing));
        for pair in ["Basic ZWRnZTp3b3Jk", "bAsIc ZWRnZTp3b3Jk "] {
            let shown = Ok(Credentials::Basic(&b"ZWRnZTp3b3Jk"[..]));
            assert_eq!(credentials(&of(&[(AUTHORIZATION, pair)])), shown);
        }
        for key in [(AUTHORIZATION, "Bearer x"), (AUTHORIZATION, "bearer  x"), (X_API_KEY, "x")] {
            let headers = of(std::slice::from_ref(&key));
            assert_eq!(credentials(&headers), Ok(Credentials::Token("x")), "{key:?}");
            assert_eq!(key_in(&headers), Some("x"));
        }
        for other in
            ["Bearer", "Bearer ", "Basic", "Basicx ZWRnZTp3b3Jk", "Digest username=\"x\"", "Bearer\u{80}"]
        {
            let headers: HeaderMap =
                [(AUTHORIZATION, HeaderValue::from_bytes(other.as_bytes()).unwrap())].into_iter().collect();
            assert_eq!(credentials(&headers), Err(TwoOrNone), "{other}");
        }
        assert_eq!(credentials(&of(&[(X_API_KEY, "")])), Err(TwoOrNone));
        let long: HeaderMap = [(X_API_KEY, "x".repeat(LONGEST + 1).parse().unwrap())].into_iter().collect();
        assert_eq!(credentials(&long), Err(TwoOrNone));
    }

    #[test]
    fn two_credentials_are_none() {
        let pair = "Basic ZWRnZTp3b3Jk";
        for two in [(AUTHORIZATION, pair), (X_API_KEY, "x"), (AUTHORIZATION, "Bearer x")] {
            assert_eq!(credentials(&of(&[(AUTHORIZATION, pair), two.clone()])), Err(TwoOrNone), "{two:?}");
        }
    }
}
