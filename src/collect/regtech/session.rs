//! What proves a login, and how long it holds.

use crate::collect::portal::{Answer, Web};
use crate::model::Time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;
use tokio::time::Instant;

/// Set only by a login, unlike the portal's other cookie, which everybody gets.
const COOKIE: &str = "regtech-va";
/// Precedes the token in the cookie, without a space.
const SCHEME: &str = "Bearer";
/// A session that ends sooner is renewed.
const MARGIN: i64 = 5 * 60;
/// "Log out": what only somebody who is logged in can do.
const LOG_OUT: &str = "로그아웃";
/// What only the login page has.
const LOGIN_FORM: [&str; 3] = ["findOneMember", "addLogin", "memberPw"];

/// A session that was proven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    renew: Option<Instant>,
}

impl Session {
    /// The session, if cookie or page prove that there is one.
    pub(super) fn proven(web: &Web, page: Option<&Answer>, now: Time) -> Option<Self> {
        let token = web.cookie(COOKIE).and_then(|cookie| cookie.strip_prefix(SCHEME)).map(str::trim);
        match token.filter(|token| !token.is_empty()) {
            Some(token) => {
                let left = expiry(token).and_then(|expiry| renewal(expiry, now));
                Some(Self { renew: left.and_then(|left| Instant::now().checked_add(left)) })
            }
            None => page.filter(|page| page.text().contains(LOG_OUT)).map(|_| Self { renew: None }),
        }
    }

    /// Whether it is about to end.
    pub(super) fn is_old(self) -> bool {
        self.renew.is_some_and(|renew| Instant::now() >= renew)
    }
}

/// How long what ends at `expiry` is used, by the clock that does not jump. A token that would have
/// to be renewed at once comes from clocks that disagree: then the portal says when it is over.
fn renewal(expiry: Time, now: Time) -> Option<Duration> {
    let left = expiry.unix().saturating_sub(now.unix()).saturating_sub(MARGIN);
    u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_secs)
}

/// The `exp` of a token, unverified: it is the portal's to verify.
fn expiry(token: &str) -> Option<Time> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Some(Time::from_unix(claims.get("exp")?.as_i64()?))
}

/// Whether this is the page that asks to log in.
pub(super) fn is_login_page(answer: &Answer) -> bool {
    if !answer.is_html() {
        return false;
    }
    let text = answer.text();
    LOGIN_FORM.iter().any(|part| text.contains(part)) && !text.contains(LOG_OUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims), "signature")
    }

    #[test]
    fn the_end_of_a_session_is_read_from_its_token() {
        assert_eq!(
            expiry(&token(r#"{"exp":1780000000,"username":"u"}"#)),
            Some(Time::from_unix(1_780_000_000))
        );
        for wrong in ["", "a.b", "a.b.c", &token("[]"), &token(r#"{"exp":"soon"}"#), &token("{}")] {
            assert_eq!(expiry(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_session_is_renewed_five_minutes_before_its_end_and_never_at_once() {
        let now = Time::from_unix(1_000_000);
        assert_eq!(renewal(now.plus(3_600), now), Some(Duration::from_secs(3_300)));
        assert_eq!(renewal(now.plus(301), now), Some(Duration::from_secs(1)));
        for short in [300, 299, 0, -1, i64::MIN] {
            assert_eq!(renewal(now.plus(short), now), None, "a login a request would lock the account");
        }
    }
}
