//! The listings' table: writing differences into blocks.

use super::View;
use super::block::{self, Block, Key, MAX_ROWS};
use crate::addr::{Range, Word};
use crate::model::{Detail, Difference, SourceId, SourceRanges};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

pub(super) const LISTINGS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("listings");
/// One row a block that holds listings which expire: the first such moment, and the block's key.
pub(super) const DUE: TableDefinition<(i64, &[u8]), ()> = TableDefinition::new("due");

pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(LISTINGS)?;
    transaction.open_table(DUE)?;
    Ok(())
}

pub(super) fn clear(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(LISTINGS)?.retain(|_, _| false)?;
    transaction.open_table(DUE)?.retain(|_, _| false)?;
    Ok(())
}

/// Takes away and puts in place what a source's difference says.
pub(super) fn apply(
    transaction: &WriteTransaction,
    source: SourceId,
    difference: &Difference,
) -> Result<(), redb::Error> {
    let mut tables =
        Tables { listings: transaction.open_table(LISTINGS)?, due: transaction.open_table(DUE)?, source };
    tables.apply::<u32>(difference)?;
    tables.apply::<u128>(difference)
}

/// What becomes of one range: a statement, or nothing.
type Edit<'a, W> = (Range<W>, Option<&'a Detail>);

/// Both sides of a difference as one sorted list of edits.
fn edits<W: SourceRanges>(difference: &Difference) -> Vec<Edit<'_, W>> {
    let (mut gone, mut new) =
        (difference.removed.family::<W>().iter().peekable(), difference.added.family::<W>());
    let mut merged = Vec::with_capacity(gone.len() + new.len());
    while let Some((row, rest)) = new.split_first() {
        while let Some(old) = gone.next_if(|old| old.key() < row.key()) {
            merged.push((old.range, None));
        }
        gone.next_if(|old| old.range == row.range);
        merged.push((row.range, Some(difference.added.detail(row.detail))));
        new = rest;
    }
    merged.extend(gone.map(|old| (old.range, None)));
    merged
}

struct Tables<'t> {
    listings: Table<'t, &'static [u8], &'static [u8]>,
    due: Table<'t, (i64, &'static [u8]), ()>,
    source: SourceId,
}

impl Tables<'_> {
    fn apply<W: SourceRanges>(&mut self, difference: &Difference) -> Result<(), redb::Error> {
        let edits = edits::<W>(difference);
        for group in edits.chunk_by(|a, b| a.0.level() == b.0.level()) {
            self.apply_group(group[0].0.level(), group)?;
        }
        Ok(())
    }

    /// Rewrites the blocks that the edits of one level fall into, one after the other.
    fn apply_group<W: Word>(&mut self, level: u8, mut edits: &[Edit<W>]) -> Result<(), redb::Error> {
        while let Some((range, _)) = edits.first() {
            let (block, end) = self.block_for(level, range.first())?;
            let here = end.map_or(edits.len(), |end| edits.partition_point(|(range, _)| range.first() < end));
            let (mine, later) = edits.split_at(here);
            self.rewrite(level, block, mine)?;
            edits = later;
        }
        Ok(())
    }

    /// The block in which `first` belongs, and where the block after it begins.
    #[allow(clippy::type_complexity, reason = "said once")]
    fn block_for<W: Word>(
        &self,
        level: u8,
        first: W,
    ) -> Result<(Option<(Key, Block<W>)>, Option<W>), redb::Error> {
        let key = block::key(self.source, level, first);
        let (low, high) = (block::key(self.source, level, W::MIN), block::key(self.source, level, W::MAX));
        let mut after = self.listings.range::<&[u8]>(&key[..]..=&high[..])?;
        let mut next = after.next().transpose()?;
        let mut found = match &next {
            Some((at, _)) if at.value() == key => None,
            _ => self.listings.range::<&[u8]>(&low[..]..&key[..])?.next_back().transpose()?,
        };
        if found.is_none() {
            // The key is a block's own, or lies before the first block, which then takes it in.
            found = next;
            next = after.next().transpose()?;
        }
        let end = next.map(|(at, _)| block::first(at.value()));
        let block = found.map(|(at, bytes)| unpack(at.value(), bytes.value())).transpose()?;
        Ok((block, end))
    }

    fn rewrite<W: Word>(
        &mut self,
        level: u8,
        old: Option<(Key, Block<W>)>,
        edits: &[Edit<W>],
    ) -> Result<(), redb::Error> {
        if let Some((key, block)) = &old {
            self.listings.remove(&key[..])?;
            if let Some(due) = block.due() {
                self.due.remove((due.unix(), &key[..]))?;
            }
        }
        let rows = merge(old.as_ref().map(|(_, block)| block), edits);
        for piece in pieces(&rows) {
            let key = block::key(self.source, level, piece[0].0.first());
            self.listings.insert(&key[..], block::pack(level, piece).as_slice())?;
            if let Some(due) = piece.iter().filter_map(|(_, detail)| detail.expires).min() {
                self.due.insert((due.unix(), &key[..]), ())?;
            }
        }
        Ok(())
    }
}

fn unpack<W: Word>(key: &[u8], bytes: &[u8]) -> Result<(Key, Block<W>), redb::Error> {
    let fixed = Key::try_from(key).map_err(super::damaged)?;
    Ok((fixed, Block::unpack(key, bytes)?))
}

/// The rows of a block after its edits.
fn merge<'a, W: Word>(old: Option<&'a Block<W>>, edits: &[Edit<'a, W>]) -> Vec<(Range<W>, &'a Detail)> {
    let mut rows = Vec::with_capacity(edits.len() + old.map_or(0, |block| block.rows().len()));
    let mut edits = edits.iter().peekable();
    for (block, row) in old.into_iter().flat_map(|block| block.rows().iter().map(move |row| (block, row))) {
        while let Some((range, detail)) = edits.next_if(|(range, _)| *range < row.range) {
            rows.extend(detail.map(|detail| (*range, detail)));
        }
        match edits.next_if(|(range, _)| *range == row.range) {
            Some((range, detail)) => rows.extend(detail.map(|detail| (*range, detail))),
            None => rows.push((row.range, block.detail(row))),
        }
    }
    rows.extend(edits.filter_map(|(range, detail)| detail.map(|detail| (*range, detail))));
    rows
}

/// Cuts rows into equal pieces of at most about [`MAX_ROWS`]. Rows with the same first address
/// stay together, because the first address is the block's key.
fn pieces<'r, 'a, W: Word>(
    mut rows: &'r [(Range<W>, &'a Detail)],
) -> impl Iterator<Item = &'r [(Range<W>, &'a Detail)]> {
    let size = rows.len().div_ceil(rows.len().div_ceil(MAX_ROWS).max(1)).max(1);
    std::iter::from_fn(move || {
        let last = rows.get(size.min(rows.len()).checked_sub(1)?)?.0.first();
        let end = rows.partition_point(|(range, _)| range.first() <= last);
        let (piece, rest) = rows.split_at(end);
        rows = rest;
        Some(piece)
    })
}

pub(super) fn dump(view: &View, line: &mut impl FnMut(&str)) -> Result<(), redb::Error> {
    for source in view.sources()? {
        view.each_listing(source.id, |range, detail| {
            line(&format!("listing {} {range} {detail:?}", source.name));
            Ok(())
        })?;
    }
    Ok(())
}
