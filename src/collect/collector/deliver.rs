//! From bytes to the blacklist: what was delivered is kept, read, judged, and submitted or held.

use super::Inner;
use super::ending::Ending;
use super::job::Job;
use crate::collect::definition::Definition;
use crate::collect::formats::{BadParser, Options, ReadError};
use crate::collect::gate::{Arrival, Before, Ground, judge};
use crate::collect::ledger::Held;
use crate::collect::run::Document;
use crate::collect::{Intake, Terms, read};
use crate::disk::{DiskError, digest, hex};
use crate::engine::{EngineError, Protected};
use crate::fetch::budget::apart;
use crate::model::{
    Batch, Cause, Change, Day, Detail, Mode, Preview, Receipt, Rows, Scope, SourceName, Time,
};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// A document as a craft brings it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What it is at its source: a period, an attachment's name.
    pub label: String,
    /// Its file's name, a hint for its format.
    pub name: Option<String>,
    /// The bytes as they came.
    pub bytes: Bytes,
    /// What its silence means; none: what the source's mode says.
    pub scope: Option<Scope>,
    /// Its own date.
    pub dated: Option<Time>,
    /// The day of listing of all its rows that do not say one.
    pub posted: Option<Day>,
}

impl Delivery {
    /// A document of which nothing else is known.
    pub fn new(label: String, bytes: Bytes) -> Self {
        Self { label, name: None, bytes, scope: None, dated: None, posted: None }
    }
}

/// What became of a delivery.
#[derive(Clone, Debug)]
pub(super) enum Delivered {
    /// Its listings are in; the rows, for flows that plan by them.
    Taken(Rows),
    /// It is byte for byte what was taken last.
    Unchanged,
    /// It waits for a person's word.
    Held,
    /// It says what a person has rejected.
    Rejected,
}

impl Job {
    /// Takes a delivery in, or holds it. The bytes are kept first, whatever becomes of them.
    pub(super) async fn deliver(&mut self, delivery: Delivery) -> Result<Delivered, Ending> {
        let digest = self.inner().digest_of(&delivery.bytes).await?;
        if self.is_unchanged(&delivery, &digest) {
            self.run.documents.push(document(&delivery, digest, false));
            self.seen().await?;
            return Ok(Delivered::Unchanged);
        }
        if self.is_rejected(&digest) {
            tracing::info!(source = %self.run.source, run = %self.run.id, document = delivery.label, "rejected before; left out");
            self.run.documents.push(Document { rejected: true, ..document(&delivery, digest, false) });
            return Ok(Delivered::Rejected);
        }
        let (index, inner) = (self.run.documents.len(), self.inner());
        self.run.documents.push(inner.keep(self.run.id, index, &delivery, digest.clone()).await?);
        self.take_in(index, delivery, digest).await
    }

    /// The same with document `index` of the run, which was kept when the run began.
    pub(super) async fn deliver_kept(
        &mut self,
        index: usize,
        delivery: Delivery,
        digest: String,
    ) -> Result<Delivered, Ending> {
        if self.is_unchanged(&delivery, &digest) {
            self.seen().await?;
            return Ok(Delivered::Unchanged);
        }
        self.take_in(index, delivery, digest).await
    }

    async fn take_in(
        &mut self,
        index: usize,
        delivery: Delivery,
        digest: String,
    ) -> Result<Delivered, Ending> {
        self.step(format!("reading {}", delivery.label), 0, None);
        match self.inner().read(&self.definition, &delivery, false).await {
            Ok(intake) => self.judge(index, &delivery, digest, intake).await,
            Err(error) => match unreadable(&error, self.inner().listed(&self.run.source)) {
                Some(ground) => {
                    Ok(self.hold(index, &delivery, [digest, String::new()], vec![ground], Receipt::default()))
                }
                None => Err(error.into()),
            },
        }
    }

    /// Whether even an unchanged document must be read: that puts the expiry of an append source off,
    /// once a day.
    pub(super) fn wants_bytes(&self) -> bool {
        let policy = &self.definition.policy;
        let day = |time: Time| time.day_in(policy.zone);
        let stamped = self.memory.stamped.is_some_and(|stamped| day(stamped) == day(self.now()));
        policy.mode == Mode::Append && policy.expires_days.is_some() && !stamped
    }

    /// Equal bytes are not even read.
    fn is_unchanged(&self, delivery: &Delivery, digest: &str) -> bool {
        delivery.scope.is_none()
            && delivery.posted.is_none()
            && self.run.wish.again.is_none()
            && !self.run.wish.force
            && self.memory.digest.as_deref() == Some(digest)
            && !self.wants_bytes()
    }

    /// What a person did not believe is not held again, unless it is a person who wants it read.
    fn is_rejected(&self, digest: &String) -> bool {
        let asks = self.run.trigger.asks_source() && !self.run.wish.force;
        asks && self.memory.rejected.contains(digest)
    }

    /// A complete run found all as it was.
    pub(super) async fn seen(&mut self) -> Result<(), Ending> {
        self.mark_seen().await?;
        let listed = self.inner().listed(&self.run.source);
        self.run.counts.read += listed;
        self.run.counts.unchanged += listed;
        Ok(())
    }

    /// Moves the watermark of the source; at most one small record a day.
    pub(super) async fn mark_seen(&mut self) -> Result<(), Ending> {
        self.describe().await?;
        let receipt = self.submit(Change::Seen { source: self.run.source.clone() }).await?;
        self.run.generation = Some(receipt.generation);
        Ok(())
    }

    async fn judge(
        &mut self,
        index: usize,
        delivery: &Delivery,
        digest: String,
        intake: Intake,
    ) -> Result<Delivered, Ending> {
        let scope = scope(delivery, &self.definition, &intake.rows);
        if !self.memory.rejected.is_empty() && self.is_rejected(&content(&intake.rows, scope).await) {
            self.run.documents[index].rejected = true;
            return Ok(Delivered::Rejected);
        }
        self.run.counts.read += intake.read;
        self.run.counts.rejected += intake.rejected;
        self.run.note(&delivery.label, &intake.errors);
        self.step(format!("comparing {}", delivery.label), 0, None);
        let inner = self.inner();
        self.describe().await?;
        let rows = intake.rows.clone();
        let plan = inner.preview(&self.run.source, rows, scope).await?;
        let (intake, protected) = inner.protected(&self.run.source, intake, scope).await?;
        let arrival = arrival(&intake, &plan, delivery.dated, protected.after);
        let before = Before {
            listings: plan.before,
            run: self.lost,
            doubted: self.doubted || !self.held.is_empty(),
            total: self.settled.then(|| inner.listed(&self.run.source)),
            // A first delivery has nothing to rise from: lists of bogons are full of protected addresses.
            protected: self.settled.then_some(protected.before),
            dated: self.memory.dated.filter(|_| delivery.scope.is_none()),
        };
        let grounds = judge(&before, &arrival, &self.definition.gate);
        if !grounds.is_empty() {
            let digests = [digest, content(&intake.rows, scope).await];
            return Ok(self.hold(index, delivery, digests, grounds, plan.receipt));
        }
        let change = Change::List { source: self.run.source.clone(), rows: intake.rows.clone(), scope };
        let receipt = self.submit(change).await?;
        if scope == Scope::Part {
            // A part moves no watermark, and yet the source has been seen.
            self.mark_seen().await?;
        }
        self.take(delivery, digest, &receipt);
        self.lost = self.lost.with(plan.before, arrival.listings);
        Ok(Delivered::Taken(intake.rows))
    }

    fn take(&mut self, delivery: &Delivery, digest: String, receipt: &Receipt) {
        self.run.counts.add(receipt);
        self.run.generation = Some(receipt.generation);
        self.memory.digest = Some(digest);
        self.memory.dated = delivery.dated.or(self.memory.dated);
        self.memory.stamped = Some(self.now());
        self.show();
    }

    fn hold(
        &mut self,
        index: usize,
        delivery: &Delivery,
        [digest, content]: [String; 2],
        grounds: Vec<Ground>,
        shown: Receipt,
    ) -> Delivered {
        let told: Vec<String> = grounds.iter().map(ToString::to_string).collect();
        tracing::warn!(source = %self.run.source, run = %self.run.id, document = delivery.label, grounds = told.join("; "), "held");
        self.held.push(Held { index, label: delivery.label.clone(), digest, content, grounds, shown });
        Delivered::Held
    }

    /// Tells the blacklist what holds for the source, when it does not know.
    async fn describe(&mut self) -> Result<(), Ending> {
        let known = self.inner().engine.snapshot().source(self.run.source.as_str()).map(|s| s.policy.clone());
        if known.as_ref() == Some(&self.definition.policy) {
            return Ok(());
        }
        let policy = self.definition.policy.clone();
        self.submit(Change::Describe { source: self.run.source.clone(), policy }).await.map(drop)
    }

    async fn submit(&self, change: Change) -> Result<Receipt, Ending> {
        let reason = format!("run {}", self.run.id);
        Ok(self.inner().submit_as(&self.run.actor, &reason, Cause::Run, change).await?)
    }
}

impl Inner {
    /// Submits a change in somebody's name.
    pub(super) async fn submit_as(
        &self,
        actor: &str,
        reason: &str,
        cause: Cause,
        change: Change,
    ) -> Result<Receipt, EngineError> {
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        (self.submit)(Batch { id: Uuid::now_v7(), actor, reason, cause, change }).await
    }

    /// What a list of rows would change now.
    pub(super) async fn preview(
        &self,
        source: &SourceName,
        rows: Rows,
        scope: Scope,
    ) -> Result<Preview, EngineError> {
        let change = Change::List { source: source.clone(), rows, scope };
        let (actor, reason) = (String::new(), String::new());
        (self.preview)(Batch { id: Uuid::now_v7(), actor, reason, cause: Cause::Run, change }).await
    }

    /// The SHA-256 of a document, in hexadecimal digits; 0.5 s a gigabyte.
    pub(super) async fn digest_of(&self, bytes: &Bytes) -> Result<String, DiskError> {
        let bytes = bytes.clone();
        self.blocking(move || Ok(hex(&digest(&[&bytes])))).await
    }

    /// Keeps document `index` of a run.
    pub(super) async fn keep(
        &self,
        run: Uuid,
        index: usize,
        delivery: &Delivery,
        digest: String,
    ) -> Result<Document, DiskError> {
        let (raw, bytes) = (self.raw.clone(), delivery.bytes.clone());
        self.blocking(move || raw.keep(run, index, &bytes)).await?;
        if self.raw.used() > self.retention.bytes {
            self.tidy().await;
        }
        Ok(document(delivery, digest, true))
    }

    /// How many of a source's listings are protected, now and with what has come; gives that back.
    async fn protected(
        &self,
        source: &SourceName,
        intake: Intake,
        scope: Scope,
    ) -> Result<(Intake, Protected), DiskError> {
        let (snapshot, source) = (Arc::clone(&self.engine.snapshot()), source.clone());
        let count = move || {
            let protected = snapshot.protected(&source, &intake.rows, scope == Scope::Whole);
            Ok((intake, protected))
        };
        self.blocking(count).await
    }

    /// Reads a document into listings; spreadsheets in a process of their own.
    pub(super) async fn read(
        &self,
        definition: &Definition,
        delivery: &Delivery,
        tolerant: bool,
    ) -> Result<Intake, ReadError> {
        let options = options(definition, delivery, self.fetch.size_limit, tolerant);
        let options = options.map_err(|error| ReadError::Input(std::io::Error::other(error)))?;
        let terms = terms(definition, delivery, self.now());
        let bytes = delivery.bytes.clone();
        // The semaphore is never closed.
        let _turn = self.readings.acquire().await;
        apart(move || read(&bytes, &options, &terms)).await
    }

    /// How many listings of a source are active.
    pub(super) fn listed(&self, source: &SourceName) -> u64 {
        let snapshot = self.engine.snapshot();
        let id = snapshot.source(source.as_str()).map(|source| source.id);
        id.and_then(|id| snapshot.coverage.get(&id)).map_or(0, |coverage| coverage.len())
    }
}

/// How a document is read; `tolerant` when a person has said that the right lines are to be taken.
fn options(
    definition: &Definition,
    delivery: &Delivery,
    size: u64,
    tolerant: bool,
) -> Result<Options, BadParser> {
    let mut options = Options { name: delivery.name.clone(), tolerant, ..definition.parser.options()? };
    options.limits.size = options.limits.size.max(size);
    Ok(options)
}

/// What holds for every listing of a document that says nothing else itself.
fn terms(definition: &Definition, delivery: &Delivery, now: Time) -> Terms {
    let policy = &definition.policy;
    let days = policy.expires_days;
    // Nothing but its own expiry ends what an append source lists, and each time it is seen puts that off.
    let is_seen = policy.mode == Mode::Append && delivery.posted.is_none();
    let stamp = |days: u16| now.day_in(policy.zone).plus(days.into()).end_in(policy.zone);
    let detail =
        Detail { listed: delivery.posted, expires: days.filter(|_| is_seen).map(stamp), ..Detail::default() };
    Terms { lasts: definition.lasts(), ..Terms::new(detail, policy) }
}

/// What a delivery's silence means. A window source without a given period covers the days of its rows.
pub(super) fn scope(delivery: &Delivery, definition: &Definition, rows: &Rows) -> Scope {
    delivery.scope.unwrap_or_else(|| match definition.policy.mode {
        Mode::Snapshot => Scope::Whole,
        Mode::Append => Scope::Part,
        Mode::Window => {
            let days = || rows.details().iter().filter_map(|detail| detail.listed);
            match (days().min(), days().max()) {
                (Some(first), Some(last)) => Scope::Window { first, last },
                _ => Scope::Part,
            }
        }
    })
}

/// The SHA-256 of what a document says: files that say the same may differ, as those do that are made anew for each
/// request. A microsecond a row.
async fn content(rows: &Rows, scope: Scope) -> String {
    let rows = rows.clone();
    apart(move || {
        let mut said = Sha256::new_with_prefix(format!("{scope:?}"));
        for (range, detail) in rows.iter() {
            // Which moment it was learned at is no part of it.
            let detail = Detail { first_seen: Time::default(), ..detail.clone() };
            said.update(format!("\n{range} {detail:?}"));
        }
        hex(&<[u8; 32]>::from(said.finalize()))
    })
    .await
}

fn arrival(intake: &Intake, plan: &Preview, dated: Option<Time>, protected: u64) -> Arrival {
    let Receipt { added, removed, .. } = plan.receipt;
    Arrival {
        // What it puts an end to by tomorrow it has taken back.
        listings: (plan.before + added).saturating_sub(removed + plan.ending),
        read: intake.read,
        rejected: intake.rejected,
        protected,
        dated,
    }
}

/// Whether a document that cannot be read is one that a person may have to decide about; its source lists so
/// much.
fn unreadable(error: &ReadError, listed: u64) -> Option<Ground> {
    match error {
        ReadError::Empty => Some(Ground::Empty { before: listed }),
        ReadError::Html => Some(Ground::Html),
        ReadError::MostlyBad { rows, rejected, .. } => {
            Some(Ground::MostlyBad { read: *rows, rejected: *rejected })
        }
        _ => None,
    }
}

fn document(delivery: &Delivery, digest: String, kept: bool) -> Document {
    Document {
        label: delivery.label.clone(),
        name: delivery.name.clone(),
        size: delivery.bytes.len() as u64,
        digest,
        scope: delivery.scope,
        dated: delivery.dated,
        posted: delivery.posted,
        kept,
        rejected: false,
    }
}
