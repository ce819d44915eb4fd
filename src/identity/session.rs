//! What a login begins: it lasts while its refresh token is used, and each use makes another token. Plain data.

use super::name::Name;
use super::secret::Fingerprint;
use crate::model::Time;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

/// How long tokens and sessions last, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lives {
    /// An access token.
    pub token: i64,
    /// A session whose refresh token nobody uses.
    pub idle: i64,
    /// A session in any case.
    pub session: i64,
    /// A signing key, until another one takes its place.
    pub signing_key: i64,
    /// A one-time password.
    pub one_time: i64,
}

impl Default for Lives {
    fn default() -> Self {
        const DAY: i64 = 86_400;
        Self { token: 900, idle: 7 * DAY, session: 30 * DAY, signing_key: 30 * DAY, one_time: 7 * DAY }
    }
}

/// A session as the book has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) user: Name,
    pub(super) made: Time,
    /// When its refresh token was made.
    pub(super) used: Time,
    pub(super) from: IpAddr,
    /// None: it may only set a new password, and ends with its first token.
    pub(super) refresh: Option<Refresh>,
}

/// By what a session's refresh tokens are known.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Refresh {
    /// What all of them have in common.
    pub(super) family: Fingerprint,
    /// The one that may be used; any other of the family has been used before.
    pub(super) current: Fingerprint,
}

impl Session {
    /// When it is over, unless it is used before.
    pub(super) fn ends(&self, lives: &Lives) -> Time {
        match self.refresh {
            None => self.made.plus(lives.token),
            Some(_) => self.made.plus(lives.session).min(self.used.plus(lives.idle)),
        }
    }
}
