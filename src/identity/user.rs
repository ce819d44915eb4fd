//! A person who logs in: plain data.

use super::mark::Mark;
use super::name::Name;
use super::password::Kept;
use super::secret::Fingerprint;
use crate::disk::hex;
use crate::model::Time;
use crate::rights::Rights;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Places that a person has logged in from, of which so many are remembered.
const PLACES: usize = 16;

/// What a person may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// Everything.
    Admin,
    /// Work with the blacklist.
    User,
}

impl UserRole {
    /// The rights that come with it.
    pub fn rights(self) -> Rights {
        match self {
            Self::Admin => Rights::ALL,
            Self::User => Rights::USER,
        }
    }
}

/// When and from where somebody was here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Visit {
    /// When.
    pub at: Time,
    /// From where.
    pub from: IpAddr,
}

/// A user as the book has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) name: Name,
    pub(super) role: UserRole,
    pub(super) disabled: bool,
    pub(super) password: Kept,
    /// Until when the password opens the way to another one and to nothing else; none: it is the person's own.
    pub(super) one_time: Option<Time>,
    /// What that password is known by at once: it is random, and needs no hash that is dear.
    #[serde(default)]
    once: Option<Fingerprint>,
    pub(super) password_since: Time,
    pub(super) made: Time,
    pub(super) made_by: String,
    pub(super) last_login: Option<Visit>,
    /// Marks of the places they logged in from, the last one first.
    places: Vec<String>,
}

impl User {
    pub(super) fn new(
        name: Name,
        role: UserRole,
        password: (Kept, Fingerprint),
        until: Time,
        made_by: &str,
        now: Time,
    ) -> Self {
        Self {
            name,
            role,
            disabled: false,
            password: password.0,
            one_time: Some(until),
            once: Some(password.1),
            password_since: now,
            made: now,
            made_by: made_by.to_owned(),
            last_login: None,
            places: Vec::new(),
        }
    }

    /// Whether they administrate.
    pub(super) fn is_active_admin(&self) -> bool {
        self.role == UserRole::Admin && !self.disabled
    }

    /// Whether they may log in with the password that is kept.
    pub(super) fn is_open(&self, now: Time) -> bool {
        !self.disabled && self.one_time.is_none_or(|until| now < until)
    }

    /// Whether that is the one-time password with which they may begin.
    pub(super) fn begins_with(&self, shown: &Fingerprint, now: Time) -> bool {
        self.one_time.is_some() && self.is_open(now) && self.once.is_some_and(|once| once.is(shown))
    }

    /// Whether they have logged in from there.
    pub(super) fn knows(&self, place: &Mark) -> bool {
        let place = hex(place);
        self.places.contains(&place)
    }

    /// Remembers a login.
    pub(super) fn came(&mut self, visit: Visit, place: &Mark) {
        let place = hex(place);
        self.places.retain(|known| *known != place);
        self.places.insert(0, place);
        self.places.truncate(PLACES);
        self.last_login = Some(visit);
    }

    /// Has another password from now on.
    pub(super) fn set_password(&mut self, password: Kept, now: Time) {
        (self.password, self.password_since) = (password, now);
        (self.one_time, self.once) = (None, None);
    }

    /// Has a password from now on that opens the way to another one until then.
    pub(super) fn set_one_time(&mut self, password: Kept, once: Fingerprint, until: Time, now: Time) {
        self.set_password(password, now);
        (self.one_time, self.once) = (Some(until), Some(once));
    }
}

/// A user as an administrator sees them.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct UserRow {
    /// Who.
    pub name: Name,
    /// What they may do.
    pub role: UserRole,
    /// Whether they may not log in.
    pub disabled: bool,
    /// Whether they have a one-time password, and until when.
    pub one_time_until: Option<Time>,
    /// Since when they have their password.
    pub password_since: Time,
    /// When they were made known.
    pub made: Time,
    /// By whom.
    pub made_by: String,
    /// Their last login.
    pub last_login: Option<Visit>,
    /// How many sessions they have now.
    pub sessions: usize,
}

impl UserRow {
    pub(super) fn of(user: &User, sessions: usize) -> Self {
        Self {
            name: user.name.clone(),
            role: user.role,
            disabled: user.disabled,
            one_time_until: user.one_time,
            password_since: user.password_since,
            made: user.made,
            made_by: user.made_by.clone(),
            last_login: user.last_login,
            sessions,
        }
    }
}
