//! The one writer: a thread that takes batches, makes records of them, and publishes snapshots.
//!
//! The order within a group of batches is the promise: their records are durable in the journal
//! before anyone is told or any look-up sees them. Batches that wait together share one sync.

use super::archive;
use super::condition::{Condition, EngineError};
use super::derive::Derivation;
use super::expiry::Expiry;
use super::plan::{Moment, Plan, Refusal, expire, plan};
use super::recover;
use super::snapshot::Snapshot;
use super::{Clock, Published};
use crate::disk::DiskError;
use crate::journal::{Journal, Keep, Sealed};
use crate::model::{Batch, Receipt, Record, Time};
use crate::store::{Projection, Tables, Update, View};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use uuid::Uuid;

/// At most so many batches share one sync; their records are held in memory until then.
const GROUP: usize = 64;
/// So long after the last change the projections are made durable and the snapshot is written.
const QUIET: Duration = Duration::from_secs(1);

pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// What the thread is asked for.
pub(super) enum Command {
    /// Carry a batch out.
    Submit(Batch, Reply<Receipt>),
    /// Say what a batch would do.
    Preview(Batch, Reply<Plan>),
    /// Take in records of the journal that this one follows.
    Follow(Vec<Sealed>, Reply<u64>),
    /// Begin with a checkpoint of the journal that this one follows.
    Adopt(Vec<u8>, Reply<u64>),
    /// Expire what is due; a person's word ends any doubt of the clock.
    Expire(Word, Reply<Receipt>),
    /// Write everything down and end.
    Stop,
}

/// Whether somebody says that the clock is right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Given,
    NotGiven,
}

/// The writer's own state; nobody else changes any of it.
pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) projection: Arc<Projection>,
    pub(super) derivation: Derivation,
    pub(super) published: Arc<Published>,
    pub(super) archive: PathBuf,
    pub(super) zone: chrono_tz::Tz,
    pub(super) clock: Clock,
    pub(super) expiry: Expiry,
    /// Records come from the journal that this one follows, and from nowhere else.
    pub(super) follower: bool,
    /// How much of the journal is kept.
    pub(super) keep: Keep,
    /// A write failed half-way: what is on the disk must be looked at before the next.
    pub(super) uncertain: bool,
    /// When the last change was made that is not yet in the snapshot file.
    pub(super) dirty: Option<Instant>,
}

impl Writer {
    /// Serves commands until [`Command::Stop`], or until nobody is left to send one.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            match commands.recv_timeout(self.patience()) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => {
                    if !self.serve(command, commands) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.dirty.is_some_and(|since| since.elapsed() >= QUIET) {
                self.settle();
            }
            self.expire_when_due();
        }
        self.settle();
    }

    fn patience(&self) -> Duration {
        let until_quiet = self.dirty.map_or(QUIET, |since| QUIET.saturating_sub(since.elapsed()));
        until_quiet.max(Duration::from_millis(1))
    }

    /// Serves a command and the batches that wait behind it; false if one of those was to stop.
    fn serve(&mut self, command: Command, commands: &Receiver<Command>) -> bool {
        match command {
            Command::Submit(batch, reply) => {
                let mut group = vec![(batch, reply)];
                let mut next = None;
                while group.len() < GROUP && next.is_none() {
                    match commands.try_recv() {
                        Ok(Command::Submit(batch, reply)) => group.push((batch, reply)),
                        Ok(other) => next = Some(other),
                        Err(_) => break,
                    }
                }
                self.submit(group);
                return next.is_none_or(|next| self.serve(next, commands));
            }
            Command::Preview(batch, reply) => answer(reply, self.preview(batch)),
            Command::Follow(sealed, reply) => {
                answer(reply, self.take_in(|journal| journal.follow(&sealed).map(drop)));
            }
            Command::Adopt(checkpoint, reply) => {
                answer(reply, self.take_in(|journal| journal.adopt(&checkpoint)));
            }
            Command::Expire(word, reply) => answer(reply, self.expire(word)),
            Command::Stop => return false,
        }
        true
    }

    fn expire(&mut self, word: Word) -> Result<Receipt, EngineError> {
        self.certify()?;
        let now = (self.clock)();
        if word == Word::Given {
            self.expiry.trust(now);
        } else if !self.believes(now)? {
            return Err(EngineError::Refused(Refusal::ClockDoubted));
        }
        self.submit_own(Expiry::batch())
    }

    fn believes(&mut self, now: Time) -> Result<bool, DiskError> {
        let snapshot = &self.derivation.snapshot;
        self.expiry.believes(now, || self.projection.view(|view| expire::is_mass(snapshot, view, now)))
    }

    fn submit(&mut self, group: Vec<(Batch, Reply<Receipt>)>) {
        let (batches, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match self.commit(batches) {
            Ok(receipts) => {
                for (reply, receipt) in replies.into_iter().zip(receipts) {
                    answer(reply, receipt.map_err(EngineError::Refused));
                }
            }
            Err(error) => replies.into_iter().for_each(|reply| answer(reply, Err(error.clone()))),
        }
    }

    fn submit_own(&mut self, batch: Batch) -> Result<Receipt, EngineError> {
        let receipt = self.commit(vec![batch])?.pop().ok_or(EngineError::Stopped)?;
        receipt.map_err(EngineError::Refused)
    }

    /// Carries out batches in order, all of them durable together or none.
    fn commit(&mut self, batches: Vec<Batch>) -> Result<Vec<Result<Receipt, Refusal>>, EngineError> {
        if self.follower {
            return Err(EngineError::Follower);
        }
        self.certify()?;
        let before = self.derivation.snapshot.clone();
        let mut durable = None;
        let projection = Arc::clone(&self.projection);
        let outcome = projection.update(|update| self.carry_out(batches, update, &mut durable));
        self.uncertain = outcome.is_err();
        match durable {
            // What is in the journal is done, whatever became of the projections: they catch up.
            Some(group) => {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "the projections fell behind the journal");
                }
                if !group.records.is_empty() {
                    self.publish();
                }
                self.note(Ok(group.results))
            }
            None => {
                self.derivation.snapshot = before;
                self.note(outcome.map(|()| Vec::new()).map_err(EngineError::from))
            }
        }
    }

    /// Takes in the batches and appends their records; `durable` is what the journal then holds.
    fn carry_out(
        &mut self,
        batches: Vec<Batch>,
        update: &Update,
        durable: &mut Option<Group>,
    ) -> Result<Result<(), DiskError>, redb::Error> {
        if update.generation()? != self.derivation.snapshot.generation {
            let why = io::Error::other("a reader has just reopened it");
            return Ok(Err(DiskError::io("the hot store", why)));
        }
        let mut group = Group::default();
        for batch in batches {
            if let Err(error) = self.take(batch, update, &mut group)? {
                return Ok(Err(error));
            }
        }
        if let Err(error) = self.append(&group) {
            return Ok(Err(error));
        }
        let has_records = !group.records.is_empty();
        *durable = Some(group);
        if has_records {
            update.remember(self.journal.generation(), &self.journal.digest())?;
        }
        Ok(Ok(()))
    }

    /// Plans one batch on top of those before it, and takes its record in.
    fn take(
        &mut self,
        batch: Batch,
        update: &Update,
        group: &mut Group,
    ) -> Result<Result<(), DiskError>, redb::Error> {
        let known = match self.journal.receipt(batch.id) {
            Ok(stored) => stored.or_else(|| group.receipt(batch.id)),
            Err(error) => return Ok(Err(error)),
        };
        if let Some(receipt) = known {
            group.results.push(Ok(receipt));
            return Ok(Ok(()));
        }
        let now = (self.clock)();
        let (id, cause) = (batch.id, batch.cause);
        let (actor, reason) = (batch.actor.clone(), batch.reason.clone());
        let moment = moment(now, &mut self.expiry, &self.derivation.snapshot, &update.view())?;
        let plan = match plan(batch, &self.derivation.snapshot, &update.view(), moment)? {
            Ok(plan) => plan,
            Err(refusal) => {
                group.results.push(Err(refusal));
                return Ok(Ok(()));
            }
        };
        let mut receipt = Receipt { generation: self.derivation.snapshot.generation, ..plan.receipt };
        if !plan.ops.is_empty() {
            receipt.generation += 1;
            let generation = receipt.generation;
            let sure = self.expiry.sure();
            let record =
                Record { generation, batch: id, time: now, sure, actor, reason, cause, ops: plan.ops };
            update.apply(&record, self.zone)?;
            self.derivation.advance(&record, &update.view())?;
            group.records.push(record);
        }
        group.receipts.push((id, receipt));
        group.results.push(Ok(receipt));
        Ok(Ok(()))
    }

    fn append(&mut self, group: &Group) -> Result<(), DiskError> {
        if group.records.is_empty() && group.receipts.is_empty() {
            return Ok(());
        }
        self.journal.append(&group.records, &group.receipts)
    }

    fn preview(&mut self, batch: Batch) -> Result<Plan, EngineError> {
        self.certify()?;
        let now = (self.clock)();
        let snapshot = &self.derivation.snapshot;
        let planned = self.projection.view(|view| {
            let moment = moment(now, &mut self.expiry, snapshot, view)?;
            plan(batch, snapshot, view, moment)
        });
        let mut plan = planned?.map_err(EngineError::Refused)?;
        plan.receipt.generation = self.derivation.snapshot.generation;
        Ok(plan)
    }

    /// Takes in what comes from the journal that this one follows; answers the generation reached.
    fn take_in(
        &mut self,
        take: impl FnOnce(&mut Journal) -> Result<(), DiskError>,
    ) -> Result<u64, EngineError> {
        if !self.follower {
            return Err(EngineError::NoFollower);
        }
        self.certify()?;
        let taken = take(&mut self.journal).map_err(EngineError::from);
        self.uncertain = true;
        self.note(taken)?;
        self.certify()?;
        Ok(self.derivation.snapshot.generation)
    }

    /// Makes sure that projections and journal agree. After a failed write they may not; nor after
    /// a failed read by anyone, because the hot store opens again without its last seconds.
    fn certify(&mut self) -> Result<(), EngineError> {
        let here = self.derivation.snapshot.generation;
        if !self.uncertain && self.projection.generation().is_ok_and(|seen| seen == here) {
            return Ok(());
        }
        self.uncertain = true;
        let result = self.journal.refresh().and_then(|()| {
            recover::catch_up_projection(&self.journal, &self.projection, self.zone)?;
            recover::catch_up_derivation(&self.journal, &self.projection, &mut self.derivation)
        });
        self.note(result.map_err(EngineError::from))?;
        self.uncertain = false;
        if self.published.generation() != self.derivation.snapshot.generation {
            self.publish();
        }
        Ok(())
    }

    fn publish(&mut self) {
        // Nothing of this state is taken back any more.
        self.derivation.tidy();
        self.published.publish(self.derivation.snapshot.clone());
        self.dirty = Some(Instant::now());
    }

    /// Tells the world whether writing works.
    fn note<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        let condition = match &result {
            Ok(_) | Err(EngineError::Refused(_)) => Condition::Writable,
            Err(error) => Condition::Failing(error.to_string()),
        };
        self.published.set_condition(condition);
        result
    }

    /// Makes durable what may be made again, but would take long at a start.
    fn settle(&mut self) {
        if self.dirty.take().is_none() || self.certify().is_err() {
            return;
        }
        let settled = self.projection.persist().and_then(|()| {
            archive::save(&self.archive, &self.derivation.snapshot, self.journal.digest())?;
            // Only a new segment makes the journal larger than it may be.
            if self.journal.seal(self.keep.segment)? { self.retain() } else { Ok(()) }
        });
        if let Err(error) = settled {
            // Nothing is lost by it: the journal has it all. The next change tries again.
            self.uncertain = true;
            tracing::warn!(%error, "could not settle the projections");
        }
    }

    /// Lets old records go. The projection is durable and at the journal's end, so it is what a checkpoint holds.
    fn retain(&mut self) -> Result<(), DiskError> {
        let Some(last) = self.journal.due(self.keep, (self.clock)())? else { return Ok(()) };
        let projection = Arc::clone(&self.projection);
        self.journal.forget(last, |out| projection.export(out))?;
        tracing::info!(last, "old records of the journal are gone; a checkpoint stands for them");
        Ok(())
    }

    fn expire_when_due(&mut self) {
        // Also what heals the stores after a fault when nobody writes; the condition tells.
        if self.certify().is_err() || self.follower {
            return;
        }
        match self.may_expire() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "could not look for what expires"),
        }
        let outcome = self.submit_own(Expiry::batch());
        match &outcome {
            Ok(receipt) => tracing::info!(removed = receipt.removed, "expired"),
            Err(error) => tracing::warn!(%error, "could not expire"),
        }
        self.expiry.tried(outcome.is_ok());
    }

    /// Whether something is due, and the clock that says so is believed.
    fn may_expire(&mut self) -> Result<bool, DiskError> {
        let now = (self.clock)();
        let next = self.projection.view(|view| expire::next(&self.derivation.snapshot, view, now))?;
        let is_believed = self.believes(now)?;
        let is_due = next.is_some_and(|next| next <= now);
        self.published.set_expiry_held(is_due && !is_believed);
        Ok(is_due && is_believed && self.expiry.may_try())
    }
}

fn moment<T: Tables>(
    now: Time,
    expiry: &mut Expiry,
    snapshot: &Snapshot,
    view: &View<'_, T>,
) -> Result<Moment, redb::Error> {
    let is_believed = expiry.believes(now, || expire::is_mass(snapshot, view, now))?;
    Ok(Moment { now, sure: if is_believed { now } else { expiry.sure().min(now) } })
}

/// What a group of batches comes to.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    receipts: Vec<(Uuid, Receipt)>,
    results: Vec<Result<Receipt, Refusal>>,
}

impl Group {
    fn receipt(&self, batch: Uuid) -> Option<Receipt> {
        self.receipts.iter().find(|(id, _)| *id == batch).map(|(_, receipt)| *receipt)
    }
}

fn answer<T>(reply: Reply<T>, result: Result<T, EngineError>) {
    // Whoever asked may have gone away; what was done is done.
    let _ = reply.send(result);
}
