//! A document of a feed as its bytes go out: plain and compressed, and what tells one from another. The bytes are
//! shared and never copied.

use super::formats::Counts;
use crate::disk::{digest, hex};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The third of nine levels: a million lines in a quarter of the time of the usual sixth, and 5 % longer.
const GZIP_LEVEL: u32 = 3;
/// The same for zstd, which takes a third of gzip's time.
const ZSTD_LEVEL: i32 = 3;

/// How bytes are compressed on their way (RFC 9110, 8.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Every coding, the shortest bytes first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Identity];

    /// What marks the tag of a representation in this coding. The number is that of the way it is made: equal tags
    /// must mean equal bytes, and another level makes others.
    const fn mark(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-g1",
            Self::Zstd => "-z1",
        }
    }
}

/// A document of a feed.
#[derive(Debug)]
pub struct Rendition {
    /// What is in it.
    pub counts: Counts,
    text: Bytes,
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
    digest: String,
    asked: AtomicBool,
}

impl Rendition {
    /// Makes a document ready to go out, but for its compression; about 1 ns a byte.
    pub fn new(mut text: Vec<u8>, counts: Counts) -> Self {
        text.shrink_to_fit();
        let digest = hex(&digest(&[&text])[..16]);
        Self {
            counts,
            text: text.into(),
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
            digest,
            asked: AtomicBool::new(false),
        }
    }

    /// Notes that somebody asked for it, so that it is made again for the next release before anybody asks.
    #[inline]
    pub fn ask(&self) {
        // Read before it is written: who polls all day must not move the line between processors.
        if !self.is_asked() {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The bytes as they are.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The bytes in a coding, as soon as [`Rendition::compress`] has made them.
    pub fn bytes(&self, coding: Coding) -> Option<&Bytes> {
        match coding {
            Coding::Identity => Some(&self.text),
            Coding::Gzip => self.gzip.get(),
            Coding::Zstd => self.zstd.get(),
        }
    }

    /// A strong validator in quotes, as an entity tag is written: half the SHA-256 of the plain bytes, and the coding,
    /// so that equal bytes have equal tags, after a restart and on another node too.
    pub fn etag(&self, coding: Coding) -> String {
        format!("\"{}{}\"", self.digest, coding.mark())
    }

    /// Makes the compressed bytes, once; about 12 ns a byte. What cannot be compressed goes out as it is.
    pub fn compress(&self) {
        if self.zstd.get().is_none()
            && let Ok(bytes) = zstd::bulk::compress(&self.text, ZSTD_LEVEL)
        {
            self.zstd.get_or_init(|| bytes.into());
        }
        if self.gzip.get().is_none()
            && let Ok(bytes) = gzip(&self.text)
        {
            self.gzip.get_or_init(|| bytes.into());
        }
    }
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 3), Compression::new(GZIP_LEVEL));
    encoder.write_all(text)?;
    let mut bytes = encoder.finish()?;
    bytes.shrink_to_fit();
    Ok(bytes)
}
