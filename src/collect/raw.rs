//! The bytes of runs as they came: compressed files with a digest, and their retention.
//!
//! It does not know what the bytes mean. A run's documents are numbered from 0. All calls block.

use crate::disk::{DiskError, read_footed, write_footed};
use crate::model::Time;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The folder in the data folder.
pub const FOLDER: &str = "raw";
/// Lists shrink to a fifth at zstd's usual level, at hundreds of MB a second.
const LEVEL: i32 = 3;
const SUFFIX: &str = "zst";

/// The raw documents of a data folder.
#[derive(Clone, Debug)]
pub struct Raw {
    folder: PathBuf,
    /// Bytes on the disk, of all together, but for the ends of files since the last look.
    used: Arc<AtomicU64>,
}

/// Every document at one moment: its run, its file, its bytes on the disk.
#[derive(Debug)]
pub struct Survey(Vec<(Uuid, PathBuf, u64)>);

/// How long raw documents are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Days.
    pub days: u32,
    /// Bytes on the disk, of all together; the oldest go first.
    pub bytes: u64,
}

impl Default for Retention {
    /// A month, in two gigabytes.
    fn default() -> Self {
        Self { days: 30, bytes: 2 << 30 }
    }
}

impl Raw {
    /// The documents in the data folder `data`; makes their folder.
    ///
    /// # Errors
    /// A fault of the file system.
    pub fn open(data: &Path) -> Result<Self, DiskError> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| fault(&folder, error))?;
        let raw = Self { folder, used: Arc::default() };
        let used = raw.files()?.iter().map(|(_, _, size)| size).sum();
        raw.used.store(used, Ordering::Relaxed);
        Ok(raw)
    }

    /// Keeps document `index` of a run.
    ///
    /// # Errors
    /// [`DiskError::Full`] or another fault of the disk.
    pub fn keep(&self, run: Uuid, index: usize, bytes: &[u8]) -> Result<(), DiskError> {
        let path = self.path(run, index);
        let packed = zstd::bulk::compress(bytes, LEVEL).map_err(|error| fault(&path, error))?;
        write_footed(&path, &[&packed])?;
        self.used.fetch_add(packed.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// About how many bytes all documents together have on the disk; costs nothing.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Document `index` of a run, of at most `limit` bytes; none: it is not kept, or not any more.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when it is not what was written, or another fault of the disk.
    pub fn read(&self, run: Uuid, index: usize, limit: u64) -> Result<Option<Bytes>, DiskError> {
        let path = self.path(run, index);
        let Some(packed) = read_footed(&path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let unpacked = zstd::stream::read::Decoder::new(packed.bytes.as_slice())
            .and_then(|decoder| decoder.take(limit.saturating_add(1)).read_to_end(&mut bytes));
        match unpacked {
            Ok(_) if bytes.len() as u64 <= limit => Ok(Some(bytes.into())),
            Ok(_) => Err(DiskError::damaged(path.display().to_string(), "it is longer than any document")),
            Err(error) => Err(DiskError::damaged(path.display().to_string(), error)),
        }
    }

    /// What is there; for [`Self::retain`].
    ///
    /// # Errors
    /// A fault of the file system.
    pub fn survey(&self) -> Result<Survey, DiskError> {
        Ok(Survey(self.files()?))
    }

    /// Removes what is older or more than `retention` says, oldest first, but nothing of the runs in
    /// `needed`, and nothing that came after the survey: so who asks what is needed after it misses
    /// nothing. Gives the bytes that are left.
    ///
    /// # Errors
    /// A fault of the file system; what could be removed is.
    pub fn retain(
        &self,
        survey: Survey,
        retention: Retention,
        needed: &BTreeSet<Uuid>,
        now: Time,
    ) -> Result<u64, DiskError> {
        let oldest = now.plus(-i64::from(retention.days) * 86_400);
        let Survey(mut files) = survey;
        files.sort_unstable();
        let mut total: u64 = files.iter().map(|(_, _, size)| size).sum();
        for (run, path, size) in files {
            let over = total > retention.bytes || made(run).is_none_or(|made| made < oldest);
            if over && !needed.contains(&run) {
                match fs::remove_file(&path) {
                    // Another run's look was quicker.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(&path, error)),
                    _ => total -= size,
                }
            }
        }
        self.used.store(total, Ordering::Relaxed);
        Ok(total)
    }

    /// Every document: its run, its file, its bytes on the disk. Runs sort by their time.
    fn files(&self) -> Result<Vec<(Uuid, PathBuf, u64)>, DiskError> {
        let read = || -> io::Result<Vec<_>> {
            let mut files = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                let path = entry.path();
                files.extend(run_of(&path).map(|run| (run, path)).zip(entry.metadata().ok()));
            }
            Ok(files.into_iter().map(|((run, path), about)| (run, path, about.len())).collect())
        };
        read().map_err(|error| fault(&self.folder, error))
    }

    fn path(&self, run: Uuid, index: usize) -> PathBuf {
        self.folder.join(format!("{}-{index}.{SUFFIX}", run.simple()))
    }
}

fn run_of(path: &Path) -> Option<Uuid> {
    let name = path.file_name()?.to_str()?.strip_suffix(&format!(".{SUFFIX}"))?;
    Uuid::try_parse(name.split_once('-')?.0).ok()
}

/// When a run began, by its id.
fn made(run: Uuid) -> Option<Time> {
    let (seconds, _) = run.get_timestamp()?.to_unix();
    i64::try_from(seconds).ok().map(Time::from_unix)
}

fn fault(path: &Path, error: io::Error) -> DiskError {
    DiskError::io(path.display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn run(seconds: u64) -> Uuid {
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0))
    }

    fn raw() -> (tempfile::TempDir, Raw) {
        let folder = tempfile::tempdir().unwrap();
        let raw = Raw::open(folder.path()).unwrap();
        (folder, raw)
    }

    #[test]
    fn documents_come_back_as_they_were_and_damage_is_found() {
        let (folder, raw) = raw();
        let id = run(DAY);
        raw.keep(id, 0, b"20.0.0.1\n").unwrap();
        raw.keep(id, 1, b"").unwrap();
        assert_eq!(raw.read(id, 0, 9).unwrap().unwrap(), "20.0.0.1\n");
        assert_eq!(raw.read(id, 1, 0).unwrap().unwrap(), "");
        assert!(raw.read(id, 2, 9).unwrap().is_none());
        assert!(raw.read(id, 0, 8).is_err(), "longer than its reader takes");
        let path = folder.path().join(FOLDER).join(format!("{}-0.zst", id.simple()));
        let mut bytes = fs::read(&path).unwrap();
        bytes[5] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(raw.read(id, 0, 9).unwrap_err().is_damage());
    }

    #[test]
    fn the_oldest_go_first_and_what_is_needed_stays() {
        let (_folder, raw) = raw();
        let runs: Vec<Uuid> = (1..=4).map(|day| run(day * DAY)).collect();
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1000).collect();
        runs.iter().for_each(|id| raw.keep(*id, 0, &noise).unwrap());
        let kept =
            || -> Vec<bool> { runs.iter().map(|id| raw.read(*id, 0, 2000).unwrap().is_some()).collect() };
        let now = Time::from_unix(5 * DAY as i64);
        let none = BTreeSet::new();
        let retain = |retention, needed: &BTreeSet<Uuid>| {
            raw.retain(raw.survey().unwrap(), retention, needed, now).unwrap()
        };
        retain(Retention { days: 3, bytes: 1 << 20 }, &none);
        assert_eq!(kept(), [false, true, true, true]);
        let left = retain(Retention { days: 3, bytes: 2500 }, &BTreeSet::from([runs[1]]));
        assert_eq!(kept(), [false, true, false, true]);
        assert!(left <= 2500, "{left}");
    }

    #[test]
    fn what_came_after_the_survey_stays_and_two_looks_at_once_do_not_disturb_each_other() {
        let (_folder, raw) = raw();
        let (old, new) = (run(DAY), run(2 * DAY));
        raw.keep(old, 0, b"old").unwrap();
        let surveys = [raw.survey().unwrap(), raw.survey().unwrap()];
        raw.keep(new, 0, b"new").unwrap();
        for survey in surveys {
            let nothing = Retention { days: 0, bytes: 0 };
            raw.retain(survey, nothing, &BTreeSet::new(), Time::from_unix(9 * DAY as i64)).unwrap();
        }
        assert!(raw.read(old, 0, 9).unwrap().is_none() && raw.read(new, 0, 9).unwrap().is_some());
    }
}
