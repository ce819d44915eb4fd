//! What somebody shows for themselves, who knows whose it is, and how those are refused who show nothing that counts.
//!
//! Keys themselves are never kept here, only digests; they must not appear in any log or answer.

use super::caller::Who;
use super::problem::Problem;
use crate::rights::{Identity, Right};
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The header for programs that cannot set `Authorization`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The longest key that anybody looks at, in bytes.
const LONGEST: usize = 4096;

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

/// What a caller shows for itself.
#[derive(Clone, Copy)]
pub enum Claim<'a> {
    /// A key or token, as `Authorization: Bearer` or `X-API-Key`.
    Key(&'a str),
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

    /// Hears of a refusal; it must not wait.
    fn refused(&self, _: Refused<'_>) {}
}

/// What is shown is no key, or more than one.
pub(super) struct TwoOrNone;

/// The key or token that a request shows, if it is one.
pub fn key_in(headers: &HeaderMap) -> Option<&str> {
    shown(headers).ok().flatten()
}

/// The key of a request, in `Authorization: Bearer` or `X-API-Key`. A credential of another kind is no less a claim to be
/// somebody, and two are one too many.
pub(super) fn shown(headers: &HeaderMap) -> Result<Option<&str>, TwoOrNone> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    let mut all = bearers.chain(headers.get_all(X_API_KEY).iter().map(|value| Some(value.as_bytes())));
    let Some(first) = all.next() else { return Ok(None) };
    let key = first.filter(|key| key.len() <= LONGEST).and_then(|key| std::str::from_utf8(key).ok());
    if all.next().is_some() { Err(TwoOrNone) } else { key.map(Some).ok_or(TwoOrNone) }
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
