//! What every role's answers have in common: how the engine's errors become problems, and reading
//! that blocks.

use crate::addr::{Fault, IpRange};
use crate::engine::{Engine, EngineError, Refusal};
use crate::store::View;
use crate::web::{Caller, Peer, Problem};
use http::StatusCode;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// So many readings of the store go on at once. More would only wait for each other, and anybody could take
/// every thread that may block from those who write and render.
const READERS: usize = 16;

/// So long a reading waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

static GATE: Semaphore = Semaphore::const_new(READERS);

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => refused(&refusal),
            EngineError::Full(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full")
                .detail(error.to_string())
                .retry_after(30),
            EngineError::ReadOnly(_) => Self::unavailable("store_read_only", 3600).detail(error.to_string()),
            EngineError::Disk(_) => {
                Self::unavailable("disk", 30).detail("The store failed; the log says how.").inner(error)
            }
            EngineError::Busy => Self::unavailable("busy", 1).detail("Too many changes are waiting."),
            EngineError::Remote(_) => Self::unavailable("blacklist_unreachable", 5).detail(error.to_string()),
            EngineError::Follower | EngineError::NoFollower => {
                Self::unavailable("not_here", 60).detail(format!("{error}."))
            }
            EngineError::UnknownGeneration(_) => Self::not_found("unknown_generation", format!("{error}.")),
            EngineError::Gone { oldest, .. } => Self::new(StatusCode::GONE, "generation_gone")
                .detail(format!("{error}."))
                .member("oldest", &oldest),
            EngineError::TooMuch { .. } => Self::unprocessable("difference_too_large", format!("{error}.")),
            EngineError::Stopped => Self::unavailable("stopping", 5).detail("The service is stopping."),
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let detail = format!("{refusal}.");
    match refusal {
        Refusal::UnknownSource(_) => Problem::not_found("unknown_source", detail),
        Refusal::Held(_) => Problem::conflict("source_held", detail),
        Refusal::NotListed(..) => Problem::not_found("not_listed", detail),
        Refusal::NotAllowed(_) => Problem::not_found("not_allowed", detail),
        Refusal::NotSuppressed(_) => Problem::not_found("not_suppressed", detail),
        Refusal::Unpublished(_) => Problem::not_found("unknown_output", detail),
        Refusal::BadOutput(..) => Problem::unprocessable("bad_output", detail),
        Refusal::InUse(..) => Problem::conflict("in_use", detail),
        Refusal::Over(_) => Problem::unprocessable("expires_in_the_past", detail),
        Refusal::ClockDoubted => Problem::conflict("clock_doubted", detail),
        Refusal::TooManyStandings => Problem::conflict("too_many_standings", detail),
        Refusal::TooManySources => Problem::conflict("too_many_sources", detail),
    }
}

/// Who is written into journal and audit.
pub(super) fn actor(caller: &Caller) -> String {
    let who = caller.who.as_ref().map_or_else(|| "anonymous".to_owned(), |who| who.to_string());
    match caller.peer {
        Peer::Local => format!("{who} (local)"),
        Peer::Tcp(_) | Peer::Behind(_) => format!("{who} ({})", caller.peer.address()),
    }
}

/// Reads the projection on a thread that may block.
pub(super) async fn view<T: Send + 'static>(
    engine: &Engine,
    read: impl FnOnce(&View) -> Result<T, redb::Error> + Send + 'static,
) -> Result<T, Problem> {
    let engine = engine.clone();
    blocking(move || engine.view(read).map_err(Problem::from)).await
}

/// Runs a reading that takes long, or waits for the disk, on a thread that may.
///
/// # Errors
/// What `work` fails with; 503 when too many others wait already.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = turn(&GATE, PATIENCE).await?;
    aside(move || {
        // Given back when the work is done, whether or not anybody still waits for it.
        let _turn = turn;
        work()
    })
    .await
}

async fn turn(gate: &'static Semaphore, patience: Duration) -> Result<SemaphorePermit<'static>, Problem> {
    match timeout(patience, gate.acquire()).await {
        Ok(turn) => turn.map_err(Problem::internal),
        Err(_) => Err(Problem::unavailable("busy", 1).detail("Too many others are reading; ask again.")),
    }
}

/// The same for the work of an administrator, which waits for no reader.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Problem::internal(error)),
    }
}

/// A range from a path or a body.
pub(super) fn range(text: &str) -> Result<IpRange, Problem> {
    text.trim().parse().map_err(|fault: Fault| bad_address(text, fault))
}

/// The problem of a text that is no address, prefix or range.
pub(super) fn bad_address(text: &str, fault: Fault) -> Problem {
    let shown: String = text.chars().take(80).collect();
    Problem::bad_request(fault.code(), format!("{shown:?}: {fault}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_the_gate_full_waits_a_little_and_is_refused() {
        static FULL: Semaphore = Semaphore::const_new(1);
        let first = turn(&FULL, PATIENCE).await.unwrap();
        let refused = turn(&FULL, Duration::from_millis(1)).await.unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (503, "busy"));
        let (second, ()) = tokio::join!(turn(&FULL, PATIENCE), async { drop(first) });
        assert!(second.is_ok());
    }
}
