//! Where listings come from, and what holds for all that one source lists.

use super::{Detail, Time};
use crate::addr::IpRange;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A source's number: given once, in the order in which sources appear in the journal, and never
/// again to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SourceId(pub u16);

/// A source's name: 1 to 64 of `a-z`, `0-9`, `.`, `_`, `-`, beginning with a letter or digit.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// The source of what people list by hand.
    pub const MANUAL: &str = "manual";
}

/// The name is not one a source may have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not a source's name: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
)]
pub struct BadSourceName(String);

impl SourceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceName {
    type Err = BadSourceName;
    fn from_str(text: &str) -> Result<Self, BadSourceName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let rest = |b: u8| plain(b) || matches!(b, b'.' | b'_' | b'-');
        let good = text.len() <= 64 && text.bytes().next().is_some_and(plain) && text.bytes().all(rest);
        if good { Ok(Self(text.into())) } else { Err(BadSourceName(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for SourceName {
    type Error = BadSourceName;
    fn try_from(text: String) -> Result<Self, BadSourceName> {
        text.parse()
    }
}

impl From<SourceName> for String {
    fn from(name: SourceName) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for SourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a source's silence about a range means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A complete run lists everything: absence ends the listing.
    Snapshot,
    /// A run covers a period: absence inside it ends the listing.
    Window,
    /// Absence says nothing; expiry ends the listing.
    #[default]
    Append,
}

/// What holds for everything that one source lists.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What its silence means.
    pub mode: Mode,
    /// The zone of its calendar days.
    #[schemars(with = "String")]
    pub zone: Tz,
    /// How sure it is of a listing of which it does not say so, 0 to 100.
    pub confidence: Option<u8>,
    /// A listing without an expiry of its own ends so many days after it was last seen.
    pub expires_days: Option<u16>,
    /// The terms under which it may be used: a name, or where they stand.
    pub licence: Option<Box<str>>,
    /// What it cannot mean.
    pub too_broad: TooBroad,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            zone: chrono_tz::Asia::Seoul,
            confidence: None,
            expires_days: None,
            licence: None,
            too_broad: TooBroad::default(),
        }
    }
}

/// The widest ranges that are believed: anything wider is a slip of the keyboard, or somebody's
/// revenge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TooBroad {
    /// As many IPv4 addresses as a prefix of this length has.
    pub v4: u8,
    /// As many IPv6 addresses as a prefix of this length has.
    pub v6: u8,
}

impl Default for TooBroad {
    fn default() -> Self {
        Self { v4: 8, v6: 19 }
    }
}

impl TooBroad {
    /// Whether `range` has more addresses than is believed.
    pub fn excludes(self, range: IpRange) -> bool {
        let (bits, len) = match range {
            IpRange::V4(_) => (32, self.v4),
            IpRange::V6(_) => (128, self.v6),
        };
        let most = 1_u128.checked_shl(u32::from(bits - len.min(bits)));
        // All of IPv6 has 2^128: a limit that cannot be told excludes nothing.
        most.is_some_and(|most| range.size() > most)
    }
}

/// A source and the policy for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// Its number.
    pub id: SourceId,
    /// Its name.
    pub name: SourceName,
    /// What holds for all its listings.
    pub policy: Policy,
    /// The last complete run that succeeded: the watermark "last seen" of all its listings. It is
    /// exact to the day: later runs of a day that find nothing new do not move it.
    pub last_seen: Option<Time>,
    /// When it first appeared.
    pub since: Time,
    /// Why nothing of its runs is taken in, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// A source was taken back, and waits for an administrator's word: its next run might undo that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Since when.
    pub since: Time,
    /// The generation whose listings it has again.
    pub generation: u64,
    /// Why it was taken back.
    pub reason: String,
}

impl Source {
    /// Whether `now` is on another day, in its zone, than the last complete run.
    pub fn is_due_to_be_seen(&self, now: Time) -> bool {
        let day = |time: Time| time.day_in(self.policy.zone);
        self.last_seen.is_none_or(|seen| day(seen) != day(now))
    }

    /// The first moment at which listings without an expiry of their own no longer count: after
    /// the last second of the day, in its zone, that is the policy's number of days after the last
    /// complete run. None while there is no such run, or no such policy.
    pub fn ends(&self) -> Option<Time> {
        let zone = self.policy.zone;
        let day = self.last_seen?.day_in(zone).plus(self.policy.expires_days?.into());
        Some(day.end_in(zone))
    }

    /// The first moment at which a listing no longer counts.
    pub fn expiry_of(&self, detail: &Detail) -> Option<Time> {
        detail.expires.or_else(|| self.ends())
    }

    /// How sure the source is of a listing.
    pub fn confidence_of(&self, detail: &Detail) -> Option<u8> {
        detail.confidence.or(self.policy.confidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(policy: Policy, seen: &str) -> Source {
        let last_seen = Some(seen.parse().unwrap());
        Source {
            id: SourceId(0),
            name: "a".parse().unwrap(),
            policy,
            last_seen,
            since: Time::default(),
            held: None,
        }
    }

    #[test]
    fn what_was_last_seen_on_a_day_ends_days_later_with_that_day_of_the_zone() {
        let policy = Policy { expires_days: Some(30), ..Policy::default() };
        let source = source(policy, "2026-06-01T16:00:00Z");
        assert_eq!(source.ends().unwrap().to_string(), "2026-07-02T15:00:00Z");
        let own = Detail { expires: Some(Time::default()), ..Detail::default() };
        assert_eq!(source.expiry_of(&own), Some(Time::default()));
        assert_eq!(Source { last_seen: None, ..source }.ends(), None);
    }

    #[test]
    fn a_source_is_seen_once_a_day_of_its_zone() {
        let source = source(Policy::default(), "2026-06-01T14:59:59Z");
        assert!(!source.is_due_to_be_seen("2026-05-31T15:00:00Z".parse().unwrap()));
        assert!(source.is_due_to_be_seen("2026-06-01T15:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_range_is_too_broad_by_its_addresses_whatever_the_limits() {
        let excludes = |v4, v6, text: &str| TooBroad { v4, v6 }.excludes(text.parse().unwrap());
        assert!(!excludes(8, 19, "20.0.0.0/8") && excludes(8, 19, "20.0.0.0-21.0.0.0"));
        assert!(!excludes(8, 19, "1.255.255.255-2.0.0.0"), "narrow, though no narrow prefix holds it");
        assert!(!excludes(8, 19, "2a00::/19") && excludes(8, 19, "2a00::/18"));
        assert!(!excludes(0, 0, "0.0.0.1-255.255.255.255") && !excludes(0, 0, "::1-ffff::"));
        assert!(!excludes(255, 255, "20.0.0.1") && excludes(255, 255, "2a00::/127"));
    }

    #[test]
    fn a_policy_is_read_by_the_parts_that_are_said_and_nothing_else() {
        let policy: Policy = serde_json::from_str(r#"{"mode":"window","too_broad":{"v4":16}}"#).unwrap();
        assert_eq!(policy.too_broad, TooBroad { v4: 16, v6: 19 });
        assert_eq!(policy, serde_json::from_value(serde_json::to_value(&policy).unwrap()).unwrap());
        assert!(serde_json::from_str::<Policy>(r#"{"licens":"CC0"}"#).is_err());
    }
}
