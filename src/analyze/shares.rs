//! Shares: how the listings that stand divide among countries and kinds of threat.

use super::{Look, percentage};
use crate::store::Dimension;
use schemars::JsonSchema;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What is told of listings whose source says nothing.
const UNKNOWN: &str = "unknown";

/// A country's share.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct CountryShare {
    /// ISO 3166-1 alpha-2, or "unknown".
    pub country: String,
    /// Listings that stand, suppressed ones included.
    pub count: u64,
    /// Of all listings, to two decimals.
    pub percentage: f64,
}

/// A kind of threat's share.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct ThreatShare {
    /// In the source's words, or "unknown".
    pub threat_type: String,
    /// Listings that stand, suppressed ones included.
    pub count: u64,
    /// Of all listings, to two decimals.
    pub percentage: f64,
}

/// Shares as of one generation, the largest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Shares<T> {
    /// The generation at which they were made.
    pub generation: u64,
    /// Listings in all.
    pub total: u64,
    /// The shares.
    pub data: Vec<T>,
}

impl Look<'_> {
    /// Listings by country.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn countries(&self) -> Result<Shares<CountryShare>, redb::Error> {
        let share = |country, count, percentage| CountryShare { country, count, percentage };
        Ok(self.shares(self.view.standing(Dimension::Country)?, share))
    }

    /// Listings by kind of threat.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn threats(&self) -> Result<Shares<ThreatShare>, redb::Error> {
        let share = |threat_type, count, percentage| ThreatShare { threat_type, count, percentage };
        Ok(self.shares(self.view.standing(Dimension::Threat)?, share))
    }

    fn shares<T>(&self, standing: Vec<(String, u64)>, share: impl Fn(String, u64, f64) -> T) -> Shares<T> {
        let ranked = ranked(standing);
        let total = ranked.iter().map(|(_, count)| count).sum();
        let of_total = |count: u64| percentage(count.cast_signed(), total).unwrap_or_default();
        let data = ranked.into_iter().map(|(key, count)| share(key, count, of_total(count))).collect();
        Shares { generation: self.snapshot.generation, total, data }
    }
}

/// The largest first, equal ones by name. A source that says "unknown" itself is counted with
/// those that say nothing.
fn ranked(standing: Vec<(String, u64)>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (key, count) in standing {
        let key = if key.is_empty() { UNKNOWN.to_owned() } else { key };
        *counts.entry(key).or_default() += count;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(_, count)| Reverse(*count));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_told_once_and_the_largest_comes_first() {
        let counts = [("", 2), ("botnet", 5), ("c2", 5), ("unknown", 4)];
        let counts = counts.map(|(key, count)| (key.to_owned(), count)).to_vec();
        let told: Vec<String> = ranked(counts).into_iter().map(|(key, n)| format!("{key} {n}")).collect();
        assert_eq!(told, ["unknown 6", "botnet 5", "c2 5"]);
    }
}
