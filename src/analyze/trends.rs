//! Trends: what came, went and stood in every bucket of a period, quiet ones included.

use super::Look;
use super::calendar::{Granularity, Period, Span};
use super::ledger::{Ledger, total};
use crate::model::{SourceName, Time};
use crate::store::Tally;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// One bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct TrendRow {
    /// Its beginning: a date, or RFC 3339 for an hour.
    pub date: String,
    /// New listings; the earlier system's name for `came`.
    pub count: u64,
    /// New listings by source; sources without any are left out.
    pub source_breakdown: BTreeMap<SourceName, u64>,
    /// New listings.
    pub came: u64,
    /// Ended listings.
    pub went: u64,
    /// Listings that stood at the end of the bucket, suppressed ones included.
    pub standing: u64,
}

/// The trend of a period.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Trends {
    /// How far back.
    pub period: Period,
    /// How finely.
    pub granularity: Granularity,
    /// The zone of the days.
    #[schemars(with = "String")]
    pub zone: chrono_tz::Tz,
    /// The generation at which it was made.
    pub generation: u64,
    /// When counting began.
    pub counted_since: Option<Time>,
    /// Every bucket, oldest first.
    pub data: Vec<TrendRow>,
}

impl Look<'_> {
    /// The trend of a period.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn trends(&self, period: Period, granularity: Granularity) -> Result<Trends, redb::Error> {
        let span = Span::new(period, granularity, self.now, self.zone);
        let data = trend(&span, &Ledger::read(self, &span)?);
        let counted_since = self.counted_since();
        let generation = self.snapshot.generation;
        Ok(Trends { period, granularity, zone: self.zone, generation, counted_since, data })
    }
}

/// A row for every bucket of `span`, which `ledger` must hold.
pub fn trend(span: &Span, ledger: &Ledger) -> Vec<TrendRow> {
    let mut standing = span.buckets.last().map_or(0, |last| ledger.standing_after(last.to));
    let mut rows: Vec<TrendRow> = Vec::with_capacity(span.buckets.len());
    for bucket in span.buckets.iter().rev() {
        let flows = ledger.within(bucket.from, bucket.to);
        let Tally { came, went } = total(flows);
        let mut source_breakdown = BTreeMap::new();
        for flow in flows.iter().filter(|flow| flow.tally.came > 0) {
            *source_breakdown.entry(flow.source.clone()).or_default() += flow.tally.came;
        }
        rows.push(TrendRow {
            date: bucket.date.clone(),
            count: came,
            source_breakdown,
            came,
            went,
            standing,
        });
        standing = (standing + went).saturating_sub(came);
    }
    rows.reverse();
    rows
}
