//! Reads a journal beside its writer: for followers, and for people who ask what was changed.
//!
//! Records move from redb to segments meanwhile. The segment is there before redb forgets, so that
//! a record that redb has not is either in a segment or lost.

use super::record::{self, Summary};
use super::segment;
use super::{FILE, RECORDS, SEALED, Sealed, checkpoint};
use crate::disk::{Digest, DiskError, RedbFile};
use crate::model::Record;
use redb::ReadableTable;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A journal's records, for reading; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) store: Arc<RedbFile>,
    pub(super) segments: Arc<Path>,
}

impl Reader {
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

    /// The file of the newest checkpoint, if there is one: for a follower that begins.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn checkpoint(&self) -> Result<Option<PathBuf>, DiskError> {
        Ok(checkpoint::list(&self.segments)?.pop().map(|newest| newest.path))
    }

    /// The first generation whose record is kept; the next one to come while there is none.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn first(&self) -> Result<u64, DiskError> {
        let stored = self.store.read(|view| {
            let table = view.open_table(RECORDS)?;
            Ok(table.first()?.map(|(generation, _)| generation.value()))
        })?;
        let stored = stored.unwrap_or(self.end()?.0 + 1);
        // What moved from redb meanwhile begins where redb did. What lies before a hole is of before a checkpoint.
        let reaches = |segment: &segment::Segment, first| segment.first < first && segment.last + 1 >= first;
        let first =
            |first, segment: &segment::Segment| if reaches(segment, first) { segment.first } else { first };
        Ok(segment::list(&self.segments)?.iter().rev().fold(stored, first))
    }

    /// What the records after generation `after` and before `before` did, in order; their listings
    /// are not unpacked.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] where a record does not read, or a fault of the disk.
    pub fn summaries(&self, after: u64, before: u64) -> Result<Vec<Summary>, DiskError> {
        let mut told = Vec::new();
        if after + 1 >= before {
            return Ok(told);
        }
        self.walk(after, |file, _, bytes| {
            let summary = record::summary(bytes).map_err(|error| DiskError::damaged(file, error))?;
            let is_last = summary.generation + 1 >= before;
            told.push(summary);
            Ok::<_, DiskError>(!is_last)
        })?;
        Ok(told)
    }

    /// Visits, in order, the records after generation `after` and up to `last` that are `wanted` by what their heads
    /// say; only these are unpacked.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] where a record does not read, a fault of the disk, or what `each` fails with.
    pub fn records<E: From<DiskError>>(
        &self,
        after: u64,
        last: u64,
        wanted: impl Fn(&Summary) -> bool,
        mut each: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        if after >= last {
            return Ok(());
        }
        self.walk(after, |file, _, bytes| {
            let damaged = |error| DiskError::damaged(file, error);
            let summary = record::summary(bytes).map_err(damaged)?;
            if wanted(&summary) {
                each(record::decode(bytes.get(32..).unwrap_or_default()).map_err(damaged)?)?;
            }
            Ok(summary.generation < last)
        })
    }

    /// Visits stored records after `after`, until `each` says false; `each` is told the file, and
    /// the head at the record before.
    pub(super) fn walk<E: From<DiskError>>(
        &self,
        after: u64,
        mut each: impl FnMut(&str, (u64, Digest), &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let end = self.end()?.0;
        let mut head = (after, self.digest_at(after)?);
        while head.0 < end {
            // Records of redb are copied out one at a time: `each` may take long, and may fail with
            // an error that is not redb's.
            if let Some(bytes) = self.stored(head.0 + 1)? {
                if !each(FILE, head, &bytes)? {
                    return Ok(());
                }
                head = (head.0 + 1, segment::digest_of(FILE, &bytes)?);
            } else if !segment::read(&self.segment(head.0 + 1)?, &mut head, &mut each)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn stored(&self, generation: u64) -> Result<Option<Sealed>, DiskError> {
        self.store.read(|view| {
            let table = view.open_table(RECORDS)?;
            Ok(table.get(generation)?.map(|bytes| bytes.value().to_vec()))
        })
    }

    fn segment(&self, generation: u64) -> Result<segment::Segment, DiskError> {
        let holds = |segment: &segment::Segment| (segment.first..=segment.last).contains(&generation);
        segment::list(&self.segments)?.into_iter().find(holds).ok_or_else(|| {
            let why = format!("the records after generation {} are missing", generation - 1);
            DiskError::damaged(self.segments.display().to_string(), why)
        })
    }

    /// The last record's generation and digest; of generation 0 before the first.
    pub(super) fn end(&self) -> Result<(u64, Digest), DiskError> {
        let (last, sealed) = self.store.read(|view| {
            let last =
                view.open_table(RECORDS)?.last()?.map(|(key, bytes)| (key.value(), bytes.value().to_vec()));
            let sealed = view.open_table(SEALED)?.get(0)?.and_then(|v| record::head_from(v.value()));
            Ok((last, sealed))
        })?;
        match last {
            Some((generation, bytes)) => Ok((generation, segment::digest_of(FILE, &bytes)?)),
            None => Ok(sealed.unwrap_or((0, [0; 32]))),
        }
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
            let stored =
                view.open_table(RECORDS)?.get(generation)?.map(|bytes| bytes.value().first_chunk().copied());
            let sealed = view.open_table(SEALED)?.get(0)?.and_then(|v| record::head_from(v.value()));
            Ok((stored, sealed))
        })?;
        match (stored, sealed) {
            (Some(digest), _) => digest.ok_or_else(|| DiskError::damaged(FILE, "a record is too short")),
            (None, Some((last, digest))) if last == generation => Ok(digest),
            _ => segment::digest_at(&self.segments, generation),
        }
    }
}
