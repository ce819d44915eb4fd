//! Whether the engine can write, and what it answers when it cannot.

use super::plan::Refusal;
use crate::disk::DiskError;
use serde::{Deserialize, Serialize};

/// Whether writing works; look-ups and feeds always do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// All is well.
    Writable,
    /// The last write failed with this; the next is tried.
    Failing(String),
    /// A store was found damaged at the start: the snapshot is served and nothing is written.
    ReadOnly(String),
    /// The writer's thread is gone, by this fault of the program: the last snapshot is served and
    /// nothing is written until the next start.
    Stopped(String),
}

/// Why the engine did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineError {
    /// The wish makes no sense as things are.
    #[error(transparent)]
    Refused(Refusal),
    /// The disk is full: free some room and ask again.
    #[error("the disk is full ({0}); free some room, then ask again: nothing has to be restarted")]
    Full(String),
    /// A store is damaged; the cause names the cure.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// The disk failed in another way; asking again may help.
    #[error("{0}")]
    Disk(String),
    /// Too many batches wait: ask again in a moment.
    #[error("too many changes are waiting")]
    Busy,
    /// The engine is stopping.
    #[error("the engine has stopped")]
    Stopped,
    /// The writer is in another process, which cannot be reached or answers with what is none of
    /// these.
    #[error("the process with the blacklist role: {0}")]
    Remote(String),
}

impl From<DiskError> for EngineError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Full(what) => Self::Full(what),
            other => Self::Disk(other.to_string()),
        }
    }
}
