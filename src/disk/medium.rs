//! Where a store lives: a file, or what a test puts in its place.

use redb::StorageBackend;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens the bytes under a store's name; called again at each reopening.
pub type OpenBackend = dyn Fn(&str) -> io::Result<Box<dyn StorageBackend>> + Send + Sync;

/// The data folder, and how redb files in it are opened.
///
/// The seam exists for the crash tests: they need a disk that freezes at a sync or fails at a
/// write, and the operating system offers none that is quick and exact.
#[derive(Clone)]
pub struct Medium {
    folder: PathBuf,
    backend: Option<Arc<OpenBackend>>,
}

impl Medium {
    /// A folder of the file system; it must exist.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), backend: None }
    }

    /// The same, with redb files opened by `open` instead of the file system.
    pub fn with_backend(folder: impl Into<PathBuf>, open: Arc<OpenBackend>) -> Self {
        Self { folder: folder.into(), backend: Some(open) }
    }

    /// The folder, for everything that is a plain file.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// What replaces the file system for redb files, if anything does.
    pub(super) fn backend(&self) -> Option<&OpenBackend> {
        self.backend.as_deref()
    }
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Medium({})", self.folder.display())
    }
}
