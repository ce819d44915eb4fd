//! Analytics: what the counts of the store and the table in memory say, as plain answers.
//!
//! A [`Look`] reads what a question needs from one view; pure functions make the answer. A value
//! that cannot be known is none, and none is ever made up. Who asks, and in which form the answer
//! travels, is not known here.

mod calendar;
mod census;
#[cfg(test)]
pub(crate) mod fixture;
mod ledger;
mod performance;
mod present;
mod report;
mod shares;
mod sources;
#[cfg(test)]
mod tests;
mod trends;

pub use calendar::{Bucket, Granularity, Period, Span};
pub use census::{Addresses, Census};
pub use ledger::{Flow, Ledger};
pub use performance::{Performance, performance};
pub use present::{Realtime, Summary, Today};
pub use report::{Report, Totals};
pub use shares::{CountryShare, Shares, ThreatShare};
pub use sources::{Overlap, SourceRow, Sources};
pub use trends::{TrendRow, Trends, trend};

use crate::engine::Snapshot;
use crate::model::Time;
use crate::store::View;

/// One look at the blacklist: everything that an answer is made from.
///
/// The snapshot is taken before the view is opened, which may therefore hold a generation more.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The table and the sources.
    pub snapshot: &'a Snapshot,
    /// The counts.
    pub view: &'a View<'a>,
    /// The present moment.
    pub now: Time,
    /// The zone of days.
    pub zone: chrono_tz::Tz,
}

impl Look<'_> {
    /// When counting began: zeros before it say nothing. None while there is no source.
    pub fn counted_since(&self) -> Option<Time> {
        self.snapshot.sources.values().map(|source| source.since).min()
    }

    /// The number of today, as the store counts days.
    fn today(&self) -> i64 {
        i64::from(self.now.day_in(self.zone).number())
    }
}

/// Two decimals: more would feign an exactness that a share of a list does not have.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// `part` as a percentage of `whole`; none of nothing.
#[allow(clippy::cast_precision_loss, reason = "rounded to two decimals right after")]
fn percentage(part: i64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 * 100.0 / whole as f64))
}
