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
use crate::engine::Engine;
use crate::service::paging::Opaque;
use crate::web::Problem;
use axum::Router;
use axum::routing::{get, post, put};
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
    pub fn router(self) -> Router {
        let source = get(sources::one).put(sources::put).delete(sources::remove);
        Router::new()
            .route("/api/v1/collection/sources", get(sources::list).post(sources::add))
            .route("/api/v1/collection/sources/{name}", source)
            .route("/api/v1/collection/sources/{name}/enable", put(sources::enable))
            .route("/api/v1/collection/sources/{name}/disable", put(sources::disable))
            .route("/api/v1/collection/sources/{name}/credentials", put(sources::set_credentials))
            .route("/api/v1/collection/sources/{name}/credentials/test", post(sources::test))
            .route("/api/v1/collection/sources/{name}/test", post(sources::test))
            .route("/api/v1/collection/trigger", post(runs::trigger))
            .route(UPLOAD_PATH, post(runs::upload))
            .route("/api/v1/collection/runs", get(runs::list))
            .route("/api/v1/collection/runs/{id}", get(runs::one))
            .route("/api/v1/collection/runs/{id}/cancel", post(runs::cancel))
            .route("/api/v1/collection/runs/{id}/otp", post(runs::otp))
            .route("/api/v1/collection/runs/{id}/raw", get(runs::raw))
            .route("/api/v1/collection/runs/{id}/again", post(runs::again))
            .route("/api/v1/holds", get(holds::list))
            .route("/api/v1/holds/{id}/consent", post(holds::consent))
            .route("/api/v1/holds/{id}/reject", post(holds::reject))
            .route("/api/v1/audit", get(holds::audit))
            .merge(earlier::routes())
            .with_state(self)
    }

    fn collector(&self) -> Result<&Collector, Problem> {
        self.collector.as_ref().ok_or_else(|| {
            Problem::unavailable("collection_unavailable", 60)
                .detail("The ledger of collection cannot be used; `ironlist doctor` names the cure.")
        })
    }
}

/// A page of a list that is kept on the disk.
#[derive(Serialize)]
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
