//! Periods and the buckets they are cut into: calendar days of the display zone, or hours.
//!
//! It must not know what is counted.

use crate::model::{Day, Time};
use crate::store::Unit;
use chrono::{Datelike, SecondsFormat};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far back to look; today is the last day of every period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Period {
    /// 7 days.
    #[serde(rename = "7d")]
    Week,
    /// 30 days.
    #[serde(rename = "30d")]
    Month,
    /// 90 days.
    #[serde(rename = "90d")]
    Quarter,
    /// 365 days.
    #[serde(rename = "365d")]
    Year,
}

impl Period {
    /// How many days, today included.
    pub const fn days(self) -> i64 {
        match self {
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
            Self::Year => 365,
        }
    }
}

/// How finely a period is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// Hours.
    Hourly,
    /// Days.
    Daily,
    /// Weeks from Monday to Sunday.
    Weekly,
    /// Months of the calendar.
    Monthly,
}

/// A stretch of days or hours that is counted together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// The first day or hour, as the store numbers them.
    pub from: i64,
    /// The last one, included.
    pub to: i64,
    /// Its beginning: a date, or for an hour RFC 3339 with the zone's offset. The first bucket of
    /// a period begins with the period, even when its week or month began before.
    pub date: String,
}

/// A period cut into buckets, oldest first; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// In what the buckets are numbered.
    pub unit: Unit,
    /// Every one of the period.
    pub buckets: Vec<Bucket>,
}

impl Span {
    /// The period that ends with the hour or day of `now`.
    pub fn new(period: Period, granularity: Granularity, now: Time, zone: Tz) -> Self {
        if granularity == Granularity::Hourly {
            return Self { unit: Unit::Hour, buckets: hours(period.days() * 24, now, zone) };
        }
        let today = i64::from(now.day_in(zone).number());
        let days: Vec<i64> = (today - period.days() + 1..=today).collect();
        let together = |a: &i64, b: &i64| begin(granularity, *a) == begin(granularity, *b);
        let bucket =
            |days: &[i64]| Bucket { from: days[0], to: days[days.len() - 1], date: day(days[0]).to_string() };
        Self { unit: Unit::Day, buckets: days.chunk_by(together).map(bucket).collect() }
    }

    /// The first day or hour.
    pub fn first(&self) -> i64 {
        self.buckets.first().map_or(i64::MAX, |bucket| bucket.from)
    }
}

/// The last `count` hours, the current one included.
pub(super) fn hours(count: i64, now: Time, zone: Tz) -> Vec<Bucket> {
    let current = now.unix().div_euclid(3600);
    let label = |hour: i64| {
        let begin = Time::from_unix(hour * 3600).utc().with_timezone(&zone);
        begin.to_rfc3339_opts(SecondsFormat::Secs, false)
    };
    (current - count + 1..=current).map(|hour| Bucket { from: hour, to: hour, date: label(hour) }).collect()
}

/// The day of a number; one that no calendar holds becomes the epoch.
pub(super) fn day(number: i64) -> Day {
    Day::from_number(i32::try_from(number).unwrap_or_default())
}

/// The day on which the day's bucket begins.
fn begin(granularity: Granularity, number: i64) -> i64 {
    let date = day(number).date();
    match granularity {
        Granularity::Hourly | Granularity::Daily => number,
        Granularity::Weekly => number - i64::from(date.weekday().num_days_from_monday()),
        Granularity::Monthly => number - i64::from(date.day0()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{Asia, UTC};

    fn span(period: Period, granularity: Granularity, now: &str, zone: Tz) -> Vec<String> {
        let span = Span::new(period, granularity, now.parse().unwrap(), zone);
        assert!(span.buckets.windows(2).all(|two| two[0].to + 1 == two[1].from), "no gap, no overlap");
        span.buckets.into_iter().map(|bucket| bucket.date).collect()
    }

    #[test]
    fn a_period_ends_with_today_in_the_zone() {
        let days = span(Period::Week, Granularity::Daily, "2026-11-22T16:00:00Z", Asia::Seoul);
        assert_eq!((days.len(), days[0].as_str(), days[6].as_str()), (7, "2026-11-17", "2026-11-23"));
        assert_eq!(span(Period::Week, Granularity::Daily, "2026-11-22T16:00:00Z", UTC)[6], "2026-11-22");
        assert_eq!(span(Period::Year, Granularity::Daily, "2028-03-01T00:00:00Z", UTC).len(), 365);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first_but_not_before_the_period() {
        // 2026-11-22 is a Sunday.
        let weeks = span(Period::Month, Granularity::Weekly, "2026-11-22T12:00:00Z", UTC);
        assert_eq!(weeks, ["2026-10-24", "2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]);
        let months = span(Period::Quarter, Granularity::Monthly, "2026-11-22T12:00:00Z", UTC);
        assert_eq!(months, ["2026-08-25", "2026-09-01", "2026-10-01", "2026-11-01"]);
    }

    #[test]
    fn hours_are_told_in_the_zone_with_its_offset() {
        let hours = span(Period::Week, Granularity::Hourly, "2026-11-22T16:59:59Z", Asia::Seoul);
        assert_eq!((hours.len(), hours[167].as_str()), (168, "2026-11-23T01:00:00+09:00"));
        let half = span(Period::Week, Granularity::Hourly, "2026-11-22T16:59:59Z", Asia::Kolkata);
        assert_eq!(half[167], "2026-11-22T21:30:00+05:30");
    }
}
