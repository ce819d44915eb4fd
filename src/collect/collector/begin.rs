//! How a run begins: what may begin at all, the record of it, and its turn.

use super::deliver::Delivery;
use super::ending::Ending;
use super::error::CollectError;
use super::job::Job;
use super::live::{Live, Place, locked};
use super::{Collector, Inner};
use crate::collect::definition::{Definition, Kind};
use crate::collect::ledger::{Credentials, Look, Standing};
use crate::collect::run::{Run, State, Trigger, Wish};
use crate::collect::schedule::Occurrence;
use crate::disk::DiskError;
use crate::fetch::Failure;
use crate::model::SourceName;
use bytes::Bytes;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A wish to begin a run.
pub(super) struct Beginning {
    pub(super) source: SourceName,
    pub(super) trigger: Trigger,
    pub(super) actor: String,
    pub(super) wish: Wish,
    pub(super) attempt: u16,
    /// The run that it goes on with.
    pub(super) of: Option<Uuid>,
    /// Written down with the run, so that an occurrence is neither lost nor taken twice.
    pub(super) next: Option<Occurrence>,
    /// What a person has brought.
    pub(super) file: Option<File>,
}

/// A file with its name, a hint for its format.
pub(super) struct File {
    name: Option<String>,
    bytes: Bytes,
}

impl Beginning {
    fn by_person(source: SourceName, trigger: Trigger, actor: &str, wish: Wish) -> Self {
        Self { source, trigger, actor: actor.to_owned(), wish, attempt: 0, of: None, next: None, file: None }
    }
}

impl Collector {
    /// Fetches a source now; gives the run's id.
    ///
    /// # Errors
    /// At once, when it cannot begin: unknown, busy, cooling down, stopped, or without credentials.
    pub async fn trigger(&self, source: SourceName, actor: &str, wish: Wish) -> Result<Uuid, CollectError> {
        if wish.first.zip(wish.last).is_some_and(|(first, last)| first > last) {
            return Err(CollectError::BadPeriod);
        }
        self.0.begin(Beginning::by_person(source, Trigger::Person, actor, wish)).await
    }

    /// Takes a file in, in the name of a source; gives the run's id. The file is on the disk then.
    ///
    /// # Errors
    /// As [`Collector::trigger`].
    pub async fn upload(
        &self,
        source: SourceName,
        actor: &str,
        name: Option<String>,
        bytes: Bytes,
    ) -> Result<Uuid, CollectError> {
        let beginning = Beginning::by_person(source, Trigger::Upload, actor, Wish::default());
        self.0.begin(Beginning { file: Some(File { name, bytes }), ..beginning }).await
    }

    /// Reads the bytes of a run again; gives the new run's id.
    ///
    /// # Errors
    /// As [`Collector::trigger`], and [`CollectError::UnknownRun`].
    pub async fn again(&self, run: Uuid, actor: &str) -> Result<Uuid, CollectError> {
        let run = self.run(run).await?;
        if !run.documents.iter().any(|document| document.kept) {
            return Err(CollectError::NoRaw(run.id));
        }
        let wish = Wish { again: Some(run.id), ..Wish::default() };
        self.0.begin(Beginning::by_person(run.source, Trigger::Again, actor, wish)).await
    }
}

impl Inner {
    /// Begins a run: it is on the disk when this returns.
    pub(super) async fn begin(self: &Arc<Self>, beginning: Beginning) -> Result<Uuid, CollectError> {
        let Beginning { source, trigger, actor, wish, attempt, of, next, file } = beginning;
        let mut run = Run { attempt, of, ..Run::new(source, trigger, actor, wish, self.now()) };
        let live = Live::new(&run);
        let place = self.enter(&run.source, &live)?;
        // After that: whatever stops now sees this run, or this sees that it stops.
        if *self.stopping.borrow() {
            return Err(CollectError::Stopping);
        }
        let definition = self.definition(&run.source).await?;
        let Footing { standing, version, doubted } = self.may_begin(&definition, &run).await?;
        let inner = Arc::clone(self);
        let begun = self.see_through(async move {
            inner.keep_file(&mut run, file).await?;
            inner.write_down(run.clone(), next).await?;
            let id = run.id;
            let job = Job::new(Arc::clone(&inner), run, definition, standing, live);
            inner.spawn(carry_out(job.with(version, doubted), place));
            Ok(id)
        });
        begun.await
    }

    /// Keeps a file before anybody is told that it was taken: a crash does not lose it, and no memory is needed
    /// for it while the run waits.
    async fn keep_file(&self, run: &mut Run, file: Option<File>) -> Result<(), DiskError> {
        let Some(File { name, bytes }) = file else { return Ok(()) };
        let label = name.clone().unwrap_or_else(|| "upload".to_owned());
        let delivery = Delivery { name, ..Delivery::new(label, bytes) };
        let digest = self.digest_of(&delivery.bytes).await?;
        run.documents.push(self.keep(run.id, 0, &delivery, digest).await?);
        Ok(())
    }

    /// Does work to its end, even if whoever asked for it goes away.
    pub(super) async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, CollectError>> + Send + 'static,
    ) -> Result<T, CollectError> {
        let (tell, told) = oneshot::channel();
        self.spawn(async move { drop(tell.send(work.await)) });
        told.await.unwrap_or(Err(CollectError::Stopping))
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    async fn write_down(&self, run: Run, next: Option<Occurrence>) -> Result<(), DiskError> {
        self.change(move |change| {
            change.standing(&run.source, |standing| {
                standing.last_run = Some(run.id);
                // Whatever was brought before this is older than what this brings.
                standing.resume = None;
                if run.trigger.asks_source() {
                    standing.retry = None;
                    standing.next = next.or(standing.next);
                }
            })?;
            change.run(&run).map(drop)
        })
        .await
    }

    /// Whether it may begin; gives what it begins with.
    async fn may_begin(&self, definition: &Definition, run: &Run) -> Result<Footing, CollectError> {
        if self.is_held(&run.source) {
            return Err(CollectError::Held(run.source.clone()));
        }
        if run.trigger.asks_source() {
            self.write_verdict(&run.source).await?;
        }
        let source = run.source.clone();
        let look = move |look: &Look<'_>| {
            let doubted = look.pending()?.iter().any(|hold| hold.source == source);
            Ok((look.standing(&source)?, look.credentials(&source)?, doubted))
        };
        let (standing, credentials, doubted) = self.look(look).await?;
        let version = credentials.as_ref().map_or(0, |kept| kept.version);
        if run.trigger.asks_source() {
            self.may_ask(definition, run, &standing, credentials)?;
        }
        Ok(Footing { standing, version, doubted })
    }

    /// Whether the source may be asked now.
    fn may_ask(
        &self,
        definition: &Definition,
        run: &Run,
        standing: &Standing,
        credentials: Option<Credentials>,
    ) -> Result<(), CollectError> {
        let (source, forced) = (|| run.source.clone(), run.wish.force);
        if definition.kind == Kind::Upload {
            return Err(CollectError::NotFetched(source()));
        }
        if definition.kind.is_portal() {
            credentials.ok_or_else(|| CollectError::NoCredentials(source()))?.may_attempt(self.now())?;
        }
        if let Some(stopped) = standing.stopped.as_ref().filter(|stopped| stopped.credentials || !forced) {
            return Err(CollectError::Stopped(stopped.fault.clone()));
        }
        match standing.retry.filter(|retry| retry.cooling && !forced) {
            Some(retry) if run.trigger == Trigger::Person => Err(CollectError::Cooling(retry.at)),
            _ => Ok(()),
        }
    }
}

/// What a run begins with.
struct Footing {
    /// How its source stands.
    standing: Standing,
    /// The version of the source's credentials.
    version: u64,
    /// Whether something of the source waits for a person's word.
    doubted: bool,
}

/// A run from its turn to its end. Never fails: what goes wrong is the run's.
async fn carry_out(mut job: Job, place: Place) {
    let inner = job.inner();
    let ending = tokio::select! {
        biased;
        () = job.stopped() => Err(job.cut_short()),
        turn = inner.slots.acquire() => match turn {
            Ok(_turn) => work(&inner, &mut job).await,
            Err(_) => Err(Ending::Cancelled),
        },
    };
    let source = job.run.source.clone();
    let run = job.run.id;
    if let Err(error) = job.finish(ending).await {
        // It stays as it was written down last, and is found at the next start.
        tracing::error!(%source, %run, %error, "the end of a run could not be written down");
    }
    drop(place);
}

async fn work(inner: &Arc<Inner>, job: &mut Job) -> Result<(), Ending> {
    job.run.started = Some(inner.now());
    job.set_state(State::Running).await?;
    match AssertUnwindSafe((inner.work)(job)).catch_unwind().await {
        Ok(ending) => ending,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
            tracing::error!(source = %job.run.source, panic = text, "a collection run panicked");
            Err(Ending::new(Failure::Broken, "internal", "the program failed; its log has more"))
        }
    }
}
