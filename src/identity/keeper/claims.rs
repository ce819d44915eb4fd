//! Who shows this? Answered from memory: a key costs a digest, a token one signature's check at its first showing and a
//! digest from then on.

use super::super::key::{Not, Proof, ReadyKey};
use super::super::secret::{Fingerprint, key_id};
use super::super::token::Untrue;
use super::super::user::Visit;
use super::Keeper;
use crate::model::Time;
use crate::rights::Identity;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// So many tokens are remembered.
const TOKENS: u64 = 20_000;
/// Nothing that anybody shows is longer, in bytes.
const LONGEST: usize = 4096;

/// What somebody shows for themselves.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    /// A key or a token, and its digest.
    Key(&'a str, Fingerprint),
    /// The SHA-256 of a client certificate.
    Certificate(&'a [u8; 32]),
}

impl<'a> Shown<'a> {
    /// A key or a token.
    pub fn key(text: &'a str) -> Self {
        Self::Key(text, Fingerprint::of(text))
    }

    /// What it seems to be, to whoever knows no keys; never the secret in it.
    pub fn seems(self) -> String {
        match self {
            Self::Certificate(digest) => format!("certificate {}", String::from(Fingerprint::from(*digest))),
            Self::Key(text, _) => match key_id(text) {
                Some(id) => format!("key il_{id}"),
                None if text.contains('.') => "a token".to_owned(),
                None => "a key".to_owned(),
            },
        }
    }
}

/// Who it is, and until when that holds.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Who.
    pub identity: Arc<Identity>,
    /// Until when; none: without an end that is known.
    pub until: Option<Time>,
    /// Which session, where it is one.
    pub(super) session: Option<Uuid>,
    /// Not before.
    since: Time,
}

/// Why it is nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// What is shown is nothing of ours, or no more.
    Wrong,
    /// It was right, and is over.
    Expired,
    /// It is right, and not from there.
    Elsewhere,
}

impl From<Not> for Doubt {
    fn from(not: Not) -> Self {
        match not {
            Not::Wrong => Self::Wrong,
            Not::Expired => Self::Expired,
            Not::Elsewhere => Self::Elsewhere,
        }
    }
}

/// Tokens that were verified, by digest, with the number of the step before which that was.
pub(super) struct Remembered(moka::sync::Cache<Fingerprint, (u64, Proved)>);

impl Remembered {
    pub(super) fn new() -> Self {
        Self(moka::sync::Cache::new(TOKENS))
    }
}

impl Keeper {
    /// Who shows `shown` from there.
    ///
    /// # Errors
    /// [`Doubt`].
    pub fn prove(&self, shown: Shown<'_>, from: IpAddr) -> Result<Proved, Doubt> {
        let (now, from) = (self.now(), from.to_canonical());
        match shown {
            Shown::Key(text, _) if text.len() > LONGEST => Err(Doubt::Wrong),
            Shown::Key(text, print) => match key_id(text) {
                Some(id) => {
                    let key = self.directory().key_of(id).cloned().ok_or(Doubt::Wrong)?;
                    let shown = Proof::Secret { id: String::new(), print };
                    self.admit(&key, &shown, Visit { at: now, from })
                }
                None => self.token(text, print, now),
            },
            Shown::Certificate(digest) => {
                let print = Fingerprint::from(*digest);
                let key = self.directory().key_of_certificate(&print).cloned().ok_or(Doubt::Wrong)?;
                self.admit(&key, &Proof::Certificate(print), Visit { at: now, from })
            }
        }
    }

    /// As whom somebody may be entered among the refusals who shows this, and is not believed: never the secret.
    pub fn claimed(&self, shown: Shown<'_>) -> String {
        let directory = self.directory();
        let key = match shown {
            Shown::Certificate(digest) => directory.key_of_certificate(&Fingerprint::from(*digest)),
            Shown::Key(text, _) => key_id(text).and_then(|id| directory.key_of(id)),
        };
        key.map_or_else(|| shown.seems(), |key| format!("key {}", key.kept.name))
    }

    fn admit(&self, key: &ReadyKey, shown: &Proof, visit: Visit) -> Result<Proved, Doubt> {
        let identity = key.admit(shown, visit.from, visit.at)?;
        self.note_use(&key.kept.name, visit);
        Ok(Proved {
            identity: Arc::clone(identity),
            until: key.kept.expires,
            since: Time::default(),
            session: None,
        })
    }

    fn token(&self, text: &str, print: Fingerprint, now: Time) -> Result<Proved, Doubt> {
        let epoch = self.epoch.load(Ordering::Acquire);
        if let Some((then, proved)) = self.remembered.0.get(&print)
            && then == epoch
            && proved.holds(now)
        {
            return Ok(proved);
        }
        let directory = self.directory();
        let claims = directory.ring.verify(text, self.foundation.id, now).map_err(|untrue| match untrue {
            Untrue::Wrong => Doubt::Wrong,
            Untrue::Over => Doubt::Expired,
        })?;
        let identity = directory.identity(claims.sid).filter(|identity| identity.name == claims.sub.as_str());
        let proved = Proved {
            identity: Arc::new(identity.ok_or(Doubt::Wrong)?),
            until: Some(Time::from_unix(claims.exp)),
            since: Time::from_unix(claims.nbf),
            session: Some(claims.sid),
        };
        drop(directory);
        if proved.holds(now) {
            self.remembered.0.insert(print, (epoch, proved.clone()));
        }
        Ok(proved)
    }
}

impl Proved {
    /// Whether the clock is between its beginning and its end; a moment beside them it is looked at more closely.
    fn holds(&self, now: Time) -> bool {
        self.since <= now && self.until.is_none_or(|until| now < until)
    }
}
