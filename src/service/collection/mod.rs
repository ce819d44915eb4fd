//! The collection role (8000): sources, their runs, what is held, and who decided what; in today's
//! paths and in the earlier system's.
//!
//! It must not know how a source is fetched.

mod earlier;
mod errors;
mod events;
mod holds;
mod runs;
mod sources;
#[cfg(test)]
mod tests;
mod watch;

pub use watch::{Trouble, Watch};

use crate::collect::collector::Collector;
use crate::collect::run::Run;
use crate::engine::Engine;
use crate::rights::Right;
use crate::service::paging::Opaque;
use crate::service::{AUDIT, HOLDS};
use crate::web::Demand::{Earlier, Of};
use crate::web::sketch::shape;
use crate::web::{Problem, Routes};
use schemars::JsonSchema;
use serde::Serialize;

/// Where files are brought to.
pub const UPLOAD_PATH: &str = "/api/v1/collection/upload";

/// What this role needs.
#[derive(Clone)]
pub struct Collection {
    /// The blacklist itself, or one that follows it.
    pub engine: Engine,
    /// Who collects; none while its ledger cannot be used.
    pub collector: Option<Collector>,
}

impl Collection {
    /// The role's routes, those of the earlier system included.
    pub fn routes() -> Routes<Self> {
        let (reads, writes, admin) = (Of(Right::Read), Of(Right::Write), Of(Right::Admin));
        Routes::new()
            .get("/api/v1/collection/sources", reads, sources::list, "Lists the sources and how they stand.")
            .post("/api/v1/collection/sources", admin, sources::add, "Defines a source.")
            .succeeds(&[201])
            .get(
                "/api/v1/collection/sources/{name}",
                reads,
                sources::one,
                "Shows a source and how it stands.",
            )
            .put("/api/v1/collection/sources/{name}", admin, sources::put, "Defines a source, or changes it.")
            .delete("/api/v1/collection/sources/{name}", admin, sources::remove, "Takes a source away.")
            .put(
                "/api/v1/collection/sources/{name}/enable",
                Earlier(Right::Admin),
                sources::enable,
                "Lets a source be fetched; one that stands still or is held takes a key.",
            )
            .put(
                "/api/v1/collection/sources/{name}/disable",
                admin,
                sources::disable,
                "Has a source fetched no more.",
            )
            .put(
                "/api/v1/collection/sources/{name}/credentials",
                admin,
                sources::set_credentials,
                "Gives a source its credentials, which are never read back.",
            )
            .post(
                "/api/v1/collection/sources/{name}/credentials/test",
                admin,
                sources::test,
                "Tries a source's credentials; nothing is changed.",
            )
            .post(
                "/api/v1/collection/sources/{name}/test",
                admin,
                sources::test,
                "Tries a source; nothing is changed.",
            )
            .post("/api/v1/collection/trigger", writes, runs::trigger, "Begins a run.")
            .succeeds(&[202])
            .post(UPLOAD_PATH, writes, runs::upload, "Begins a run with a file that somebody brings.")
            .succeeds(&[202])
            .get("/api/v1/collection/runs", reads, runs::list, "Lists runs, the newest first.")
            .get("/api/v1/collection/runs/{id}", reads, runs::one, "Shows a run, or follows it as events.")
            .shows(shape::<Run>)
            .writes(&["text/event-stream"])
            .post("/api/v1/collection/runs/{id}/cancel", writes, runs::cancel, "Ends a run.")
            .succeeds(&[202])
            .post(
                "/api/v1/collection/runs/{id}/otp",
                writes,
                runs::otp,
                "Says the one-time code that a run waits for.",
            )
            .get(
                "/api/v1/collection/runs/{id}/raw",
                admin,
                runs::raw,
                "Hands out the bytes as they were fetched.",
            )
            .writes(&["application/octet-stream"])
            .refuses(&[410])
            .post(
                "/api/v1/collection/runs/{id}/again",
                writes,
                runs::again,
                "Reads the bytes of a run again.",
            )
            .succeeds(&[202])
            .get(HOLDS, reads, holds::list, "Lists what is kept back from sources.")
            .post("/api/v1/holds/{id}/consent", admin, holds::consent, "Takes in what is kept back.")
            .post("/api/v1/holds/{id}/reject", admin, holds::reject, "Refuses what is kept back.")
            .get(AUDIT, admin, holds::audit, "Lists who did what, and why.")
            .merge(earlier::routes())
    }

    fn collector(&self) -> Result<&Collector, Problem> {
        self.collector.as_ref().ok_or_else(|| {
            Problem::unavailable("collection_unavailable", 60)
                .detail("The ledger of collection cannot be used; `ironlist doctor` names the cure.")
        })
    }
}

/// A page of a list that is kept on the disk.
#[derive(Serialize, JsonSchema)]
#[serde(bound = "T: Serialize, K: Serialize")]
struct List<T, K> {
    status: &'static str,
    data: Vec<T>,
    /// Rows in all.
    total: u64,
    /// What to ask for the next page with; none on the last.
    cursor: Option<Opaque<K>>,
}

impl<T, K> List<T, K> {
    /// The page of at most `limit` rows, of which one more was read, to see whether there is another page.
    fn page(mut rows: Vec<T>, limit: usize, total: u64, key: impl Fn(&T) -> K) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let cursor = rows.last().filter(|_| more).map(|last| Opaque(key(last)));
        Self { status: "success", data: rows, total, cursor }
    }
}
