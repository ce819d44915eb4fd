//! The journal: every change to the blacklist, in order, once. It is the truth; everything else
//! that is kept can be made from it again.
//!
//! New records go into `journal.redb`, because a durable commit there has survived every crash it
//! was put through. When they are many, the older ones move to segment files that nobody writes
//! again, so that the checked redb file stays small and a start quick. Each record carries the
//! digest of its predecessor and itself: a record that was altered, lost or swapped breaks the
//! chain.
//!
//! Knows records and bytes; not what they mean to a blacklist.

mod checkpoint;
mod reader;
mod record;
mod retention;
mod segment;

pub use checkpoint::Standing;
pub use reader::Reader;
pub use record::{Counted, Summary, What};
pub use retention::Keep;

use crate::disk::{Digest, DiskError, Medium, RedbFile, digest};
use crate::model::{Receipt, Record, Time};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use std::sync::Arc;
use uuid::Uuid;

const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
const BATCHES: TableDefinition<u128, &[u8]> = TableDefinition::new("batches");
/// The same batches in the order in which they came.
const ORDER: TableDefinition<u64, u128> = TableDefinition::new("order");
/// Under key 0: how far segments reach and the digest of the last record in them.
const SEALED: TableDefinition<u8, &[u8]> = TableDefinition::new("sealed");

/// The redb file in the data folder.
pub const FILE: &str = "journal.redb";
const CACHE: usize = 4 << 20;

/// So many batches are remembered: a repeat comes minutes later, and the file is checked whole at
/// each start.
const REMEMBERED: u64 = 1 << 16;

/// A record in the form in which it is stored and sent: digest, then body.
pub type Sealed = Vec<u8>;

/// The journal of a data folder.
#[derive(Debug)]
pub struct Journal {
    reader: Reader,
    /// The last record's generation and digest; of generation 0 before the first.
    head: (u64, Digest),
    /// Bytes of records in redb.
    tail_bytes: u64,
    /// [`REMEMBERED`], but for tests.
    remembered: u64,
}

impl Journal {
    /// Opens or begins the journal in the data folder.
    ///
    /// # Errors
    /// [`DiskError::InUse`], [`DiskError::Damaged`], or a fault of the disk.
    pub fn open(medium: &Medium) -> Result<Self, DiskError> {
        let segments = medium.path().join("journal");
        std::fs::create_dir_all(&segments).map_err(|e| DiskError::io(segments.display().to_string(), e))?;
        let store = Arc::new(RedbFile::open(medium, FILE, CACHE)?);
        let reader = Reader { store, segments: segments.into() };
        let mut journal = Self { reader, head: (0, [0; 32]), tail_bytes: 0, remembered: REMEMBERED };
        journal.find_head()?;
        let sealed = segment::list(&journal.reader.segments)?.last().map_or(0, |segment| segment.last);
        if sealed > journal.head.0 {
            let why = format!("it ends at generation {}, and its segments at {sealed}", journal.head.0);
            return Err(DiskError::damaged(FILE, why));
        }
        Ok(journal)
    }

    /// Reads the records from elsewhere, while they are added to.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The last record's generation; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.head.0
    }

    /// The digest over all records to the last.
    pub fn digest(&self) -> Digest {
        self.head.1
    }

    /// Appends records and remembers their batches' receipts, all of it durably or none.
    ///
    /// A receipt without a record is of a batch that changed nothing.
    ///
    /// # Errors
    /// A fault of the disk: nothing is appended then, but a commit that failed in its sync may be
    /// there all the same; [`Journal::refresh`] tells.
    pub fn append(&mut self, records: &[Record], receipts: &[(Uuid, Receipt)]) -> Result<(), DiskError> {
        let mut head = self.head;
        let mut sealed = Vec::with_capacity(records.len());
        for record in records {
            let body = record::encode(record).map_err(|e| DiskError::io(FILE, e))?;
            head = (record.generation, digest(&[&head.1, &body]));
            sealed.push((record.generation, [head.1.as_slice(), &body].concat()));
        }
        self.commit(&sealed, receipts)?;
        self.head = head;
        Ok(())
    }

    /// Appends records that another journal sealed, checking that they continue this one.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when they do not, or a fault of the disk.
    pub fn follow(&mut self, sealed: &[Sealed]) -> Result<Vec<Record>, DiskError> {
        let mut head = self.head;
        let mut rows = Vec::new();
        let mut records = Vec::new();
        for one in sealed {
            let record = open(FILE, &mut head, one)?;
            rows.push((record.generation, one.clone()));
            records.push(record);
        }
        self.commit(&rows, &[])?;
        self.head = head;
        Ok(records)
    }

    fn commit(&mut self, sealed: &[(u64, Sealed)], receipts: &[(Uuid, Receipt)]) -> Result<(), DiskError> {
        self.reader.store.write(true, |transaction| {
            let mut table = transaction.open_table(RECORDS)?;
            for (generation, bytes) in sealed {
                table.insert(generation, bytes.as_slice())?;
            }
            self.remember(transaction, receipts)
        })?;
        self.tail_bytes += sealed.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        Ok(())
    }

    /// Remembers what batches were told, and forgets the oldest ones.
    fn remember(
        &self,
        transaction: &WriteTransaction,
        receipts: &[(Uuid, Receipt)],
    ) -> Result<(), redb::Error> {
        let mut batches = transaction.open_table(BATCHES)?;
        let mut order = transaction.open_table(ORDER)?;
        let mut next = order.last()?.map_or(0, |(number, _)| number.value() + 1);
        for (batch, receipt) in receipts {
            batches.insert(batch.as_u128(), record::receipt_bytes(receipt).as_slice())?;
            order.insert(next, batch.as_u128())?;
            next += 1;
        }
        loop {
            let first = order.first()?.map(|(number, batch)| (number.value(), batch.value()));
            match first {
                Some((number, batch)) if next - number > self.remembered => {
                    order.remove(number)?;
                    batches.remove(batch)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// What a batch was told, if it was here before, among the last 65,536.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn receipt(&self, batch: Uuid) -> Result<Option<Receipt>, DiskError> {
        self.reader.store.read(|view| {
            let table = view.open_table(BATCHES)?;
            Ok(table.get(batch.as_u128())?.and_then(|bytes| record::receipt_from(bytes.value())))
        })
    }

    /// Calls `each` with every record after generation `after`, in order.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] where the chain breaks, a fault of the disk, or what `each` fails with.
    pub fn replay<E: From<DiskError>>(
        &self,
        after: u64,
        mut each: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader.walk(after, |file, mut head, bytes| each(open(file, &mut head, bytes)?).map(|()| true))
    }

    fn first_after(&self, generation: u64) -> Result<Option<(u64, Sealed)>, DiskError> {
        self.reader.store.read(|view| {
            let table = view.open_table(RECORDS)?;
            let next = table.range(generation + 1..)?.next().transpose()?;
            Ok(next.map(|(key, bytes)| (key.value(), bytes.value().to_vec())))
        })
    }

    /// The first generation whose record is kept; the next one to come while there is none.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn first(&self) -> Result<u64, DiskError> {
        self.reader.first()
    }

    /// The digest over all records up to `generation`, wherever that record lies.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when there is no such record, or a fault of the disk.
    pub fn digest_at(&self, generation: u64) -> Result<Digest, DiskError> {
        self.reader.digest_at(generation)
    }

    /// The time of the last record, also where only a checkpoint is left of it; the epoch before the first.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn last_time(&self) -> Result<Time, DiskError> {
        if self.first()? > self.generation() {
            return Ok(self.checkpoint()?.map(|checkpoint| checkpoint.time).unwrap_or_default());
        }
        let mut time = Time::default();
        self.replay(self.generation().saturating_sub(1), |record| {
            time = record.time;
            Ok::<_, DiskError>(())
        })?;
        Ok(time)
    }

    /// The last time that was believed when the last record was made; that record's own where only a checkpoint is left of
    /// it, or nothing.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn last_sure(&self) -> Result<Time, DiskError> {
        let (first, last) = (self.first()?, self.generation());
        let heads = if first > last { Vec::new() } else { self.reader.summaries(last - 1, last + 1)? };
        heads.last().map_or_else(|| self.last_time(), |head| Ok(head.sure))
    }

    /// Learns anew where the journal ends: after a failed commit nobody else can tell.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn refresh(&mut self) -> Result<(), DiskError> {
        self.find_head()
    }

    fn find_head(&mut self) -> Result<(), DiskError> {
        self.reader.store.write(true, |transaction| {
            transaction.open_table(RECORDS)?;
            transaction.open_table(BATCHES)?;
            transaction.open_table(ORDER)?;
            transaction.open_table(SEALED)?;
            Ok(())
        })?;
        self.tail_bytes = self.reader.store.read(|view| {
            let mut bytes = 0;
            for row in view.open_table(RECORDS)?.iter()? {
                bytes += row?.1.value().len() as u64;
            }
            Ok(bytes)
        })?;
        self.head = self.reader.end()?;
        Ok(())
    }

    /// Moves all records in redb to a segment file, when they are of more than `above` bytes; says whether.
    ///
    /// The file is whole on the disk before redb forgets; a crash between leaves both, and the
    /// segment counts.
    ///
    /// # Errors
    /// A fault of the disk; the journal is as it was.
    pub fn seal(&mut self, above: u64) -> Result<bool, DiskError> {
        if self.tail_bytes < above {
            return Ok(false);
        }
        let Some((first, _)) = self.first_after(0)? else {
            // The last sealing failed in its sync, and was on the disk all the same.
            self.tail_bytes = 0;
            return Ok(true);
        };
        let mut head = (first - 1, self.digest_at(first - 1)?);
        let mut writer = segment::Writer::begin(&self.reader.segments, first, head.1)?;
        while let Some((generation, bytes)) = self.first_after(head.0)? {
            writer.record(&bytes)?;
            head = (generation, segment::digest_of(FILE, &bytes)?);
        }
        writer.finish(head.0)?;
        self.reader.store.write(true, |transaction| {
            transaction.open_table(RECORDS)?.retain(|_, _| false)?;
            transaction.open_table(SEALED)?.insert(0, record::head_bytes(head).as_slice())?;
            Ok(())
        })?;
        self.tail_bytes = 0;
        Ok(true)
    }
}

/// Checks that `sealed` follows `head`, moves `head` on, and reads the record.
fn open(file: &str, head: &mut (u64, Digest), sealed: &[u8]) -> Result<Record, DiskError> {
    let told = segment::digest_of(file, sealed)?;
    let body = &sealed[told.len()..];
    if digest(&[&head.1, body]) != told {
        return Err(DiskError::damaged(
            file,
            format!("the record after generation {} breaks the chain", head.0),
        ));
    }
    let record = record::decode(body).map_err(|e| DiskError::damaged(file, e))?;
    if record.generation != head.0 + 1 {
        return Err(DiskError::damaged(file, format!("generation {} follows {}", record.generation, head.0)));
    }
    *head = (record.generation, told);
    Ok(record)
}

#[cfg(test)]
mod tests;
