//! The engine: one writer, an immutable snapshot that all read, and the policy of what is exempt.
//!
//! [`Engine`] is the handle that services hold. Reading takes the snapshot behind one atomic
//! pointer; writing sends a batch to the writer's thread and waits for its receipt. Who asks, and
//! whether they may, is not known here.

mod archive;
mod classes;
mod condition;
mod coverage;
mod derive;
mod ended;
mod expiry;
mod guard;
mod history;
mod plan;
mod recover;
mod snapshot;
mod writer;

pub use archive::FILE as SNAPSHOT_FILE;
pub use classes::{Standing, Standings};
pub use condition::{Condition, EngineError, cure};
pub use coverage::Coverage;
pub use ended::Gone;
pub use guard::Guard;
pub use history::{Net, Pair};
pub use plan::{Plan, Refusal};
pub use recover::compare;
pub use snapshot::{Protected, Snapshot};

use crate::disk::{DiskError, Medium};
use crate::journal::{self, Keep, Sealed, Summary};
use crate::model::{Batch, Receipt, Time};
use crate::store::{Projection, View};
use arc_swap::ArcSwap;
use expiry::Expiry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tokio::sync::{oneshot, watch};
use writer::{Command, Reply, Word, Writer};

/// Reads the wall clock; tests bring their own.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// At most so many commands wait for the writer.
const QUEUE: usize = 256;

/// So often it is looked whether the store and what is published are of one generation.
const TRIES: usize = 1000;

/// How an engine is opened.
#[derive(Clone)]
pub struct Options {
    /// Where it lives.
    pub medium: Medium,
    /// The zone in whose days activity is counted, and of a source that does not say its own.
    pub zone: chrono_tz::Tz,
    /// The wall clock.
    pub clock: Clock,
    /// Whether the journal here follows another process's: then nothing else makes a record, not
    /// even expiry, since no record of its own could be followed by the other's next.
    pub follower: bool,
    /// How much of the journal is kept.
    pub keep: Keep,
}

impl Options {
    /// The system's clock, days of Seoul, and a journal of its own.
    pub fn new(medium: Medium) -> Self {
        let clock: Clock = Arc::new(|| SystemTime::now().into());
        Self { medium, zone: chrono_tz::Asia::Seoul, clock, follower: false, keep: Keep::default() }
    }
}

/// A running engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    published: Arc<Published>,
    /// None when a store is damaged.
    projection: Option<Arc<Projection>>,
    /// The same.
    journal: Option<journal::Reader>,
    commands: Option<SyncSender<Command>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    options: Options,
}

/// What the writer shows to everyone.
#[derive(Debug)]
struct Published {
    snapshot: ArcSwap<Snapshot>,
    condition: ArcSwap<Condition>,
    expiry_held: AtomicBool,
    generations: watch::Sender<u64>,
}

impl Published {
    fn new(snapshot: Snapshot, condition: Condition) -> Self {
        let (generations, _) = watch::channel(snapshot.generation);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            condition: ArcSwap::from_pointee(condition),
            expiry_held: AtomicBool::new(false),
            generations,
        }
    }

    fn publish(&self, snapshot: Snapshot) {
        let generation = snapshot.generation;
        self.snapshot.store(Arc::new(snapshot));
        self.generations.send_replace(generation);
    }

    fn generation(&self) -> u64 {
        *self.generations.borrow()
    }

    fn set_condition(&self, condition: Condition) {
        if **self.condition.load() != condition {
            self.condition.store(Arc::new(condition));
        }
    }

    /// Runs the writer; a panic of it ends writing and nothing else, and everybody is told.
    fn watch(&self, run: impl FnOnce()) {
        // Nobody looks at the writer's state again: it went with the panic.
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let why = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            tracing::error!(why, "the writer has failed");
            self.set_condition(Condition::Stopped(format!("the writer has failed: {why}")));
        }
    }

    fn set_expiry_held(&self, held: bool) {
        self.expiry_held.store(held, Ordering::Relaxed);
    }
}

impl Engine {
    /// Opens the data folder and starts the writer.
    ///
    /// When a store is damaged, the engine opens read-only on the last snapshot, if that is whole;
    /// [`Engine::condition`] tells.
    ///
    /// # Errors
    /// [`DiskError::InUse`] when another process has the folder, [`DiskError::Damaged`] when not
    /// even a snapshot can be read, else a fault of the disk.
    pub fn open(options: Options) -> Result<Self, DiskError> {
        match recover::recover(&options.medium, options.zone) {
            Ok(recovered) => Ok(Self::start(options, recovered)),
            Err(recover::Unrecovered { error, last: Some(snapshot) }) if error.is_damage() => {
                Ok(Self::read_only(options, &error, *snapshot))
            }
            Err(recover::Unrecovered { error, .. }) => Err(error),
        }
    }

    fn start(options: Options, recovered: recover::Recovered) -> Self {
        let recover::Recovered { journal, projection, derivation, archived } = recovered;
        let published = Arc::new(Published::new(derivation.snapshot.clone(), Condition::Writable));
        let projection = Arc::new(projection);
        let reader = journal.reader();
        let writer = Writer {
            journal,
            projection: Arc::clone(&projection),
            published: Arc::clone(&published),
            archive: options.medium.path().join(archive::FILE),
            zone: options.zone,
            clock: Arc::clone(&options.clock),
            expiry: Expiry::begin(derivation.snapshot.sure),
            follower: options.follower,
            keep: options.keep,
            derivation,
            uncertain: false,
            // A start after a crash leaves a snapshot behind, so that the next one has it.
            dirty: (!archived).then(std::time::Instant::now),
        };
        let (commands, queue) = sync_channel(QUEUE);
        let watched = Arc::clone(&published);
        let run = move || {
            // Look-ups first: they read the snapshot of before as long as a batch takes.
            let _ = rustix::process::nice(5);
            watched.watch(|| writer.run(&queue));
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(run);
        let stopped = |error: &std::io::Error| published.set_condition(Condition::Stopped(error.to_string()));
        // Without its writer the engine serves, and says so to whoever would write.
        let thread = thread.inspect_err(stopped).ok();
        Self(Arc::new(Inner {
            published,
            projection: Some(projection),
            journal: Some(reader),
            commands: Some(commands),
            thread: Mutex::new(thread),
            options,
        }))
    }

    fn read_only(options: Options, error: &DiskError, snapshot: Snapshot) -> Self {
        let condition = Condition::ReadOnly { why: error.to_string(), cure: cure(error) };
        tracing::error!(%error, cure = cure(error), "serving the last snapshot, read-only");
        let published = Arc::new(Published::new(snapshot, condition));
        Self(Arc::new(Inner {
            published,
            projection: None,
            journal: None,
            commands: None,
            thread: Mutex::new(None),
            options,
        }))
    }

    /// The current generation. Lock-free; hold the guard no longer than a request.
    #[inline]
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.published.snapshot.load()
    }

    /// Announces each generation's number.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.0.published.generations.subscribe()
    }

    /// Whether writing works.
    pub fn condition(&self) -> Condition {
        Condition::clone(&self.0.published.condition.load())
    }

    /// Whether listings wait for a person's word because the wall clock has jumped.
    pub fn expiry_is_held(&self) -> bool {
        self.0.published.expiry_held.load(Ordering::Relaxed)
    }

    /// The wall clock in use.
    pub fn now(&self) -> Time {
        (self.0.options.clock)()
    }

    /// The zone of the days in which activity is counted.
    pub fn zone(&self) -> chrono_tz::Tz {
        self.0.options.zone
    }

    /// The data folder.
    pub fn folder(&self) -> &std::path::Path {
        self.0.options.medium.path()
    }

    /// Reads the projection: listings, policy, counts. Blocks on the disk.
    ///
    /// # Errors
    /// [`EngineError::ReadOnly`] when the store is damaged, else a fault of the disk.
    pub fn view<T>(&self, read: impl FnOnce(&View) -> Result<T, redb::Error>) -> Result<T, EngineError> {
        match &self.0.projection {
            Some(projection) => Ok(projection.view(read)?),
            None => Err(self.unwritable()),
        }
    }

    /// Reads the current generation and the store as of the same one; without the store where that is damaged. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn together<T>(
        &self,
        mut read: impl FnMut(&Arc<Snapshot>, Option<&View>) -> T,
    ) -> Result<T, EngineError> {
        let both = self.both(|snapshot, view| Ok(read(snapshot, Some(view))))?;
        Ok(both.unwrap_or_else(|| read(&self.snapshot(), None)))
    }

    /// The same for whoever needs the store.
    ///
    /// # Errors
    /// As [`Engine::view`].
    pub fn whole<T>(
        &self,
        read: impl FnMut(&Arc<Snapshot>, &View) -> Result<T, redb::Error>,
    ) -> Result<T, EngineError> {
        self.both(read)?.ok_or_else(|| self.unwritable())
    }

    fn both<T>(
        &self,
        mut read: impl FnMut(&Arc<Snapshot>, &View) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, EngineError> {
        let tries = if self.0.projection.is_some() { TRIES } else { 0 };
        for projection in std::iter::repeat_n(&self.0.projection, tries).flatten() {
            let snapshot = Arc::clone(&self.snapshot());
            let both = projection.view(|view| {
                let is_same = view.generation()? == snapshot.generation;
                is_same.then(|| read(&snapshot, view)).transpose()
            })?;
            if both.is_some() {
                return Ok(both);
            }
            // The writer commits to the store, then publishes: the other one follows in microseconds, unless the disk
            // fails.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(None)
    }

    /// Carries out a batch; answers when its record is durable and visible.
    ///
    /// # Errors
    /// [`EngineError`]; nothing has changed then. Always [`EngineError::Follower`] for a follower.
    pub async fn submit(&self, batch: Batch) -> Result<Receipt, EngineError> {
        self.ask(|reply| Command::Submit(batch, reply)).await
    }

    /// Says what a batch would do.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn preview(&self, batch: Batch) -> Result<Plan, EngineError> {
        self.ask(|reply| Command::Preview(batch, reply)).await
    }

    /// Ends what is due, on a person's word that the clock is right.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn expire(&self) -> Result<Receipt, EngineError> {
        self.ask(|reply| Command::Expire(Word::Given, reply)).await
    }

    /// Ends what is due now rather than within a second, if the clock is believed.
    ///
    /// # Errors
    /// As [`Engine::submit`]; [`Refusal::ClockDoubted`].
    pub async fn clean_up(&self) -> Result<Receipt, EngineError> {
        self.ask(|reply| Command::Expire(Word::NotGiven, reply)).await
    }

    /// Takes in records sealed by the journal that this engine follows; answers the generation
    /// reached.
    ///
    /// # Errors
    /// [`EngineError::NoFollower`], else as [`Engine::submit`].
    pub async fn follow(&self, sealed: Vec<Sealed>) -> Result<u64, EngineError> {
        self.ask(|reply| Command::Follow(sealed, reply)).await
    }

    /// Begins an empty blacklist with a checkpoint of the journal that this engine follows, where the records before it
    /// are gone; answers the generation reached.
    ///
    /// # Errors
    /// As [`Engine::follow`]; also when this one is not empty.
    pub async fn adopt(&self, checkpoint: Vec<u8>) -> Result<u64, EngineError> {
        self.ask(|reply| Command::Adopt(checkpoint, reply)).await
    }

    /// The file of the newest checkpoint, if there is one. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Engine::sealed`].
    pub fn checkpoint(&self) -> Result<Option<std::path::PathBuf>, EngineError> {
        Ok(self.journal()?.checkpoint()?)
    }

    /// Sealed records after generation `after`, about `limit` bytes of them, for a follower. Read
    /// beside the writer, as all of this.
    ///
    /// # Errors
    /// [`EngineError::Gone`], [`EngineError::ReadOnly`] when the journal is damaged, else a fault of the disk.
    pub async fn sealed(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, EngineError> {
        let engine = self.clone();
        let reading = move || engine.kept(after, || Ok(engine.journal()?.sealed(after, limit)?));
        tokio::task::spawn_blocking(reading).await.map_err(|_| EngineError::Stopped)?
    }

    /// What the records after generation `after` and before `before` did, in order. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// As [`Engine::sealed`].
    pub fn summaries(&self, after: u64, before: u64) -> Result<Vec<Summary>, EngineError> {
        Ok(self.journal()?.summaries(after, before)?)
    }

    fn journal(&self) -> Result<&journal::Reader, EngineError> {
        self.0.journal.as_ref().ok_or_else(|| self.unwritable())
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, EngineError> {
        let commands = self.0.commands.as_ref().ok_or_else(|| self.unwritable())?;
        let (reply, answer) = oneshot::channel();
        commands.try_send(command(reply)).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::Busy,
            TrySendError::Disconnected(_) => self.unwritable(),
        })?;
        answer.await.map_err(|_| self.unwritable())?
    }

    fn unwritable(&self) -> EngineError {
        match self.condition() {
            Condition::ReadOnly { why, cure } => EngineError::ReadOnly(format!("{why}; {cure}")),
            Condition::Stopped(cause) => EngineError::ReadOnly(cause),
            Condition::Writable | Condition::Failing(_) => EngineError::Stopped,
        }
    }

    /// Stops the writer after what waits, and writes everything down. Blocks.
    pub fn stop(&self) {
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(thread), Some(commands)) = (thread, &self.0.commands) {
            // Either the writer hears it, or it is gone already.
            let _ = commands.send(Command::Stop);
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(self.commands.take());
        if let Some(thread) = thread {
            // The writer ends when nobody can send any more.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod time_tests;
