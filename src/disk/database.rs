//! A redb file, opened the careful way and opened again after an I/O error.

use super::{DiskError, Medium};
use redb::{Builder, Database, DatabaseError, Durability, StorageBackend, StorageError};
use redb::{ReadTransaction, ReadableDatabase, WriteTransaction};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
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
        let mut store = Self { medium: medium.clone(), name, cache, database: RwLock::new(None) };
        let database = store.open_file().map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                DiskError::InUse(medium.path().to_owned())
            }
            other => store.explain(other.into()),
        })?;
        store.database = RwLock::new(Some(Arc::new(database)));
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
        result.map_err(|error| self.fail(&database, error))
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
        commit(&database, durable, write).map_err(|error| self.fail(&database, error))?
    }

    fn handle(&self) -> Result<Arc<Database>, DiskError> {
        if let Some(open) = self.database.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Ok(Arc::clone(open));
        }
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = slot.as_ref() {
            return Ok(Arc::clone(open));
        }
        let database = self.open_file().map_err(|error| self.explain(error.into()))?;
        Ok(Arc::clone(slot.insert(Arc::new(database))))
    }

    fn open_file(&self) -> Result<Database, DatabaseError> {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache).set_check_integrity_on_open(true);
        if let Some(open) = self.medium.backend() {
            let backend = open(self.name).map_err(StorageError::Io)?;
            return builder.create_with_backend(Boxed(backend));
        }
        let path = self.medium.path().join(self.name);
        if path.exists() { builder.open(path) } else { create(&builder, &path) }
    }

    /// Drops the handle that an error has made useless, and names the error by its cure.
    ///
    /// A handle that has replaced it meanwhile stays: closing that one would take back what was
    /// written lazily since.
    fn fail(&self, used: &Arc<Database>, error: redb::Error) -> DiskError {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|open| Arc::ptr_eq(open, used)) {
            *slot = None;
        }
        self.explain(error)
    }

    fn explain(&self, error: redb::Error) -> DiskError {
        let path = self.medium.path().join(self.name).display().to_string();
        match error {
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                DiskError::damaged(path, error)
            }
            redb::Error::Io(error) => DiskError::io(path, error),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                DiskError::io(path, io::Error::other("an earlier write failed; the file is opened again"))
            }
            // This process had it open before, so that it can only be its own readers.
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                DiskError::io(path, io::Error::other("it opens again when its last reader ends"))
            }
            other => DiskError::damaged(path, other),
        }
    }
}

/// Makes a new file under a passing name, which it loses when it is whole: a file that a crash
/// left half-made could not be told from a damaged one.
///
/// Nobody but its owner may read it: some of these files hold digests of keys and sealed secrets.
fn create(builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
    let part = path.with_extension("part");
    let make = || {
        OpenOptions::new().append(true).create(true).mode(0o600).open(&part).map_err(StorageError::Io)?;
        builder.create(&part)
    };
    let database = match make() {
        Err(DatabaseError::DatabaseAlreadyOpen) => return Err(DatabaseError::DatabaseAlreadyOpen),
        Err(_) => {
            // What a crash left of an earlier attempt; if it is anything else, this fails again.
            fs::remove_file(&part).map_err(StorageError::Io)?;
            make()?
        }
        Ok(database) => database,
    };
    if path.exists() {
        // Another process was quicker; the lock on its file says so.
        drop(database);
        fs::remove_file(&part).map_err(StorageError::Io)?;
        return builder.open(path);
    }
    let folder = path.parent().unwrap_or(path);
    fs::rename(&part, path).and_then(|()| File::open(folder)?.sync_all()).map_err(StorageError::Io)?;
    Ok(database)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::faulty::{Fault, FaultyDisk};
    use redb::TableDefinition;
    use std::os::unix::fs::PermissionsExt as _;

    const TABLE: TableDefinition<u8, u8> = TableDefinition::new("table");

    fn put(file: &RedbFile, value: u8) -> Result<(), DiskError> {
        file.write(true, |transaction| {
            transaction.open_table(TABLE)?.insert(0, value)?;
            Ok(())
        })
    }

    fn value(file: &RedbFile) -> Result<Option<u8>, DiskError> {
        file.read(|view| Ok(view.open_table(TABLE)?.get(0)?.map(|value| value.value())))
    }

    #[test]
    fn what_a_crash_left_of_a_file_in_the_making_does_not_stand_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file.part"), [0; 5000]).unwrap();
        let medium = Medium::folder(folder.path());
        let file = RedbFile::open(&medium, "file.redb", 1 << 20).unwrap();
        put(&file, 1).unwrap();
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.eq(["file.redb"]));
        let mode = |name| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        RedbFile::open(&medium, "another.redb", 1 << 20).unwrap();
        assert_eq!(mode("another.redb"), 0o600, "nobody else may read it");
        let second = RedbFile::open(&medium, "file.redb", 1 << 20);
        assert!(matches!(second, Err(DiskError::InUse(_))));
    }

    #[test]
    fn a_file_is_opened_again_after_a_failed_write_and_holds_what_was_committed() {
        let (folder, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
        let file = RedbFile::open(&disk.medium(folder.path()), "file.redb", 1 << 20).unwrap();
        put(&file, 1).unwrap();
        disk.set_fault(Fault::Full(1));
        assert!(matches!(put(&file, 2), Err(DiskError::Full(_))));
        disk.set_fault(Fault::None);
        assert_eq!(value(&file).unwrap(), Some(1));
        put(&file, 3).unwrap();
        assert_eq!(value(&file).unwrap(), Some(3));
    }

    #[test]
    fn a_file_waits_for_its_own_readers_to_open_again_and_takes_them_for_no_other_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = RedbFile::open(&Medium::folder(folder.path()), "file.redb", 1 << 20).unwrap();
        put(&file, 1).unwrap();
        let read = file.read(|view| {
            let failed: Result<(), _> = file.read(|_| Err(redb::Error::Io(io::Error::other("bad"))));
            assert!(matches!(failed, Err(DiskError::Io { .. })));
            assert!(matches!(put(&file, 2), Err(DiskError::Io { .. })), "not in use by another process");
            Ok(view.open_table(TABLE)?.get(0)?.map(|value| value.value()))
        });
        assert_eq!(read.unwrap(), Some(1));
        put(&file, 2).unwrap();
        assert_eq!(value(&file).unwrap(), Some(2));
    }
}
