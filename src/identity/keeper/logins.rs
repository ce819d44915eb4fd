//! The way in and out again: logins, refreshing, logging out, and one's own password.

use super::super::book::Put;
use super::super::delay::{self, Whence};
use super::super::directory::Directory;
use super::super::error::IdentityError;
use super::super::mark::mark;
use super::super::name::Name;
use super::super::password::{self, Kept};
use super::super::secret::{Fingerprint, Made, family_id};
use super::super::session::{Refresh, Session};
use super::super::token::Claims;
use super::super::user::{User, Visit};
use super::line::Turn;
use super::{Keeper, Proved, Told};
use crate::model::Time;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

/// Sessions of one user at once; the one that was not used for longest makes room.
const SESSIONS: usize = 50;
/// No name is longer, in bytes: what is, is nobody's, and need not be looked at.
const LONGEST: usize = 256;

/// An attempt to prove a password, counted as failed until it succeeds.
pub struct Attempt {
    name: Option<Name>,
    counted: delay::Attempt,
    from: Whence,
}

/// A session that has just begun or goes on, and what it shows.
pub struct Begun {
    /// Whose.
    pub user: Name,
    /// What it shows from now on.
    pub access_token: SecretString,
    /// For so many seconds.
    pub expires_in: i64,
    /// With what it gets the next one; none where it may only set a new password.
    pub refresh_token: Option<SecretString>,
}

impl Keeper {
    /// Lets somebody attempt to prove a password.
    ///
    /// # Errors
    /// [`IdentityError::Delayed`] for who has failed too often.
    pub fn attempt(&self, name: &str, from: impl Into<Whence>) -> Result<Attempt, IdentityError> {
        let from = from.into();
        let known: Option<Name> = name.parse().ok();
        let said = known.as_ref().map_or_else(|| name.get(..LONGEST).unwrap_or(name), Name::as_str);
        let salt = self.foundation.salt();
        let mark = mark(&salt, &[b"known", said.as_bytes(), &from.place()]);
        let is_known = {
            let directory = self.directory();
            known.as_ref().and_then(|name| directory.users.get(name)).is_some_and(|user| user.knows(&mark))
        };
        let counted = delay::Attempt::new(&salt, said, from, is_known);
        let begun = self.delays().begin(&counted, (self.clock.steady)());
        begun.map_err(|wait| IdentityError::Delayed(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))?;
        Ok(Attempt { name: known, counted, from })
    }

    /// Waits for a turn to have a password checked.
    ///
    /// # Errors
    /// [`IdentityError::Busy`]; the attempt does not count against the name then.
    pub async fn turn(&self, attempt: &Attempt) -> Result<Turn, IdentityError> {
        let turn = match attempt.counted.is_known() {
            true => self.line.known().await,
            false => self.line.stranger(attempt.from.network()).await,
        };
        turn.ok_or_else(|| {
            self.delays().turn_away(&attempt.counted);
            IdentityError::Busy
        })
    }

    /// Whether that is somebody's one-time password. It costs a digest, and there are too many of them to try: so nobody
    /// can keep its owner out by trying others, and [`Keeper::log_in_once`] waits for nothing.
    pub fn is_one_time(&self, name: &str, password: &SecretString) -> bool {
        let Ok(name) = name.parse::<Name>() else { return false };
        let shown = Fingerprint::of(password.expose_secret());
        let directory = self.directory();
        directory.users.get(&name).is_some_and(|user| user.begins_with(&shown, self.now()))
    }

    /// Logs somebody in with a one-time password. Blocks.
    ///
    /// # Errors
    /// [`IdentityError::Wrong`], and as [`Keeper::log_in`].
    pub fn log_in_once(
        &self,
        name: &str,
        password: &SecretString,
        from: impl Into<Whence>,
    ) -> Result<Begun, IdentityError> {
        let name: Name = name.parse().map_err(|_| IdentityError::Wrong)?;
        if !self.is_one_time(name.as_str(), password) {
            return Err(IdentityError::Wrong);
        }
        let proven = self.directory().user(&name)?.password.clone();
        self.begin(&name, &proven, from.into(), |_, _, _| Vec::new())
    }

    /// Logs somebody in. Blocks, and takes tens of milliseconds of a processor, the same for users who are not there.
    ///
    /// # Errors
    /// [`IdentityError::Wrong`], whatever it was; or the disk or the vault failed.
    pub fn log_in(&self, attempt: &Attempt, password: &SecretString) -> Result<Begun, IdentityError> {
        let user = self.check(attempt, password)?;
        let outgrown = user.one_time.is_none() && self.hasher.is_outgrown(&user.password);
        let anew = outgrown.then(|| self.hasher.keep(password)).transpose()?;
        self.begin(&user.name, &user.password, attempt.from, |_, user, now| {
            if let Some(kept) = anew {
                let since = user.password_since;
                user.set_password(kept, now);
                user.password_since = since;
            }
            Vec::new()
        })
    }

    /// Sets one's own password, ends every session of theirs, and begins another. With a one-time password `old` is not
    /// asked for: it was proven by the session. Blocks as [`Keeper::log_in`].
    ///
    /// # Errors
    /// [`IdentityError::Wrong`] for another old password, [`IdentityError::Weak`] for a new one that may not be.
    pub fn change_password(
        &self,
        attempt: &Attempt,
        proved: &Proved,
        old: Option<&SecretString>,
        new: &SecretString,
    ) -> Result<Begun, IdentityError> {
        let session = proved.session.and_then(|id| self.directory().sessions.get(&id).cloned());
        let session = session.filter(|session| attempt.name.as_ref() == Some(&session.user));
        let Some(session) = session else { return Err(IdentityError::Wrong) };
        let known = match (session.refresh, old) {
            (Some(_), Some(old)) => self.check(attempt, old)?.password,
            (Some(_), None) => return Err(IdentityError::Wrong),
            (None, _) => {
                // Nobody has to guess here.
                self.delays().withdraw(&attempt.counted);
                self.directory().user(&session.user)?.password.clone()
            }
        };
        password::admit(new, &session.user)?;
        if self.hasher.is(new, Some(&known)) {
            return Err(IdentityError::Weak("is the one before"));
        }
        let kept = self.hasher.keep(new)?;
        let begun = self.begin(&session.user, &known, attempt.from, |directory, user, now| {
            user.set_password(kept, now);
            directory.end_all(&user.name).collect()
        })?;
        self.forget_password_file(&session.user);
        Ok(begun)
    }

    /// The user whose password it is.
    fn check(&self, attempt: &Attempt, password: &SecretString) -> Result<User, IdentityError> {
        let user = attempt.name.as_ref().and_then(|name| self.directory().users.get(name).cloned());
        let is_right = self.hasher.is(password, user.as_ref().map(|user| &user.password));
        let user = user.filter(|user| is_right && user.is_open(self.now())).ok_or(IdentityError::Wrong)?;
        self.delays().succeed(&attempt.counted);
        Ok(user)
    }

    /// Begins a session of a user who still has the password that was proven, after `change`, in one step.
    fn begin(
        &self,
        name: &Name,
        proven: &Kept,
        from: Whence,
        change: impl FnOnce(&Directory, &mut User, Time) -> Vec<Put>,
    ) -> Result<Begun, IdentityError> {
        let now = self.now();
        let mark = mark(&self.foundation.salt(), &[b"known", name.as_str().as_bytes(), &from.place()]);
        let (refresh, from) = (Made::refresh(None)?, from.address);
        let begun = self.step(|directory| {
            let user = directory.users.get(name).filter(|user| user.password == *proven && user.is_open(now));
            let mut user = user.cloned().ok_or(IdentityError::Wrong)?;
            let mut step = change(directory, &mut user, now);
            user.came(Visit { at: now, from }, &mark);
            let lasts = user.one_time.is_none();
            let by = Refresh { family: Fingerprint::of(&refresh.id), current: refresh.print };
            let (id, refresh_by) = (Uuid::new_v4(), lasts.then_some(by));
            let session = Session { id, user: name.clone(), made: now, used: now, from, refresh: refresh_by };
            let own = directory.sessions_of(name);
            let many = if step.is_empty() { (own.len() + 1).saturating_sub(SESSIONS) } else { 0 };
            step.extend(own.iter().take(many).map(|session| Put::NoSession(session.id)));
            let claims = Claims::new(self.foundation.id, name, session.id, now, self.lives.token);
            let begun = Begun {
                user: name.clone(),
                access_token: directory.ring.sign(&claims)?.into(),
                expires_in: self.lives.token,
                refresh_token: lasts.then(|| refresh.text.clone()),
            };
            step.extend([Put::User(user), Put::Session(session)]);
            Ok((step, begun))
        })?;
        (self.observe)(Told::Issued(if begun.refresh_token.is_some() { "password" } else { "one_time" }));
        Ok(begun)
    }

    /// Goes on with a session: its refresh token is used up, and another one given with the next access token. One that
    /// was used before is in the wrong hands, whose ever they are: it ends the session. Blocks.
    ///
    /// # Errors
    /// [`IdentityError::Reused`], or [`IdentityError::Wrong`]; with the name of the user whose session it was, if that is
    /// known.
    pub fn refresh(&self, token: &SecretString) -> Result<Begun, (IdentityError, Option<Name>)> {
        let (now, text) = (self.now(), token.expose_secret());
        let id = family_id(text).ok_or((IdentityError::Wrong, None))?;
        let (family, shown) = (Fingerprint::of(id), Fingerprint::of(text));
        let next = Made::refresh(Some(id)).map_err(|error| (error, None))?;
        let mut whose = None;
        let taken = self.step(|directory| {
            let session = directory.session_of(&family).ok_or(IdentityError::Wrong)?;
            whose = Some(session.user.clone());
            let ended = |why| Ok((vec![Put::NoSession(session.id)], Err(why)));
            if !session.refresh.is_some_and(|refresh| refresh.current.is(&shown)) {
                return ended(IdentityError::Reused);
            }
            if session.ends(&self.lives) <= now || directory.identity(session.id).is_none() {
                return ended(IdentityError::Wrong);
            }
            let mut session = session.clone();
            session.used = now;
            session.refresh = Some(Refresh { family, current: next.print });
            let claims = Claims::new(self.foundation.id, &session.user, session.id, now, self.lives.token);
            let begun = Begun {
                user: session.user.clone(),
                access_token: directory.ring.sign(&claims)?.into(),
                expires_in: self.lives.token,
                refresh_token: Some(next.text.clone()),
            };
            Ok((vec![Put::Session(session)], Ok(begun)))
        });
        let begun = taken.and_then(|begun| begun).map_err(|error| (error, whose))?;
        (self.observe)(Told::Issued("refresh"));
        Ok(begun)
    }

    /// Ends the session of a refresh token, be it the one that may be used or one before. Blocks.
    ///
    /// # Errors
    /// [`IdentityError::Wrong`] where there is none; or the disk failed.
    pub fn log_out_with(&self, token: &SecretString) -> Result<(), IdentityError> {
        let family = Fingerprint::of(family_id(token.expose_secret()).ok_or(IdentityError::Wrong)?);
        self.step(|directory| {
            let session = directory.session_of(&family).ok_or(IdentityError::Wrong)?;
            Ok((vec![Put::NoSession(session.id)], ()))
        })
    }

    /// As whom somebody may be entered among the refusals who logs in by that name. Of one that nobody has, no more is
    /// told than lets its owner know it: people type passwords there.
    pub fn claimed_name(&self, name: &str) -> String {
        match name.parse::<Name>() {
            Ok(name) if self.directory().users.contains_key(&name) => name.to_string(),
            _ => {
                let begins: String = name.chars().take(2).collect();
                format!("{begins}… ({})", name.chars().count())
            }
        }
    }

    /// Ends the session that was proved, or all of its user's; its tokens are nobody's from then on. Blocks.
    ///
    /// # Errors
    /// The disk failed.
    pub fn log_out(&self, proved: &Proved, all: bool) -> Result<(), IdentityError> {
        let Some(id) = proved.session else {
            return Err(IdentityError::Nonsense("only a session can be ended"));
        };
        self.step(|directory| {
            let Some(session) = directory.sessions.get(&id) else { return Ok((Vec::new(), ())) };
            let step = match all {
                true => directory.end_all(&session.user).collect(),
                false => vec![Put::NoSession(id)],
            };
            Ok((step, ()))
        })
    }
}
