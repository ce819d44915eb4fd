//! Everything about publishing that a process has once: the feeds, who may read them, who has read them, the book.

use super::access::{Access, Claim, Denied, Reader, digest_of};
use super::blocked::{Blocked, blocked};
use super::book::{Audit, Book, Keys};
use super::feeds::Feeds;
use super::pulls::{Answer, Pulls};
use super::push::{Ledger, Remnant};
use super::release::Released;
use super::webhook;
use crate::addr::IpSet;
use crate::disk::{DiskError, Medium};
use crate::engine::{Engine, EngineError};
use crate::model::{Batch, Cause, Change, Device, Output, OutputKey, OutputName, Profile, Receipt, Time};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Pulls are written down so often.
const KEEP: Duration = Duration::from_secs(10);
/// Pulls are forgotten after so many seconds without another.
const FORGET: i64 = 90 * 86_400;

/// What a process publishes with; shared by all who answer.
pub struct Publisher {
    engine: Engine,
    feeds: Arc<Feeds>,
    /// Or why it cannot be used: whoever shows a key is asked to come again then, and everybody else is served.
    book: Result<Book, String>,
    pulls: Pulls,
    pushes: Ledger,
    hooks: webhook::Ledger,
    keys: Mutex<BTreeMap<OutputName, Keys>>,
    access: ArcSwap<(Arc<Vec<Output>>, Access)>,
    blocked: ArcSwap<BTreeMap<OutputName, Vec<Blocked>>>,
    open: IpSet,
}

/// The secrets of a device, shown once.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// For the path `/f/{token}/{feed}`.
    pub token: String,
    /// For HTTP's Basic scheme, with the device's name.
    pub password: String,
}

/// Why a reader gets nothing now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// By the rules.
    Denied(Denied),
    /// It shows a key, and keys cannot be looked up: a passing fault.
    Unknown,
}

impl Publisher {
    /// Opens what lies in the engine's data folder. `usual` is the default feed until people make something else of it;
    /// from `open` everybody may read. A book that cannot be used is told in the log.
    ///
    /// # Errors
    /// The folder of the feeds cannot be made or read.
    pub fn open(engine: Engine, usual: Profile, open: IpSet) -> Result<Arc<Self>, DiskError> {
        let feeds = Arc::new(Feeds::open(engine.folder(), usual, engine.now())?);
        let read = Book::open(&Medium::folder(engine.folder())).and_then(|book| {
            let (pulls, pushes) = (Pulls::open(&book)?, Ledger::open(&book)?);
            let known = (book.keys()?, pulls, pushes, webhook::Ledger::open(&book)?);
            Ok((Ok(book), known))
        });
        let (book, (keys, pulls, pushes, hooks)) = read.unwrap_or_else(|error| {
            tracing::error!(%error, "nobody's keys are known, nothing is pushed, and no webhook is told");
            (Err(error.to_string()), Default::default())
        });
        let nothing = (Arc::new(Vec::new()), Access::default());
        let access = ArcSwap::from_pointee(nothing);
        let (keys, blocked) = (Mutex::new(keys), ArcSwap::default());
        let publisher = Self { engine, feeds, book, pulls, pushes, hooks, keys, access, blocked, open };
        publisher.look_again();
        Ok(Arc::new(publisher))
    }

    /// Sets up what the configuration file says, feeds first, and withdraws what it said before and says no more. What
    /// people set up otherwise stays.
    ///
    /// # Errors
    /// The first change that fails, and what it was about.
    pub async fn configure(self: &Arc<Self>, outputs: &[Output]) -> Result<(), String> {
        let keys: Vec<OutputKey> = outputs.iter().map(Output::key).collect();
        let before = match &self.book {
            Ok(book) => book.configured().map_err(|error| error.to_string())?,
            Err(_) => Vec::new(),
        };
        let mut gone: Vec<OutputKey> = before.into_iter().filter(|key| !keys.contains(key)).collect();
        // A feed goes after the devices that read it.
        gone.sort_by(|a, b| b.cmp(a));
        for output in outputs {
            let is_known = self.engine.snapshot().outputs.contains(output);
            if !is_known {
                self.set_up(&output.key(), Change::Publish(output.clone())).await?;
            }
        }
        for key in gone {
            let is_there = self.engine.snapshot().outputs.iter().any(|output| output.key() == key);
            if is_there {
                self.set_up(&key, Change::Withdraw(key.clone())).await?;
            }
        }
        self.book
            .as_ref()
            .map_or(Ok(()), |book| book.set_configured(&keys))
            .map_err(|error| error.to_string())
    }

    async fn set_up(self: &Arc<Self>, key: &OutputKey, change: Change) -> Result<(), String> {
        let (actor, reason) = ("configuration".to_owned(), "the configuration file says so".to_owned());
        let batch = Batch { id: Uuid::now_v7(), actor, reason, cause: Cause::Manual, change };
        self.submit(batch).await.map(drop).map_err(|error| format!("{key}: {error}"))
    }

    /// Submits a change of what is published. A device that goes takes its keys, its push target and what it fetched
    /// with it; and one that comes begins with none, whatever a crash has left of another one of its name.
    ///
    /// # Errors
    /// As [`Engine::submit`], and a fault of the disk.
    pub async fn submit(self: &Arc<Self>, batch: Batch) -> Result<Receipt, EngineError> {
        let is_known = |name: &OutputName| self.engine.snapshot().devices().any(|other| other.name == *name);
        let (comes, goes) = match &batch.change {
            Change::Publish(Output::Device(device)) if !is_known(&device.name) => (Some(&device.name), None),
            Change::Withdraw(OutputKey::Device(name)) => (None, Some(name)),
            _ => (None, None),
        };
        let (comes, goes) = (comes.cloned(), goes.cloned());
        let (actor, reason) = (batch.actor.clone(), batch.reason.clone());
        if let Some(name) = comes {
            self.forget(name, actor.clone(), reason.clone()).await?;
        }
        let receipt = self.engine.submit(batch).await?;
        if let Some(name) = goes {
            self.forget(name, actor, reason).await?;
        }
        Ok(receipt)
    }

    /// Takes a device's keys and its push target away, as far as it has them, and forgets what it fetched.
    async fn forget(
        self: &Arc<Self>,
        device: OutputName,
        actor: String,
        reason: String,
    ) -> Result<(), EngineError> {
        let (publisher, at) = (Arc::clone(self), self.engine.now());
        let forget = move || {
            let subject = device.to_string();
            let audit = |action: &str| Audit {
                at,
                actor: actor.clone(),
                action: action.to_owned(),
                subject: subject.clone(),
                reason: reason.clone(),
                detail: "the device is no more".to_owned(),
            };
            if publisher.keys_since(&device).is_some() {
                publisher.drop_keys(&device, &audit("device.keys.drop"))?;
            }
            if let Ok(book) = &publisher.book {
                publisher.pulls.forget(book, &device)?;
            }
            publisher.drop_target(&device, &audit("device.push.drop"))
        };
        let forgotten = tokio::task::spawn_blocking(forget).await;
        Ok(forgotten.map_err(|error| DiskError::io(super::book::FILE, std::io::Error::other(error)))??)
    }

    /// The blacklist.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The feeds.
    pub fn feeds(&self) -> &Arc<Feeds> {
        &self.feeds
    }

    /// Who fetched what.
    pub fn pulls(&self) -> &Pulls {
        &self.pulls
    }

    /// Where lists are pushed to, and what is proven to be there.
    pub fn pushes(&self) -> &Ledger {
        &self.pushes
    }

    /// The webhooks, and what waits for them.
    pub fn hooks(&self) -> &webhook::Ledger {
        &self.hooks
    }

    /// The release of which a document is now that somebody pulled, `NAME` or `NAME/PART`; none where it is offered no
    /// more, be it that its feed has fewer parts by now: nobody is behind for that.
    pub fn newest(&self, document: &str) -> Option<Arc<Released>> {
        let (name, part) = document.split_once('/').unwrap_or((document, ""));
        let is_there = |profile: &Profile| {
            part.parse::<u16>().map_or(true, |part| profile.parts > 1 && part <= profile.parts)
        };
        self.feeds.get(name)?.released().filter(|released| is_there(&released.profile))
    }

    /// Whether a device has not asked for longer than it should.
    pub fn is_silent(&self, device: &Device) -> bool {
        let patience = i64::from(device.silent_minutes) * 60;
        let is_recent = |at: Time| self.engine.now().unix() - at.unix() <= patience;
        !self.pulls.last(&device.name).is_some_and(is_recent)
    }

    /// The book.
    pub fn book(&self) -> Option<&Book> {
        self.book.as_ref().ok()
    }

    /// Why the book cannot be used, if it cannot.
    pub fn bookless(&self) -> Option<&str> {
        self.book.as_ref().err().map(String::as_str)
    }

    /// What was pushed to firewalls and is pushed no more.
    pub fn remnants(&self) -> Vec<Remnant> {
        self.pushes.remnants(self.engine.snapshot().devices())
    }

    /// Takes the target of a device away, if it has one. Blocks on the disk.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn drop_target(&self, device: &OutputName, audit: &Audit) -> Result<(), DiskError> {
        match self.pushes.target(device) {
            Some(_) => self.pushes.set_target(self.usable_book()?, device, None, audit),
            None => Ok(()),
        }
    }

    /// The book, for whoever cannot do without.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn usable_book(&self) -> Result<&Book, DiskError> {
        let unusable = |why: &String| DiskError::io(super::book::FILE, std::io::Error::other(why.clone()));
        self.book.as_ref().map_err(unusable)
    }

    /// Takes every feed to the newest generation. Blocks on the disk.
    pub fn refresh(&self) {
        self.feeds.refresh(&self.engine);
    }

    /// Who asks from `from` with `claim`. Takes no lock; a digest and a look-up.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn admit(&self, claim: Claim<'_>, from: IpAddr) -> Result<Reader, Refused> {
        let access = self.access();
        if self.book.is_err() && matches!(claim, Claim::Token(_) | Claim::Basic(_)) {
            return Err(Refused::Unknown);
        }
        access.1.admit(claim, from).map_err(Refused::Denied)
    }

    /// Whether a device has that certificate, wherever it asks from.
    pub fn knows(&self, certificate: &[u8; 32]) -> bool {
        self.access().1.knows(Claim::Certificate(certificate))
    }

    /// Whether that feed is for whoever was admitted.
    pub fn reads(&self, reader: &Reader, feed: &OutputName) -> bool {
        // Only devices may be set up for some feeds.
        !matches!(reader, Reader::Device(_)) || self.access.load().1.reads(reader, feed)
    }

    /// Who may read now.
    fn access(&self) -> arc_swap::Guard<Arc<(Arc<Vec<Output>>, Access)>> {
        let access = self.access.load();
        if Arc::ptr_eq(&access.0, &self.engine.snapshot().outputs) {
            return access;
        }
        self.look_again();
        self.access.load()
    }

    /// Takes the devices of the newest generation and their keys.
    fn look_again(&self) {
        let keys = self.keys();
        let snapshot = Arc::clone(&self.engine.snapshot());
        let digests =
            keys.iter().flat_map(|(device, keys)| keys.digests().map(|digest| (digest, device.clone())));
        let access = Access::new(self.open.clone(), snapshot.devices(), digests);
        self.access.store(Arc::new((Arc::clone(&snapshot.outputs), access)));
    }

    /// Notes an answer to a reader.
    pub fn note(&self, reader: &Reader, answer: Answer<'_>) {
        if *reader != Reader::Administrator {
            self.pulls.note(reader, answer);
        }
    }

    /// Makes new keys for a device in place of those it had. Blocks on the disk.
    ///
    /// # Errors
    /// A fault of the disk; the old keys hold then.
    pub fn make_keys(&self, device: &OutputName, audit: &Audit) -> Result<Secrets, DiskError> {
        let secrets = Secrets { token: secret(), password: secret() };
        let pair = format!("{device}:{}", secrets.password);
        let claims = [Claim::Token(&secrets.token), Claim::Basic(pair.as_bytes())];
        let digests: Vec<_> = claims.into_iter().filter_map(digest_of).collect();
        let keys = Keys::new(&digests, audit.at);
        self.change_keys(device, Some(keys), audit)?;
        Ok(secrets)
    }

    /// Takes a device's keys away. Blocks on the disk.
    ///
    /// # Errors
    /// A fault of the disk; they hold then.
    pub fn drop_keys(&self, device: &OutputName, audit: &Audit) -> Result<(), DiskError> {
        self.change_keys(device, None, audit)
    }

    fn change_keys(&self, device: &OutputName, new: Option<Keys>, audit: &Audit) -> Result<(), DiskError> {
        let book = self.usable_book()?;
        let mut keys = self.keys();
        book.set_keys(device, new.as_ref(), audit)?;
        match new {
            Some(new) => drop(keys.insert(device.clone(), new)),
            None => drop(keys.remove(device)),
        }
        drop(keys);
        self.look_again();
        Ok(())
    }

    /// When a device's keys were made, if it has any.
    pub fn keys_since(&self, device: &OutputName) -> Option<Time> {
        self.keys().get(device).map(|keys| keys.since)
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<OutputName, Keys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes pulls down now and then until `stop` is done, and once more then.
    pub async fn keep(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let is_over = tokio::select! {
                () = &mut stop => true,
                () = tokio::time::sleep(KEEP) => false,
            };
            let publisher = Arc::clone(&self);
            // What it could fail with is logged in there.
            let work = move || {
                publisher.keep_once();
                publisher.look_for_blocked();
            };
            let _ = tokio::task::spawn_blocking(work).await;
            if is_over {
                return;
            }
        }
    }

    fn keep_once(&self) {
        let Ok(book) = &self.book else { return };
        if let Err(error) = self.pulls.keep(book, self.engine.now().plus(-FORGET)) {
            tracing::warn!(%error, "who fetched what is not written down; it is tried again");
        }
    }

    /// Looks which devices ask from an address that one of their feeds lists; each is logged once. Linear in what those
    /// feeds list.
    pub fn look_for_blocked(&self) {
        let now = blocked(&self.engine.snapshot(), &self.pulls, &self.feeds);
        let before = self.blocked.load();
        for (device, found) in now.iter().filter(|(device, _)| !before.contains_key(*device)) {
            for Blocked { feed, address } in found {
                tracing::warn!(%device, %feed, %address, "a device reads a feed that lists the device itself");
            }
        }
        self.blocked.store(Arc::new(now));
    }

    /// What [`Publisher::look_for_blocked`] found last.
    pub fn blocked(&self) -> Arc<BTreeMap<OutputName, Vec<Blocked>>> {
        self.blocked.load_full()
    }
}

/// 122 bits of the system's generator, in letters that every firewall's form takes.
fn secret() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
