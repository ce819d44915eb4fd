//! The hooks and their queues, in memory and in the book: who shows them waits for no disk.

use super::delivery::{self, Change, Deliveries, Delivery, State};
use super::hook::Hook;
use super::news::Known;
use crate::disk::DiskError;
use crate::model::{OutputName, Time};
use crate::publish::book::{Audit, Book};
use crate::publish::outgoing::Trouble;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

/// What is known of hooks.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<BTreeMap<OutputName, KeptHook>>,
    /// Held by whoever writes, so that readers wait for no disk.
    turn: Mutex<()>,
    /// Told whenever a hook or what waits for it changes.
    news: watch::Sender<u64>,
}

/// What is known of a hook.
#[derive(Clone, Debug)]
pub struct KeptHook {
    /// The hook.
    pub hook: Hook,
    /// What it has been told, or will be by what waits.
    pub known: Known,
    /// What waits and what is over, by number.
    pub deliveries: Deliveries,
}

impl KeptHook {
    /// A hook that has been told nothing.
    pub fn new(hook: Hook) -> Self {
        Self { hook, known: Known::default(), deliveries: Deliveries::new() }
    }

    /// What goes out next.
    pub(super) fn head(&self) -> Option<&Delivery> {
        delivery::waiting(&self.deliveries).next().filter(|_| self.hook.off.is_none())
    }

    /// How many deliveries wait.
    pub fn waiting(&self) -> usize {
        delivery::waiting(&self.deliveries).count()
    }

    /// When the oldest event that waits was noticed.
    pub fn behind_since(&self) -> Option<Time> {
        delivery::waiting(&self.deliveries).next().map(|head| head.event.at)
    }

    /// When the last delivery arrived, as far as that is remembered.
    pub fn delivered_at(&self) -> Option<Time> {
        let delivered = self.deliveries.values().filter(|one| one.state == State::Delivered);
        delivered.filter_map(|one| Some(one.last.as_ref()?.at)).max()
    }

    /// What is wrong: it was switched off by its receiver, or what goes out next does not arrive.
    pub fn trouble(&self) -> Option<Trouble> {
        if let Some(off) = &self.hook.off {
            let cure = "when it wants events again: ironlist webhook enable NAME".to_owned();
            let (code, what) = ("receiver_gone".to_owned(), off.why.clone());
            let trouble = Trouble { code, what, cure, since: off.at, attempts: 1, stopped: true };
            return Some(trouble).filter(|_| off.by_receiver);
        }
        let head = self.head()?;
        let last = head.last.as_ref()?;
        Some(Trouble {
            code: last.code.clone()?,
            what: last.error.clone().unwrap_or_default(),
            cure: last.cure.clone().unwrap_or_default(),
            since: head.failing_since?,
            attempts: head.attempts,
            stopped: false,
        })
    }

    fn apply(&mut self, change: &Change) -> Vec<u64> {
        if let Some(hook) = &change.hook {
            self.hook = hook.clone();
        }
        if let Some(known) = &change.known {
            self.known = known.clone();
        }
        delivery::apply(&mut self.deliveries, change)
    }
}

impl Ledger {
    /// What the book remembers.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn open(book: &Book) -> Result<Self, DiskError> {
        Ok(Self { inner: Mutex::new(book.hooks()?), ..Self::default() })
    }

    /// Announces every change.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// All hooks.
    pub fn all(&self) -> BTreeMap<OutputName, KeptHook> {
        self.inner().clone()
    }

    /// A hook.
    pub fn get(&self, name: &OutputName) -> Option<KeptHook> {
        self.inner().get(name).cloned()
    }

    /// Adds a hook that has been told `known`, unless there is one of that name. Blocks on the disk.
    pub(super) fn add(
        &self,
        book: &Book,
        name: &OutputName,
        hook: Hook,
        known: Known,
        audit: &Audit,
    ) -> Result<bool, DiskError> {
        let _turn = self.turn();
        if self.inner().contains_key(name) {
            return Ok(false);
        }
        let change = Change { hook: Some(hook.clone()), known: Some(known), ..Change::default() };
        book.change_hook(name, &change, Some(audit))?;
        let mut kept = KeptHook::new(hook);
        kept.apply(&change);
        self.inner().insert(name.clone(), kept);
        self.tell();
        Ok(true)
    }

    /// Changes a hook as `work` says, which sees it as it is then; nothing where there is no such hook any more. Blocks
    /// on the disk.
    pub(super) fn change(
        &self,
        book: &Book,
        (name, id): (&OutputName, Uuid),
        audit: Option<&Audit>,
        work: impl FnOnce(&KeptHook) -> Change,
    ) -> Result<(), DiskError> {
        let _turn = self.turn();
        let Some(before) = self.get(name).filter(|kept| kept.hook.id == id) else { return Ok(()) };
        let mut change = work(&before);
        if change == Change::default() {
            return Ok(());
        }
        let mut after = before;
        // A transaction takes what is put before what is gone, and so forgets also what was put just now.
        change.gone.extend(after.apply(&change));
        book.change_hook(name, &change, audit)?;
        self.inner().insert(name.clone(), after);
        self.tell();
        Ok(())
    }

    /// Forgets a hook with all that waits for it; whether there was one. Blocks on the disk.
    pub(super) fn remove(&self, book: &Book, name: &OutputName, audit: &Audit) -> Result<bool, DiskError> {
        let _turn = self.turn();
        let Some(kept) = self.get(name) else { return Ok(false) };
        book.drop_hook(name, kept.deliveries.into_keys(), audit)?;
        self.inner().remove(name);
        self.tell();
        Ok(true)
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, BTreeMap<OutputName, KeptHook>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
