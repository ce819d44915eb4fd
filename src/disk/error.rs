//! What can go wrong on the disk, by what can be done about it.

use std::io;
use std::path::PathBuf;

/// A failed read or write, told apart by its cure.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No room left: free some; the store reopens by itself.
    #[error("the disk is full: {0}")]
    Full(String),
    /// Another process holds the data folder: stop it, or use another folder.
    #[error("{} is in use by another ironlist process", .0.display())]
    InUse(PathBuf),
    /// The bytes are not what was written: restore or rebuild.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// Which file.
        what: String,
        /// What did not fit.
        why: String,
    },
    /// The file was made by a version that this one cannot read.
    #[error(
        "{what} was written by another version of ironlist ({version}); export it there and import it here"
    )]
    Version {
        /// Which file.
        what: String,
        /// The version it names.
        version: u32,
    },
    /// Any other fault of the system: look at it, and try again.
    #[error("{what}: {error}")]
    Io {
        /// Which file.
        what: String,
        /// What the system said.
        error: io::Error,
    },
}

impl DiskError {
    /// Damage found in `what`.
    pub fn damaged(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Damaged { what: what.into(), why: why.to_string() }
    }

    /// Sorts an error of the system that happened with `what`.
    pub fn io(what: impl Into<String>, error: io::Error) -> Self {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::Full(what.into()),
            _ => Self::Io { what: what.into(), error },
        }
    }

    /// Whether the file was opened and found wrong, as against a passing fault.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Version { .. })
    }
}
