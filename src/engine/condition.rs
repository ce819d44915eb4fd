//! Whether the engine can write, and what it answers when it cannot.

use super::plan::Refusal;
use crate::disk::DiskError;
use crate::store;
use serde::{Deserialize, Serialize};

/// Whether writing works; look-ups and feeds always do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// All is well.
    Writable,
    /// The last write failed with this; the next is tried.
    Failing(String),
    /// A store was found damaged at the start: the snapshot is served and nothing is written.
    ReadOnly {
        /// What is damaged.
        why: String,
        /// What cures it.
        cure: &'static str,
    },
    /// The writer's thread is gone, by this fault of the program: the last snapshot is served and
    /// nothing is written until the next start.
    Stopped(String),
}

/// What cures a store that cannot be opened, or whose reading fails with `error`.
pub fn cure(error: &DiskError) -> &'static str {
    match error {
        DiskError::Full(_) => "free some room",
        DiskError::InUse(_) => "another process has it, without its socket: stop it",
        DiskError::Io { .. } => "look at the disk and at the permissions",
        DiskError::Damaged { what, .. } | DiskError::Version { what, .. } if what.ends_with(store::FILE) => {
            "stop ironlist, run `ironlist doctor --rebuild`, start it again"
        }
        DiskError::Version { .. } => "run the version of ironlist that wrote it",
        // Everything else is made from the journal, and the journal from nothing.
        DiskError::Damaged { .. } => "stop ironlist, and restore a backup of the whole data folder",
    }
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
    /// The journal here follows another's: only the process that has that one changes anything.
    #[error("this process follows the blacklist of another; ask the process with the blacklist role")]
    Follower,
    /// The journal here is its own, and takes in no other's records.
    #[error("this process has the blacklist role and follows nobody")]
    NoFollower,
    /// There has not been such a generation yet.
    #[error("there is no generation {0}")]
    UnknownGeneration(u64),
    /// The records after the generation are not kept any more.
    #[error(
        "what came after generation {generation} is not kept any more; the oldest that can be asked for is {oldest}"
    )]
    Gone {
        /// Which generation was asked for.
        generation: u64,
        /// The oldest that others can be compared with.
        oldest: u64,
    },
    /// Nobody could read it, and it would fill the memory.
    #[error("more than {most} rows differ; name one source, or generations that are nearer to each other")]
    TooMuch {
        /// How many rows are not yet too many.
        most: usize,
    },
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
