//! All that the tables mean, as a stream that outlives their form: what a checkpoint of the journal holds.
//!
//! zstd over frames, each a kind, a length (4 bytes, big-endian) and bytes: first what is small, as JSON; then listings,
//! some ten thousand a frame; then counts, which later records could not give back; and an end.

use super::{META, Projection, View, activity, damaged, listings, policy};
use crate::codec::{Reader, Writer, get_rows, put_rows};
use crate::disk::{Digest, DiskError};
use crate::model::{Allow, Difference, Output, RowsBuilder, Source, SourceId, SourceRanges, Suppression};
use redb::WriteTransaction;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

const HEAD: u8 = 0;
const LISTINGS: u8 = 1;
const COUNTS: u8 = 2;
const END: u8 = 3;

/// Listings in a frame.
const CHUNK: usize = 1 << 16;
const ZSTD_LEVEL: i32 = 3;
/// How errors of the stream name it.
const NAME: &str = "a checkpoint's state";

/// Everything that is small.
#[derive(Serialize, Deserialize)]
struct Head {
    sources: Vec<Source>,
    allows: Vec<Allow>,
    suppressions: Vec<Suppression>,
    outputs: Vec<Output>,
}

impl Projection {
    /// Writes all that the tables mean. Linear; holds some ten thousand listings at a time.
    ///
    /// # Errors
    /// A fault of the disk, there or here.
    pub fn export(&self, out: &mut dyn Write) -> Result<(), DiskError> {
        let written = self.view(|view| {
            let mut frames =
                Frames { out: zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?, failed: Ok(()) };
            view.export(&mut frames)?;
            Ok(frames.finish())
        })?;
        written.map_err(|error| DiskError::io(NAME, error))
    }

    /// Replaces all tables by what [`Projection::export`] wrote at a generation, at which the journal had `digest`:
    /// durably, or not at all.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when that does not read, or a fault of the disk.
    pub fn restore(
        &self,
        state: &mut dyn Read,
        (generation, digest): (u64, Digest),
    ) -> Result<(), DiskError> {
        self.clear()?;
        self.file.write(true, |transaction| {
            import(transaction, state)?;
            transaction.open_table(META)?.insert("generation", generation)?;
            super::Update(transaction).remember(generation, &digest)
        })
    }
}

impl View<'_> {
    fn export(&self, frames: &mut Frames<'_>) -> Result<(), redb::Error> {
        let head = Head {
            sources: self.sources()?,
            allows: self.allows()?,
            suppressions: self.suppressions()?,
            outputs: self.outputs()?,
        };
        frames.put(HEAD, &serde_json::to_vec(&head).map_err(damaged)?);
        for source in &head.sources {
            self.export_listings::<u32>(source.id, frames)?;
            self.export_listings::<u128>(source.id, frames)?;
        }
        let mut counts = Writer::default();
        activity::export(self, &mut counts)?;
        frames.put(COUNTS, &counts.into_bytes());
        frames.put(END, &[]);
        Ok(())
    }

    fn export_listings<W: SourceRanges>(
        &self,
        source: SourceId,
        frames: &mut Frames<'_>,
    ) -> Result<(), redb::Error> {
        let mut rows = RowsBuilder::default();
        self.each_row::<W>(source, |range, detail| {
            rows.push_row(range, detail);
            if rows.len() == CHUNK {
                frames.put_listings(source, std::mem::take(&mut rows));
            }
            Ok(())
        })?;
        frames.put_listings(source, rows);
        Ok(())
    }
}

/// The frames so far. Where they cannot be written is no fault of the store, so the first such error is kept apart.
struct Frames<'a> {
    out: zstd::stream::write::Encoder<'static, &'a mut dyn Write>,
    failed: io::Result<()>,
}

impl Frames<'_> {
    fn put(&mut self, kind: u8, bytes: &[u8]) {
        if self.failed.is_ok() {
            self.failed = self.write(kind, bytes);
        }
    }

    fn write(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.out.write_all(&[kind])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(bytes)
    }

    fn put_listings(&mut self, source: SourceId, rows: RowsBuilder) {
        if rows.is_empty() {
            return;
        }
        let mut packed = Writer::default();
        packed.number(source.0);
        put_rows(&mut packed, &rows.finish().0);
        self.put(LISTINGS, &packed.into_bytes());
    }

    fn finish(self) -> io::Result<()> {
        self.failed?;
        self.out.finish().map(drop)
    }
}

fn import(transaction: &WriteTransaction, state: &mut dyn Read) -> Result<(), redb::Error> {
    let mut frames = zstd::stream::read::Decoder::new(state)?;
    loop {
        let (kind, bytes) = frame(&mut frames).map_err(damaged)?;
        let mut reader = Reader::new(&bytes);
        match kind {
            HEAD => import_head(transaction, &serde_json::from_slice(&bytes).map_err(damaged)?)?,
            LISTINGS => {
                let source = SourceId(reader.fitting().map_err(damaged)?);
                let added = get_rows(&mut reader).map_err(damaged)?;
                listings::apply(transaction, source, &Difference { added, ..Difference::default() })?;
            }
            COUNTS => activity::import(transaction, &mut reader)?,
            END => return Ok(()),
            _ => return Err(damaged("a checkpoint has an unknown frame")),
        }
    }
}

fn frame(frames: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut front = [0; 5];
    frames.read_exact(&mut front)?;
    let [kind, length @ ..] = front;
    let length = u32::from_be_bytes(length);
    let mut bytes = Vec::new();
    frames.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() == length as usize { Ok((kind, bytes)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn import_head(transaction: &WriteTransaction, head: &Head) -> Result<(), redb::Error> {
    head.sources.iter().try_for_each(|source| policy::put_source(transaction, source))?;
    policy::change_allows(transaction, &[], &head.allows)?;
    policy::change_suppressions(transaction, &[], &head.suppressions)?;
    policy::change_outputs(transaction, &[], &head.outputs)
}
