//! How a run ends before it is done: the failure of a craft, of the house, or a person's word.

use crate::collect::formats::{ReadError, SheetError};
use crate::collect::run::Fault;
use crate::disk::DiskError;
use crate::engine::EngineError;
use crate::fetch::Failure;
use crate::vault::VaultError;

/// Why a run ends early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// It failed.
    Failed {
        /// What is done about it.
        kind: Failure,
        /// What it was.
        fault: Fault,
    },
    /// A person wants it to end.
    Cancelled,
    /// The service stops, here or where the blacklist is: it goes on after the next start.
    Interrupted,
}

impl Ending {
    pub(super) fn new(kind: Failure, code: &str, detail: impl AsRef<str>) -> Self {
        Self::Failed { kind, fault: Fault::new(code, detail) }
    }
}

impl From<DiskError> for Ending {
    fn from(error: DiskError) -> Self {
        let (kind, code) = match &error {
            DiskError::Full(_) => (Failure::SOON, "disk_full"),
            DiskError::Damaged { .. } | DiskError::Version { .. } => (Failure::Broken, "disk_damaged"),
            DiskError::InUse(_) | DiskError::Io { .. } => (Failure::SOON, "disk"),
        };
        Self::new(kind, code, error.to_string())
    }
}

impl From<EngineError> for Ending {
    fn from(error: EngineError) -> Self {
        let (kind, code) = match &error {
            EngineError::Refused(_) => (Failure::Broken, "batch_refused"),
            EngineError::Full(_) => (Failure::SOON, "disk_full"),
            EngineError::ReadOnly(_) => (Failure::SOON, "store_read_only"),
            EngineError::Stopped => return Self::Interrupted,
            _ => (Failure::SOON, "blacklist_unavailable"),
        };
        Self::new(kind, code, error.to_string())
    }
}

impl From<ReadError> for Ending {
    fn from(error: ReadError) -> Self {
        // The reader that cannot be started is this machine's fault, and may pass; a bad file stays bad.
        let kind = match &error {
            ReadError::Sheet(SheetError::Start(_)) => Failure::SOON,
            _ => Failure::Broken,
        };
        Self::new(kind, error.code(), error.to_string())
    }
}

impl From<VaultError> for Ending {
    fn from(error: VaultError) -> Self {
        Self::new(Failure::Hindered, "vault", error.to_string())
    }
}
