//! A document in the making: text gathers in memory and goes out a block at a time. It knows no format.

use std::io;

/// Large enough that a write costs nothing beside the lines in it, small enough for the second cache.
const BLOCK: usize = 64 << 10;

/// The end of a document, where the next entry goes.
pub(super) struct Page<'a> {
    text: Vec<u8>,
    entries: u64,
    out: &'a mut dyn io::Write,
}

impl<'a> Page<'a> {
    /// An empty document that goes to `out`.
    pub(super) fn new(out: &'a mut dyn io::Write) -> Self {
        Self { text: Vec::with_capacity(BLOCK + (BLOCK >> 3)), entries: 0, out }
    }

    /// Appends what is no entry.
    pub(super) fn put(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        self.write(|out| out.extend_from_slice(text.as_ref()))
    }

    /// Appends an entry.
    #[inline]
    pub(super) fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.entries += 1;
        self.write(write)
    }

    /// Entries so far.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    #[inline]
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        write(&mut self.text);
        if self.text.len() >= BLOCK {
            self.out.write_all(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }

    /// Hands the rest on, and says how many entries there were.
    pub(super) fn finish(self) -> io::Result<u64> {
        self.out.write_all(&self.text)?;
        Ok(self.entries)
    }
}
