//! Who tells: a look at what is new whenever feeds were released and now and then, and a task a hook that sends what
//! waits for it, in order, with growing pauses after a fault.

use super::attempt::{HookFault, Sender, untried};
use super::delivery::{self, Attempt, Change, Delivery, State};
use super::event::{Kind, Renewed};
use super::hook::{Hook, Off};
use super::ledger::{KeptHook, Ledger};
use super::look;
use super::news::Now;
use super::settings::{Pace, Settings};
use crate::disk::DiskError;
use crate::model::OutputName;
use crate::publish::mark::Listed;
use crate::publish::outgoing::pause;
use crate::publish::{Mark, Publisher};
use crate::vault::Vault;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::sleep;

/// What came of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// To which hook.
    pub hook: &'a str,
    /// `delivered`, or the fault's code.
    pub result: &'a str,
}

/// Is told of every attempt.
pub type Observe = Arc<dyn Fn(Told<'_>) + Send + Sync>;

/// Tells the hooks of a publisher.
pub struct Courier {
    pub(super) publisher: Arc<Publisher>,
    pub(super) vault: Arc<Vault>,
    pub(super) settings: Settings,
    observe: Observe,
    /// Held from a look until what it saw is written down: an older look must not come after a newer one.
    looking: Mutex<()>,
}

impl Courier {
    /// A courier; nothing is sent before [`Courier::run`].
    pub fn new(
        publisher: Arc<Publisher>,
        vault: Arc<Vault>,
        settings: Settings,
        observe: Observe,
    ) -> Arc<Self> {
        Arc::new(Self { publisher, vault, settings, observe, looking: Mutex::new(()) })
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.publisher.hooks()
    }

    /// Tells until `stop` is done.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let (mut tasks, mut live) = (JoinSet::new(), BTreeMap::new());
        let (mut news, mut releases) = (self.ledger().news(), self.publisher.feeds().releases());
        let mut stop = std::pin::pin!(stop);
        loop {
            releases.borrow_and_update();
            self.look_aside().await;
            news.borrow_and_update();
            self.staff(&mut tasks, &mut live);
            let again = async {
                loop {
                    tokio::select! {
                        _ = releases.changed() => return,
                        () = sleep(self.settings.pace.look) => return,
                        _ = news.changed() => self.staff(&mut tasks, &mut live),
                        Some(_) = tasks.join_next(), if !tasks.is_empty() => self.staff(&mut tasks, &mut live),
                    }
                }
            };
            tokio::select! {
                () = &mut stop => return,
                () = again => {}
            }
        }
    }

    /// A task for every hook for which something waits, and none for others.
    fn staff(self: &Arc<Self>, tasks: &mut JoinSet<()>, live: &mut Live) {
        let mut all = self.ledger().all();
        all.retain(|_, kept| kept.head().is_some());
        live.retain(|name, (hook, task)| {
            let stays = all.get(name).is_some_and(|kept| kept.hook == *hook) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for (name, kept) in all {
            live.entry(name.clone()).or_insert_with(|| {
                let work = Arc::clone(self).attend(name, kept.hook.clone());
                (kept.hook, tasks.spawn(work))
            });
        }
    }

    /// Sends what waits for a hook, until nothing does.
    async fn attend(self: Arc<Self>, name: OutputName, hook: Hook) {
        let sender = Sender::new(name.as_str(), &hook, &self.vault, &self.settings);
        let mut unwritten = 0;
        while let Some(head) = self.head(&name, &hook) {
            let (attempt, fault) = self.send(&sender, &head).await;
            self.tell(&name, &hook, &attempt);
            let is_gone = fault == Some(HookFault::Gone);
            let state = if fault.is_none() { State::Delivered } else { State::Waiting };
            let tried = head.tried(attempt, state);
            let attempts = tried.attempts;
            let written = self.change(&name, &hook, move |kept| after(kept, tried, is_gone)).await;
            unwritten = if written.is_ok() { 0 } else { unwritten + 1 };
            if let Err(error) = written {
                tracing::warn!(hook = %name, %error, "how a delivery went is not written down; it is sent again");
            }
            let Pace { first, most, .. } = self.settings.pace;
            match fault {
                Some(_) => sleep(pause(first, most, attempts)).await,
                None if unwritten > 0 => sleep(pause(first, most, unwritten)).await,
                None => {}
            }
        }
    }

    fn head(&self, name: &OutputName, hook: &Hook) -> Option<Delivery> {
        self.ledger().get(name).filter(|kept| kept.hook == *hook)?.head().cloned()
    }

    pub(super) async fn send(
        &self,
        sender: &Result<Sender, HookFault>,
        delivery: &Delivery,
    ) -> (Attempt, Option<HookFault>) {
        let at = self.publisher.engine().now();
        match sender {
            Ok(sender) => sender.send(delivery, at).await,
            Err(fault) => (untried(at, fault), Some(fault.clone())),
        }
    }

    pub(super) fn tell(&self, name: &OutputName, hook: &Hook, attempt: &Attempt) {
        let result = attempt.code.as_deref().unwrap_or("delivered");
        (self.observe)(Told { hook: name.as_str(), result });
        if let (Some(error), Some(cure)) = (&attempt.error, &attempt.cure) {
            tracing::warn!(hook = %name, host = hook.host(), code = result, cure, "not delivered: {error}");
        }
    }

    pub(super) async fn change(
        &self,
        name: &OutputName,
        hook: &Hook,
        work: impl FnOnce(&KeptHook) -> Change + Send + 'static,
    ) -> Result<(), DiskError> {
        let (publisher, name, id) = (Arc::clone(&self.publisher), name.clone(), hook.id);
        let write = move || publisher.hooks().change(publisher.usable_book()?, (&name, id), None, work);
        let failed = |error| DiskError::io("a webhook's book", std::io::Error::other(error));
        spawn_blocking(write).await.map_err(failed)?
    }

    async fn look_aside(self: &Arc<Self>) {
        let courier = Arc::clone(self);
        // What it could fail with is logged in there.
        let _ = spawn_blocking(move || {
            if let Err(error) = courier.look() {
                tracing::warn!(%error, "what is new is not written down for webhooks; it is tried again");
            }
        })
        .await;
    }

    pub(super) fn looking(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what is new for each hook. Blocks on the disk where something is.
    pub(super) fn look(&self) -> Result<(), DiskError> {
        let mut all = self.ledger().all();
        all.retain(|_, kept| kept.hook.off.is_none());
        if all.is_empty() {
            return Ok(());
        }
        let _looking = self.looking();
        let (now, feeds) = (look::now(&self.publisher, &self.settings.sources), self.publisher.feeds().all());
        let mut told = Vec::new();
        let mut renewed = |name: &str, now: &Release, from: Option<Mark>| {
            // Mostly all hooks know the same.
            let same = |(feed, before, _): &&(String, Option<Mark>, Renewed)| feed == name && *before == from;
            if let Some((.., renewed)) = told.iter().find(same) {
                return Some(renewed.clone());
            }
            let renewed = look::renewed(feeds.get(name)?, now, from);
            told.push((name.to_owned(), from, renewed.clone()));
            Some(renewed)
        };
        for (name, kept) in all {
            let book = self.publisher.usable_book()?;
            self.ledger().change(book, (&name, kept.hook.id), None, |kept| new(kept, &now, &mut renewed))?;
        }
        Ok(())
    }
}

type Live = BTreeMap<OutputName, (Hook, AbortHandle)>;

type Release = (Mark, Listed);
/// Tells the release of a feed for who knows an earlier one.
type Renew<'a> = dyn FnMut(&str, &Release, Option<Mark>) -> Option<Renewed> + 'a;

/// What is new for a hook. A release that takes the place of one that waits tells what changed since the one before that.
fn new(kept: &KeptHook, now: &Now<Listed>, renewed: &mut Renew<'_>) -> Change {
    let tell = |feed: &str, now: &Release, known: Option<Mark>| {
        if !kept.hook.wants(Kind::Released, feed) {
            return None;
        }
        let absorbed = delivery::absorbed(&kept.deliveries, Kind::Released, feed);
        let from = absorbed.map_or(known, |older| older.event.from);
        Some((renewed(feed, now, from)?, from))
    };
    let (known, mut events) = now.news(&kept.known, tell);
    if known == kept.known {
        return Change::default();
    }
    events.retain(|event| kept.hook.wants(event.kind, &event.subject));
    Change { known: Some(known), ..delivery::append(&kept.deliveries, events) }
}

/// What an attempt changes at a hook; `is_gone`: the receiver wants no more.
fn after(kept: &KeptHook, tried: Delivery, is_gone: bool) -> Change {
    if !is_gone {
        return Change { put: vec![tried], ..Change::default() };
    }
    let at = tried.last.as_ref().map_or(kept.hook.since, |last| last.at);
    let rest = delivery::waiting(&kept.deliveries).filter(|one| one.number != tried.number);
    let put = rest.cloned().chain([tried.clone()]).map(Delivery::dropped).collect();
    let hook = Hook { off: Some(Off::by_receiver(at)), ..kept.hook.clone() };
    Change { hook: Some(hook), put, ..Change::default() }
}
