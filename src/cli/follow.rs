//! Keeps the store of a process without the blacklist role level with the process that has it.

use crate::engine::Engine;
use crate::service::journal::Remote;
use anyhow::Context;
use std::time::Duration;

/// After a failure it is tried again so soon, and then ever later up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// Follows the journal of `owner`, until the task is dropped.
pub(super) async fn follow(engine: Engine, owner: Remote) {
    let mut pause = SHORTEST;
    loop {
        match step(&engine, &owner).await {
            Ok(()) => pause = SHORTEST,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "could not follow the journal");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

async fn step(engine: &Engine, owner: &Remote) -> anyhow::Result<()> {
    let sealed = owner.sealed(engine.snapshot().generation).await?;
    if !sealed.is_empty() {
        engine
            .follow(sealed)
            .await
            .context("if this folder once had a blacklist of its own, use an empty one")?;
    }
    Ok(())
}
