//! People: made known, changed, forgotten. Every method blocks on the disk.

use super::super::book::Put;
use super::super::error::IdentityError;
use super::super::name::Name;
use super::super::password::{self, Kept};
use super::super::secret::{Fingerprint, one_time};
use super::super::user::{User, UserRole, UserRow};
use super::Keeper;
use crate::disk::write_private;
use crate::model::Time;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::io::ErrorKind;

/// So many people there may be.
const MOST: usize = 1_000;

/// What is to be different about a user.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// What they may do.
    #[serde(default)]
    pub role: Option<UserRole>,
    /// Whether they may not log in.
    #[serde(default)]
    pub disabled: Option<bool>,
}

impl Keeper {
    /// Makes the first administrator of an installation that has nobody. Should a crash come before the step, the file
    /// has a password that opens nothing, and the next start writes another one.
    pub(super) fn found(&self) -> Result<Option<SecretString>, IdentityError> {
        if !self.directory().users.is_empty() {
            self.forget_password_file(&Name::admin());
            return Ok(None);
        }
        let password = one_time()?;
        write_private(&self.password_file, format!("{}\n", password.expose_secret()).as_bytes())?;
        let (kept, now) = (self.keep_once(&password)?, self.now());
        let admin = User::new(Name::admin(), UserRole::Admin, kept, Time::MAX, "the first start", now);
        self.step(|_| Ok((vec![Put::User(admin)], ())))?;
        Ok(Some(password))
    }

    /// Removes the file with the first password once `name` is the first administrator and has another one.
    pub(super) fn forget_password_file(&self, name: &Name) {
        let is_pending =
            self.directory().users.get(&Name::admin()).is_some_and(|user| user.one_time.is_some());
        if *name != Name::admin() || is_pending {
            return;
        }
        match std::fs::remove_file(&self.password_file) {
            Ok(()) => tracing::info!("the first administrator has a password of their own; the file is gone"),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, file = %self.password_file.display(), "cannot be removed; it opens nothing");
            }
        }
    }

    /// The two forms in which a one-time password is kept.
    fn keep_once(&self, password: &SecretString) -> Result<(Kept, Fingerprint), IdentityError> {
        Ok((self.hasher.keep(password)?, Fingerprint::of(password.expose_secret())))
    }

    /// Everybody.
    pub fn users(&self) -> Vec<UserRow> {
        let directory = self.directory();
        let row = |user: &User| UserRow::of(user, directory.sessions_of(&user.name).len());
        directory.users.values().map(row).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// There is no such user.
    pub fn user(&self, name: &Name) -> Result<UserRow, IdentityError> {
        let directory = self.directory();
        Ok(UserRow::of(directory.user(name)?, directory.sessions_of(name).len()))
    }

    /// Makes a user known, and gives the one-time password with which they choose their own.
    ///
    /// # Errors
    /// There is one of that name, or there are too many.
    pub fn add_user(&self, name: &Name, role: UserRole, by: &str) -> Result<SecretString, IdentityError> {
        let (password, now) = (one_time()?, self.now());
        let kept = self.keep_once(&password)?;
        self.step(|directory| {
            if directory.users.contains_key(name) {
                return Err(IdentityError::Exists("user", name.to_string()));
            }
            if directory.users.len() >= MOST {
                return Err(IdentityError::Full("a thousand users"));
            }
            let user = User::new(name.clone(), role, kept, now.plus(self.lives.one_time), by, now);
            Ok((vec![Put::User(user)], ()))
        })?;
        Ok(password)
    }

    /// Changes a user and ends their sessions; whether anything is different.
    ///
    /// # Errors
    /// There is no such user, or it would be the last administrator's end.
    pub fn change_user(&self, name: &Name, change: UserChange) -> Result<bool, IdentityError> {
        let now = self.now();
        self.step(|directory| {
            let user = directory.user(name)?;
            let mut changed = user.clone();
            changed.role = change.role.unwrap_or(user.role);
            changed.disabled = change.disabled.unwrap_or(user.disabled);
            if (changed.role, changed.disabled) == (user.role, user.disabled) {
                return Ok((Vec::new(), false));
            }
            if directory.is_last_administrator(name, now) && !changed.is_active_admin() {
                return Err(IdentityError::LastAdministrator(name.to_string()));
            }
            Ok((directory.end_all(name).chain([Put::User(changed)]).collect(), true))
        })
    }

    /// Gives a user a one-time password in place of theirs, or the one that somebody has chosen for them, and ends their
    /// sessions. What was made is given back.
    ///
    /// # Errors
    /// There is no such user, or they may not have that password.
    pub fn reset_password(
        &self,
        name: &Name,
        chosen: Option<&SecretString>,
    ) -> Result<Option<SecretString>, IdentityError> {
        chosen.map_or(Ok(()), |chosen| password::admit(chosen, name))?;
        let now = self.now();
        let made = if chosen.is_none() { Some(one_time()?) } else { None };
        let own = chosen.map(|password| self.hasher.keep(password)).transpose()?;
        let once = made.as_ref().map(|password| self.keep_once(password)).transpose()?;
        self.step(|directory| {
            let mut user = directory.user(name)?.clone();
            own.into_iter().for_each(|kept| user.set_password(kept, now));
            once.into_iter().for_each(|(kept, once)| {
                user.set_one_time(kept, once, now.plus(self.lives.one_time), now);
            });
            Ok((directory.end_all(name).chain([Put::User(user)]).collect(), ()))
        })?;
        self.forget_password_file(name);
        Ok(made)
    }

    /// Ends the sessions of a user; how many there were.
    ///
    /// # Errors
    /// There is no such user.
    pub fn end_sessions(&self, name: &Name) -> Result<usize, IdentityError> {
        self.step(|directory| {
            directory.user(name)?;
            let step: Vec<Put> = directory.end_all(name).collect();
            let count = step.len();
            Ok((step, count))
        })
    }

    /// Forgets a user.
    ///
    /// # Errors
    /// There is no such user, or it is the last administrator.
    pub fn remove_user(&self, name: &Name) -> Result<(), IdentityError> {
        let now = self.now();
        self.step(|directory| {
            directory.user(name)?;
            if directory.is_last_administrator(name, now) {
                return Err(IdentityError::LastAdministrator(name.to_string()));
            }
            Ok((directory.end_all(name).chain([Put::NoUser(name.clone())]).collect(), ()))
        })
    }
}
