//! A redb file, opened the careful way and opened again after an I/O error.

use super::{DiskError, Medium};
use redb::{Builder, Database, DatabaseError, Durability, StorageBackend, StorageError};
use redb::{ReadTransaction, ReadableDatabase, WriteTransaction};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

/// A redb file of the data folder.
///
/// redb answers every call with `PreviousIo` after one I/O error, a full disk too, until the file
/// is closed and opened again. That happens here, at the next use, so that the callers only see
/// the first error. Readers hold their own handle; the old file closes when the last one ends.
#[derive(Debug)]
pub struct RedbFile {
    medium: Medium,
    name: &'static str,
    cache: usize,
    database: RwLock<Option<Arc<Database>>>,
}

impl RedbFile {
    /// Opens or creates the file `name` in the folder; `cache` caps redb's memory, in bytes.
    ///
    /// Every page's checksum is read (about 1.2 ms a megabyte): a flipped bit that nobody looks
    /// for is answered with wrong data in three of four cases.
    ///
    /// # Errors
    /// [`DiskError::InUse`] when another process holds it, [`DiskError::Damaged`] when the check
    /// fails, else [`DiskError::Full`] or [`DiskError::Io`].
    pub fn open(medium: &Medium, name: &'static str, cache: usize) -> Result<Self, DiskError> {
        let store = Self { medium: medium.clone(), name, cache, database: RwLock::new(None) };
        store.handle()?;
        Ok(store)
    }

    /// The file's name, for messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs `read` on a view of the last committed state.
    ///
    /// # Errors
    /// What opening or `read` fails with.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, DiskError> {
        let database = self.handle()?;
        let result = database.begin_read().map_err(redb::Error::from).and_then(|view| read(&view));
        result.map_err(|error| self.sort(error))
    }

    /// Runs `write` in a transaction and commits it; durably, or with the next durable commit.
    ///
    /// # Errors
    /// What opening, `write` or the commit fails with; nothing is changed then, but for a commit
    /// that failed in its sync, which may be on the disk all the same.
    pub fn write<T>(
        &self,
        durable: bool,
        write: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, DiskError> {
        self.attempt(durable, |transaction| write(transaction).map(Ok::<T, DiskError>))
    }

    /// The same, for a `write` that may also give up for reasons of its own: what it answers as
    /// `Ok(Err(reason))` is the answer then, and nothing is changed.
    ///
    /// # Errors
    /// As [`RedbFile::write`], or the reason.
    pub fn attempt<T, E: From<DiskError>>(
        &self,
        durable: bool,
        write: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error>,
    ) -> Result<T, E> {
        let database = self.handle()?;
        commit(&database, durable, write).map_err(|error| self.sort(error))?
    }

    /// Closes the file; the next use opens it again, checks included.
    pub fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn handle(&self) -> Result<Arc<Database>, DiskError> {
        if let Some(open) = self.database.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Ok(Arc::clone(open));
        }
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = slot.as_ref() {
            return Ok(Arc::clone(open));
        }
        match self.open_file() {
            Ok(database) => Ok(Arc::clone(slot.insert(Arc::new(database)))),
            Err(error) => {
                // Sorting may close the file, which takes the same lock.
                drop(slot);
                Err(self.sort(error.into()))
            }
        }
    }

    fn open_file(&self) -> Result<Database, DatabaseError> {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache).set_check_integrity_on_open(true);
        match self.medium.backend() {
            Some(open) => {
                let backend = open(self.name).map_err(StorageError::Io)?;
                builder.create_with_backend(Boxed(backend))
            }
            None => builder.create(self.medium.path().join(self.name)),
        }
    }

    /// Names an error by its cure, and drops the handle that redb has made useless.
    fn sort(&self, error: redb::Error) -> DiskError {
        let path = self.medium.path().join(self.name).display().to_string();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                DiskError::InUse(self.medium.path().to_owned())
            }
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.close();
                DiskError::damaged(path, error)
            }
            redb::Error::Io(error) => {
                self.close();
                DiskError::io(path, error)
            }
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                self.close();
                DiskError::io(path, io::Error::other("an earlier write failed; the file is opened again"))
            }
            other => {
                self.close();
                DiskError::damaged(path, other)
            }
        }
    }
}

fn commit<T, E>(
    database: &Database,
    durable: bool,
    write: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error>,
) -> Result<Result<T, E>, redb::Error> {
    let mut transaction = database.begin_write()?;
    if durable {
        // What is stored comes from strangers: without the second phase a crafted value could
        // make a torn commit look whole. Quick repair keeps the allocator's state with each
        // commit, so that a start after a crash costs milliseconds.
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
    } else {
        transaction.set_durability(Durability::None)?;
    }
    let result = write(&transaction)?;
    if result.is_ok() {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(result)
}

/// redb takes a backend by its type; the seam hands out one of several.
#[derive(Debug)]
struct Boxed(Box<dyn StorageBackend>);

impl StorageBackend for Boxed {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }
    fn close(&self) -> Result<(), io::Error> {
        self.0.close()
    }
}
