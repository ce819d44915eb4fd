//! Blocks: some hundred neighbouring listings of one source, family and level under one key.
//!
//! One row a listing in redb costs three times the space and fifteen times the time to load. A
//! block's key says where it begins; it ends where the next one begins.

use crate::addr::{Range, Word};
use crate::codec::{Group, Reader, Writer, put_group};
use crate::model::{Detail, Row, SourceId, Time};

/// A block of more rows is split. 512 plain rows take 1 to 2 KB.
pub(super) const MAX_ROWS: usize = 512;

/// source (2), family (1), level (1), first address (16), all big-endian.
pub(super) type Key = [u8; 20];

/// Which family a width belongs to, as it stands in keys.
pub(super) const fn family<W: Word>() -> u8 {
    if W::BITS == 32 { 4 } else { 6 }
}

/// The key of a block that begins at `first`.
pub(super) fn key<W: Word>(source: SourceId, level: u8, first: W) -> Key {
    let mut key = [0; 20];
    key[..2].copy_from_slice(&source.0.to_be_bytes());
    key[2] = family::<W>();
    key[3] = level;
    key[4..].copy_from_slice(&first.widen().to_be_bytes());
    key
}

/// The first address from a key.
pub(super) fn first<W: Word>(key: &[u8]) -> W {
    let wide = key.get(4..20).and_then(|b| b.try_into().ok()).map_or(0, u128::from_be_bytes);
    W::narrow(wide)
}

/// An unpacked block.
#[derive(Debug, Default)]
pub(super) struct Block<W> {
    group: Group<W>,
}

impl<W: Word> Block<W> {
    /// Unpacks a stored block; its key names the level.
    pub(super) fn unpack(key: &[u8], bytes: &[u8]) -> Result<Self, redb::Error> {
        let group = Group::get(&mut Reader::new(bytes), key[3]).map_err(super::damaged)?;
        Ok(Self { group })
    }

    /// The rows, in order.
    pub(super) fn rows(&self) -> &[Row<W>] {
        &self.group.rows
    }

    /// The detail of one of its rows.
    pub(super) fn detail(&self, row: &Row<W>) -> &Detail {
        &self.group.details[row.detail as usize]
    }

    /// What it says of exactly `range`.
    pub(super) fn find(&self, range: Range<W>) -> Option<&Detail> {
        let at = self.rows().binary_search_by_key(&range, |row| row.range).ok()?;
        Some(self.detail(&self.rows()[at]))
    }

    /// The first moment at which one of its listings expires.
    pub(super) fn due(&self) -> Option<Time> {
        self.group.details.iter().filter_map(|detail| detail.expires).min()
    }
}

/// Packs rows with their details; rows must be of one group and in order.
pub(super) fn pack<W: Word>(level: u8, rows: &[(Range<W>, &Detail)]) -> Vec<u8> {
    let mut details: Vec<Detail> = Vec::new();
    let mut last: Option<(&Detail, u32)> = None;
    let packed: Vec<Row<W>> = rows
        .iter()
        .map(|&(range, detail)| {
            let number = match last {
                Some((known, number)) if std::ptr::eq(known, detail) => number,
                _ => number_of(&mut details, detail),
            };
            last = Some((detail, number));
            Row { range, detail: number }
        })
        .collect();
    let mut writer = Writer::default();
    put_group(&mut writer, level, &details, &packed);
    writer.into_bytes()
}

fn number_of(details: &mut Vec<Detail>, detail: &Detail) -> u32 {
    // At most MAX_ROWS long, and mostly one or two.
    let known = details.iter().position(|d| d == detail);
    let number = known.unwrap_or(details.len());
    if known.is_none() {
        details.push(detail.clone());
    }
    number as u32
}
