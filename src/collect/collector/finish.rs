//! How a run ends: its outcome, what the source remembers of it, and whether it is tried again.

use super::ending::Ending;
use super::job::Job;
use super::resume;
use crate::collect::ledger::{
    Change, Hindrance, Hold, How, Ledger, NoAttempt, Retrying, Settled, Standing, Stopped,
};
use crate::collect::run::{Fault, Run, State};
use crate::collect::schedule::Retry;
use crate::disk::DiskError;
use crate::fetch::Failure;
use crate::model::Time;
use uuid::Uuid;

/// What follows on the end of a run.
#[derive(Clone, Copy)]
enum Next {
    /// Nothing.
    Nothing,
    /// What the failure asks for.
    Failed(Failure),
    /// It goes on.
    GoesOn,
}

impl Job {
    /// Writes the end of the run down, and tells whoever watches.
    pub(super) async fn finish(&mut self, ending: Result<(), Ending>) -> Result<(), DiskError> {
        let now = self.now();
        let next = self.conclude(ending, now);
        let hold = self.hold_of(now);
        let (run, memory, checkpoint) = (self.run.clone(), self.memory.clone(), self.checkpoint.clone());
        let (inner, attempted, begun) = (self.inner(), self.attempted, self.begun);
        if let Err(error) = inner.write_verdict(&run.source).await {
            tracing::error!(source = %run.source, %error, "the answer to a login is not on the disk yet");
        }
        let written = inner.change(move |change| {
            let kept =
                change.credentials(&run.source, |kept| kept.as_ref().map_or(0, |kept| kept.version))?;
            // What somebody has set since has not been tried yet.
            let next = match next {
                Next::Failed(Failure::Credentials) if kept != attempted => Next::Failed(Failure::SOON),
                next => next,
            };
            change.standing(&run.source, |standing| {
                standing.memory = memory;
                (standing.checkpoint, standing.begun) = (checkpoint, begun);
                settle(standing, &run, next, now);
            })?;
            stop_without_attempts(change, &run, now)?;
            if hold.is_some() || matches!(run.state, State::Done | State::Rejected) {
                supersede(change, &run, now)?;
            }
            hold.iter().try_for_each(|hold| change.hold(hold))?;
            change.run(&run).map(drop)
        });
        let written = written.await;
        self.tell();
        (inner.observe)(&self.run);
        written
    }

    /// Gives the run its last state; gives what is to be done then.
    fn conclude(&mut self, ending: Result<(), Ending>, now: Time) -> Next {
        self.run.ended = Some(now);
        self.warn_if_old(now);
        let (state, fault, next) = match ending {
            Ok(()) if !self.held.is_empty() => (State::Held, None, Next::Nothing),
            Ok(()) if self.is_rejected_whole() => (State::Rejected, Some(rejected()), Next::Nothing),
            Ok(()) => (State::Done, None, Next::Nothing),
            Err(Ending::Cancelled) => (State::Cancelled, None, Next::Nothing),
            Err(Ending::Interrupted) => (State::Failed, Some(resume::fault(&self.run)), Next::GoesOn),
            Err(Ending::Failed { kind, fault }) => (State::Failed, Some(fault), Next::Failed(kind)),
        };
        (self.run.state, self.run.fault) = (state, fault);
        next
    }

    /// A list that nobody tends any more says so by its date alone.
    fn warn_if_old(&mut self, now: Time) {
        let old = self.definition.gate.old_from(self.memory.dated).filter(|from| *from <= now);
        if let (Some(_), Some(dated), true) = (old, self.memory.dated, self.run.trigger.asks_source()) {
            let told = format!("the list is dated {dated}; see whether its owner still tends it");
            tracing::warn!(source = %self.run.source, run = %self.run.id, "{told}");
            self.run.warnings.push(told);
        }
    }

    fn is_rejected_whole(&self) -> bool {
        let documents = &self.run.documents;
        !documents.is_empty() && documents.iter().all(|document| document.rejected)
    }

    /// What waits for a person's word, however the run ended then.
    fn hold_of(&mut self, now: Time) -> Option<Hold> {
        if self.held.is_empty() {
            return None;
        }
        let id = Uuid::now_v7();
        self.run.hold = Some(id);
        let (run, source) = (self.run.id, self.run.source.clone());
        Some(Hold { id, run, source, since: now, documents: std::mem::take(&mut self.held), settled: None })
    }

    fn tell(&self) {
        self.show();
        let Run { id, source, state, counts, fault, .. } = &self.run;
        let why = fault.as_ref().map(|fault| fault.detail.as_str()).unwrap_or_default();
        let code = fault.as_ref().map(|fault| fault.code.as_str()).unwrap_or_default();
        if *state == State::Failed {
            tracing::warn!(%source, run = %id, code, "the run failed: {why}");
        } else {
            tracing::info!(%source, run = %id, state = state.as_str(), new = counts.new, changed = counts.changed, unchanged = counts.unchanged, expired = counts.expired, rejected = counts.rejected, "the run ended");
        }
    }
}

fn rejected() -> Fault {
    Fault::new(
        "rejected",
        "a person has rejected just this before; what differs is judged anew, and so is this when a run is forced",
    )
}

/// What the source makes of a run that has ended.
fn settle(standing: &mut Standing, run: &Run, next: Next, now: Time) {
    if run.trigger.asks_source() {
        standing.hindered = None;
    }
    match (run.state, next) {
        (State::Done, _) => standing.last_success = Some(now),
        (_, Next::GoesOn) => resume::later(standing, run, run.attempt, now),
        (_, Next::Failed(kind)) if run.trigger.asks_source() => after(standing, run, kind, now),
        _ => {}
    }
}

fn after(standing: &mut Standing, run: &Run, kind: Failure, now: Time) {
    let source = run.source.as_str();
    let attempt = run.attempt.saturating_add(1);
    let retry = |retry: Retry, asked, cooling| {
        let pause = retry.pause(source, attempt, asked)?;
        let at = now.plus(i64::try_from(pause.as_secs()).unwrap_or(i64::MAX));
        Some(Retrying { at, attempt, cooling, wish: run.wish, of: Some(run.origin()) })
    };
    let stop = |credentials| {
        let fault = run.fault.clone().unwrap_or_else(|| resume::fault(run));
        Some(Stopped { since: now, credentials, fault })
    };
    match kind {
        Failure::Transient { retry_after } => standing.retry = retry(Retry::PASSING, retry_after, false),
        Failure::Blocked => standing.retry = retry(Retry::BLOCKED, None, true),
        Failure::Credentials => standing.stopped = stop(true),
        Failure::Attention => standing.stopped = stop(false),
        Failure::Hindered => {
            standing.hindered = Some(Hindrance {
                since: now,
                fault: run.fault.clone().unwrap_or_else(|| resume::fault(run)),
            });
        }
        Failure::Broken => {}
    }
}

/// A source whose credentials may not be tried again stands still, whatever the run ended with; gives why.
pub(super) fn stop_without_attempts(
    change: &Change<'_>,
    run: &Run,
    now: Time,
) -> Result<Option<NoAttempt>, redb::Error> {
    let refusal = change.credentials(&run.source, |kept| kept.as_ref()?.may_attempt(now).err())?;
    let Some(refusal) = refusal else { return Ok(None) };
    change.standing(&run.source, |standing| {
        if let NoAttempt::Pausing(until) = refusal {
            // It is tried again by itself, only not sooner.
            standing.retry = standing.retry.map(|retry| Retrying { at: retry.at.max(until), ..retry });
            return;
        }
        let fault = Fault::new(refusal.code(), refusal.to_string());
        let credentials = refusal.needs_others();
        standing.stopped.get_or_insert(Stopped { since: now, credentials, fault }).credentials |= credentials;
        standing.retry = None;
    })?;
    Ok(Some(refusal))
}

/// A newer run took the place of what was held before.
fn supersede(change: &Change<'_>, run: &Run, now: Time) -> Result<(), redb::Error> {
    let reason = format!("run {} is newer", run.id);
    change.settle_pending(&run.source, |hold| {
        let (how, actor) = (How::Superseded, "ironlist".to_owned());
        hold.settled = Some(Settled { at: now, how, actor, reason: reason.clone() });
    })
}

/// Ends, at the start, what a process that died has left running; the source goes on where it was.
pub(super) fn interrupted(ledger: &Ledger, now: Time) -> Result<(), DiskError> {
    let open = ledger.look(|look| look.unfinished())?;
    for mut run in open {
        tracing::warn!(source = %run.source, run = %run.id, "a run was interrupted");
        let attempt = run.attempt.saturating_add(1);
        (run.state, run.ended) = (State::Failed, Some(now));
        ledger.change(|change| {
            let goes_on = attempt <= resume::MOST;
            if goes_on {
                change.standing(&run.source, |standing| resume::later(standing, &run, attempt, now))?;
            }
            run.fault = Some(match stop_without_attempts(change, &run, now)? {
                Some(refusal) if run.trigger.asks_source() => resume::fault_of_login(&refusal),
                _ if goes_on => resume::fault(&run),
                _ => resume::fault_at_last(attempt),
            });
            change.run(&run).map(drop)
        })?;
    }
    Ok(())
}
