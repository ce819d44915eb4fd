//! What lies on the disk, in general: opening a redb file, and writing a whole file so that it is
//! there completely or not at all.
//!
//! Knows nothing of what the files hold.

mod database;
mod error;
#[cfg(test)]
pub(crate) mod faulty;
mod file;
mod medium;
mod shelf;
mod stream;

pub use database::RedbFile;
pub use error::DiskError;
pub use file::{Footed, read_footed, write_footed, write_private, write_whole};
pub use medium::{Medium, OpenBackend};
pub use shelf::Shelf;
pub use stream::{Making, open_footed};

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// SHA-256 over `parts`, one after the other.
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hexadecimal digits as bytes; `None` for anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}
