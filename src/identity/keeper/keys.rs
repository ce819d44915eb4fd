//! Keys of programs: made, shown once, put in each other's place, forgotten. What changes blocks on the disk.

use super::super::book::Put;
use super::super::directory::Directory;
use super::super::error::IdentityError;
use super::super::key::{ApiKey, KeyRow, KeyWish, Proof, ReadyKey};
use super::super::name::Name;
use super::super::secret::{Fingerprint, Made};
use super::super::user::Visit;
use super::Keeper;
use crate::model::Time;
use crate::rights::Rights;
use secrecy::SecretString;
use std::sync::{Arc, PoisonError};

/// So many keys there may be.
const MOST: usize = 1_000;
/// The longest time in which an old key holds beside the new one, in seconds.
const OVERLAP: i64 = 30 * 86_400;

/// A key that was just made.
pub struct MadeKey {
    /// What is known of it.
    pub row: KeyRow,
    /// The key, shown this once; none where a certificate stands for it.
    pub secret: Option<SecretString>,
}

impl Keeper {
    /// All keys.
    pub fn keys(&self) -> Vec<KeyRow> {
        let keys: Vec<Arc<ReadyKey>> = self.directory().keys.values().cloned().collect();
        keys.iter().map(|key| self.key_row(&key.kept)).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// There is no such key.
    pub fn key(&self, name: &Name) -> Result<KeyRow, IdentityError> {
        let key = Arc::clone(self.directory().key(name)?);
        Ok(self.key_row(&key.kept))
    }

    fn key_row(&self, key: &ApiKey) -> KeyRow {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        KeyRow::of(key, uses.get(&key.name).map(|(visit, _)| *visit), self.now())
    }

    /// Notes that a key was shown; it is written down later.
    pub(super) fn note_use(&self, name: &Name, visit: Visit) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get_mut(name) {
            Some(known) if known.0 == visit => {}
            Some(known) => *known = (visit, false),
            None => drop(uses.insert(name.clone(), (visit, false))),
        }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// There is one of that name or with that certificate, it could do nothing, or there are too many.
    pub fn add_key(&self, wish: KeyWish, by: &str) -> Result<MadeKey, IdentityError> {
        let now = self.now();
        if wish.rights == Rights::NONE {
            return Err(IdentityError::Nonsense("a key without any right could do nothing"));
        }
        if wish.expires.is_some_and(|end| end <= now) {
            return Err(IdentityError::Nonsense("a key that has ended already could do nothing"));
        }
        let (kept, secret) = self.step(|directory| {
            if directory.keys.contains_key(&wish.name) {
                return Err(IdentityError::Exists("key", wish.name.to_string()));
            }
            if directory.keys.len() >= MOST {
                return Err(IdentityError::Full("a thousand keys"));
            }
            let (proof, secret) = proof(directory, wish.certificate, now)?;
            let KeyWish { name, rights, networks, expires, .. } = wish;
            let by = by.to_owned();
            let key = ApiKey { name, rights, networks, expires, made: now, made_by: by, proof, before: None };
            Ok((vec![Put::Key(key.clone())], (key, secret)))
        })?;
        Ok(MadeKey { row: self.key_row(&kept), secret })
    }

    /// Gives a key another secret or certificate; the old one holds beside it for so many seconds.
    ///
    /// # Errors
    /// There is no such key, the certificate is another key's, or the old one would hold for too long.
    pub fn rotate_key(
        &self,
        name: &Name,
        certificate: Option<Fingerprint>,
        overlap: i64,
    ) -> Result<MadeKey, IdentityError> {
        if !(0..=OVERLAP).contains(&overlap) {
            return Err(IdentityError::Nonsense(
                "the old one may hold for 30 days beside the new one at most",
            ));
        }
        let now = self.now();
        let (kept, secret) = self.step(|directory| {
            let mut key = directory.key(name)?.kept.clone();
            if matches!(key.proof, Proof::Certificate(_)) != certificate.is_some() {
                return Err(IdentityError::Nonsense(
                    "a certificate is followed by a certificate, a secret by a secret",
                ));
            }
            let (proof, secret) = proof(directory, certificate, now)?;
            let before = std::mem::replace(&mut key.proof, proof);
            key.before = (overlap > 0).then(|| (before, now.plus(overlap)));
            Ok((vec![Put::Key(key.clone())], (key, secret)))
        })?;
        Ok(MadeKey { row: self.key_row(&kept), secret })
    }

    /// Forgets a key; it opens nothing from then on.
    ///
    /// # Errors
    /// There is no such key.
    pub fn remove_key(&self, name: &Name) -> Result<(), IdentityError> {
        self.step(|directory| {
            directory.key(name)?;
            Ok((vec![Put::NoKey(name.clone())], ()))
        })?;
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}

/// By what a new key is known: the certificate that is named, or a secret that nobody has.
fn proof(
    directory: &Directory,
    certificate: Option<Fingerprint>,
    now: Time,
) -> Result<(Proof, Option<SecretString>), IdentityError> {
    if let Some(print) = certificate {
        let holds =
            |key: &&Arc<ReadyKey>| key.kept.proofs(now).any(|proof| *proof == Proof::Certificate(print));
        return match directory.key_of_certificate(&print).filter(holds) {
            Some(other) => {
                Err(IdentityError::Exists("key with this certificate,", other.kept.name.to_string()))
            }
            None => Ok((Proof::Certificate(print), None)),
        };
    }
    loop {
        let Made { id, text, print } = Made::key()?;
        // Two of a million million begin alike rarely enough, but it would be one key's end.
        if directory.key_of(&id).is_none() {
            return Ok((Proof::Secret { id, print }, Some(text)));
        }
    }
}
