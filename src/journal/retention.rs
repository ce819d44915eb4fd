//! Which records may go, and their going: nothing goes that no checkpoint stands for.

use super::{FILE, Journal, SEALED, checkpoint, record, segment};
use crate::disk::DiskError;
use crate::model::Time;
use std::io::Write;

const DAY: i64 = 86_400;

/// How much of the journal is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Records of so many days at least, unless that is too much.
    pub days: u32,
    /// In segments of so many bytes at most; the oldest go first. The newest stays always.
    pub bytes: u64,
    /// Records of more bytes than this move to a segment at the next quiet moment.
    pub segment: u64,
}

impl Default for Keep {
    /// A good year, 4 GiB at most, and segments of 4 MiB.
    fn default() -> Self {
        Self { days: 400, bytes: 4 << 30, segment: 4 << 20 }
    }
}

impl Journal {
    /// The last generation whose record may go at `now`; none: all are to be kept.
    ///
    /// # Errors
    /// A fault of the disk, or damage of a segment.
    pub fn due(&self, keep: Keep, now: Time) -> Result<Option<u64>, DiskError> {
        let segments = segment::list(&self.reader.segments)?;
        let sizes = segments.iter().map(segment::Segment::size).collect::<Result<Vec<u64>, _>>()?;
        let mut size: u64 = sizes.iter().sum();
        let oldest = now.plus(-DAY * i64::from(keep.days));
        let mut last = None;
        for (pair, bytes) in segments.windows(2).zip(sizes) {
            // All records of a segment are older than the first of the next one.
            if size <= keep.bytes
                && record::summary(&pair[1].front()?).map_or(now, |first| first.time) >= oldest
            {
                break;
            }
            (last, size) = (Some(pair[0].last), size - bytes);
        }
        Ok(last)
    }

    /// The newest checkpoint, which is read to its end to see that it is whole.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when it is not, or a fault of the disk.
    pub fn checkpoint(&self) -> Result<Option<checkpoint::Standing>, DiskError> {
        // One that is ahead was taken in by half.
        let mut newest = checkpoint::list(&self.reader.segments)?.into_iter().rev();
        newest.find(|newest| newest.generation <= self.head.0).map(|newest| newest.open()).transpose()
    }

    /// Begins an empty journal with another's checkpoint, behind which that one's records follow.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when the bytes are no checkpoint, or this journal has records; or a fault of the disk.
    pub fn adopt(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        if self.head.0 > 0 {
            let why = format!("it has records to generation {} that a checkpoint would replace", self.head.0);
            return Err(DiskError::damaged(FILE, why));
        }
        let taken = checkpoint::take(&self.reader.segments, bytes)?;
        let head = (taken.generation, taken.digest);
        self.reader.store.write(true, |transaction| {
            transaction.open_table(SEALED)?.insert(0, record::head_bytes(head).as_slice())?;
            Ok(())
        })?;
        self.head = head;
        Ok(())
    }

    /// Lets the records up to `last` go. If no checkpoint stands for them yet, one of the journal's end is made first:
    /// `state` writes what all records come to.
    ///
    /// The checkpoint is whole on the disk, and was read again, before anything goes. The oldest segment goes first,
    /// each durably before the next, so that what is left has no hole whenever the power fails.
    ///
    /// # Errors
    /// A fault of the disk; what was not yet gone is as it was.
    pub fn forget(
        &mut self,
        last: u64,
        state: impl FnOnce(&mut dyn Write) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let folder = &self.reader.segments;
        let stands =
            |newest: Option<checkpoint::Standing>| newest.is_some_and(|newest| newest.generation >= last);
        // One that is damaged stands for nothing.
        if !self.checkpoint().is_ok_and(stands) {
            checkpoint::write(folder, self.head, self.last_time()?, state)?;
        }
        for segment in segment::list(folder)?.iter().take_while(|segment| segment.last <= last) {
            segment.remove()?;
        }
        let mut checkpoints = checkpoint::list(folder)?;
        checkpoints.pop();
        checkpoints.iter().try_for_each(checkpoint::Checkpoint::remove)
    }
}
