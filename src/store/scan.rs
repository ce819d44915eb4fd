//! Reading listings: one, those around an address, those of a source, those that are due.

use super::View;
use super::block::{self, Block};
use super::listings::{DUE, LISTINGS};
use crate::addr::{IpRange, Range, Word};
use crate::model::{Detail, SourceId, SourceRanges, Time};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use std::net::IpAddr;

/// (dimension, key) to how many listings stand.
pub(super) const STANDING: TableDefinition<(u8, &str), u64> = TableDefinition::new("standing");

/// A listing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose.
    pub source: SourceId,
    /// Of what.
    pub range: IpRange,
    /// What it says.
    pub detail: Detail,
}

/// The tables of listings in either kind of transaction: a batch must see what the batches before
/// it in the same transaction did.
pub trait Tables {
    /// The table of blocks.
    type Listings<'a>: ReadableTable<&'static [u8], &'static [u8]>
    where
        Self: 'a;
    /// The table of blocks by first expiry.
    type Due<'a>: ReadableTable<(i64, &'static [u8]), ()>
    where
        Self: 'a;
    /// The table of what stands.
    type Standing<'a>: ReadableTable<(u8, &'static str), u64>
    where
        Self: 'a;
    /// Opens the blocks.
    ///
    /// # Errors
    /// A fault of the disk.
    fn listings(&self) -> Result<Self::Listings<'_>, redb::Error>;
    /// Opens the expiries.
    ///
    /// # Errors
    /// A fault of the disk.
    fn due(&self) -> Result<Self::Due<'_>, redb::Error>;
    /// Opens the counts of what stands.
    ///
    /// # Errors
    /// A fault of the disk.
    fn standing(&self) -> Result<Self::Standing<'_>, redb::Error>;
}

impl Tables for ReadTransaction {
    type Listings<'a> = ReadOnlyTable<&'static [u8], &'static [u8]>;
    type Due<'a> = ReadOnlyTable<(i64, &'static [u8]), ()>;
    type Standing<'a> = ReadOnlyTable<(u8, &'static str), u64>;
    fn listings(&self) -> Result<Self::Listings<'_>, redb::Error> {
        Ok(self.open_table(LISTINGS)?)
    }
    fn due(&self) -> Result<Self::Due<'_>, redb::Error> {
        Ok(self.open_table(DUE)?)
    }
    fn standing(&self) -> Result<Self::Standing<'_>, redb::Error> {
        Ok(self.open_table(STANDING)?)
    }
}

impl Tables for WriteTransaction {
    type Listings<'a> = Table<'a, &'static [u8], &'static [u8]>;
    type Due<'a> = Table<'a, (i64, &'static [u8]), ()>;
    type Standing<'a> = Table<'a, (u8, &'static str), u64>;
    fn listings(&self) -> Result<Self::Listings<'_>, redb::Error> {
        Ok(self.open_table(LISTINGS)?)
    }
    fn due(&self) -> Result<Self::Due<'_>, redb::Error> {
        Ok(self.open_table(DUE)?)
    }
    fn standing(&self) -> Result<Self::Standing<'_>, redb::Error> {
        Ok(self.open_table(STANDING)?)
    }
}

impl<T: Tables> View<'_, T> {
    /// The listings of `source` that cover `address`: one seek for each level the source uses.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn covering(&self, source: SourceId, address: IpAddr) -> Result<Vec<Found>, redb::Error> {
        match address {
            IpAddr::V4(a) => self.covering_in(source, a.to_bits()),
            IpAddr::V6(a) => self.covering_in(source, a.to_bits()),
        }
    }

    fn covering_in<W: Word>(&self, source: SourceId, address: W) -> Result<Vec<Found>, redb::Error> {
        let table = self.0.listings()?;
        let mut found = Vec::new();
        for level in levels::<W>(&table, source)? {
            // Only ranges of this level inside the address's prefix of this length can cover it.
            let low = address.first_of(level);
            let low_key = block::key(source, level, W::MIN);
            let high_key = block::key(source, level, address);
            for item in table.range::<&[u8]>(&low_key[..]..=&high_key[..])?.rev() {
                let (key, bytes) = item?;
                let block = Block::<W>::unpack(key.value(), bytes.value())?;
                let covers = block.rows().iter().filter(|row| row.range.contains(address));
                found.extend(covers.map(|row| Found {
                    source,
                    range: row.range.into(),
                    detail: block.detail(row).clone(),
                }));
                if block::first::<W>(key.value()) < low {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Calls `each` for every listing of `source` in the order of rows, IPv4 first.
    ///
    /// # Errors
    /// A fault of the disk, or what `each` fails with.
    pub fn each_listing(
        &self,
        source: SourceId,
        mut each: impl FnMut(IpRange, &Detail) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        self.each_row::<u32>(source, |range, detail| each(range.into(), detail))?;
        self.each_row::<u128>(source, |range, detail| each(range.into(), detail))
    }

    /// The same for one family.
    ///
    /// # Errors
    /// A fault of the disk, or what `each` fails with.
    pub fn each_row<W: Word>(
        &self,
        source: SourceId,
        mut each: impl FnMut(Range<W>, &Detail) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let table = self.0.listings()?;
        let (low, high) = (block::key(source, 0, W::MIN), block::key(source, W::BITS, W::MAX));
        for item in table.range::<&[u8]>(&low[..]..=&high[..])? {
            let (key, bytes) = item?;
            let block = Block::<W>::unpack(key.value(), bytes.value())?;
            for row in block.rows() {
                each(row.range, block.detail(row))?;
            }
        }
        Ok(())
    }

    /// The ranges that `source` lists inside `range`.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn within<W: Word>(&self, source: SourceId, range: Range<W>) -> Result<Vec<Range<W>>, redb::Error> {
        let table = self.0.listings()?;
        let mut found = Vec::new();
        for level in levels::<W>(&table, source)?.into_iter().filter(|level| *level >= range.level()) {
            let low_key = block::key(source, level, W::MIN);
            let high_key = block::key(source, level, range.last());
            for item in table.range::<&[u8]>(&low_key[..]..=&high_key[..])?.rev() {
                let (key, bytes) = item?;
                let block = Block::<W>::unpack(key.value(), bytes.value())?;
                found.extend(block.rows().iter().map(|row| row.range).filter(|inner| range.covers(*inner)));
                if block::first::<W>(key.value()) < range.first() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Finds listings of `source` one by one; quick when they are asked for in the order of rows.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn lookup<W: SourceRanges>(
        &self,
        source: SourceId,
    ) -> Result<Lookup<T::Listings<'_>, W>, redb::Error> {
        Ok(Lookup { table: self.0.listings()?, source, current: None })
    }

    /// Listings that say themselves that their time has come at `now`.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn due(&self, now: Time) -> Result<Vec<Found>, redb::Error> {
        let mut found = Vec::new();
        self.each_due(now, |source, range, detail| {
            found.push(Found { source, range, detail: detail.clone() });
        })?;
        Ok(found)
    }

    /// How many they are.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn count_due(&self, now: Time) -> Result<u64, redb::Error> {
        let mut count = 0;
        self.each_due(now, |_, _, _| count += 1)?;
        Ok(count)
    }

    fn each_due(
        &self,
        now: Time,
        mut each: impl FnMut(SourceId, IpRange, &Detail),
    ) -> Result<(), redb::Error> {
        let table = self.0.listings()?;
        for item in self.0.due()?.range(..=(now.unix(), &[0xff; 20][..]))? {
            let (key, _) = item?;
            let key = key.value().1;
            let Some(bytes) = table.get(key)? else {
                return Err(super::damaged("a block that is due is missing"));
            };
            if key[2] == block::family::<u32>() {
                each_expired::<u32>(key, bytes.value(), now, &mut each)?;
            } else {
                each_expired::<u128>(key, bytes.value(), now, &mut each)?;
            }
        }
        Ok(())
    }

    /// The first moment at which a listing ends by an expiry of its own, if any does.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn next_due(&self) -> Result<Option<Time>, redb::Error> {
        let table = self.0.due()?;
        Ok(table.first()?.map(|(key, _)| Time::from_unix(key.value().0)))
    }
}

fn each_expired<W: Word>(
    key: &[u8],
    bytes: &[u8],
    now: Time,
    each: &mut impl FnMut(SourceId, IpRange, &Detail),
) -> Result<(), redb::Error> {
    let source = SourceId(u16::from_be_bytes([key[0], key[1]]));
    let block = Block::<W>::unpack(key, bytes)?;
    let over = |detail: &Detail| detail.expires.is_some_and(|at| at <= now);
    let rows = block.rows().iter().filter(|row| over(block.detail(row)));
    rows.for_each(|row| each(source, row.range.into(), block.detail(row)));
    Ok(())
}

/// The levels at which a source has listings, ascending: one seek each.
pub(super) fn levels<W: Word>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    source: SourceId,
) -> Result<Vec<u8>, redb::Error> {
    let end = block::key(source, W::BITS, W::MAX);
    let mut levels = Vec::new();
    let mut from = block::key(source, 0, W::MIN);
    while let Some((key, _)) = table.range::<&[u8]>(&from[..]..=&end[..])?.next().transpose()? {
        let level = key.value()[3];
        levels.push(level);
        if level == W::BITS {
            break;
        }
        from = block::key(source, level + 1, W::MIN);
    }
    Ok(levels)
}

/// Finds single listings, keeping the block at hand.
#[derive(Debug)]
pub struct Lookup<T, W> {
    table: T,
    source: SourceId,
    current: Option<Span<W>>,
}

/// A block, or the want of one, and the stretch of a level that it answers for.
#[derive(Debug)]
struct Span<W> {
    level: u8,
    from: W,
    /// Where the next block begins.
    end: Option<W>,
    block: Option<Block<W>>,
}

impl<T: ReadableTable<&'static [u8], &'static [u8]>, W: SourceRanges> Lookup<T, W> {
    /// What the source says of exactly `range`.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn find(&mut self, range: Range<W>) -> Result<Option<&Detail>, redb::Error> {
        let level = range.level();
        let holds = |span: &Span<W>| {
            span.level == level
                && span.from <= range.first()
                && span.end.is_none_or(|end| range.first() < end)
        };
        if !self.current.as_ref().is_some_and(holds) {
            self.current = Some(self.span(level, range.first())?);
        }
        Ok(self.current.as_ref().and_then(|span| span.block.as_ref()?.find(range)))
    }

    fn span(&self, level: u8, first: W) -> Result<Span<W>, redb::Error> {
        let (low, high) = (block::key(self.source, level, W::MIN), block::key(self.source, level, W::MAX));
        let key = block::key(self.source, level, first);
        let before = self.table.range::<&[u8]>(&low[..]..=&key[..])?.next_back().transpose()?;
        let excluded = (std::ops::Bound::Excluded(&key[..]), std::ops::Bound::Included(&high[..]));
        let after = self.table.range::<&[u8]>(excluded)?.next().transpose()?;
        let end = after.map(|(key, _)| block::first(key.value()));
        Ok(match before {
            None => Span { level, from: W::MIN, end, block: None },
            Some((key, bytes)) => {
                let block = Some(Block::unpack(key.value(), bytes.value())?);
                Span { level, from: block::first(key.value()), end, block }
            }
        })
    }
}
