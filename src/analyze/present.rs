//! The present: totals, the last 24 hours, and what happened today.

use super::calendar::{day, hours};
use super::census::{Addresses, Census};
use super::ledger::{all, net, standing, sum};
use super::{Look, rounded};
use crate::model::{Day, Time};
use crate::store::{Tally, Unit};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The growth of a day is averaged over so many full days.
const GROWTH_DAYS: i64 = 7;

/// What happened today.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Today {
    /// The date in the display zone.
    pub date: Day,
    /// New listings.
    pub came: u64,
    /// Ended listings.
    pub went: u64,
}

/// The blacklist in a few numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// The generation at which it was made.
    pub generation: u64,
    /// That generation's time; none before the first.
    pub last_updated: Option<Time>,
    /// Ranges that at least one source lists.
    pub entries: u64,
    /// Listings of all sources.
    pub listings: u64,
    /// Listings that a person has ended, whatever their sources repeat.
    pub suppressed_listings: u64,
    /// Addresses to be blocked.
    pub addresses: Addresses,
    /// Addresses that are listed and exempt.
    pub exempt: Addresses,
    /// Sources known.
    pub sources: usize,
    /// What happened today.
    pub today: Today,
    /// When the next listing expires.
    pub next_expiry: Option<Time>,
    /// When counting began.
    pub counted_since: Option<Time>,
}

/// The last 24 hours, in the earlier system's words.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Realtime {
    /// Ranges that at least one source lists.
    pub active_ips: u64,
    /// Sources known.
    pub total_sources: usize,
    /// New listings in each of the last 24 hours, the current one last.
    pub hourly_activity: Vec<u64>,
    /// New listings in the current hour.
    pub current_hour_activity: u64,
    /// Listings gained a day (lost, if negative), over up to seven full days before today; none
    /// before the first day is over.
    pub avg_daily_growth: Option<f64>,
    /// The share of look-ups that hit; always none, because nobody counts it.
    pub detection_rate: Option<f64>,
    /// When the blacklist last changed; none if it never did.
    pub last_updated: Option<Time>,
}

impl Look<'_> {
    /// The blacklist in a few numbers; linear in the listings, about 0.1 s a million.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn summary(&self) -> Result<Summary, redb::Error> {
        let census = Census::of(self.snapshot);
        let listings = self.snapshot.listings();
        let today = self.today();
        let Tally { came, went } = sum(all(self, Unit::Day, today, today)?.into_values());
        Ok(Summary {
            generation: self.snapshot.generation,
            last_updated: self.last_updated(),
            entries: self.snapshot.entries(),
            listings,
            suppressed_listings: standing(self)?.saturating_sub(listings),
            addresses: census.blocked(),
            exempt: census.exempt(),
            sources: self.snapshot.sources.len(),
            today: Today { date: day(today), came, went },
            next_expiry: self.view.next_due()?,
            counted_since: self.counted_since(),
        })
    }

    /// The last 24 hours.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn realtime(&self) -> Result<Realtime, redb::Error> {
        let hours = hours(24, self.now, self.zone);
        let (first, last) = (hours[0].from, hours[hours.len() - 1].to);
        let counts = all(self, Unit::Hour, first, last)?;
        let came = |hour: i64| counts.get(&hour).map_or(0, |tally| tally.came);
        Ok(Realtime {
            active_ips: self.snapshot.entries(),
            total_sources: self.snapshot.sources.len(),
            hourly_activity: hours.iter().map(|hour| came(hour.from)).collect(),
            current_hour_activity: came(last),
            avg_daily_growth: self.average_growth()?,
            detection_rate: None,
            last_updated: self.last_updated(),
        })
    }

    fn average_growth(&self) -> Result<Option<f64>, redb::Error> {
        let Some(since) = self.counted_since() else { return Ok(None) };
        let today = self.today();
        let begun = i64::from(since.day_in(self.zone).number());
        let days = (today - begun).min(GROWTH_DAYS);
        if days <= 0 {
            return Ok(None);
        }
        Ok(Some(average(days, &all(self, Unit::Day, today - days, today - 1)?)))
    }

    fn last_updated(&self) -> Option<Time> {
        (self.snapshot.generation > 0).then_some(self.snapshot.time)
    }
}

#[allow(clippy::cast_precision_loss, reason = "rounded to two decimals right after")]
fn average(days: i64, counts: &BTreeMap<i64, Tally>) -> f64 {
    rounded(net(sum(counts.values().copied())) as f64 / days as f64)
}
