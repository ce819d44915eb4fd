//! What a source says about a range.

use super::{Day, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A country as ISO 3166-1 alpha-2, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// From two letters in any case; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let bytes: [u8; 2] = text.as_bytes().try_into().ok()?;
        let upper = bytes.map(|b| b.to_ascii_uppercase());
        upper.iter().all(u8::is_ascii_uppercase).then_some(Self(upper))
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        // Proven by the only constructor: both bytes are ASCII capitals.
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Country {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("a country is two letters")
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}

/// How grave the source thinks it is. The four steps are those of the Korean portals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Minor,
    /// Worth watching.
    Warning,
    /// An attack.
    Critical,
    /// An attack that succeeded or will.
    Fatal,
}

impl Severity {
    /// All steps, least grave first.
    pub const ALL: [Self; 4] = [Self::Minor, Self::Warning, Self::Critical, Self::Fatal];

    /// The step's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Fatal => "fatal",
        }
    }
}

impl FromStr for Severity {
    type Err = ();
    /// Reads the four names and the words other lists use for them, in any case.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "minor" | "low" | "info" => Ok(Self::Minor),
            "warning" | "medium" => Ok(Self::Warning),
            "critical" | "high" => Ok(Self::Critical),
            "fatal" => Ok(Self::Fatal),
            _ => Err(()),
        }
    }
}

/// All that one source states about one range, but for the range itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Detail {
    /// Why, in the source's words.
    pub reason: Option<Box<str>>,
    /// The source's kind of threat.
    pub threat: Option<Box<str>>,
    /// How grave.
    pub severity: Option<Severity>,
    /// Where the range is, by the source.
    pub country: Option<Country>,
    /// How sure the source is, 0 to 100.
    pub confidence: Option<u8>,
    /// The day of the attack, by the source.
    pub detected: Option<Day>,
    /// The day of listing, by the source.
    pub listed: Option<Day>,
    /// The first moment at which the listing no longer counts; none: until the source drops it.
    pub expires: Option<Time>,
    /// The moment we learned of it.
    pub first_seen: Time,
    /// The record's name at the source.
    pub upstream_id: Option<Box<str>>,
}

impl Detail {
    /// Whether both make the same statement, whenever we learned of it.
    pub fn same_statement(&self, other: &Self) -> bool {
        // Taken apart, so that a field added later cannot be forgotten here.
        let Self {
            reason,
            threat,
            severity,
            country,
            confidence,
            detected,
            listed,
            expires,
            first_seen: _,
            upstream_id,
        } = self;
        (severity, country, confidence, detected, listed, expires)
            == (
                &other.severity,
                &other.country,
                &other.confidence,
                &other.detected,
                &other.listed,
                &other.expires,
            )
            && (reason, threat, upstream_id) == (&other.reason, &other.threat, &other.upstream_id)
    }
}
