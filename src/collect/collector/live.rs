//! The runs that are not over: one a source, each with its ways to be watched, ended and answered.

use super::Inner;
use super::error::CollectError;
use crate::collect::run::Run;
use crate::model::SourceName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

/// How far a run has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The run, as far as it is.
    pub run: Run,
    /// What it is at.
    pub step: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all, when that is known.
    pub total: Option<u64>,
}

/// Who wants a run to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// Nobody.
    No,
    /// A person.
    Person,
    /// The service, which stops.
    Service,
}

/// A run that is not over.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) run: Uuid,
    pub(super) stop: watch::Sender<Stop>,
    pub(super) progress: watch::Sender<Progress>,
    code: Mutex<Option<oneshot::Sender<String>>>,
}

impl Live {
    pub(super) fn new(run: &Run) -> Arc<Self> {
        let progress = Progress { run: run.clone(), step: String::new(), done: 0, total: None };
        Arc::new(Self {
            run: run.id,
            stop: watch::Sender::new(Stop::No),
            progress: watch::Sender::new(progress),
            code: Mutex::new(None),
        })
    }

    /// Somebody waits for a code from now on.
    pub(super) fn want_code(&self) -> oneshot::Receiver<String> {
        let (give, take) = oneshot::channel();
        *locked(&self.code) = Some(give);
        take
    }

    /// Hands a code to whoever waits for it.
    pub(super) fn give_code(&self, code: String) -> Result<(), CollectError> {
        let wanted = locked(&self.code).take().ok_or(CollectError::NoCodeWanted(self.run))?;
        wanted.send(code).map_err(|_| CollectError::NoCodeWanted(self.run))
    }

    /// Resolves when the run is to end.
    pub(super) async fn stopped(&self) {
        // The sender is in this very value: it cannot be gone.
        let _ = self.stop.subscribe().wait_for(|stop| *stop != Stop::No).await;
    }
}

/// The runs that are not over, by their sources.
#[derive(Debug, Default)]
pub(super) struct LiveRuns(Mutex<BTreeMap<SourceName, Arc<Live>>>);

impl LiveRuns {
    fn enter(&self, source: &SourceName, live: &Arc<Live>) -> Result<(), CollectError> {
        let mut runs = locked(&self.0);
        if let Some(other) = runs.get(source) {
            return Err(CollectError::Busy { source_name: source.clone(), run: other.run });
        }
        runs.insert(source.clone(), Arc::clone(live));
        Ok(())
    }

    fn leave(&self, source: &SourceName, run: Uuid) {
        let mut runs = locked(&self.0);
        if runs.get(source).is_some_and(|live| live.run == run) {
            runs.remove(source);
        }
    }

    pub(super) fn of(&self, source: &SourceName) -> Option<Arc<Live>> {
        locked(&self.0).get(source).cloned()
    }

    pub(super) fn find(&self, run: Uuid) -> Option<Arc<Live>> {
        locked(&self.0).values().find(|live| live.run == run).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        locked(&self.0).values().cloned().collect()
    }
}

/// The place of a source's one run, free again as soon as this is dropped.
pub(super) struct Place {
    inner: Arc<Inner>,
    source: SourceName,
    run: Uuid,
}

impl Inner {
    /// Takes the place of the source's one run.
    pub(super) fn enter(
        self: &Arc<Self>,
        source: &SourceName,
        live: &Arc<Live>,
    ) -> Result<Place, CollectError> {
        self.live.enter(source, live)?;
        Ok(Place { inner: Arc::clone(self), source: source.clone(), run: live.run })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.live.leave(&self.source, self.run);
        // What became due in the meantime has waited for this.
        self.inner.changed.notify_one();
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder of these locks can leave what they guard half-changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
