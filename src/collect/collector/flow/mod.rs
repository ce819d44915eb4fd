//! The flows: how each craft is led through a run. One file a craft.
//!
//! A flow knows its craft's client and its job; it writes attempts down before they are made, delivers
//! what came, and sets its checkpoint.

mod feed;
mod kept;
mod regtech;
mod secudium;

use super::ending::Ending;
use super::job::Job;
use crate::collect::definition::Kind;
use crate::collect::run::Trigger;
use crate::fetch::Failure;
use futures_util::future::BoxFuture;
use std::fmt::Display;
use std::sync::Arc;

/// What a run does; tests put scripts in its place.
pub(super) type Work = Arc<dyn for<'j> Fn(&'j mut Job) -> BoxFuture<'j, Result<(), Ending>> + Send + Sync>;

/// What runs do.
pub(super) fn work() -> Work {
    Arc::new(|job| Box::pin(run(job)))
}

async fn run(job: &mut Job) -> Result<(), Ending> {
    match (job.run.trigger, job.definition.kind) {
        (Trigger::Upload | Trigger::Again, _) => kept::run(job).await,
        (_, Kind::Feed) => feed::run(job).await,
        (_, Kind::Regtech) => regtech::run(job).await,
        (_, Kind::Secudium) => secudium::run(job).await,
        (_, Kind::Upload) => {
            Err(Ending::new(Failure::Broken, "not_fetched", "nothing is fetched for this source"))
        }
    }
}

/// Tries the kept credentials, and leaves nothing behind but the attempt.
pub(super) async fn probe(job: &mut Job) -> Result<(), Ending> {
    match job.definition.kind {
        Kind::Feed => feed::probe(job).await,
        Kind::Regtech => regtech::probe(job).await,
        Kind::Secudium => secudium::probe(job).await,
        Kind::Upload => Ok(()),
    }
}

/// A craft's failure as the run's.
fn failed(kind: Failure, code: &str, error: &impl Display) -> Ending {
    Ending::new(kind, code, error.to_string())
}
