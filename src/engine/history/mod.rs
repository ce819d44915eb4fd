//! What was: how any two generations differ, and what a source listed at one of them.
//!
//! Composed from records, which hold both sides of each change; so nothing is kept for it, and a generation can be
//! asked for as long as the records after it are there.

mod net;
#[cfg(test)]
pub(super) mod tests;

pub use net::{Net, Pair};

use super::{Engine, EngineError, Refusal};
use crate::disk::Digest;
use crate::journal::{Counted, Summary, What};
use crate::model::{Change, Rows, RowsBuilder, SourceId, SourceName};
use net::Composer;

/// A difference between two generations is of so many rows at most: they are in memory while somebody reads them,
/// some hundred bytes each when each has a text of its own.
const MOST_ROWS: usize = 4_000_000;

impl Engine {
    /// The oldest generation that others can still be compared with.
    ///
    /// # Errors
    /// [`EngineError::ReadOnly`] when the journal is damaged, else a fault of the disk.
    pub fn oldest(&self) -> Result<u64, EngineError> {
        Ok(self.journal()?.first()? - 1)
    }

    /// The digest over everything that led to a generation: two blacklists that have the same one there have had the
    /// same history up to it. Blocks on the disk.
    ///
    /// # Errors
    /// [`EngineError::UnknownGeneration`], [`EngineError::Gone`], else as [`Engine::summaries`].
    pub fn digest_at(&self, generation: u64) -> Result<Digest, EngineError> {
        self.demand(generation)?;
        self.kept(generation, || Ok(self.journal()?.digest_at(generation)?))
    }

    /// Who made a generation, when and why, and all that it changed; or what it changed of one source's listings. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// [`EngineError::UnknownGeneration`], [`EngineError::Gone`], else as [`Engine::summaries`].
    pub fn generation(&self, number: u64, of: Option<SourceId>) -> Result<(Summary, Net), EngineError> {
        let unknown = || EngineError::UnknownGeneration(number);
        let before = number.checked_sub(1).ok_or_else(unknown)?;
        self.demand(number)?;
        let net = self.compose(before, number, of, usize::MAX)?;
        let summary = self.kept(before, || self.summaries(before, number + 1))?.pop();
        Ok((summary.ok_or_else(unknown)?, net))
    }

    /// What turns generation `from` into `to`, whichever is the later; of one source's listings alone, if one is named.
    /// Blocks on the disk: reads all records between, and unpacks those that are meant.
    ///
    /// # Errors
    /// [`EngineError::UnknownGeneration`], [`EngineError::Gone`], [`EngineError::TooMuch`] for more than four million
    /// rows, else as [`Engine::summaries`].
    pub fn difference(&self, from: u64, to: u64, of: Option<SourceId>) -> Result<Net, EngineError> {
        let (after, last) = (from.min(to), from.max(to));
        self.demand(last)?;
        let net = self.compose(after, last, of, MOST_ROWS)?;
        Ok(if from <= to { net } else { net.reversed() })
    }

    /// What makes a source list again what it listed at `generation`. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Engine::difference`], and [`Refusal::UnknownSource`].
    pub fn restoring(&self, name: &SourceName, generation: u64) -> Result<Change, EngineError> {
        self.demand(generation)?;
        let source = self.snapshot().source(name.as_str()).map(|source| source.id);
        let source = source.ok_or_else(|| EngineError::Refused(Refusal::UnknownSource(name.clone())))?;
        let rows = self.listings_at(source, generation)?;
        Ok(Change::Restore { source: name.clone(), rows, generation })
    }

    /// What a source listed at a generation: what it lists now, with all since then undone.
    fn listings_at(&self, source: SourceId, generation: u64) -> Result<Rows, EngineError> {
        let (rows, now) = self.view(|view| {
            let mut rows = RowsBuilder::default();
            view.each_listing(source, |range, detail| {
                rows.push(range, detail);
                Ok(())
            })?;
            Ok((rows.finish().0, view.generation()?))
        })?;
        let mut since = self.compose(generation, now, Some(source), MOST_ROWS)?;
        Ok(match since.listings.remove(&source) {
            Some(since) => rows.after(&since.reversed()),
            None => rows,
        })
    }

    fn compose(&self, after: u64, last: u64, of: Option<SourceId>, most: usize) -> Result<Net, EngineError> {
        let meant = |summary: &Summary| {
            let lists = |change: &Counted| change.what == What::Listings && change.source == of;
            of.is_none() || summary.changes.iter().any(lists)
        };
        self.kept(after, || {
            let mut composer = Composer::new(most);
            self.journal()?.records(after, last, meant, |record| composer.take(record, of))?;
            composer.finish()
        })
    }

    /// Refuses a generation that has not been yet.
    fn demand(&self, generation: u64) -> Result<(), EngineError> {
        match generation <= self.snapshot().generation {
            true => Ok(()),
            false => Err(EngineError::UnknownGeneration(generation)),
        }
    }

    /// Reads records after `after`, and tells apart what is no longer kept from what is damaged; also what goes while
    /// it is read.
    pub(super) fn kept<T>(
        &self,
        after: u64,
        read: impl FnOnce() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let gone = || match self.oldest() {
            Ok(oldest) if after < oldest => Err(EngineError::Gone { generation: after, oldest }),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        gone()?;
        read().or_else(|error| gone().and(Err(error)))
    }
}
