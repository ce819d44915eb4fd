//! What the book holds, in memory, as it is asked for. It changes by the same steps as the book, after it.

use super::book::{All, Put};
use super::error::IdentityError;
use super::key::{ApiKey, Proof, ReadyKey};
use super::name::Name;
use super::secret::Fingerprint;
use super::session::Session;
use super::token::{Ring, SigningKey};
use super::user::User;
use crate::model::Time;
use crate::rights::{Identity, Kind, Rights};
use crate::vault::Vault;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Everybody, everything they show, and every session.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) users: BTreeMap<Name, User>,
    pub(super) sessions: HashMap<Uuid, Session>,
    families: HashMap<Fingerprint, Uuid>,
    pub(super) keys: BTreeMap<Name, Arc<ReadyKey>>,
    /// By the public part of a key, or by a certificate.
    ids: HashMap<String, Name>,
    certificates: HashMap<Fingerprint, Name>,
    pub(super) ring: Ring,
}

impl Directory {
    /// What the book has; what the vault cannot open is told in the log.
    pub(super) fn new(all: &mut All, vault: &Vault) -> Self {
        let mut directory = Self::default();
        let users = all.users.drain(..).map(Put::User);
        let sessions = all.sessions.drain(..).map(Put::Session);
        let keys = all.keys.drain(..).map(Put::Key);
        let signing = all.signing.drain(..).map(Put::Signing);
        users.chain(sessions).chain(keys).chain(signing).for_each(|put| directory.apply(put, vault));
        directory
    }

    /// Takes in one document that the book has taken.
    pub(super) fn apply(&mut self, put: Put, vault: &Vault) {
        match put {
            Put::User(user) => drop(self.users.insert(user.name.clone(), user)),
            Put::NoUser(name) => drop(self.users.remove(&name)),
            Put::Session(session) => {
                self.families.extend(session.refresh.map(|refresh| (refresh.family, session.id)));
                self.sessions.insert(session.id, session);
            }
            Put::NoSession(id) => {
                let refresh = self.sessions.remove(&id).and_then(|session| session.refresh);
                if let Some(refresh) = refresh {
                    self.families.remove(&refresh.family);
                }
            }
            Put::Key(key) => {
                self.forget_key(&key.name);
                self.add_key(key);
            }
            Put::NoKey(name) => self.forget_key(&name),
            Put::Signing(kept) => self.put_signing_key(SigningKey::open(kept, vault)),
            Put::NoSigning(id) => self.ring.0.retain(|key| key.kept.id != id),
        }
    }

    fn add_key(&mut self, key: ApiKey) {
        let before = key.before.as_ref().map(|(proof, _)| proof);
        for (proof, is_before) in [(Some(&key.proof), false), (before, true)] {
            match proof {
                Some(Proof::Secret { id, .. }) => drop(self.ids.insert(id.clone(), key.name.clone())),
                // A certificate that stood for this key may by now stand for another.
                Some(Proof::Certificate(print)) if is_before => {
                    self.certificates.entry(*print).or_insert_with(|| key.name.clone());
                }
                Some(Proof::Certificate(print)) => drop(self.certificates.insert(*print, key.name.clone())),
                None => {}
            }
        }
        self.keys.insert(key.name.clone(), Arc::new(ReadyKey::new(key)));
    }

    fn forget_key(&mut self, name: &Name) {
        if self.keys.remove(name).is_some() {
            self.ids.retain(|_, of| of != name);
            self.certificates.retain(|_, of| of != name);
        }
    }

    fn put_signing_key(&mut self, opened: (SigningKey, Result<(), crate::vault::VaultError>)) {
        let (key, told) = opened;
        if let Err(error) = told {
            tracing::error!(%error, "a signing key cannot be opened; another one is made, and what it signed still holds");
        }
        let ring = &mut self.ring.0;
        ring.retain(|known| known.kept.id != key.kept.id);
        ring.push(Arc::new(key));
        ring.sort_by_key(|key| std::cmp::Reverse((key.kept.made, key.kept.retired.is_none())));
    }

    pub(super) fn user(&self, name: &Name) -> Result<&User, IdentityError> {
        self.users.get(name).ok_or_else(|| IdentityError::Unknown("user", name.to_string()))
    }

    pub(super) fn key(&self, name: &Name) -> Result<&Arc<ReadyKey>, IdentityError> {
        self.keys.get(name).ok_or_else(|| IdentityError::Unknown("key", name.to_string()))
    }

    /// The key that is found by the public part of what is shown.
    pub(super) fn key_of(&self, id: &str) -> Option<&Arc<ReadyKey>> {
        self.keys.get(self.ids.get(id)?)
    }

    /// The key for which a certificate stands.
    pub(super) fn key_of_certificate(&self, print: &Fingerprint) -> Option<&Arc<ReadyKey>> {
        self.keys.get(self.certificates.get(print)?)
    }

    /// Whether somebody of that name is there, or the key that is told as `key NAME`.
    pub(super) fn has(&self, claimed: &str) -> bool {
        match claimed.strip_prefix("key ") {
            Some(key) => self.keys.contains_key(key),
            None => self.users.contains_key(claimed),
        }
    }

    /// The session of a family of refresh tokens.
    pub(super) fn session_of(&self, family: &Fingerprint) -> Option<&Session> {
        self.sessions.get(self.families.get(family)?)
    }

    /// The sessions of a user, the one that was not used for longest first.
    pub(super) fn sessions_of<'a>(&'a self, user: &'a Name) -> Vec<&'a Session> {
        let mut own: Vec<&Session> = self.sessions.values().filter(|session| session.user == *user).collect();
        own.sort_by_key(|session| (session.used, session.id));
        own
    }

    /// The steps that end every session of a user.
    pub(super) fn end_all(&self, user: &Name) -> impl Iterator<Item = Put> {
        self.sessions_of(user)
            .into_iter()
            .map(|session| Put::NoSession(session.id))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Who that session is, while it and its user are there.
    pub(super) fn identity(&self, session: Uuid) -> Option<Identity> {
        let session = self.sessions.get(&session)?;
        let user = self.users.get(&session.user).filter(|user| !user.disabled)?;
        // Whoever has only begun with a one-time password may do nothing but choose another one.
        let rights = if session.refresh.is_some() { user.role.rights() } else { Rights::NONE };
        Some(Identity { kind: Kind::User, name: user.name.to_string(), rights })
    }

    /// Whether nobody could administrate any more without `name`: whoever has let a one-time password end can log in no more,
    /// and does not count.
    pub(super) fn is_last_administrator(&self, name: &Name, now: Time) -> bool {
        let is_one = self.users.get(name).is_some_and(User::is_active_admin);
        let mut others = self.users.values().filter(|other| other.name != *name && other.is_active_admin());
        is_one && !others.any(|other| other.is_open(now))
    }
}
