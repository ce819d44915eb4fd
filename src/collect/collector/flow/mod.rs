//! The flows: how each craft is led through a run. One file a craft.
//!
//! A flow knows its craft's client and its job; it writes attempts down before they are made, delivers
//! what came, and sets its checkpoint.

mod feed;
mod regtech;
mod secudium;
mod upload;

use super::ending::Ending;
use super::job::Job;
use crate::collect::definition::Kind;
use crate::collect::run::Document;
use crate::fetch::Failure;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::fmt::Display;
use std::sync::Arc;
use uuid::Uuid;

/// What a run does; tests put scripts in its place.
pub(super) type Work = Arc<dyn for<'j> Fn(&'j mut Job) -> BoxFuture<'j, Result<(), Ending>> + Send + Sync>;

/// Where the bytes of a run come from.
pub(super) enum Input {
    /// From the source.
    Source,
    /// From a person.
    File {
        /// The file's name.
        name: Option<String>,
        /// Its bytes.
        bytes: Bytes,
    },
    /// From an earlier run.
    Kept {
        /// Which.
        run: Uuid,
        /// Its documents.
        documents: Vec<Document>,
    },
}

/// What runs do.
pub(super) fn work() -> Work {
    Arc::new(|job| Box::pin(run(job)))
}

async fn run(job: &mut Job) -> Result<(), Ending> {
    match std::mem::replace(&mut job.input, Input::Source) {
        Input::File { name, bytes } => upload::file(job, name, bytes).await,
        Input::Kept { run, documents } => upload::again(job, run, documents).await,
        Input::Source => match job.definition.kind {
            Kind::Feed => feed::run(job).await,
            Kind::Regtech => regtech::run(job).await,
            Kind::Secudium => secudium::run(job).await,
            Kind::Upload => {
                Err(Ending::new(Failure::Broken, "not_fetched", "nothing is fetched for this source"))
            }
        },
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
