//! Moments and calendar days. Nobody here reads a clock: the time comes with the data.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A moment in UTC, to the second. Written as RFC 3339 everywhere outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(i64);

impl Time {
    /// From seconds since 1970-01-01T00:00:00Z.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This moment and `seconds` more.
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The calendar form; a moment that the calendar cannot hold becomes the epoch.
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap_or_default()
    }

    /// The calendar day on which the moment falls in `zone`.
    pub fn day_in(self, zone: chrono_tz::Tz) -> Day {
        Day::from_date(self.utc().with_timezone(&zone).date_naive())
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(moment: DateTime<Utc>) -> Self {
        Self(moment.timestamp())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl FromStr for Time {
    type Err = chrono::ParseError;

    /// Reads RFC 3339.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(DateTime::parse_from_rfc3339(text)?.timestamp()))
    }
}

/// A calendar day as a source says it; which moments it means depends on the source's zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Day(i32);

impl Day {
    /// From days since 1970-01-01.
    pub const fn from_number(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The day so many days later.
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// From a calendar date.
    pub fn from_date(date: NaiveDate) -> Self {
        Self(date.to_epoch_days())
    }

    /// The calendar date; a day that the calendar cannot hold becomes the epoch.
    pub fn date(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or_default()
    }

    /// The moment at which the day after this one begins in `zone`: a listing that is released
    /// on a day is active to the last second of it.
    pub fn end_in(self, zone: chrono_tz::Tz) -> Time {
        let next = self.plus(1).date().and_time(chrono::NaiveTime::MIN);
        // A local midnight that a clock change skips is taken an hour later, as the clock shows.
        let moment = next
            .and_local_timezone(zone)
            .earliest()
            .or_else(|| (next + chrono::TimeDelta::hours(1)).and_local_timezone(zone).earliest());
        moment.map_or_else(|| next.and_utc().into(), |m| m.with_timezone(&Utc).into())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl FromStr for Day {
    type Err = chrono::ParseError;

    /// Reads `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::from_date)
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Time, Day);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_day_lasts_to_its_midnight_in_the_zone_of_the_source() {
        let day: Day = "2026-11-22".parse().unwrap();
        assert_eq!(day.end_in(chrono_tz::Asia::Seoul).to_string(), "2026-11-22T15:00:00Z");
        assert_eq!(day.end_in(chrono_tz::UTC).to_string(), "2026-11-23T00:00:00Z");
    }

    #[test]
    fn a_moment_falls_on_the_day_of_the_zone() {
        let late: Time = "2026-11-22T16:00:00Z".parse().unwrap();
        assert_eq!(late.day_in(chrono_tz::Asia::Seoul).to_string(), "2026-11-23");
        assert_eq!(late.day_in(chrono_tz::UTC).to_string(), "2026-11-22");
    }
}
