//! Whole files: there completely or not at all, and known to be what was written.

use super::{Digest, DiskError, digest};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes that a digest of theirs followed in the file, and did fit.
#[derive(Debug)]
pub struct Footed {
    /// What was written.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub digest: Digest,
}

/// Writes `parts`, one after the other, and their SHA-256 as the file `path`, replacing it in one
/// step.
///
/// A reader, or a machine that comes back after a power cut, sees the old file or the new one.
///
/// # Errors
/// [`DiskError::Full`] or [`DiskError::Io`]; the old file is as it was.
pub fn write_footed(path: &Path, parts: &[&[u8]]) -> Result<Digest, DiskError> {
    let sum = digest(parts);
    replace(path, 0o640, |file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.write_all(&sum)
    })?;
    Ok(sum)
}

/// Reads a file made by [`write_footed`]; `None` if there is none.
///
/// # Errors
/// [`DiskError::Damaged`] when the digest does not fit, else [`DiskError::Io`].
pub fn read_footed(path: &Path) -> Result<Option<Footed>, DiskError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes).map_err(|e| DiskError::io(name.clone(), e))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::io(name, error)),
    };
    let foot =
        bytes.len().checked_sub(32).ok_or_else(|| DiskError::damaged(name.clone(), "it is too short"))?;
    let told: Digest = bytes.split_off(foot).try_into().unwrap_or_default();
    let digest = digest(&[&bytes]);
    if told == digest {
        Ok(Some(Footed { bytes, digest }))
    } else {
        Err(DiskError::damaged(name, "its digest does not fit its bytes"))
    }
}

/// Writes the file `path`, replacing it in one step; whoever reads it must know by itself whether it is whole.
///
/// # Errors
/// [`DiskError::Full`] or [`DiskError::Io`]; the old file is as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    replace(path, 0o640, |file| file.write_all(bytes))
}

/// Writes a file that only its owner may read, replacing it in one step.
///
/// # Errors
/// [`DiskError::Full`] or [`DiskError::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    replace(path, 0o600, |file| file.write_all(bytes))
}

fn replace(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), DiskError> {
    let part = path.with_extension("part");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        // The name is durable only with its folder.
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| {
        // The half-written part is of no use to anyone; failing to remove it changes nothing.
        let _ = fs::remove_file(&part);
        DiskError::io(path.display().to_string(), error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_as_written_and_a_flipped_bit_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(read_footed(&path).unwrap().is_none());
        write_footed(&path, &[b"fir", b"st"]).unwrap();
        write_footed(&path, &[b"second"]).unwrap();
        assert_eq!(read_footed(&path).unwrap().unwrap().bytes, b"second");
        let mut raw = fs::read(&path).unwrap();
        raw[2] ^= 1;
        fs::write(&path, raw).unwrap();
        assert!(read_footed(&path).unwrap_err().is_damage());
    }
}
