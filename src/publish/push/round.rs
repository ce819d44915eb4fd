//! A round over all lists of a device: what is to be there, what is there, and the book's word on it before and
//! after.

use super::attempt::{Errand, Plan};
use super::firewall::{Counts, Firewall, PushFault};
use super::lines::List;
use super::lists::{Lists, Scene};
use super::place::Place;
use super::pusher::{Pusher, Told, sealed_as};
use super::standing::{Has, Proof, Sent, Standing};
use super::target::{Mode, Target};
use crate::disk::unhex;
use crate::model::OutputName;
use crate::publish::mark::Listed;
use crate::publish::outgoing::Trouble;
use crate::publish::{Feed, Mark};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// The release that was noticed last of each feed, and when; and when the firewall was proven to have one.
pub(super) type Seen = HashMap<OutputName, Noticed>;

/// What a device's task remembers of a list.
#[derive(Clone, Copy)]
pub(super) struct Noticed {
    mark: Mark,
    at: Instant,
    proven: Option<Instant>,
}

/// What follows from a round.
pub(super) enum Next {
    /// All lists are there.
    Wait,
    /// One is not.
    Again,
    /// Nothing helps but a person.
    Stop,
}

/// A list on its way to a firewall.
struct Shipment<'a> {
    device: &'a OutputName,
    target: &'a Target,
    feed: OutputName,
    /// The firewall's name of it.
    name: String,
    mark: Mark,
    listed: Listed,
    noticed: Noticed,
}

impl Pusher {
    /// Pushes every list of the device that it does not have; with `whole`, all of them.
    pub(super) async fn round(
        &self,
        name: &OutputName,
        target: &Target,
        whole: bool,
        seen: &mut Seen,
    ) -> Next {
        let snapshot = Arc::clone(&self.publisher.engine().snapshot());
        let Some(device) = snapshot.devices().find(|device| device.name == *name) else { return Next::Wait };
        let mut next = Next::Wait;
        for (feed, list) in target.lists(device) {
            let Some(found) = self.publisher.feeds().get(feed.as_str()) else { continue };
            let Some((mark, listed)) = found.mark() else { continue };
            if !listed.offered && found.is_unspoken() {
                // What the firewall has stays until somebody has had a word.
                continue;
            }
            let new = Noticed { mark, at: Instant::now(), proven: None };
            let noticed = seen.entry(feed.clone()).or_insert(new);
            if !noticed.mark.is_of(&mark) {
                *noticed = Noticed { proven: noticed.proven, ..new };
            }
            let shipment =
                Shipment { device: name, target, feed, name: list, mark, listed, noticed: *noticed };
            let shipped = self.ship(&shipment, found, whole).await;
            let Err(fault) = shipped else {
                noticed.proven = Some(Instant::now());
                continue;
            };
            self.failed(&shipment, &fault).await;
            if fault.stops() {
                return Next::Stop;
            }
            if !fault.waits() {
                next = Next::Again;
            }
        }
        next
    }

    async fn ship(&self, shipment: &Shipment<'_>, feed: Arc<Feed>, whole: bool) -> Result<(), PushFault> {
        let Shipment { target, listed, mark, .. } = shipment;
        let firewall = self.firewall(shipment.device, target)?;
        let standing = self.standing(shipment);
        let has = standing.has.clone().filter(|_| !whole);
        let scene = Scene { engine: self.publisher.engine().clone(), feed, mark: *mark, mode: target.mode };
        let Lists { list, old, kept } = Lists::of(scene, listed, &standing).await?;
        let has = has.as_ref().map(|has| (has, old.as_ref()));
        let (name, pace) = (&shipment.name, self.settings.pace);
        let pulls = self.publisher.pulls();
        let fetched = || pulls.count(shipment.device, shipment.feed.as_str(), &listed.released.release);
        let errand = Errand {
            firewall: &firewall,
            name,
            mode: target.mode,
            list: &list,
            may_be_empty: listed.offered,
            has,
            sent: standing.sent.as_ref(),
            fetched: &fetched,
            pace,
        };
        let (before, plan) = errand.plan().await?;
        let is_known = standing.mark.is_some_and(|known| known.is_of(mark)) && standing.enforced.is_some();
        if matches!(plan, Plan::Nothing) && standing.trouble.is_none() && is_known {
            return Ok(());
        }
        if !matches!(plan, Plan::Nothing) {
            if let Some(proven) = shipment.noticed.proven {
                // The firewall's clock counts seconds: what it writes within one is not seen to be new.
                sleep(pace.tick.saturating_sub(proven.elapsed())).await;
            }
            let same = standing.sent.clone().filter(|sent| sent.is(&list));
            let sent = same.unwrap_or_else(|| Sent::of(&list, before.counts.updated));
            // Whatever breaks off from here on, nothing is certain after it.
            let standing = Standing { has: None, sent: Some(sent), ..standing.clone() };
            self.note(shipment, standing, self.place(shipment, None)).await?;
        }
        let (counts, by) = errand.carry_out(&before, &plan).await?;
        let Some(kept) = kept else {
            return self.enforced(shipment, standing, &list, &counts, by).await;
        };
        if !matches!(plan, Plan::Nothing) {
            let standing = standing.keeps((&list, &kept), &counts, (by, self.publisher.engine().now()));
            self.note(shipment, standing, self.place(shipment, Some(counts.valid))).await?;
        }
        Err(PushFault::Emptied { valid: counts.valid })
    }

    pub(super) fn firewall(&self, device: &OutputName, target: &Target) -> Result<Firewall, PushFault> {
        let ours = |why: &str| PushFault::Ours(why.to_owned());
        let sealed = unhex(&target.sealed).ok_or_else(|| ours("the sealed key is damaged"))?;
        let key = self.vault.open(&sealed_as(device), &sealed);
        let key = key.map_err(|error| PushFault::Ours(error.to_string()))?;
        let settings = &self.settings;
        Firewall::new(target, &key, &settings.networks, &settings.ports, settings.pace.timeout)
    }

    /// Where a list is sent to, with so many entries; none where the firewall fetches it itself, and goes by its own
    /// settings.
    fn place(&self, shipment: &Shipment<'_>, entries: Option<u64>) -> Option<Place> {
        let Shipment { target, feed, name, .. } = shipment;
        let (target, list, feed) = (Target::clone(target), name.clone(), feed.clone());
        let at = self.publisher.engine().now();
        (target.mode != Mode::Refresh).then_some(Place { target, list, feed, entries, at })
    }

    fn standing(&self, shipment: &Shipment<'_>) -> Standing {
        self.ledger().standings(shipment.device).remove(&shipment.feed).unwrap_or_default()
    }

    async fn enforced(
        &self,
        shipment: &Shipment<'_>,
        before: Standing,
        list: &List,
        counts: &Counts,
        by: Mode,
    ) -> Result<(), PushFault> {
        let release = &shipment.listed.released.release;
        let at = self.publisher.engine().now();
        let seconds = shipment.noticed.at.elapsed().as_secs_f64();
        let change_seconds = seconds.max((at.unix() - release.modified.unix()) as f64);
        let proof = Proof {
            generation: release.generation,
            entries: list.entries,
            valid: counts.valid,
            invalid: counts.invalid,
            overflow: counts.overflow,
            status: counts.status,
            by,
            at,
            seconds,
            change_seconds,
        };
        let mark = shipment.mark;
        let is_news = before.enforced.is_none() || !before.mark.is_some_and(|old| old.is_of(&mark));
        let was_there = before.enforced.is_some_and(|old| old.entries > 0);
        let standing = Standing {
            has: Some(Has::of(mark, list, counts.updated)),
            sent: None,
            mark: Some(mark),
            enforced: Some(proof),
            trouble: None,
        };
        self.note(shipment, standing, self.place(shipment, Some(counts.valid))).await?;
        if is_news {
            let device = shipment.device.as_str();
            let seconds = was_there.then_some(change_seconds);
            (self.observe)(Told::Enforced { device, seconds });
        }
        Ok(())
    }

    async fn failed(&self, shipment: &Shipment<'_>, fault: &PushFault) {
        let standing = self.standing(shipment);
        let before = standing.trouble.as_ref();
        let is_told = |before: &Trouble| before.code == fault.code() && before.what == fault.to_string();
        if fault.waits() && before.is_some_and(is_told) {
            return;
        }
        let (device, feed) = (shipment.device, &shipment.feed);
        tracing::warn!(%device, %feed, code = fault.code(), cure = fault.cure(), "not pushed: {fault}");
        (self.observe)(Told::Failed { device: device.as_str(), code: fault.code() });
        let trouble = Trouble {
            code: fault.code().to_owned(),
            what: fault.to_string(),
            cure: fault.cure().to_owned(),
            since: before.map_or_else(|| self.publisher.engine().now(), |before| before.since),
            attempts: before.map_or(0, |before| before.attempts).saturating_add(1),
            stopped: fault.stops(),
        };
        let standing = Standing { trouble: Some(trouble), ..standing };
        if let Err(error) = self.note(shipment, standing, None).await {
            tracing::warn!(%device, %error, "how the push went is not written down");
        }
    }

    /// Writes down how the list stands, and where something was sent.
    async fn note(
        &self,
        shipment: &Shipment<'_>,
        standing: Standing,
        place: Option<Place>,
    ) -> Result<(), PushFault> {
        let publisher = Arc::clone(&self.publisher);
        let (device, target) = (shipment.device.clone(), shipment.target.clone());
        let feed = shipment.feed.clone();
        let write = move || {
            let book = publisher.usable_book()?;
            publisher.pushes().set_standing(book, (&device, &target), &feed, (standing, place))
        };
        let written = tokio::task::spawn_blocking(write).await;
        written
            .map_err(|error| PushFault::Ours(error.to_string()))?
            .map_err(|error| PushFault::Ours(error.to_string()))
    }
}
