//! The collector's refusals as problems, each with its stable code.

use crate::collect::collector::CollectError;
use crate::disk::DiskError;
use crate::web::Problem;
use http::StatusCode;

impl From<CollectError> for Problem {
    fn from(error: CollectError) -> Self {
        let detail = format!("{error}.");
        match error {
            CollectError::UnknownSource(_) => Self::not_found("unknown_source", detail),
            CollectError::UnknownRun(_) => Self::not_found("unknown_run", detail),
            CollectError::UnknownHold(_) => Self::not_found("unknown_hold", detail),
            CollectError::NoRaw(_) => Self::not_found("raw_gone", detail),
            CollectError::Busy { .. } => Self::conflict("run_in_progress", detail),
            CollectError::Cooling(_) => Self::conflict("cooling_down", detail),
            CollectError::Stopped(_) => Self::conflict("source_stopped", detail),
            CollectError::Held(_) => Self::conflict("source_held", detail),
            CollectError::NoAttempt(refusal) => Self::conflict(refusal.code(), detail),
            CollectError::Configured(_) => Self::conflict("configured", detail),
            CollectError::Builtin(_) => Self::conflict("builtin", detail),
            CollectError::Exists(_) => Self::conflict("source_exists", detail),
            CollectError::Over { .. } => Self::conflict("run_over", detail),
            CollectError::NoCodeWanted(_) => Self::conflict("no_code_wanted", detail),
            CollectError::Settled(_) => Self::conflict("hold_settled", detail),
            CollectError::Grown { .. } => Self::conflict("difference_grown", detail),
            CollectError::NoCredentials(_) => Self::unprocessable("credentials_missing", detail),
            CollectError::BadCredentials { .. } => Self::unprocessable("bad_credentials", detail),
            CollectError::NotFetched(_) => Self::unprocessable("not_fetched", detail),
            CollectError::BadPeriod => Self::unprocessable("bad_period", detail),
            CollectError::BadDefinition(_) => Self::unprocessable("bad_definition", detail),
            CollectError::BadCode => Self::unprocessable("bad_code", detail),
            CollectError::NoReason => Self::unprocessable("reason_missing", detail),
            CollectError::Unreadable(_) => Self::unprocessable("nothing_to_consent", detail),
            CollectError::Vault(_) => Self::unavailable("vault", 60).detail(detail),
            CollectError::Disk(DiskError::Full(_)) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full").detail(detail).retry_after(30)
            }
            CollectError::Disk(error) => {
                Self::unavailable("disk", 30).detail("The ledger failed; the log says how.").inner(error)
            }
            CollectError::Engine(error) => error.into(),
            CollectError::Stopping => Self::unavailable("stopping", 5).detail(detail),
        }
    }
}
