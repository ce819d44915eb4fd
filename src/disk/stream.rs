//! Whole files that are too large to be in memory at once: written and read as streams, with their SHA-256 behind them
//! as every footed file has.

use super::{Digest, DiskError};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek as _, Take, Write};
use std::path::{Path, PathBuf};

/// A file in the making; it gets its name when it is whole, and is forgotten when it never is.
#[derive(Debug)]
pub struct Making {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
}

impl Making {
    /// Begins the file `path`.
    ///
    /// # Errors
    /// [`DiskError::Full`] or [`DiskError::Io`].
    pub fn begin(path: &Path) -> Result<Self, DiskError> {
        let part = path.with_extension("part");
        let file = File::create(&part).map_err(|error| DiskError::io(part.display().to_string(), error))?;
        Ok(Self { path: path.to_owned(), part, file: BufWriter::new(file), hash: Sha256::new() })
    }

    /// Makes the file durable under its own name.
    ///
    /// # Errors
    /// As [`Making::begin`]; there is no such file then, or the one that was there before.
    pub fn finish(mut self) -> Result<(), DiskError> {
        let sum: Digest = self.hash.clone().finalize().into();
        let mut finish = || {
            self.file.write_all(&sum)?;
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            fs::rename(&self.part, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        finish().map_err(|error| DiskError::io(self.path.display().to_string(), error))
    }
}

impl Write for Making {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // After the renaming there is none; what is left otherwise is of no use to anyone.
        let _ = fs::remove_file(&self.part);
    }
}

/// Opens a footed file whose bytes were read once and do fit its digest. It costs a second reading, so that nothing is
/// begun with bytes that turn out wrong in the end.
///
/// # Errors
/// [`DiskError::Damaged`] when they do not, else [`DiskError::Io`].
pub fn open_footed(path: &Path) -> Result<Take<BufReader<File>>, DiskError> {
    let name = || path.display().to_string();
    let open = || {
        let mut file = BufReader::new(File::open(path)?);
        let Some(length) = file.get_ref().metadata()?.len().checked_sub(32) else { return Ok(None) };
        let sum = digest_of(&mut (&mut file).take(length))?;
        let mut told = Digest::default();
        file.read_exact(&mut told)?;
        file.rewind()?;
        Ok((sum == told).then(|| file.take(length)))
    };
    let opened: io::Result<_> = open();
    let opened = opened.map_err(|error| DiskError::io(name(), error))?;
    opened.ok_or_else(|| DiskError::damaged(name(), "its digest does not fit its bytes"))
}

fn digest_of(reader: &mut impl BufRead) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::read_footed;

    #[test]
    fn a_stream_comes_back_as_written_and_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.state");
        let mut making = Making::begin(&path).unwrap();
        making.write_all(b"first").unwrap();
        drop(making);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut making = Making::begin(&path).unwrap();
        (0..100_000_u32).for_each(|n| making.write_all(&n.to_be_bytes()).unwrap());
        assert!(!path.exists());
        making.finish().unwrap();
        let mut bytes = Vec::new();
        open_footed(&path).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes.len() == 400_000 && read_footed(&path).unwrap().unwrap().bytes == bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_flipped_bit_and_a_missing_end_are_found_before_anything_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.state");
        let mut making = Making::begin(&path).unwrap();
        making.write_all(b"truth").unwrap();
        making.finish().unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(open_footed(&path).unwrap_err().is_damage(), "{at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(open_footed(&path).unwrap_err().is_damage(), "cut at {at}");
        }
    }
}
