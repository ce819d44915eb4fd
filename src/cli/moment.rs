//! Moments as people type them: `90d`, `12h`, a day, or RFC 3339.

use crate::collect::parse_expiry;
use crate::model::Time;
use anyhow::Context;

/// The moment that `text` means, if there is one.
pub(super) fn optional(text: Option<&str>) -> anyhow::Result<Option<Time>> {
    let now = Time::from(chrono::Utc::now());
    let wrong = |text| move || format!("{text:?}: write 90d, 12h, 2026-11-22 or 2026-11-22T00:00:00Z");
    text.map(|text| parse(text, now).with_context(wrong(text))).transpose()
}

/// What `text` means at the moment `now`; a day ends at its midnight in UTC.
fn parse(text: &str, now: Time) -> Option<Time> {
    match seconds(text) {
        Some(seconds) => Some(now.plus(seconds)),
        None => parse_expiry(text, chrono_tz::UTC),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_days_and_moments_are_understood() {
        let now = Time::from_unix(1_000_000);
        assert_eq!(parse("90d", now), Some(now.plus(90 * 86_400)));
        assert_eq!(parse("12h", now), Some(now.plus(12 * 3_600)));
        assert_eq!(parse("5m", now), Some(now.plus(300)));
        assert_eq!(parse("2026-11-22", now), "2026-11-23T00:00:00Z".parse().ok());
        assert_eq!(parse("2026-11-22T09:00:00+09:00", now), "2026-11-22T00:00:00Z".parse().ok());
        for wrong in ["", "d", "-1d", "1w", "90", "1.5d", "날d", "99999999999d"] {
            assert_eq!(parse(wrong, now), None, "{wrong}");
        }
    }
}
