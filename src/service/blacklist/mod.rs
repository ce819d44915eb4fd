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
use crate::rights::Right;
use crate::web::Demand::{Earlier, Of, Open};
use crate::web::sketch::shape;
use crate::web::{Caller, Limit, Problem, Request, Response, Routes};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

const TEXT: &str = "text/plain";
const LINES: &str = "application/x-ndjson";

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
    pub fn routes() -> Routes<Self> {
        let (checks, reads, writes) = (Of(Right::Check), Of(Right::Read), Of(Right::Write));
        Routes::new()
            .get(
                CHECK,
                checks,
                check::one,
                "Says whether an address is listed, by whom, and what exempts it.",
            )
            .shows(check::verdict)
            .post("/api/v1/blacklist/check", checks, bulk::many, "Says so of many addresses at once.")
            .shows(bulk::verdicts)
            .writes(&[TEXT])
            .reads(&[TEXT])
            .reads_json(shape::<bulk::Question<'static>>)
            .get("/api/v1/blacklist/ips/{ip}", checks, story::tell, "Tells all that is known of an address.")
            .post("/api/v1/blacklist/ips", writes, manual::add, "Lists a range by hand.")
            .put(
                "/api/v1/blacklist/ips/{ip}",
                writes,
                manual::put,
                "Lists a range by hand, or changes what is said.",
            )
            .delete("/api/v1/blacklist/ips/{ip}", writes, manual::remove, "Ends a listing made by hand.")
            .post(
                "/api/v1/blacklist/ips/bulk",
                writes,
                import::bulk,
                "Lists many ranges by hand; good lines are kept.",
            )
            .reads(&["application/x-ndjson", "text/csv", "application/json"])
            .post(
                IMPORT_PATH,
                writes,
                import::import,
                "Takes a list in; in place of all that its source lists it takes an administrator.",
            )
            .get(
                "/api/v1/blacklist/active",
                Open(Right::Read),
                active::active,
                "Lists what is active, also what feeds hold back: firewalls read feeds.",
            )
            .shows(shape::<pages::Page<String>>)
            .writes(&[TEXT])
            .refuses(&[404, 410])
            .post(
                "/api/v1/blacklist/search",
                Earlier(Right::Read),
                search::search,
                "Searches by address, source, country, threat, reason and days.",
            )
            .shows(search::found)
            .refuses(&[410])
            .get(
                "/api/v1/blacklist/statistics",
                Open(Right::Read),
                statistics::statistics,
                "Counts what is listed.",
            )
            .get("/api/v1/blacklist/allowlist", reads, allow::list, "Lists what is never published.")
            .post(
                "/api/v1/blacklist/allowlist",
                writes,
                allow::add,
                "Allows a range; a broad one takes an administrator.",
            )
            .delete("/api/v1/blacklist/allowlist/{range}", writes, allow::remove, "Ends an allow.")
            .get("/api/v1/blacklist/suppressions", reads, suppress::list, "Lists what people ended for good.")
            .post(
                "/api/v1/blacklist/suppressions",
                writes,
                suppress::add,
                "Ends a source's listings in a range, whatever it repeats.",
            )
            .refuses(&[404])
            .delete("/api/v1/blacklist/suppressions/{range}", writes, suppress::remove, "Ends a suppression.")
            .put(
                "/api/v1/blacklist/expire",
                Of(Right::Admin),
                statistics::expire,
                "Ends what is due, on the word that the clock is right.",
            )
            .get(
                "/api/v1/generations",
                reads,
                generations::list,
                "Lists the journal's records, the newest first.",
            )
            .get("/api/v1/generations/{number}", reads, generations::one, "Shows what one record changed.")
            .shows(shape::<generations::Shown>)
            .writes(&[LINES])
            .refuses(&[410, 422])
            .get(
                "/api/v1/generations/{number}/diff/{to}",
                reads,
                generations::difference,
                "Shows what changed between two generations.",
            )
            .shows(shape::<generations::Compared>)
            .writes(&[LINES])
            .refuses(&[410, 422])
            .post(
                "/api/v1/generations/{number}/rollback",
                Of(Right::Admin),
                generations::rollback,
                "Takes a source back to how it was.",
            )
            .refuses(&[410])
            .merge(earlier::routes())
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
