//! How a run ends: its outcome, what the source remembers of it, and whether it is tried again.

use super::ending::Ending;
use super::job::Job;
use crate::collect::failure::Failure;
use crate::collect::ledger::{Change, Hold, How, Ledger, Retrying, Settled, Standing, Stopped};
use crate::collect::run::{Fault, Run, State};
use crate::collect::schedule::Retry;
use crate::disk::DiskError;
use crate::model::Time;
use uuid::Uuid;

/// The soonest that an interrupted run goes on after a start: whatever ended it may do so again.
const SETTLING: i64 = 60;

impl Job {
    /// Writes the end of the run down, and tells whoever watches.
    pub(super) async fn finish(&mut self, ending: Result<(), Ending>) -> Result<(), DiskError> {
        let now = self.now();
        let failure = self.conclude(ending, now);
        let hold = self.hold_of(now);
        let (run, memory, checkpoint) = (self.run.clone(), self.memory.clone(), self.checkpoint.clone());
        let (inner, attempted) = (self.inner(), self.attempted);
        if let Err(error) = inner.write_verdict(&run.source).await {
            tracing::error!(source = %run.source, %error, "the answer to a login is not on the disk yet");
        }
        let written = inner.change(move |change| {
            let kept =
                change.credentials(&run.source, |kept| kept.as_ref().map_or(0, |kept| kept.version))?;
            // What somebody has set since has not been tried yet.
            let failure = failure.map(|kind| match kind {
                Failure::Credentials if kept != attempted => Failure::SOON,
                kind => kind,
            });
            change.standing(&run.source, |standing| {
                standing.memory = memory;
                standing.checkpoint = checkpoint;
                settle(standing, &run, failure, now);
            })?;
            stop_without_attempts(change, &run, now)?;
            if matches!(run.state, State::Done | State::Held) {
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

    /// Gives the run its last state; gives what is to be done about a failure.
    fn conclude(&mut self, ending: Result<(), Ending>, now: Time) -> Option<Failure> {
        self.run.ended = Some(now);
        match ending {
            Ok(()) => {
                self.run.state = if self.held.is_empty() { State::Done } else { State::Held };
                None
            }
            Err(Ending::Cancelled) if self.is_interrupted() => {
                (self.run.state, self.run.fault) = (State::Failed, Some(stopped_midway()));
                Some(Failure::SOON)
            }
            Err(Ending::Cancelled) => {
                self.run.state = State::Cancelled;
                None
            }
            Err(Ending::Failed { kind, fault }) => {
                (self.run.state, self.run.fault) = (State::Failed, Some(fault));
                Some(kind)
            }
        }
    }

    fn hold_of(&mut self, now: Time) -> Option<Hold> {
        if self.held.is_empty() || self.run.state != State::Held {
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

/// What the source makes of a run that has ended.
fn settle(standing: &mut Standing, run: &Run, failure: Option<Failure>, now: Time) {
    match (run.state, failure) {
        (State::Done, _) => standing.last_success = Some(now),
        (State::Failed, Some(kind)) if run.trigger.asks_source() => after(standing, run, kind, now),
        _ => {}
    }
}

fn after(standing: &mut Standing, run: &Run, kind: Failure, now: Time) {
    let source = run.source.as_str();
    let attempt = run.attempt.saturating_add(1);
    let retry = |retry: Retry, asked, cooling| {
        let pause = retry.pause(source, attempt, asked)?;
        let at = now.plus(i64::try_from(pause.as_secs()).unwrap_or(i64::MAX));
        Some(Retrying { at, attempt, cooling })
    };
    let stop = |credentials| {
        let fault = run.fault.clone().unwrap_or_else(stopped_midway);
        Some(Stopped { since: now, credentials, fault })
    };
    match kind {
        Failure::Transient { retry_after } => standing.retry = retry(Retry::PASSING, retry_after, false),
        Failure::Blocked => standing.retry = retry(Retry::BLOCKED, None, true),
        Failure::Credentials => standing.stopped = stop(true),
        Failure::Attention => standing.stopped = stop(false),
        Failure::Broken => {}
    }
}

/// A source whose credentials may not be tried again stands still, whatever the run ended with.
pub(super) fn stop_without_attempts(change: &Change<'_>, run: &Run, now: Time) -> Result<(), redb::Error> {
    let refusal = change.credentials(&run.source, |kept| kept.as_ref()?.may_attempt().err())?;
    let Some(refusal) = refusal else { return Ok(()) };
    change.standing(&run.source, |standing| {
        let fault = Fault::new(refusal.code(), refusal.to_string());
        let credentials = refusal.needs_others();
        standing.stopped.get_or_insert(Stopped { since: now, credentials, fault }).credentials |= credentials;
        standing.retry = None;
    })
}

/// A newer run took the place of what was held before.
fn supersede(change: &Change<'_>, run: &Run, now: Time) -> Result<(), redb::Error> {
    let reason = format!("run {} is newer", run.id);
    change.settle_pending(&run.source, |hold| {
        let (how, actor) = (How::Superseded, "ironlist".to_owned());
        hold.settled = Some(Settled { at: now, how, actor, reason: reason.clone() });
    })
}

fn stopped_midway() -> Fault {
    Fault::new("interrupted", "the service stopped in the middle of the run; it goes on by itself")
}

/// Ends, at the start, what a process that died has left running; the source goes on where it was.
pub(super) fn interrupted(ledger: &Ledger, now: Time) -> Result<(), DiskError> {
    let open = ledger.look(|look| look.unfinished())?;
    for mut run in open {
        tracing::warn!(source = %run.source, run = %run.id, "a run was interrupted");
        (run.state, run.ended, run.fault) = (State::Failed, Some(now), Some(stopped_midway()));
        ledger.change(|change| {
            change.standing(&run.source, |standing| {
                if run.trigger.asks_source() {
                    let attempt = run.attempt.saturating_add(1);
                    let pause = Retry::PASSING.pause(run.source.as_str(), attempt, None);
                    standing.retry =
                        pause.map(|_| Retrying { at: now.plus(SETTLING), attempt, cooling: false });
                }
            })?;
            stop_without_attempts(change, &run, now)?;
            change.run(&run).map(drop)
        })?;
    }
    Ok(())
}
