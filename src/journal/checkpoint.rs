//! Checkpoints: what all records up to one came to, so that older ones may go.
//!
//! `00000042.checkpoint` stands for generations 1 to 42: a line that names the form, the generation (8 bytes,
//! big-endian), the record's time (8), the chain's digest there, then a state that is not understood here, and the
//! SHA-256 of it all.

use crate::disk::{Digest, DiskError, Making, open_footed, write_whole};
use crate::model::Time;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"ironlist checkpoint 1\n";
const EXTENSION: &str = "checkpoint";

/// A checkpoint on the disk.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) path: PathBuf,
    /// The last generation that it stands for.
    pub(super) generation: u64,
}

/// A checkpoint that is whole, for reading.
pub struct Standing {
    /// The last generation that it stands for.
    pub generation: u64,
    /// That record's time.
    pub time: Time,
    /// The chain's digest there.
    pub digest: Digest,
    /// The state at that generation.
    pub state: Box<dyn Read>,
}

/// The checkpoints of the folder, in order.
pub(super) fn list(folder: &Path) -> Result<Vec<Checkpoint>, DiskError> {
    let failed = |error| DiskError::io(folder.display().to_string(), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let generation = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(generation) = generation.filter(|_| path.extension().is_some_and(|end| end == EXTENSION))
        {
            found.push(Checkpoint { path, generation });
        }
    }
    found.sort_by_key(|checkpoint| checkpoint.generation);
    Ok(found)
}

/// Takes in a checkpoint of another journal, byte for byte.
pub(super) fn take(folder: &Path, bytes: &[u8]) -> Result<Standing, DiskError> {
    let number = bytes.get(MAGIC.len()..).and_then(|rest| rest.first_chunk());
    let generation =
        u64::from_be_bytes(*number.ok_or_else(|| DiskError::damaged("a checkpoint", "it is too short"))?);
    let path = folder.join(format!("{generation:08}.{EXTENSION}"));
    write_whole(&path, bytes)?;
    let checkpoint = Checkpoint { path, generation };
    checkpoint.open().or_else(|error| checkpoint.remove().and(Err(error)))
}

/// Writes a checkpoint, whose state `write` knows, and reads it once again.
pub(super) fn write(
    folder: &Path,
    (generation, digest): (u64, Digest),
    time: Time,
    write: impl FnOnce(&mut dyn Write) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let path = folder.join(format!("{generation:08}.{EXTENSION}"));
    let mut file = Making::begin(&path)?;
    let front = [MAGIC, &generation.to_be_bytes(), &time.unix().to_be_bytes(), &digest].concat();
    file.write_all(&front).map_err(|error| DiskError::io(path.display().to_string(), error))?;
    write(&mut file)?;
    file.finish()?;
    Checkpoint { path, generation }.open().map(drop)
}

impl Checkpoint {
    pub(super) fn open(&self) -> Result<Standing, DiskError> {
        let mut file = open_footed(&self.path)?;
        let damaged = |why: &str| DiskError::damaged(self.path.display().to_string(), why);
        let mut front = [0; MAGIC.len() + 48];
        file.read_exact(&mut front).map_err(|_| damaged("it is too short"))?;
        let (magic, rest) = front.split_at(MAGIC.len());
        let (numbers, digest) = rest.split_at(16);
        let number = |at: usize| numbers[at..at + 8].try_into().map_or(0, u64::from_be_bytes);
        if magic != MAGIC || number(0) != self.generation {
            return Err(damaged("it is no checkpoint of this form and name"));
        }
        Ok(Standing {
            generation: self.generation,
            time: Time::from_unix(number(8).cast_signed()),
            digest: digest.try_into().unwrap_or_default(),
            state: Box::new(file),
        })
    }

    pub(super) fn remove(&self) -> Result<(), DiskError> {
        fs::remove_file(&self.path).map_err(|error| DiskError::io(self.path.display().to_string(), error))
    }
}
