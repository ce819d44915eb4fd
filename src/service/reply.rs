//! What every role's answers have in common: how the engine's errors become problems, and reading
//! that blocks.

use crate::addr::{Fault, IpRange};
use crate::engine::{Engine, EngineError, Refusal};
use crate::store::View;
use crate::web::Problem;
use http::StatusCode;

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
            EngineError::Stopped => Self::unavailable("stopping", 5).detail("The service is stopping."),
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let detail = format!("{refusal}.");
    match refusal {
        Refusal::UnknownSource(_) => Problem::not_found("unknown_source", detail),
        Refusal::NotListed(..) => Problem::not_found("not_listed", detail),
        Refusal::NotAllowed(_) => Problem::not_found("not_allowed", detail),
        Refusal::NotSuppressed(_) => Problem::not_found("not_suppressed", detail),
        Refusal::TooManySources => Problem::conflict("too_many_sources", detail),
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

/// Runs what takes long, or waits for the disk, on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
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
