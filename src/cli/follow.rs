//! Keeps the store of a process without the blacklist role level with the process that has it.

use crate::engine::{Engine, EngineError};
use crate::service::journal::Remote;
use crate::web::health::Check;
use anyhow::Context;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After a failure it is tried again so soon, and then ever later up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);
/// The other process answers within twenty seconds, news or not: this is a good deal longer.
const SILENCE: Duration = Duration::from_secs(60);

/// How the following goes, for health.
#[derive(Debug, Default)]
pub(super) struct Following(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the other process answered last.
    contact: Option<Instant>,
    /// Whether that answer had nothing new.
    is_level: bool,
    /// What went wrong since.
    error: Option<String>,
}

impl Following {
    /// What health says of it; `generation` is what was reached here.
    pub(super) fn check(&self, generation: u64) -> Check {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match state.contact {
            Some(contact) => format!("last answer {} s ago", contact.elapsed().as_secs()),
            None => "no answer yet".to_owned(),
        };
        let place = if state.is_level { "level" } else { "catching up" };
        let detail = format!("generation {generation}, {place}, {since}");
        match &state.error {
            Some(error) => {
                Check::degraded(format!("{detail}: {error}"), "what is there is served; it is tried again")
            }
            None if state.contact.is_none_or(|contact| contact.elapsed() > SILENCE) => {
                Check::degraded(detail, "see whether the process with the blacklist role runs")
            }
            None => Check::healthy(detail),
        }
    }

    fn note(&self, outcome: &anyhow::Result<bool>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(is_level) => {
                *state = State { contact: Some(Instant::now()), is_level: *is_level, error: None }
            }
            Err(error) => state.error = Some(format!("{error:#}")),
        }
    }
}

/// Follows the journal of `owner`, until the task is dropped.
pub(super) async fn follow(engine: Engine, owner: Remote, following: &Following) {
    let mut pause = SHORTEST;
    loop {
        let outcome = step(&engine, &owner).await;
        following.note(&outcome);
        match outcome {
            Ok(_) => pause = SHORTEST,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "could not follow the journal");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

/// Takes in what is new; whether there was nothing.
async fn step(engine: &Engine, owner: &Remote) -> anyhow::Result<bool> {
    let here = engine.snapshot().generation;
    let sealed = match owner.sealed(here).await {
        Err(EngineError::Gone { .. }) if here == 0 => {
            let reached = engine.adopt(owner.checkpoint().await?).await?;
            tracing::info!(generation = reached, "begun with a checkpoint");
            return Ok(false);
        }
        Err(gone @ EngineError::Gone { .. }) => {
            return Err(gone).context("this folder is too far behind: begin with an empty one");
        }
        sealed => sealed?,
    };
    if sealed.is_empty() {
        return Ok(true);
    }
    engine
        .follow(sealed)
        .await
        .context("if this folder once had a blacklist of its own, use an empty one")?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::health::Status;

    #[test]
    fn health_tells_where_it_is_and_what_went_wrong() {
        let following = Following::default();
        assert_eq!(following.check(0).status, Status::Degraded);
        following.note(&Ok(false));
        assert!(following.check(7).detail.starts_with("generation 7, catching up, last answer 0 s"));
        following.note(&Ok(true));
        assert_eq!(following.check(8).status, Status::Healthy);
        following.note(&Err(anyhow::anyhow!("no route")));
        let check = following.check(8);
        assert!(check.status == Status::Degraded && check.detail.ends_with("no route"), "{check:?}");
    }
}
