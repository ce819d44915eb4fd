//! Runs that were interrupted: by a service that stops, or by its death. They go on a while after the next
//! start: from the source's checkpoint, or from the bytes that were brought, which are on the disk before
//! anybody is told that they were taken.

use super::Inner;
use super::begin::Beginning;
use super::error::CollectError;
use super::scheduler::is_ahead;
use crate::collect::ledger::{NoAttempt, Resume, Retrying, Standing};
use crate::collect::run::{Fault, Run, Trigger, Wish};
use crate::disk::DiskError;
use crate::model::{SourceName, Time};
use std::sync::Arc;

/// The soonest that an interrupted run goes on: whatever ended it may do so again.
const SETTLING: i64 = 60;
/// So many deaths in a row are the run's own doing.
pub(super) const MOST: u16 = 10;
const CODE: &str = "interrupted";

/// The run goes on after a while, as try number `attempt`.
pub(super) fn later(standing: &mut Standing, run: &Run, attempt: u16, now: Time) {
    let at = now.plus(SETTLING);
    if run.trigger.asks_source() {
        standing.retry =
            Some(Retrying { at, attempt, cooling: false, wish: run.wish, of: Some(run.origin()) });
    } else {
        // What was read again is with the run that first brought it.
        let bytes = run.wish.again.unwrap_or(run.id);
        standing.resume = Some(Resume { run: bytes, actor: run.actor.clone(), at, attempt });
    }
}

/// What is said of a run that goes on.
pub(super) fn fault(run: &Run) -> Fault {
    let told = match run.trigger.asks_source() {
        true => "the service stopped in the middle of the run; it goes on by itself",
        false => {
            "the service stopped before all was taken in; it is read again by itself, unless another run of the \
             source comes first"
        }
    };
    Fault::new(CODE, told)
}

/// What is said of a run that ends the same way again and again.
pub(super) fn fault_at_last(attempt: u16) -> Fault {
    let told = format!(
        "the service died in the middle of the run, for the {attempt}th time in a row; it does not go on by itself: \
         look into the log, and start it again, or have its bytes read again"
    );
    Fault::new(CODE, told)
}

/// What is said of a run that may have died in a login.
pub(super) fn fault_of_login(refusal: &NoAttempt) -> Fault {
    Fault::new(CODE, format!("the service stopped in the middle of the run; {refusal}"))
}

impl Inner {
    /// Begins what is to be read and whose time has come; gives the moment of what is next.
    pub(super) async fn resume_due(self: &Arc<Self>, now: Time) -> Result<Option<Time>, DiskError> {
        let mut first = None;
        for (source, standing) in self.look(|look| look.standings()).await? {
            let Some(resume) = standing.resume else { continue };
            if is_ahead(resume.at, now) {
                first = first.into_iter().chain([resume.at]).min();
            } else if self.live.of(&source).is_none() {
                self.resume(source, resume).await?;
            }
        }
        Ok(first)
    }

    async fn resume(self: &Arc<Self>, source: SourceName, resume: Resume) -> Result<(), DiskError> {
        let Resume { run, actor, attempt, .. } = resume;
        let (wish, name) = (Wish { again: Some(run), ..Wish::default() }, source.clone());
        let beginning = Beginning {
            source,
            trigger: Trigger::Again,
            actor,
            wish,
            attempt,
            of: None,
            next: None,
            file: None,
        };
        match self.begin(beginning).await {
            Ok(run) => tracing::info!(source = %name, %run, "goes on"),
            Err(CollectError::Disk(error)) => return Err(error),
            Err(CollectError::Busy { .. } | CollectError::Stopping) => {}
            Err(error) => {
                tracing::warn!(source = %name, %run, %error, "what was brought cannot be taken in");
                self.change(move |change| change.standing(&name, |standing| standing.resume = None)).await?;
            }
        }
        Ok(())
    }
}
