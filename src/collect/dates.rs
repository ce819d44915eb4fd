//! The forms in which lists and people write days and ends. Pure; a day's zone is its source's.

use crate::model::{Day, Time};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;

/// Days that a spreadsheet counts at 1970-01-01; it begins at the end of 1899.
const EPOCH: i32 = 25_569;
/// Spreadsheet days that can be meant: 1954 to 2119. Other numbers are something else.
const SERIALS: std::ops::Range<i32> = 20_000..80_000;

/// A calendar day from the beginning of a text, whatever time of day follows: `2026-11-22`,
/// `2026/11/22`, `2026.11.22` or `20261122`; `2026. 1 1. 22. 오전 09:00` as the Korean locale writes it,
/// stray blanks included; `46348.375` as a spreadsheet counts.
pub fn parse_day(text: &str) -> Option<Day> {
    usual(text).or_else(|| korean(text)).or_else(|| serial(text))
}

/// The moment at which a listing ends: RFC 3339 as it says; a day and a time on the clocks of
/// `zone`; a day with its last second there.
pub fn parse_expiry(text: &str, zone: Tz) -> Option<Time> {
    // A moment that is written whole and beyond the calendar is none, and no day either.
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return moment.timestamp().try_into().ok();
    }
    let local = clock(text).map(|local| Time::local(local, zone));
    local.or_else(|| parse_day(text).map(|day| day.end_in(zone)))
}

/// An end as people type it: `90d`, `12h` or `5m` from `now` on, or as [`parse_expiry`] reads it.
pub fn parse_until(text: &str, now: Time, zone: Tz) -> Option<Time> {
    match seconds(text) {
        Some(seconds) => now.unix().checked_add(seconds)?.try_into().ok(),
        None => parse_expiry(text, zone),
    }
}

/// A whole number of days, hours or minutes, in seconds.
fn seconds(text: &str) -> Option<i64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        _ => return None,
    };
    digits.parse::<u32>().ok().map(|number| i64::from(number) * unit)
}

/// `2026-11-22 08:00` with whatever mark between the numbers of the day, seconds or not. Midnight is
/// none: spreadsheets write it behind a plain day.
fn clock(text: &str) -> Option<NaiveDateTime> {
    let (day, time) = text.trim().split_at_checked(10)?;
    let time = time.strip_prefix(['T', ' '])?;
    let time = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(time, form).ok())
        .filter(|time| *time != NaiveTime::MIN)?;
    Some(usual(day)?.date().and_time(time))
}

fn usual(text: &str) -> Option<Day> {
    let (year, month, day) = match text.get(4..5)? {
        mark @ ("-" | "/" | ".") if text.get(7..8) == Some(mark) => {
            (text.get(..4)?, text.get(5..7)?, text.get(8..10)?)
        }
        _ => (text.get(..4)?, text.get(4..6)?, text.get(6..8)?),
    };
    of_parts(year, month, day)
}

/// Year, month and day with a point behind each, and then perhaps a time of day.
fn korean(text: &str) -> Option<Day> {
    let mut parts = text.splitn(4, '.');
    let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let time = parts[3].trim();
    let time = time.strip_prefix("오전").or(time.strip_prefix("오후")).unwrap_or(time);
    let is_time = time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b' '));
    let [year, month, day] = [parts[0], parts[1], parts[2]]
        .map(|part| part.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    of_parts(&year, &month, &day).filter(|_| is_time && year.len() == 4)
}

fn serial(text: &str) -> Option<Day> {
    let (days, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let is_number =
        days.len() == 5 && [days, part].into_iter().all(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let days: i32 = days.parse().ok().filter(|days| is_number && SERIALS.contains(days))?;
    Some(Day::from_number(days - EPOCH))
}

fn of_parts(year: &str, month: &str, day: &str) -> Option<Day> {
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    let year = i32::try_from(number(year)?).ok()?;
    Some(Day::from_date(NaiveDate::from_ymd_opt(year, number(month)?, number(day)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(texts: &[&str], day: &str) {
        for text in texts {
            assert_eq!(parse_day(text).map(|day| day.to_string()).as_deref(), Some(day), "{text}");
        }
    }

    #[test]
    fn days_are_read_in_every_usual_form() {
        reads(&["2026-11-22", "2026/11/22", "2026.11.22", "20261122", "2026-11-22T08:00:00Z"], "2026-11-22");
        for text in
            ["", "-", "2026-13-01", "22.11.2026", "soon", "2026-1", "２０２６-11-22", "오전 09:00", "1.2.3.4"]
        {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn the_days_of_secudium_are_read_in_every_form_it_writes() {
        reads(&["2025-06-24 00:30:00.0", "2025-06-24 00:30:00", "45832.020833333336", "45832"], "2025-06-24");
        reads(
            &[
                "2025. 0 6. 29. 오전 09:00",
                "2025. 06. 29. 오후 9:00",
                "2025. 6. 29.",
                "2025.6. 2 9. 오전 12:30:00",
            ],
            "2025-06-29",
        );
        for text in
            ["2025. 6. 31. 오전 09:00", "2025. 6.", "25. 6. 29.", "2025. 6. 29. 저녁", "2025. 6. 2x. 09:00"]
        {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_that_count_no_days_are_no_dates() {
        for text in ["4583", "458321", "99999", "45832.x", "1750722600", "-45832", "0.5"] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn an_expiry_is_a_moment_or_the_last_second_of_a_day() {
        let expiry = |text| parse_expiry(text, chrono_tz::Asia::Seoul).map(|time| time.to_string());
        assert_eq!(expiry("2026-11-22T08:00:00+09:00").as_deref(), Some("2026-11-21T23:00:00Z"));
        assert_eq!(expiry("2026-11-22").as_deref(), Some("2026-11-22T15:00:00Z"));
        assert_eq!(expiry("never"), None);
        for text in
            ["2026-11-22 08:00:00", "2026-11-22T08:00:00", "2026/11/22 08:00", "2026.11.22 08:00:00.5"]
        {
            assert_eq!(expiry(text).as_deref(), Some("2026-11-21T23:00:00Z"), "{text}");
        }
        for day in ["2026-11-22 00:00:00", "2026-11-22 25:00", "2026-11-22 (Sun)"] {
            assert_eq!(expiry(day).as_deref(), Some("2026-11-22T15:00:00Z"), "{day}");
        }
        assert_eq!(expiry("9999-12-31T23:59:59-02:00"), None);
    }

    #[test]
    fn people_may_say_how_long() {
        let now = Time::from_unix(1_790_000_000);
        let until = |text| parse_until(text, now, chrono_tz::Asia::Seoul);
        assert_eq!(until("90d"), Some(now.plus(90 * 86_400)));
        assert_eq!(until("12h"), Some(now.plus(12 * 3_600)));
        assert_eq!(until("5m"), Some(now.plus(300)));
        assert_eq!(until("2026-11-22"), "2026-11-22T15:00:00Z".parse().ok());
        assert_eq!(until("2026-11-22T09:00:00+09:00"), "2026-11-22T00:00:00Z".parse().ok());
        for wrong in ["", "d", "-1d", "1w", "90", "1.5d", "날d", "99999999d", "99999999999d"] {
            assert_eq!(until(wrong), None, "{wrong}");
        }
    }
}
