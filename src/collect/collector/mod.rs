//! The collector: which source is fetched when, one run at a time each, and what becomes of a run.
//!
//! Architecture invariant: knows the ledger, the gate and the engine, and the crafts only by their
//! flows. A flow knows its portal and nothing of runs but its [`job`]. Nothing here knows HTTP's
//! handlers.
//!
//! ```text
//! scheduler ─┐
//! a person  ─┼─> begin ─> queue (slots) ─> flow ─> deliver ─> finish
//! an upload ─┘   (written down first)        │        │
//!                                            └─ job ──┴─> raw, gate, batch
//! ```

mod accounts;
mod begin;
mod configured;
mod deliver;
mod ending;
mod error;
mod finish;
mod flow;
mod holds;
mod job;
mod live;
mod logins;
mod resume;
mod scheduler;
mod sources;
#[cfg(test)]
mod tests;

pub use accounts::Tested;
pub use configured::Configured;
pub use deliver::Delivery;
pub use error::CollectError;
pub use live::Progress;
pub use sources::{Origin, SourceView};

use super::ledger::{Audit, Change, Ledger, Look};
use super::raw::{Raw, Retention};
use super::run::Run;
use crate::disk::{DiskError, Medium};
use crate::engine::{Engine, EngineError};
use crate::fetch::FetchSettings;
use crate::model::{Batch, Preview, Receipt, SourceName, Time};
use crate::vault::Vault;
use arc_swap::ArcSwap;
use bytes::Bytes;
use flow::Work;
use futures_util::future::BoxFuture;
use live::{Live, LiveRuns, Stop, locked};
use logins::Verdicts;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

/// The way of a batch to the one writer, in this process or another.
pub type Submit = Arc<dyn Fn(Batch) -> BoxFuture<'static, Result<Receipt, EngineError>> + Send + Sync>;
/// What a batch would change there.
pub type Foresee = Arc<dyn Fn(Batch) -> BoxFuture<'static, Result<Preview, EngineError>> + Send + Sync>;
/// Is told of each run that has ended; for metrics.
pub type Observe = Arc<dyn Fn(&Run) + Send + Sync>;

/// How long runs are waited for on the way down: a login to a slow portal must get its answer.
const GRACE: Duration = Duration::from_secs(30);

/// Documents that are read at once: a large list takes every core, and a spreadsheet a process with memory of its own.
const READINGS: usize = 4;

/// What a collector is made of.
pub struct Options {
    /// The blacklist, or one that follows it.
    pub engine: Engine,
    /// The way of batches.
    pub submit: Submit,
    /// What they would change.
    pub preview: Foresee,
    /// The data folder.
    pub medium: Medium,
    /// Opens and seals credentials.
    pub vault: Arc<Vault>,
    /// How everything is fetched.
    pub fetch: FetchSettings,
    /// The sources of the configuration file.
    pub configured: Configured,
    /// Runs at work at once.
    pub slots: usize,
    /// How long raw bytes are kept.
    pub retention: Retention,
    /// Is told of each run that has ended.
    pub observe: Observe,
}

impl Options {
    /// A collector over an engine of this process, with nothing configured.
    pub fn new(engine: Engine, medium: Medium, vault: impl Into<Arc<Vault>>) -> Self {
        let writer = engine.clone();
        let submit: Submit = Arc::new(move |batch| {
            let writer = writer.clone();
            Box::pin(async move { writer.submit(batch).await })
        });
        let planner = engine.clone();
        let preview: Foresee = Arc::new(move |batch| {
            let planner = planner.clone();
            Box::pin(async move { Ok(planner.preview(batch).await?.preview()) })
        });
        Self {
            engine,
            submit,
            preview,
            medium,
            vault: vault.into(),
            fetch: FetchSettings::default(),
            configured: Configured::new(),
            slots: 20,
            retention: Retention::default(),
            observe: Arc::new(|_| {}),
        }
    }
}

/// A handle to the collector; cheap to clone.
#[derive(Clone)]
pub struct Collector(Arc<Inner>);

struct Inner {
    engine: Engine,
    submit: Submit,
    preview: Foresee,
    ledger: Arc<Ledger>,
    vault: Arc<Vault>,
    raw: Raw,
    fetch: FetchSettings,
    configured: ArcSwap<Configured>,
    retention: Retention,
    observe: Observe,
    work: Work,
    probe: Work,
    live: LiveRuns,
    verdicts: Verdicts,
    slots: Semaphore,
    readings: Semaphore,
    tasks: Mutex<JoinSet<()>>,
    /// Something has changed that the scheduler should look at.
    changed: Notify,
    stopping: watch::Sender<bool>,
}

impl Collector {
    /// Opens the ledger, and ends what a process that died has left running. Nothing is fetched before
    /// [`Collector::schedule`] runs or somebody asks. Blocks.
    ///
    /// # Errors
    /// The ledger cannot be opened, or a faulty disk.
    pub fn open(options: Options) -> Result<Self, DiskError> {
        Self::with_work(options, flow::work(), Arc::new(|job| Box::pin(flow::probe(job))))
    }

    fn with_work(options: Options, work: Work, probe: Work) -> Result<Self, DiskError> {
        let ledger = Arc::new(Ledger::open(&options.medium)?);
        finish::interrupted(&ledger, options.engine.now())?;
        configured::since_last_start(&ledger, &options.configured, options.engine.now())?;
        Ok(Self(Arc::new(Inner {
            raw: Raw::open(options.medium.path())?,
            engine: options.engine,
            submit: options.submit,
            preview: options.preview,
            ledger,
            vault: options.vault,
            fetch: options.fetch,
            configured: ArcSwap::from_pointee(options.configured),
            retention: options.retention,
            observe: options.observe,
            work,
            probe,
            live: LiveRuns::default(),
            verdicts: Verdicts::default(),
            slots: Semaphore::new(options.slots),
            readings: Semaphore::new(READINGS),
            tasks: Mutex::new(JoinSet::new()),
            changed: Notify::new(),
            stopping: watch::Sender::new(false),
        })))
    }

    /// A run, as far as it is.
    ///
    /// # Errors
    /// [`CollectError::UnknownRun`], or a faulty disk.
    pub async fn run(&self, id: Uuid) -> Result<Run, CollectError> {
        if let Some(live) = self.0.live.find(id) {
            return Ok(live.progress.borrow().run.clone());
        }
        self.0.look(move |look| look.run(id)).await?.ok_or(CollectError::UnknownRun(id))
    }

    /// At most `limit` runs, newest first, before the run `before`; and how many there are in all.
    ///
    /// # Errors
    /// A faulty disk.
    pub async fn runs(
        &self,
        source: Option<SourceName>,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<(Vec<Run>, u64), CollectError> {
        let look = move |look: &Look<'_>| {
            Ok((look.runs(source.as_ref(), before, limit)?, look.count_runs(source.as_ref())?))
        };
        let (mut runs, total) = self.0.look(look).await?;
        for run in runs.iter_mut().filter(|run| !run.state.is_over()) {
            if let Some(live) = self.0.live.find(run.id) {
                *run = live.progress.borrow().run.clone();
            }
        }
        Ok((runs, total))
    }

    /// Follows a run until it is over; none: it is.
    pub fn progress(&self, id: Uuid) -> Option<watch::Receiver<Progress>> {
        self.0.live.find(id).map(|live| live.progress.subscribe())
    }

    /// Ends a run; what it has brought already stays.
    ///
    /// # Errors
    /// [`CollectError::Over`], [`CollectError::UnknownRun`], or a faulty disk.
    pub async fn cancel(&self, id: Uuid, actor: &str) -> Result<(), CollectError> {
        let live = self.at_work(id).await?;
        live.stop.send_replace(Stop::Person);
        self.note(&live, "run.cancel", actor).await
    }

    /// Says the code that a portal has sent to a person.
    ///
    /// # Errors
    /// [`CollectError::BadCode`], [`CollectError::NoCodeWanted`], [`CollectError::Over`],
    /// [`CollectError::UnknownRun`], or a faulty disk.
    pub async fn otp(&self, id: Uuid, code: &str, actor: &str) -> Result<(), CollectError> {
        let code = code.trim();
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CollectError::BadCode);
        }
        let live = self.at_work(id).await?;
        live.give_code(code.to_owned())?;
        self.note(&live, "run.otp", actor).await
    }

    async fn at_work(&self, id: Uuid) -> Result<Arc<Live>, CollectError> {
        match self.0.live.find(id) {
            Some(live) => Ok(live),
            None => Err(CollectError::Over { run: id, state: self.run(id).await?.state }),
        }
    }

    /// Writes down what somebody did to a run.
    async fn note(&self, live: &Live, action: &str, actor: &str) -> Result<(), CollectError> {
        let source = live.progress.borrow().run.source.clone();
        let audit = self.0.audit(actor, action, &source, "", format!("run {}", live.run));
        Ok(self.0.change(move |change| change.audit(&audit)).await?)
    }

    /// Document `index` of a run as it was fetched.
    ///
    /// # Errors
    /// [`CollectError::NoRaw`], [`CollectError::UnknownRun`], or a faulty disk.
    pub async fn raw(&self, id: Uuid, index: usize) -> Result<Bytes, CollectError> {
        self.run(id).await?;
        let (raw, limit) = (self.0.raw.clone(), self.0.fetch.size_limit);
        let read = self.0.blocking(move || raw.read(id, index, limit)).await?;
        read.ok_or(CollectError::NoRaw(id))
    }

    /// Entries of the audit with their numbers, newest first, before number `before`; and how many there are
    /// in all.
    ///
    /// # Errors
    /// A faulty disk.
    pub async fn audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<(u64, Audit)>, u64), CollectError> {
        Ok(self.0.look(move |look| Ok((look.audit(before, limit)?, look.count_audit()?))).await?)
    }

    /// Ends everything: what is at work is told to stop, given a moment, and else written down as
    /// interrupted at the next start.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        for live in self.0.live.all() {
            live.stop.send_replace(Stop::Service);
        }
        let mut tasks = std::mem::take(&mut *locked(&self.0.tasks));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("collection runs did not end in time; they go on after the next start");
        }
    }
}

impl Inner {
    fn now(&self) -> Time {
        self.engine.now()
    }

    /// Runs what waits for the disk, or computes for long, on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, DiskError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(DiskError::io("a worker", io::Error::other(error))),
        }
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Look<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, DiskError> {
        let ledger = Arc::clone(&self.ledger);
        self.blocking(move || ledger.look(look)).await
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Change<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, DiskError> {
        let ledger = Arc::clone(&self.ledger);
        self.blocking(move || ledger.change(change)).await
    }

    /// An entry of the audit about a source.
    fn audit(&self, actor: &str, action: &str, source: &SourceName, reason: &str, detail: String) -> Audit {
        Audit {
            at: self.now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            source: source.clone(),
            reason: reason.to_owned(),
            detail,
        }
    }
}
