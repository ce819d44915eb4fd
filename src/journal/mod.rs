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

mod record;
mod segment;

use crate::disk::{Digest, DiskError, Medium, RedbFile, digest};
use crate::model::{Receipt, Record, Time};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use std::path::PathBuf;
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
/// Records of more bytes than this move to a segment at the next quiet moment.
const SEAL_ABOVE: u64 = 4 << 20;

/// So many batches are remembered: a repeat comes minutes later, and the file is checked whole at
/// each start.
const REMEMBERED: u64 = 1 << 16;

/// A record in the form in which it is stored and sent: digest, then body.
pub type Sealed = Vec<u8>;

/// The journal of a data folder.
#[derive(Debug)]
pub struct Journal {
    store: RedbFile,
    segments: PathBuf,
    /// The last record's generation and digest; of generation 0 before the first.
    head: (u64, Digest),
    /// Bytes of records in redb.
    tail_bytes: u64,
    /// [`SEAL_ABOVE`], but for tests.
    seal_above: u64,
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
        let store = RedbFile::open(medium, FILE, CACHE)?;
        let mut journal = Self {
            store,
            segments,
            head: (0, [0; 32]),
            tail_bytes: 0,
            seal_above: SEAL_ABOVE,
            remembered: REMEMBERED,
        };
        journal.find_head()?;
        let sealed = segment::list(&journal.segments)?.last().map_or(0, |segment| segment.last);
        if sealed > journal.head.0 {
            let why = format!("it ends at generation {}, and its segments at {sealed}", journal.head.0);
            return Err(DiskError::damaged(FILE, why));
        }
        Ok(journal)
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
        self.store.write(true, |transaction| {
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
        self.store.read(|view| {
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
        self.walk(after, |file, mut head, bytes| each(open(file, &mut head, bytes)?).map(|()| true))
    }

    /// Sealed records after generation `after`, up to about `limit` bytes of them, for a follower.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] where the chain breaks, or a fault of the disk.
    pub fn sealed(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, DiskError> {
        let mut taken = Vec::new();
        let mut size = 0;
        self.walk(after, |_, _, bytes| {
            taken.push(bytes.to_vec());
            size += bytes.len();
            Ok::<_, DiskError>(size < limit)
        })?;
        Ok(taken)
    }

    /// Visits stored records after `after`, until `each` says false; `each` is told the file, and
    /// the head at the record before.
    fn walk<E: From<DiskError>>(
        &self,
        after: u64,
        mut each: impl FnMut(&str, (u64, Digest), &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut head = (after, self.digest_at(after)?);
        for file in segment::list(&self.segments)? {
            if file.last > head.0 && !segment::read(&file, &mut head, &mut each)? {
                return Ok(());
            }
        }
        // Records of redb are copied out one at a time: `each` may take long, and may fail with
        // an error that is not redb's.
        while let Some((generation, bytes)) = self.first_after(head.0)? {
            if !each(FILE, head, &bytes)? {
                return Ok(());
            }
            head = (generation, segment::digest_of(FILE, &bytes)?);
        }
        if head.0 < self.head.0 {
            let why = format!("the records after generation {} are missing", head.0);
            return Err(DiskError::damaged(self.segments.display().to_string(), why).into());
        }
        Ok(())
    }

    fn first_after(&self, generation: u64) -> Result<Option<(u64, Sealed)>, DiskError> {
        self.store.read(|view| {
            let table = view.open_table(RECORDS)?;
            let next = table.range(generation + 1..)?.next().transpose()?;
            Ok(next.map(|(key, bytes)| (key.value(), bytes.value().to_vec())))
        })
    }

    /// The digest over all records up to `generation`, wherever that record lies.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when there is no such record, or a fault of the disk.
    pub fn digest_at(&self, generation: u64) -> Result<Digest, DiskError> {
        if generation == 0 {
            return Ok([0; 32]);
        }
        let (stored, sealed) = self.store.read(|view| {
            let records = view.open_table(RECORDS)?;
            let stored = records.get(generation)?.map(|bytes| bytes.value().to_vec());
            let sealed = view.open_table(SEALED)?.get(0)?.and_then(|v| record::head_from(v.value()));
            Ok((stored, sealed))
        })?;
        match (stored, sealed) {
            (Some(bytes), _) => segment::digest_of(FILE, &bytes),
            (None, Some((last, digest))) if last == generation => Ok(digest),
            _ => segment::digest_at(&self.segments, generation),
        }
    }

    /// The time of the last record; the epoch before the first.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn last_time(&self) -> Result<Time, DiskError> {
        let mut time = Time::default();
        self.replay(self.generation().saturating_sub(1), |record| {
            time = record.time;
            Ok::<_, DiskError>(())
        })?;
        Ok(time)
    }

    /// Learns anew where the journal ends: after a failed commit nobody else can tell.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn refresh(&mut self) -> Result<(), DiskError> {
        self.find_head()
    }

    fn find_head(&mut self) -> Result<(), DiskError> {
        self.store.write(true, |transaction| {
            transaction.open_table(RECORDS)?;
            transaction.open_table(BATCHES)?;
            transaction.open_table(ORDER)?;
            transaction.open_table(SEALED)?;
            Ok(())
        })?;
        let (last, bytes, sealed) = self.store.read(|view| {
            let records = view.open_table(RECORDS)?;
            let last = records.last()?.map(|(key, bytes)| (key.value(), bytes.value().to_vec()));
            let mut bytes = 0;
            for row in records.iter()? {
                bytes += row?.1.value().len() as u64;
            }
            let sealed = view.open_table(SEALED)?.get(0)?.and_then(|v| record::head_from(v.value()));
            Ok((last, bytes, sealed))
        })?;
        self.tail_bytes = bytes;
        self.head = match last {
            Some((generation, bytes)) => (generation, segment::digest_of(FILE, &bytes)?),
            None => sealed.unwrap_or((0, [0; 32])),
        };
        Ok(())
    }

    /// Moves all records in redb to a segment file, when they have become many.
    ///
    /// The file is whole on the disk before redb forgets; a crash between leaves both, and the
    /// segment counts.
    ///
    /// # Errors
    /// A fault of the disk; the journal is as it was.
    pub fn seal(&mut self) -> Result<(), DiskError> {
        if self.tail_bytes < self.seal_above {
            return Ok(());
        }
        let Some((first, _)) = self.first_after(0)? else {
            // The last sealing failed in its sync, and was on the disk all the same.
            self.tail_bytes = 0;
            return Ok(());
        };
        let mut head = (first - 1, self.digest_at(first - 1)?);
        let mut writer = segment::Writer::begin(&self.segments, first, head.1)?;
        while let Some((generation, bytes)) = self.first_after(head.0)? {
            writer.record(&bytes)?;
            head = (generation, segment::digest_of(FILE, &bytes)?);
        }
        writer.finish(head.0)?;
        self.store.write(true, |transaction| {
            transaction.open_table(RECORDS)?.retain(|_, _| false)?;
            transaction.open_table(SEALED)?.insert(0, record::head_bytes(head).as_slice())?;
            Ok(())
        })?;
        self.tail_bytes = 0;
        Ok(())
    }
}

/// Reads a sealed record by itself; whether it continues a journal is not looked at.
///
/// # Errors
/// [`DiskError::Damaged`].
pub fn read(sealed: &[u8]) -> Result<Record, DiskError> {
    let digest = segment::digest_of(FILE, sealed)?;
    record::decode(&sealed[digest.len()..]).map_err(|e| DiskError::damaged(FILE, e))
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
