//! The hot file: what the journal's records add up to, kept so that one listing, one source or
//! one statistic is found with a few page reads.
//!
//! Everything here is a projection: it remembers the last record it has seen, may lose its last
//! seconds in a crash, and catches up from the journal. [`Projection::dump`] is what two of them
//! must agree on.

mod activity;
mod block;
mod checkpoint;
mod entries;
mod listings;
mod policy;
mod scan;

pub use activity::{Activity, Dimension, Tally, Unit};
pub use entries::Entry;
pub use scan::{Found, Lookup, Tables};

use crate::disk::{Digest, DiskError, Medium, RedbFile};
use crate::model::{Op, Record, SourceId};
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

/// The file in the data folder.
pub const FILE: &str = "ironlist.redb";
/// Enough for the inner pages of ten million listings; blocks are read once and used once.
const CACHE: usize = 8 << 20;

/// Under "generation": the last record seen. Under "format": see [`FORMAT`].
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Under 0: a generation that was seen, and the journal's digest at it.
const JOURNAL: TableDefinition<u8, (u64, &[u8])> = TableDefinition::new("journal");
/// The tables' form; a file of another form is rebuilt from the journal.
const FORMAT: u64 = 2;

/// The listings, policy and counts of a data folder as of one generation.
#[derive(Debug)]
pub struct Projection {
    file: RedbFile,
}

impl Projection {
    /// Opens or begins the hot file.
    ///
    /// # Errors
    /// [`DiskError::InUse`], [`DiskError::Damaged`], or a fault of the disk.
    pub fn open(medium: &Medium) -> Result<Self, DiskError> {
        let file = RedbFile::open(medium, FILE, CACHE)?;
        let projection = Self { file };
        if projection.file.write(true, prepare)? {
            Ok(projection)
        } else {
            Err(DiskError::Version { what: FILE.to_owned(), version: 0 })
        }
    }

    /// The generation of the last record seen.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn generation(&self) -> Result<u64, DiskError> {
        self.file.read(generation)
    }

    /// Of which journal the records were: a generation, and the digest there. None before the first.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn journal(&self) -> Result<Option<(u64, Digest)>, DiskError> {
        self.file.read(|transaction| {
            let table = transaction.open_table(JOURNAL)?;
            let Some(row) = table.get(0)? else { return Ok(None) };
            let (generation, digest) = row.value();
            Ok(Some((generation, digest.try_into().map_err(damaged)?)))
        })
    }

    /// Runs `change` in one transaction, which readers see at once and a crash may take back until
    /// [`Projection::persist`]. What `change` answers as `Ok(Err(reason))` is the answer, and then
    /// nothing is changed.
    ///
    /// # Errors
    /// A fault of the disk, or the reason; nothing is changed then.
    pub fn update<T, E: From<DiskError>>(
        &self,
        change: impl FnOnce(&Update) -> Result<Result<T, E>, redb::Error>,
    ) -> Result<T, E> {
        self.file.attempt(false, |transaction| change(&Update(transaction)))
    }

    /// Makes all that was taken in durable.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn persist(&self) -> Result<(), DiskError> {
        self.file.write(true, |_| Ok(()))
    }

    /// Empties every table, so that the journal can be replayed from its beginning.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn clear(&self) -> Result<(), DiskError> {
        self.file.write(true, |transaction| {
            listings::clear(transaction)?;
            policy::clear(transaction)?;
            activity::clear(transaction)?;
            transaction.open_table(META)?.insert("generation", 0)?;
            transaction.open_table(JOURNAL)?.remove(0)?;
            Ok(())
        })
    }

    /// Runs `read` on one consistent view.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn view<T>(&self, read: impl FnOnce(&View) -> Result<T, redb::Error>) -> Result<T, DiskError> {
        self.file.read(|transaction| read(&View(transaction)))
    }

    /// All that the tables mean, a line each, in one fixed order, whatever the blocks they lie in.
    ///
    /// # Errors
    /// A fault of the disk, or what `line` fails with.
    pub fn dump(&self, mut line: impl FnMut(&str)) -> Result<(), DiskError> {
        self.view(|view| {
            line(&format!("generation {}", generation(view.0)?));
            policy::dump(view, &mut line)?;
            listings::dump(view, &mut line)?;
            activity::dump(view, &mut line)
        })
    }
}

/// One consistent view of the projection: of what is committed, or of a transaction that goes on.
#[derive(Debug)]
pub struct View<'a, T = ReadTransaction>(&'a T);

impl View<'_> {
    /// The generation of the last record seen.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn generation(&self) -> Result<u64, redb::Error> {
        generation(self.0)
    }
}

/// A transaction that takes in records.
pub struct Update<'a>(&'a WriteTransaction);

impl Update<'_> {
    /// What the records so far add up to, those of this transaction included.
    pub fn view(&self) -> View<'_, WriteTransaction> {
        View(self.0)
    }

    /// The generation of the last record seen, those of this transaction included.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn generation(&self) -> Result<u64, redb::Error> {
        Ok(self.0.open_table(META)?.get("generation")?.map_or(0, |v| v.value()))
    }

    /// Remembers the digest of the journal whose records were taken in up to `generation`.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn remember(&self, generation: u64, digest: &Digest) -> Result<(), redb::Error> {
        self.0.open_table(JOURNAL)?.insert(0, (generation, digest.as_slice()))?;
        Ok(())
    }

    /// Takes in the record that follows the last one; one that was seen before is passed over.
    /// Days are those of `zone`.
    ///
    /// # Errors
    /// A fault of the disk, or a record that does not follow the last one.
    pub fn apply(&self, record: &Record, zone: chrono_tz::Tz) -> Result<(), redb::Error> {
        let seen = self.generation()?;
        if record.generation <= seen {
            return Ok(());
        }
        if record.generation > seen + 1 {
            return Err(damaged(format!("generation {} follows {seen}", record.generation)));
        }
        apply(self.0, record, zone)?;
        self.0.open_table(META)?.insert("generation", record.generation)?;
        Ok(())
    }
}

fn generation(transaction: &ReadTransaction) -> Result<u64, redb::Error> {
    Ok(transaction.open_table(META)?.get("generation")?.map_or(0, |v| v.value()))
}

/// Makes the tables; false if the file has another form.
fn prepare(transaction: &WriteTransaction) -> Result<bool, redb::Error> {
    listings::prepare(transaction)?;
    policy::prepare(transaction)?;
    activity::prepare(transaction)?;
    transaction.open_table(JOURNAL)?;
    let mut meta = transaction.open_table(META)?;
    let format = meta.get("format")?.map_or(FORMAT, |v| v.value());
    meta.insert("format", format)?;
    Ok(format == FORMAT)
}

fn apply(transaction: &WriteTransaction, record: &Record, zone: chrono_tz::Tz) -> Result<(), redb::Error> {
    for op in &record.ops {
        match op {
            Op::Source(source) => policy::put_source(transaction, source)?,
            Op::Listings { source, difference } => {
                listings::apply(transaction, *source, difference)?;
                activity::count(transaction, *source, difference, record.time, zone)?;
            }
            Op::Allows { removed, added } => policy::change_allows(transaction, removed, added)?,
            Op::Suppressions { removed, added } => policy::change_suppressions(transaction, removed, added)?,
            Op::Outputs { removed, added } => policy::change_outputs(transaction, removed, added)?,
        }
    }
    Ok(())
}

/// An error in a stored value, in redb's type: it is the same event to whoever reads.
fn damaged(why: impl ToString) -> redb::Error {
    redb::Error::Corrupted(why.to_string())
}

/// The text under which a source is counted.
fn source_key(source: SourceId) -> String {
    source.0.to_string()
}

#[cfg(test)]
mod tests;
