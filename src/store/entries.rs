//! Entries: every listed range once, in the order of addresses, with all its listings.
//!
//! The table is ordered by source and level; entries come from a merge of all those groups, a
//! block of each in memory at a time.

use super::View;
use super::block::{self, Block, Key};
use super::listings::LISTINGS;
use super::scan::levels;
use crate::addr::{IpRange, Range, Word};
use crate::model::{Detail, SourceId};
use redb::ReadOnlyTable;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;

/// A listed range with what every source says of it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is listed.
    pub range: IpRange,
    /// By whom, and how.
    pub listings: Vec<(SourceId, Detail)>,
}

impl View<'_> {
    /// Calls `each` with the entries after `after`, in the order of addresses, IPv4 first, until
    /// it says false.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn each_entry(
        &self,
        after: Option<IpRange>,
        mut each: impl FnMut(Entry) -> bool,
    ) -> Result<(), redb::Error> {
        let (v4, v6) = match after {
            None => (Some(None), None),
            Some(IpRange::V4(range)) => (Some(Some(range)), None),
            Some(IpRange::V6(range)) => (None, Some(range)),
        };
        if let Some(after) = v4
            && !self.merge::<u32>(after, &mut each)?
        {
            return Ok(());
        }
        self.merge::<u128>(v6, &mut each).map(drop)
    }

    /// One family's entries; says whether `each` wants more.
    fn merge<W: Word>(
        &self,
        after: Option<Range<W>>,
        each: &mut impl FnMut(Entry) -> bool,
    ) -> Result<bool, redb::Error> {
        let mut heads = BinaryHeap::new();
        let mut groups = self.groups::<W>(after)?;
        for (number, group) in groups.iter_mut().enumerate() {
            heads.extend(group.next_range(after)?.map(|range| Reverse((range, number))));
        }
        while let Some(Reverse((range, _))) = heads.peek().copied() {
            let mut entry = Entry { range: range.into(), listings: Vec::new() };
            while let Some(Reverse((_, number))) = heads.peek().copied().filter(|Reverse((r, _))| *r == range)
            {
                heads.pop();
                entry.listings.push(groups[number].take());
                heads.extend(groups[number].next_range(None)?.map(|next| Reverse((next, number))));
            }
            entry.listings.sort_by_key(|(source, _)| *source);
            if !each(entry) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn groups<W: Word>(&self, after: Option<Range<W>>) -> Result<Vec<Group<W>>, redb::Error> {
        let mut groups = Vec::new();
        for source in self.sources()? {
            let table = self.0.open_table(LISTINGS)?;
            for level in levels::<W>(&table, source.id)? {
                groups.push(Group::begin(self.0.open_table(LISTINGS)?, source.id, level, after)?);
            }
        }
        Ok(groups)
    }
}

/// The listings of one source and level, from a certain one on.
struct Group<W> {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    source: SourceId,
    /// The key of the block at hand, and of the last one the group may have.
    at: Key,
    end: Key,
    block: Block<W>,
    row: usize,
}

impl<W: Word> Group<W> {
    fn begin(
        table: ReadOnlyTable<&'static [u8], &'static [u8]>,
        source: SourceId,
        level: u8,
        after: Option<Range<W>>,
    ) -> Result<Self, redb::Error> {
        let low = block::key(source, level, W::MIN);
        let from = block::key(source, level, after.map_or(W::MIN, Range::first));
        let end = block::key(source, level, W::MAX);
        // The block before may hold ranges after the one asked for.
        let before = table.range::<&[u8]>(&low[..]..=&from[..])?.next_back().transpose()?;
        let (at, block) = match before {
            Some((key, bytes)) => {
                (Key::try_from(key.value()).unwrap_or(low), Block::unpack(key.value(), bytes.value())?)
            }
            None => (low, Block::default()),
        };
        Ok(Self { table, source, at, end, block, row: 0 })
    }

    /// The range at hand, after passing over those up to `after`.
    fn next_range(&mut self, after: Option<Range<W>>) -> Result<Option<Range<W>>, redb::Error> {
        loop {
            let rows = &self.block.rows()[self.row..];
            let passed = after.map_or(0, |after| rows.partition_point(|row| row.range <= after));
            self.row += passed;
            if let Some(row) = rows.get(passed) {
                return Ok(Some(row.range));
            }
            if !self.load()? {
                return Ok(None);
            }
        }
    }

    /// The listing at hand; goes on to the next.
    fn take(&mut self) -> (SourceId, Detail) {
        let detail = self.block.detail(&self.block.rows()[self.row]).clone();
        self.row += 1;
        (self.source, detail)
    }

    fn load(&mut self) -> Result<bool, redb::Error> {
        let rest = (Bound::Excluded(&self.at[..]), Bound::Included(&self.end[..]));
        let Some((key, bytes)) = self.table.range::<&[u8]>(rest)?.next().transpose()? else {
            return Ok(false);
        };
        self.block = Block::unpack(key.value(), bytes.value())?;
        self.row = 0;
        self.at = Key::try_from(key.value()).map_err(super::damaged)?;
        Ok(true)
    }
}
