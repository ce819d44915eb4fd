//! Hooks as people and the configuration file set them up, and the secrets that they are signed with.

use super::attempt::{Sender, sealed_as};
use super::courier::Courier;
use super::delivery::{self, Change, Delivery, State};
use super::hook::{BadHook, FileWish, Hook, Off, Wish};
use super::ledger::KeptHook;
use super::look;
use crate::disk::{DiskError, hex, unhex};
use crate::model::{OutputName, Time};
use crate::publish::book::Audit;
use crate::vault::VaultError;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

/// So many seconds after a rotation the secret before signs, too.
const OVERLAP: i64 = 86_400;

/// Why a hook was not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It is wrong.
    #[error(transparent)]
    Bad(#[from] BadHook),
    /// There is one of that name.
    #[error("there is a webhook of that name")]
    Exists,
    /// There is none of that name.
    #[error("there is no webhook of that name")]
    Unknown,
    /// The secret cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It cannot be written down.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A secret that was made, to be shown this once; none: the hook has the one that it was given.
pub type Shown = Option<Zeroizing<String>>;

impl Courier {
    /// Adds a hook, which is told what happens from now on. Blocks on the disk.
    ///
    /// # Errors
    /// [`NotKept`].
    pub fn add(&self, name: &OutputName, wish: Wish, audit: &Audit) -> Result<Shown, NotKept> {
        self.put_in(name, wish, false, audit)
    }

    fn put_in(&self, name: &OutputName, wish: Wish, by_file: bool, audit: &Audit) -> Result<Shown, NotKept> {
        wish.check()?;
        let (secret, shown) = match wish.secret.clone() {
            Some(secret) => (secret, None),
            None => {
                let made = made();
                (made.clone(), Some(made))
            }
        };
        let sealed = self.seal(name, &secret)?;
        let Wish { url, events, feeds, verify, enabled, .. } = wish;
        let (off, at) = ((!enabled).then(|| Off::by_person(audit.at)), audit.at);
        let (id, since, secret_since, before) = (Uuid::now_v7(), at, at, None);
        let hook = Hook { id, url, events, feeds, verify, off, since, secret_since, by_file, sealed, before };
        let _looking = self.looking();
        let known = look::now(&self.publisher, &self.settings.sources).known();
        match self.ledger().add(self.publisher.usable_book()?, name, hook, known, audit)? {
            true => Ok(shown),
            false => Err(NotKept::Exists),
        }
    }

    /// Changes a hook; what waits is sent to where it says now. One that was off is told what happens from now on.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`NotKept`]; what was there holds then.
    pub fn set(&self, name: &OutputName, wish: Wish, audit: &Audit) -> Result<(), NotKept> {
        wish.check()?;
        let kept = self.ledger().get(name).ok_or(NotKept::Unknown)?;
        let sealed = wish.secret.as_ref().map(|secret| self.seal(name, secret)).transpose()?;
        let _looking = self.looking();
        let now = look::now(&self.publisher, &self.settings.sources);
        self.settle(name, &kept, audit, |kept| {
            let begins = wish.enabled && kept.hook.off.is_some();
            let Wish { url, events, feeds, verify, enabled, .. } = wish;
            let off = (!enabled).then(|| kept.hook.off.clone().unwrap_or_else(|| Off::by_person(audit.at)));
            let hook = Hook { url, events, feeds, verify, off, ..kept.hook.clone() };
            let hook = sealed.into_iter().fold(hook, |hook, sealed| resealed(hook, sealed, audit.at));
            let put = if enabled { Vec::new() } else { dropped(kept) };
            Change { hook: Some(hook), known: begins.then(|| now.known()), put, ..Change::default() }
        })
    }

    /// Makes another secret for a hook; the one before signs, too, for a day. Blocks on the disk.
    ///
    /// # Errors
    /// [`NotKept`]; the secret before holds then.
    pub fn rotate(&self, name: &OutputName, audit: &Audit) -> Result<Zeroizing<String>, NotKept> {
        let kept = self.ledger().get(name).ok_or(NotKept::Unknown)?;
        let secret = made();
        let sealed = self.seal(name, &secret)?;
        self.settle(name, &kept, audit, |kept| {
            let hook = resealed(kept.hook.clone(), sealed, audit.at);
            Change { hook: Some(hook), ..Change::default() }
        })?;
        Ok(secret)
    }

    /// Sends a ping at once, whatever waits, and says how it went.
    ///
    /// # Errors
    /// [`NotKept::Unknown`] and faults of the disk.
    pub async fn test(&self, name: &OutputName) -> Result<Delivery, NotKept> {
        let KeptHook { hook, deliveries, .. } = self.ledger().get(name).ok_or(NotKept::Unknown)?;
        let sender = Sender::new(name.as_str(), &hook, &self.vault, &self.settings);
        let ping = Delivery::ping(delivery::next(&deliveries), self.publisher.engine().now());
        let (attempt, fault) = self.send(&sender, &ping).await;
        self.tell(name, &hook, &attempt);
        let tried = ping.tried(attempt, if fault.is_none() { State::Delivered } else { State::Failed });
        let told = tried.clone();
        let note = move |kept: &KeptHook| {
            // Others may have come meanwhile.
            let number = delivery::next(&kept.deliveries);
            Change { put: vec![Delivery { number, ..tried }], ..Change::default() }
        };
        self.change(name, &hook, note).await?;
        Ok(told)
    }

    /// Forgets a hook with all that waits for it. Blocks on the disk.
    ///
    /// # Errors
    /// [`NotKept::Unknown`] and faults of the disk.
    pub fn remove(&self, name: &OutputName, audit: &Audit) -> Result<(), NotKept> {
        match self.ledger().remove(self.publisher.usable_book()?, name, audit)? {
            true => Ok(()),
            false => Err(NotKept::Unknown),
        }
    }

    /// Sets up what the configuration file says, and takes away what it said before and says no more. What people set up
    /// otherwise stays. Blocks on the disk.
    ///
    /// # Errors
    /// Every hook that cannot be set up, and why; the others are.
    pub fn configure(&self, said: &BTreeMap<OutputName, FileWish>) -> Result<(), String> {
        let before = self.ledger().all();
        let gone = before.iter().filter(|(name, kept)| kept.hook.by_file && !said.contains_key(*name));
        let removed = gone.map(|(name, _)| (name, self.remove(name, &self.by_file("webhook.remove", name))));
        let set = said.iter().map(|(name, wish)| (name, self.configure_one(name, wish, before.get(name))));
        let failed: Vec<String> =
            removed.chain(set).filter_map(|(name, done)| Some(format!("{name}: {}", done.err()?))).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    fn configure_one(
        &self,
        name: &OutputName,
        said: &FileWish,
        kept: Option<&KeptHook>,
    ) -> Result<(), NotKept> {
        let wish = said.with(said.secret_file.as_deref().map(secret_in).transpose()?);
        let Some(kept) = kept else {
            self.put_in(name, wish, true, &self.by_file("webhook.add", name))?;
            return Ok(());
        };
        let has_secret = match &wish.secret {
            None => true,
            Some(secret) => self.opened(name, &kept.hook).is_ok_and(|open| *open == *secret.as_bytes()),
        };
        if wish.is(&kept.hook) && has_secret {
            return Ok(());
        }
        let secret = wish.secret.filter(|_| !has_secret);
        self.set(name, Wish { secret, ..wish }, &self.by_file("webhook.set", name))
    }

    fn by_file(&self, action: &str, name: &OutputName) -> Audit {
        Audit {
            at: self.publisher.engine().now(),
            actor: "configuration".to_owned(),
            action: action.to_owned(),
            subject: name.to_string(),
            reason: "the configuration file says so".to_owned(),
            detail: String::new(),
        }
    }

    fn settle(
        &self,
        name: &OutputName,
        kept: &KeptHook,
        audit: &Audit,
        work: impl FnOnce(&KeptHook) -> Change,
    ) -> Result<(), NotKept> {
        let book = self.publisher.usable_book()?;
        Ok(self.ledger().change(book, (name, kept.hook.id), Some(audit), work)?)
    }

    fn seal(&self, name: &OutputName, secret: &str) -> Result<String, VaultError> {
        Ok(hex(&self.vault.seal(&sealed_as(name.as_str()), secret.as_bytes())?))
    }

    fn opened(&self, name: &OutputName, hook: &Hook) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.vault.open(&sealed_as(name.as_str()), &unhex(&hook.sealed).unwrap_or_default())
    }
}

/// 244 bits of the system's generator.
fn made() -> Zeroizing<String> {
    let half = || Zeroizing::new(Uuid::new_v4().simple().to_string());
    Zeroizing::new(format!("{}{}", *half(), *half()))
}

fn resealed(hook: Hook, sealed: String, at: Time) -> Hook {
    let before = Some((hook.sealed, at.plus(OVERLAP)));
    Hook { sealed, before, secret_since: at, ..hook }
}

/// What waits, given up.
fn dropped(kept: &KeptHook) -> Vec<delivery::Delivery> {
    delivery::waiting(&kept.deliveries).cloned().map(delivery::Delivery::dropped).collect()
}

/// The secret in a file that nobody but its owner may read.
fn secret_in(file: &Path) -> Result<Zeroizing<String>, DiskError> {
    let place = || file.display().to_string();
    let metadata = std::fs::metadata(file).map_err(|error| DiskError::io(place(), error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let why = std::io::Error::other("others than its owner may read it: chmod 600");
        return Err(DiskError::io(place(), why));
    }
    let text =
        std::fs::read_to_string(file).map(Zeroizing::new).map_err(|error| DiskError::io(place(), error))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
