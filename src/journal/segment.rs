//! Segment files: old records, one after the other, never written again.
//!
//! `00000001-00000042.seg` holds the records of generations 1 to 42: the digest of the record
//! before the first, then for each record its length (8 bytes, big-endian) and its sealed bytes.
//! The chain of digests is the check.

use crate::disk::{Digest, DiskError};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A head is in so many bytes of a record, however many follow.
const FRONT: u64 = 16 << 20;

/// A segment file and the generations it holds.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Segment {
    /// Its bytes on the disk.
    pub(super) fn size(&self) -> Result<u64, DiskError> {
        let read = fs::metadata(&self.path);
        read.map(|known| known.len()).map_err(|e| DiskError::io(self.path.display().to_string(), e))
    }

    /// The front of its first sealed record, in which the head is.
    pub(super) fn front(&self) -> Result<Vec<u8>, DiskError> {
        let mut scan = Scan::open(self)?;
        let length = scan.length()?.min(FRONT);
        scan.take(length)
    }

    /// Removes it, durably.
    pub(super) fn remove(&self) -> Result<(), DiskError> {
        let remove = || {
            fs::remove_file(&self.path)?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        remove().map_err(|e| DiskError::io(self.path.display().to_string(), e))
    }
}

/// The segments of the folder, in order.
pub(super) fn list(folder: &Path) -> Result<Vec<Segment>, DiskError> {
    let failed = |e| DiskError::io(folder.display().to_string(), e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some((first, last)) = generations(&path) {
            found.push(Segment { path, first, last });
        }
    }
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

fn generations(path: &Path) -> Option<(u64, u64)> {
    let (first, last) = path.file_name()?.to_str()?.strip_suffix(".seg")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Visits the sealed records of a segment after `head`, which moves on; false when `each` said so.
pub(super) fn read<E: From<DiskError>>(
    segment: &Segment,
    head: &mut (u64, Digest),
    each: &mut impl FnMut(&str, (u64, Digest), &[u8]) -> Result<bool, E>,
) -> Result<bool, E> {
    let mut reader = Scan::open(segment)?;
    if segment.first == head.0 + 1 && reader.start != head.1 {
        let why = format!("it does not continue generation {}", head.0);
        return Err(DiskError::damaged(&reader.name, why).into());
    }
    for generation in segment.first..=segment.last {
        let sealed = reader.next()?;
        if generation > head.0 {
            if !each(&reader.name, *head, &sealed)? {
                return Ok(false);
            }
            *head = (generation, digest_of(&reader.name, &sealed)?);
        }
    }
    Ok(true)
}

/// The digest of record `generation`, which is in one of the folder's segments, or right before one.
pub(super) fn digest_at(folder: &Path, generation: u64) -> Result<Digest, DiskError> {
    let name = folder.display().to_string();
    let missing = || DiskError::damaged(name, format!("generation {generation} is missing"));
    let segments = list(folder)?;
    // The later of two: its first bytes are the digest before it.
    let holds = |s: &&Segment| s.first <= generation + 1 && generation <= s.last;
    let segment = segments.iter().rev().find(holds).ok_or_else(missing)?;
    let mut reader = Scan::open(segment)?;
    let mut digest = reader.start;
    for _ in segment.first..=generation {
        let sealed = reader.next()?;
        digest = digest_of(&reader.name, &sealed)?;
    }
    Ok(digest)
}

/// The digest in front of a sealed record.
pub(super) fn digest_of(file: &str, sealed: &[u8]) -> Result<Digest, DiskError> {
    sealed.first_chunk().copied().ok_or_else(|| DiskError::damaged(file, "a record is too short"))
}

struct Scan {
    name: String,
    reader: BufReader<File>,
    left: u64,
    start: Digest,
}

impl Scan {
    fn open(segment: &Segment) -> Result<Self, DiskError> {
        let name = segment.path.display().to_string();
        let failed = |e| DiskError::io(name.clone(), e);
        let file = File::open(&segment.path).map_err(failed)?;
        let left = file.metadata().map_err(failed)?.len();
        let mut scan = Self { reader: BufReader::new(file), left, start: [0; 32], name };
        scan.start = scan.take(32)?.try_into().unwrap_or_default();
        Ok(scan)
    }

    fn next(&mut self) -> Result<Vec<u8>, DiskError> {
        let length = self.length()?;
        self.take(length)
    }

    fn length(&mut self) -> Result<u64, DiskError> {
        Ok(self.take(8)?.try_into().map(u64::from_be_bytes).unwrap_or(u64::MAX))
    }

    fn take(&mut self, len: u64) -> Result<Vec<u8>, DiskError> {
        // A damaged length must not ask for more memory than the file has bytes.
        self.left =
            self.left.checked_sub(len).ok_or_else(|| DiskError::damaged(&self.name, "it ends early"))?;
        let mut bytes = vec![0; len as usize];
        self.reader.read_exact(&mut bytes).map_err(|e| DiskError::io(self.name.clone(), e))?;
        Ok(bytes)
    }
}

/// Writes a segment under a passing name, and gives it its own when it is whole.
pub(super) struct Writer {
    folder: PathBuf,
    part: PathBuf,
    first: u64,
    file: BufWriter<File>,
}

impl Writer {
    /// Begins a segment at generation `first`; `before` is the digest of the record before it.
    pub(super) fn begin(folder: &Path, first: u64, before: Digest) -> Result<Self, DiskError> {
        let part = folder.join("next.part");
        let create = || {
            let mut file = BufWriter::new(File::create(&part)?);
            file.write_all(&before)?;
            Ok(file)
        };
        let file = create().map_err(|e| DiskError::io(part.display().to_string(), e))?;
        Ok(Self { folder: folder.to_owned(), part: part.clone(), first, file })
    }

    /// Appends one sealed record.
    pub(super) fn record(&mut self, sealed: &[u8]) -> Result<(), DiskError> {
        let mut write = || {
            self.file.write_all(&(sealed.len() as u64).to_be_bytes())?;
            self.file.write_all(sealed)
        };
        write().map_err(|e| DiskError::io(self.part.display().to_string(), e))
    }

    /// Makes the segment durable under its own name, which says that `last` is its last generation.
    pub(super) fn finish(mut self, last: u64) -> Result<(), DiskError> {
        let path = self.folder.join(format!("{:08}-{last:08}.seg", self.first));
        let mut finish = || {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            fs::rename(&self.part, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        finish().map_err(|e| DiskError::io(path.display().to_string(), e))
    }
}
