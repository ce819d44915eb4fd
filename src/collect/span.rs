//! Lengths of time as people write them: `90d`, `12h`, `5m`, `30s`.
//!
//! Pure; it does not know what is timed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in whole seconds.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// The text is no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no length of time: write a whole number and d, h, m or s, as in 90d, 12h, 5m or 30s")]
pub struct BadSpan(String);

/// The units, longest first: a length is shown in the longest that fits.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
/// A century: more is a slip of the keyboard, and its sums would not fit.
const LONGEST: u64 = 36_525 * 86_400;

impl Span {
    /// From seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// From minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes * 60)
    }

    /// From hours.
    pub const fn hours(hours: u64) -> Self {
        Self(hours * 3_600)
    }

    /// From days of 24 hours.
    pub const fn days(days: u64) -> Self {
        Self(days * 86_400)
    }

    /// In seconds, to be added to a moment. At most a century when it was read from a text.
    pub const fn as_seconds(self) -> i64 {
        self.0 as i64
    }

    /// For timers.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(text.chars().take(40).collect());
        let trimmed = text.trim();
        let unit = trimmed.chars().next_back().ok_or_else(bad)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let number: u64 = trimmed[..trimmed.len() - 1].trim_end().parse().map_err(|_| bad())?;
        let seconds = number.checked_mul(*factor).filter(|seconds| *seconds <= LONGEST);
        seconds.map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(char, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&('s', 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl TryFrom<String> for Span {
    type Error = BadSpan;
    fn try_from(text: String) -> Result<Self, BadSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_shown_in_the_longest_unit_that_fits() {
        for (text, seconds, shown) in
            [("90d", 90 * 86_400, "90d"), (" 24 h", 86_400, "1d"), ("90m", 5_400, "90m"), ("0s", 0, "0s")]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.as_seconds(), span.to_string().as_str()), (seconds, shown), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_or_is_endless_is_refused() {
        for text in ["", "5", "h", "-1h", "1.5h", "1w", "99999999d", "18446744073709551615h", "５h", "5é"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
