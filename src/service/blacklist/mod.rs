//! The blacklist role (8001): look-ups, lists, imports, and what people decide.

mod active;
mod allow;
mod bulk;
mod check;
mod earlier;
mod entry;
mod generations;
mod import;
mod listing;
mod manual;
mod pages;

mod search;
mod statistics;
mod story;
mod suppress;

pub use import::IMPORT_PATH;
pub(crate) use import::Imported;

use super::reply::{actor, aside};
use crate::collect::formats::{Limits, SheetReader};
use crate::engine::Engine;
use crate::model::{Batch, Cause, Change, Receipt};
use crate::publish::Feeds;
use crate::web::{Caller, Limit, Problem, Request, Response};
use axum::Router;
use axum::routing::{delete, get, post, put};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// The POST requests of this role that only ask.
pub const QUESTIONS: &[&str] = &["/api/v1/blacklist/check", "/api/v1/blacklist/search", "/api/v1/search"];

/// The template of the single look-up, which [`answer_check`] serves before the router.
pub const CHECK: &str = "/api/v1/blacklist/check/{ip}";

/// So long a person waits at most until the feeds have followed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this role needs.
#[derive(Clone)]
pub struct Blacklist {
    /// The blacklist itself.
    pub engine: Engine,
    /// The feeds, which a story names; none where none are made.
    pub feeds: Option<Arc<Feeds>>,
    /// How large an imported file may be, as sent and unpacked, in bytes.
    pub import_limit: Limit,
    /// How spreadsheets are read.
    pub sheets: SheetReader,
}

impl Blacklist {
    /// A role over `engine`, with the usual limits.
    pub fn new(engine: Engine) -> Self {
        let import_limit = Limits::default().size.into();
        Self { engine, feeds: None, import_limit, sheets: SheetReader::default() }
    }

    /// The role's routes, those of the earlier system included.
    pub fn router(self) -> Router {
        Router::new()
            .route(CHECK, get(check::one))
            .route("/api/v1/blacklist/check", post(bulk::many))
            .route("/api/v1/blacklist/ips", post(manual::add))
            .route("/api/v1/blacklist/ips/bulk", post(import::bulk))
            .route(IMPORT_PATH, post(import::import))
            .route("/api/v1/blacklist/ips/{ip}", get(story::tell).put(manual::put).delete(manual::remove))
            .route("/api/v1/blacklist/active", get(active::active))
            .route("/api/v1/blacklist/search", post(search::search))
            .route("/api/v1/blacklist/statistics", get(statistics::statistics))
            .route("/api/v1/blacklist/allowlist", get(allow::list).post(allow::add))
            .route("/api/v1/blacklist/allowlist/{range}", delete(allow::remove))
            .route("/api/v1/blacklist/suppressions", get(suppress::list).post(suppress::add))
            .route("/api/v1/blacklist/suppressions/{range}", delete(suppress::remove))
            .route("/api/v1/generations", get(generations::list))
            .route("/api/v1/generations/{number}", get(generations::one))
            .route("/api/v1/generations/{number}/diff/{to}", get(generations::difference))
            .route("/api/v1/generations/{number}/rollback", post(generations::rollback))
            .route("/api/v1/blacklist/expire", put(statistics::expire))
            .merge(earlier::routes())
            .with_state(self)
    }

    /// Sends a batch in the name of the caller. What a person says counts for the feeds, too, before they are told that it
    /// does; unless that takes long, be it that a disk hangs, for feeds offer what is new before they keep it.
    async fn submit(
        &self,
        caller: &Caller,
        reason: &str,
        cause: Cause,
        change: Change,
    ) -> Result<Receipt, Problem> {
        let receipt = self.engine.submit(batch(caller, reason, cause, change)).await?;
        if let (Cause::Manual, Some(feeds)) = (cause, self.feeds.clone()) {
            let (engine, generation) = (self.engine.clone(), receipt.generation);
            let follow = aside(move || {
                feeds.reach(&engine, generation);
                Ok(())
            });
            let _ = timeout(PATIENCE, follow).await;
        }
        Ok(receipt)
    }
}

fn batch(caller: &Caller, reason: &str, cause: Cause, change: Change) -> Batch {
    Batch { id: Uuid::now_v7(), actor: actor(caller), reason: reason.to_owned(), cause, change }
}

/// The single look-up as a fast path: what follows the prefix, answered from memory.
pub fn answer_check(engine: &Engine, _: &Request, ip: &str) -> Option<Response> {
    check::fast(engine, ip)
}

#[cfg(test)]
mod tests;
