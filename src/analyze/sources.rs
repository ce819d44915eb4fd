//! Sources compared: what each lists, what only it lists, and what it shares with the others.

use super::Look;
use super::calendar::{Granularity, Period, Span};
use super::census::{Addresses, Census};
use super::ledger::{Ledger, sum};
use crate::model::{Mode, SourceId, SourceName, Time};
use crate::store::Tally;
use schemars::JsonSchema;
use serde::Serialize;

/// What a source shares with another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Overlap {
    /// The other.
    pub source: SourceName,
    /// Addresses that both list.
    #[serde(flatten)]
    pub addresses: Addresses,
}

/// One source.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SourceRow {
    /// Its name.
    pub source: SourceName,
    /// What its silence means.
    pub mode: Mode,
    /// Active listings.
    pub listings: u64,
    /// Addresses that it lists, exempt ones included.
    pub addresses: Addresses,
    /// Addresses that only it lists.
    pub unique: Addresses,
    /// What it shares with every other source that lists some of the same.
    pub overlaps: Vec<Overlap>,
    /// Its last complete run.
    pub last_seen: Option<Time>,
    /// When it first appeared.
    pub since: Time,
    /// Listings that came in the period.
    pub came: u64,
    /// Listings that went in the period.
    pub went: u64,
}

/// All sources.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Sources {
    /// For what came and went.
    pub period: Period,
    /// The generation at which it was made.
    pub generation: u64,
    /// In the order in which they appeared.
    pub data: Vec<SourceRow>,
}

impl Look<'_> {
    /// All sources; linear in the runs of the table, about 0.1 s a million.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn sources(&self, period: Period) -> Result<Sources, redb::Error> {
        let span = Span::new(period, Granularity::Daily, self.now, self.zone);
        let ledger = Ledger::read(self, &span)?;
        let mut data = self.compared(&Census::of(self.snapshot));
        for row in &mut data {
            let flows = ledger.within(span.first(), self.today());
            let own = flows.iter().filter(|flow| flow.source == row.source);
            Tally { came: row.came, went: row.went } = sum(own.map(|flow| flow.tally));
        }
        Ok(Sources { period, generation: self.snapshot.generation, data })
    }

    fn compared(&self, census: &Census) -> Vec<SourceRow> {
        let (overlaps, unique) = (census.overlaps(), census.unique());
        let shared = |id: SourceId| {
            let of_id = overlaps.range((id, SourceId(0))..=(id, SourceId(u16::MAX)));
            let others = of_id.filter(move |((_, other), _)| *other != id);
            others.filter_map(|((_, other), addresses)| {
                let source = self.snapshot.sources.get(other)?.name.clone();
                Some(Overlap { source, addresses: *addresses })
            })
        };
        let sources = self.snapshot.sources.values().map(|source| SourceRow {
            source: source.name.clone(),
            mode: source.policy.mode,
            listings: self.snapshot.coverage.get(&source.id).map_or(0, |coverage| coverage.len()),
            addresses: overlaps.get(&(source.id, source.id)).copied().unwrap_or_default(),
            unique: unique.get(&source.id).copied().unwrap_or_default(),
            overlaps: shared(source.id).collect(),
            last_seen: source.last_seen,
            since: source.since,
            came: 0,
            went: 0,
        });
        sources.collect()
    }
}
