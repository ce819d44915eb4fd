//! What a flow has of its run: the place to report, to ask, to remember and to deliver.

use super::Inner;
use super::ending::Ending;
use super::live::{Live, Stop};
use crate::collect::definition::Definition;
use crate::collect::gate::Lost;
use crate::collect::ledger::{Held, Memory, Standing};
use crate::collect::run::{Run, State};
use crate::collect::told::told;
use crate::disk::DiskError;
use crate::fetch::Failure;
use crate::model::{Day, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a person has for the code that a portal has sent.
const CODE_TIME: Duration = Duration::from_secs(300);

/// A run at work.
pub(super) struct Job {
    inner: Arc<Inner>,
    pub(super) run: Run,
    pub(super) definition: Arc<Definition>,
    /// What is known of the last delivery; kept with the run's end, or at [`Job::save`].
    pub(super) memory: Memory,
    /// How far the flow has come, in its own words; kept likewise.
    pub(super) checkpoint: serde_json::Value,
    /// The run that began the checkpoint.
    pub(super) begun: Option<Uuid>,
    pub(super) held: Vec<Held>,
    /// Whether something of the source waited for a person's word when the run began.
    pub(super) doubted: bool,
    /// What the run has cost the source so far.
    pub(super) lost: Lost,
    pub(super) live: Arc<Live>,
    /// Whether the source has been collected whole before.
    pub(super) settled: bool,
    /// The version of the credentials that it began with, or of which the last attempt was one.
    pub(super) attempted: u64,
    /// When the last attempt began.
    pub(super) began: Time,
    /// Whether the credentials had been right before it.
    pub(super) proven: bool,
    /// Whether it counts: the ledger did not take it back.
    pub(super) counted: bool,
}

impl Job {
    pub(super) fn new(
        inner: Arc<Inner>,
        run: Run,
        definition: Definition,
        standing: Standing,
        live: Arc<Live>,
    ) -> Self {
        let Standing { memory, checkpoint, begun, last_success, .. } = standing;
        let (definition, held) = (Arc::new(definition), Vec::new());
        let settled = last_success.is_some();
        let (attempted, began, doubted, lost, proven, counted) = Default::default();
        Self {
            inner,
            run,
            definition,
            memory,
            checkpoint,
            begun,
            held,
            doubted,
            lost,
            live,
            settled,
            attempted,
            began,
            proven,
            counted,
        }
    }

    /// A run that begins with that version of the credentials, and perhaps while something waits for a person.
    pub(super) fn with(self, attempted: u64, doubted: bool) -> Self {
        Self { attempted, doubted, ..self }
    }

    pub(super) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// The moment, by the clock of the blacklist.
    pub(super) fn now(&self) -> Time {
        self.inner.now()
    }

    /// Today at the source.
    pub(super) fn today(&self) -> Day {
        self.now().day_in(self.definition.policy.zone)
    }

    /// Resolves when the run is to end.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let live = Arc::clone(&self.live);
        async move { live.stopped().await }
    }

    /// Does `work`, unless the run is to end before it is done.
    pub(super) async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Ending> {
        tokio::select! {
            biased;
            () = self.live.stopped() => Err(self.cut_short()),
            done = work => Ok(done),
        }
    }

    /// How a run ends that is told to.
    pub(super) fn cut_short(&self) -> Ending {
        match *self.live.stop.borrow() {
            Stop::Service => Ending::Interrupted,
            Stop::No | Stop::Person => Ending::Cancelled,
        }
    }

    /// Whether the checkpoint was begun by this run, or by the one that it retries, so that it goes on there. One that
    /// was interrupted while it waited for its turn has begun none.
    pub(super) fn goes_on(&self) -> bool {
        self.begun == Some(self.run.origin())
    }

    /// Makes `memory` the checkpoint that this run has begun, on the disk too.
    pub(super) async fn begin_with<T: Serialize>(&mut self, memory: &T) -> Result<(), Ending> {
        self.remember(memory)?;
        self.begun = Some(self.run.origin());
        self.save().await
    }

    /// Says what the run is at, for whoever watches.
    pub(super) fn step(&self, step: impl AsRef<str>, done: u64, total: Option<u64>) {
        let step = told(step.as_ref());
        self.live.progress.send_modify(|progress| {
            progress.run.clone_from(&self.run);
            (progress.step, progress.done, progress.total) = (step, done, total);
        });
    }

    /// Shows the run as it is now to whoever watches.
    pub(super) fn show(&self) {
        self.live.progress.send_modify(|progress| progress.run.clone_from(&self.run));
    }

    /// The run enters a state; durable, so that a restart knows what was going on.
    pub(super) async fn set_state(&mut self, state: State) -> Result<(), DiskError> {
        self.run.state = state;
        self.show();
        let run = self.run.clone();
        self.inner.change(move |change| change.run(&run).map(drop)).await
    }

    /// Writes down how far the run has come: a restart goes on from here.
    pub(super) async fn save(&mut self) -> Result<(), Ending> {
        self.show();
        let (run, memory, checkpoint) = (self.run.clone(), self.memory.clone(), self.checkpoint.clone());
        let begun = self.begun;
        let save = self.inner.change(move |change| {
            change.standing(&run.source, |standing| {
                standing.memory = memory;
                (standing.checkpoint, standing.begun) = (checkpoint, begun);
            })?;
            change.run(&run).map(drop)
        });
        Ok(save.await?)
    }

    /// How far the runs before have come, in the form of the source's flow; `None` where there is nothing that this
    /// version can read, so that the source is read from the beginning.
    pub(super) fn recall<T: DeserializeOwned>(&self) -> Option<T> {
        if self.checkpoint.is_null() {
            return None;
        }
        let read = serde_json::from_value(self.checkpoint.clone());
        let unread = |error: &serde_json::Error| {
            tracing::warn!(source = %self.run.source, %error, "the checkpoint cannot be read; reading anew");
        };
        read.inspect_err(unread).ok()
    }

    /// Makes `memory` the checkpoint, which [`Job::save`] or the end of the run writes down.
    ///
    /// # Errors
    /// It has no form in JSON.
    pub(super) fn remember<T: Serialize>(&mut self, memory: &T) -> Result<(), Ending> {
        self.checkpoint = serde_json::to_value(memory).map_err(|error| {
            Ending::new(
                Failure::Broken,
                "checkpoint",
                format!("how far the run has come cannot be written: {error}"),
            )
        })?;
        Ok(())
    }

    /// Waits for the code that a portal has sent to a person.
    pub(super) async fn ask_code(&mut self, what: &str) -> Result<String, Ending> {
        let wanted = self.live.want_code();
        self.set_state(State::AwaitingOtp).await?;
        self.step(what, 0, None);
        let told = self.until_stopped(tokio::time::timeout(CODE_TIME, wanted)).await?;
        self.set_state(State::Running).await?;
        match told {
            Ok(Ok(code)) => Ok(code),
            _ => Err(Ending::new(
                Failure::Hindered,
                "otp_timeout",
                "nobody said the portal's code within five minutes; start a run when somebody is at hand, and let the \
                 source's cron name an hour when that is so: the next run asks again",
            )),
        }
    }
}
