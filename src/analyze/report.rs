//! The report of a period: the trend, the shares and the largest sources on one page.

use super::calendar::{Granularity, Period};
use super::shares::{CountryShare, ThreatShare};
use super::trends::TrendRow;
use super::{Look, percentage};
use crate::model::{SourceName, Time};
use crate::store::Tally;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A report names so many sources.
const TOP: usize = 10;

/// Sources with their listings, written as an object in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Totals(pub Vec<(SourceName, u64)>);

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (source, listings) in &self.0 {
            map.serialize_entry(source.as_str(), listings)?;
        }
        map.end()
    }
}

impl JsonSchema for Totals {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Totals".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, u64>::json_schema(generator)
    }
}

/// A period on one page, in the earlier system's words.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// How far back.
    pub period: Period,
    /// The generation at which it was made.
    pub generation: u64,
    /// When it was made.
    pub generated_at: Time,
    /// When counting began.
    pub counted_since: Option<Time>,
    /// Ranges that at least one source lists now.
    pub total_ips: u64,
    /// Listings that came in the period.
    pub new_ips: u64,
    /// Growth of the listings over the period in percent; none if there were none before it.
    pub growth_rate: Option<f64>,
    /// A row a day.
    pub trends: Vec<TrendRow>,
    /// Listings by country.
    pub geographic_distribution: Vec<CountryShare>,
    /// Listings by kind of threat.
    pub threat_types: Vec<ThreatShare>,
    /// The ten sources with the most active listings.
    pub top_sources: Totals,
}

impl Look<'_> {
    /// The report of a period.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn report(&self, period: Period) -> Result<Report, redb::Error> {
        let trends = self.trends(period, Granularity::Daily)?;
        Ok(Report {
            period,
            generation: trends.generation,
            generated_at: self.now,
            counted_since: trends.counted_since,
            total_ips: self.snapshot.entries(),
            new_ips: trends.data.iter().map(|row| row.came).sum(),
            growth_rate: growth_rate(&trends.data),
            trends: trends.data,
            geographic_distribution: self.countries()?.data,
            threat_types: self.threats()?.data,
            top_sources: self.top_sources(),
        })
    }

    fn top_sources(&self) -> Totals {
        let listings = |id| self.snapshot.coverage.get(id).map_or(0, |coverage| coverage.len());
        let sources = self.snapshot.sources.iter();
        let mut totals: Vec<_> = sources.map(|(id, source)| (source.name.clone(), listings(id))).collect();
        totals.retain(|(_, listings)| *listings > 0);
        totals.sort_by_key(|(_, listings)| Reverse(*listings));
        totals.truncate(TOP);
        Totals(totals)
    }
}

/// Growth from before the first row to the end of the last, in percent.
fn growth_rate(rows: &[TrendRow]) -> Option<f64> {
    let (first, last) = (rows.first()?, rows.last()?);
    let before = (first.standing + first.went).saturating_sub(first.came);
    let gained = super::ledger::net(Tally { came: last.standing, went: before });
    percentage(gained, before)
}
