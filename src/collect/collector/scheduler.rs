//! The clock of collection: begins what is due, and sleeps until the next is.

use super::begin::Beginning;
use super::error::CollectError;
use super::sources::Known;
use super::{Collector, Inner};
use crate::collect::ledger::{Retrying, Standing};
use crate::collect::run::{Trigger, Wish};
use crate::collect::schedule::{Decision, Occurrence, Schedule};
use crate::disk::DiskError;
use crate::model::{SourceName, Time};
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The wall clock is looked at so often at least: it may jump while the timers sleep.
const LOOK: Duration = Duration::from_secs(30);
/// Raw bytes are looked through so often.
const TIDY: Duration = Duration::from_secs(3_600);
/// No pause before a retry is longer; one that seems to be is of a clock that was wrong.
const LONGEST_RETRY: i64 = 2 * 86_400;
/// Who begins what nobody asked for.
const ACTOR: &str = "schedule";

/// What is due of a source.
enum Due {
    /// Nothing before this moment, or before somebody acts.
    Nothing(Option<Time>),
    /// Only what waits has changed.
    Wait(Option<Occurrence>),
    /// A run, and what waits after it.
    Run { trigger: Trigger, attempt: u16, of: Option<Uuid>, wish: Wish, next: Option<Occurrence> },
}

impl Collector {
    /// Begins runs as they become due, until the collector stops.
    pub async fn schedule(&self) {
        self.schedule_looking_every(LOOK).await;
    }

    /// The same, with another pause between two looks at the clock.
    pub(super) async fn schedule_looking_every(&self, look: Duration) {
        let inner = &self.0;
        let mut stopping = inner.stopping.subscribe();
        let mut tidied: Option<tokio::time::Instant> = None;
        while !*stopping.borrow() {
            if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) {
                inner.tidy().await;
                tidied = Some(tokio::time::Instant::now());
            }
            let pause = match inner.tick().await {
                Ok(Some(next)) => {
                    Duration::from_secs(next.unix().abs_diff(inner.now().unix()).max(1)).min(look)
                }
                Ok(None) => look,
                Err(error) => {
                    tracing::error!(%error, "the schedule cannot be read; it is tried again");
                    // What it could not begin has given its place back: that is no news.
                    let _ = inner.changed.notified().now_or_never();
                    look
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = inner.changed.notified() => {}
                _ = stopping.changed() => {}
            }
        }
    }
}

impl Inner {
    /// Begins what is due; gives the moment of what is due next, as far as that is known.
    pub(super) async fn tick(self: &Arc<Self>) -> Result<Option<Time>, DiskError> {
        let now = self.now();
        let mut first = self.resume_due(now).await?;
        for known in self.known().await? {
            let Some(schedule) = self.schedule_of(&known) else { continue };
            // What is due waits for the end of what somebody does with the source, and for what was brought before.
            if self.live.of(&known.name).is_some() || known.standing.resume.is_some() {
                continue;
            }
            match due(&known.name, schedule.as_ref(), &known.standing, now) {
                Due::Nothing(at) => first = first.into_iter().chain(at).min(),
                Due::Wait(next) => {
                    first = first.into_iter().chain(next.map(|next| next.due)).min();
                    self.wait(&known.name, next).await?;
                }
                Due::Run { trigger, attempt, of, wish, next } => {
                    first = first.into_iter().chain(next.map(|next| next.due)).min();
                    let (source, actor) = (known.name, ACTOR.to_owned());
                    let beginning = Beginning { source, trigger, actor, wish, attempt, of, next, file: None };
                    self.begin_due(beginning).await?;
                }
            }
        }
        Ok(first)
    }

    /// When a source is fetched by itself; none: it is not.
    fn schedule_of(&self, known: &Known) -> Option<Option<Schedule>> {
        let runs = known.is_on() && known.standing.stopped.is_none() && !self.is_held(&known.name);
        // A definition was checked before it was kept.
        let schedule = known.definition.schedule().ok()?;
        (runs && (schedule.is_some() || known.standing.retry.is_some())).then_some(schedule)
    }

    async fn begin_due(self: &Arc<Self>, beginning: Beginning) -> Result<(), DiskError> {
        let (name, next) = (beginning.source.clone(), beginning.next);
        match self.begin(beginning).await {
            Ok(run) => tracing::info!(source = %name, %run, "begun"),
            Err(CollectError::Disk(error)) => return Err(error),
            Err(CollectError::Busy { .. } | CollectError::Stopping) => {}
            Err(error) => {
                tracing::debug!(source = %name, %error, "not begun");
                self.wait(&name, next).await?;
            }
        }
        Ok(())
    }

    async fn wait(&self, source: &SourceName, next: Option<Occurrence>) -> Result<(), DiskError> {
        let source = source.clone();
        self.change(move |change| {
            change.standing(&source, |standing| {
                standing.next = next.or(standing.next);
                standing.retry = None;
            })
        })
        .await
    }

    /// Removes raw bytes beyond their retention, but nothing that is still to be read.
    pub(super) async fn tidy(&self) {
        if let Err(error) = self.retain().await {
            tracing::warn!(%error, "old raw bytes could not be removed");
        }
    }

    async fn retain(&self) -> Result<(), DiskError> {
        let raw = self.raw.clone();
        let survey = self.blocking(move || raw.survey()).await?;
        // In this order: what a run leaves behind is in the ledger before it is no more at work.
        let at_work: Vec<Uuid> = self.live.all().iter().map(|live| live.run).collect();
        let needed = self.look(|look| {
            let held = look.pending()?.into_iter().map(|hold| hold.run);
            let brought = look.standings()?.into_values().filter_map(|standing| Some(standing.resume?.run));
            Ok(held.chain(brought).collect::<BTreeSet<_>>())
        });
        let mut needed = needed.await?;
        needed.extend(at_work);
        let (raw, retention, now) = (self.raw.clone(), self.retention, self.now());
        self.blocking(move || raw.retain(survey, retention, &needed, now)).await.map(drop)
    }
}

fn due(source: &SourceName, schedule: Option<&Schedule>, standing: &Standing, now: Time) -> Due {
    let name = source.as_str();
    let waiting = match (schedule, standing.next) {
        (Some(schedule), Some(waiting)) => schedule.decide(name, waiting, now),
        // Whoever has just switched a source on wants to see it work.
        (Some(schedule), None) if standing.last_run.is_none() => Decision::Run(schedule.next(name, now)),
        (Some(schedule), None) => Decision::Forget(schedule.next(name, now)),
        (None, _) => Decision::Forget(None),
    };
    if let Some(retry) = standing.retry {
        if is_ahead(retry.at, now) {
            return Due::Nothing(Some(retry.at));
        }
        let next = match waiting {
            // Some days do not take the turn of all.
            Decision::Run(_) if retry.wish.is_partial() => None,
            Decision::Run(next) | Decision::Forget(next) => next,
            Decision::Wait(next) => Some(next),
        };
        let Retrying { attempt, of, wish, .. } = retry;
        return Due::Run { trigger: Trigger::Retry, attempt, of, wish, next };
    }
    match waiting {
        Decision::Wait(next) if Some(next) == standing.next => Due::Nothing(Some(next.due)),
        Decision::Wait(next) => Due::Wait(Some(next)),
        Decision::Forget(None) => Due::Nothing(None),
        Decision::Forget(next) => Due::Wait(next),
        Decision::Run(next) => {
            Due::Run { trigger: Trigger::Schedule, attempt: 0, of: None, wish: Wish::default(), next }
        }
    }
}

/// Whether something is to be waited for. What seems to be very far off was set by a clock that was wrong.
pub(super) fn is_ahead(at: Time, now: Time) -> bool {
    (now.plus(1)..=now.plus(LONGEST_RETRY)).contains(&at)
}
