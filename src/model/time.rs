//! Moments and calendar days. Nobody here reads a clock: the time comes with the data.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in UTC, to the second, of the years 1970 to 9999. Written as RFC 3339 everywhere outside.
///
/// No other moment can be made: what is stored or sent can always be read back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(i64);

/// What was said is no moment, or no day, that [`Time`] and [`Day`] can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is no date of the years 1970 to 9999; write 2026-11-22, and for a moment 2026-11-22T00:00:00Z")]
pub struct BadTime;

impl Time {
    /// 9999-12-31T23:59:59Z, the last one.
    pub const MAX: Self = Self(253_402_300_799);

    /// From seconds since 1970-01-01T00:00:00Z; the first or the last moment for what lies beyond
    /// them. Where that would be a mistake, use `try_from`.
    pub const fn from_unix(seconds: i64) -> Self {
        match seconds {
            ..0 => Self(0),
            0..=253_402_300_799 => Self(seconds),
            _ => Self::MAX,
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This moment and `seconds` more, up to the last moment.
    pub const fn plus(self, seconds: i64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// The moment at which the clocks of `zone` show `local`, the first one if they do so twice. A
    /// time that a clock change skips is taken an hour later, as the clocks show.
    pub fn local(local: NaiveDateTime, zone: chrono_tz::Tz) -> Self {
        let moment = local
            .and_local_timezone(zone)
            .earliest()
            .or_else(|| (local + chrono::TimeDelta::hours(1)).and_local_timezone(zone).earliest());
        moment.map_or_else(|| local.and_utc().into(), |moment| moment.with_timezone(&Utc).into())
    }

    /// The calendar form.
    pub fn utc(self) -> DateTime<Utc> {
        // Proven by the constructors: the calendar holds every moment of these years.
        DateTime::from_timestamp(self.0, 0).unwrap_or_default()
    }

    /// The calendar day on which the moment falls in `zone`.
    pub fn day_in(self, zone: chrono_tz::Tz) -> Day {
        Day::from_date(self.utc().with_timezone(&zone).date_naive())
    }
}

impl TryFrom<i64> for Time {
    type Error = BadTime;

    /// From seconds since 1970-01-01T00:00:00Z.
    fn try_from(seconds: i64) -> Result<Self, BadTime> {
        let time = Self::from_unix(seconds);
        if time.0 == seconds { Ok(time) } else { Err(BadTime) }
    }
}

/// Asked on every answer, where the calendar of the other one would be felt.
impl From<SystemTime> for Time {
    fn from(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(moment: DateTime<Utc>) -> Self {
        Self::from_unix(moment.timestamp())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl FromStr for Time {
    type Err = BadTime;

    /// Reads RFC 3339.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        DateTime::parse_from_rfc3339(text).map_err(|_| BadTime)?.timestamp().try_into()
    }
}

/// A calendar day as a source says it; which moments it means depends on the source's zone.
///
/// Not before the year 1, nor after 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Day(i32);

impl Day {
    /// From days since 1970-01-01; the first or the last day for what lies beyond them.
    pub const fn from_number(days: i32) -> Self {
        match days {
            ..=-719_163 => Self(-719_162),
            -719_162..=2_932_896 => Self(days),
            _ => Self(2_932_896),
        }
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The day so many days later, up to the last day.
    pub const fn plus(self, days: i32) -> Self {
        Self::from_number(self.0.saturating_add(days))
    }

    /// From a calendar date; the first or the last day for what lies beyond them.
    pub fn from_date(date: NaiveDate) -> Self {
        Self::from_number(date.to_epoch_days())
    }

    /// The calendar date.
    pub fn date(self) -> NaiveDate {
        // Proven by the constructors: the calendar holds every day of these years.
        NaiveDate::from_epoch_days(self.0).unwrap_or_default()
    }

    /// The moment at which the day after this one begins in `zone`: a listing that is released
    /// on a day is active to the last second of it.
    pub fn end_in(self, zone: chrono_tz::Tz) -> Time {
        Time::local((self.date() + chrono::Days::new(1)).and_time(chrono::NaiveTime::MIN), zone)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl FromStr for Day {
    type Err = BadTime;

    /// Reads `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let date: NaiveDate = text.parse().map_err(|_| BadTime)?;
        let day = Self::from_date(date);
        if day.date() == date { Ok(day) } else { Err(BadTime) }
    }
}

macro_rules! serde_as_text {
    ($($type:ident $format:literal),*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }

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

serde_as_text!(Time "date-time", Day "date");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds: i64, days: i32, offset in -86_399..86_400_i64) {
            let edges = [0, Time::MAX.unix(), Time::MAX.unix() - 7200].map(|edge| edge + offset);
            for seconds in edges.into_iter().chain([seconds, seconds % Time::MAX.unix()]) {
                let time = Time::from_unix(seconds);
                let text = serde_json::to_string(&time).unwrap();
                prop_assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time, "{}", text);
                prop_assert_eq!(Time::try_from(seconds).is_ok(), time.unix() == seconds);
            }
            for days in [days, days % 4_000_000] {
                let day = Day::from_number(days);
                prop_assert_eq!(day.to_string().parse::<Day>().unwrap(), day);
                prop_assert!(day.end_in(chrono_tz::Asia::Seoul) >= Time::default());
            }
        }
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_refused_and_never_becomes_another() {
        for text in ["9999-12-31T23:59:59-02:00", "1970-01-01T00:00:00+09:00", "1969-12-31T23:59:59Z", "soon"]
        {
            assert_eq!(text.parse::<Time>(), Err(BadTime), "{text}");
        }
        assert_eq!("9999-12-31T23:59:59Z".parse::<Time>(), Ok(Time::MAX));
        for text in ["+10000-01-01", "0000-12-31", "2026-02-30"] {
            assert_eq!(text.parse::<Day>(), Err(BadTime), "{text}");
        }
        assert_eq!(Time::MAX.plus(1), Time::MAX);
        assert_eq!("9999-12-31".parse::<Day>().unwrap().end_in(chrono_tz::UTC), Time::MAX);
        assert_eq!(Time::try_from(i64::MAX), Err(BadTime));
    }

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
