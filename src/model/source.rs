//! Where listings come from.

use super::Time;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A source's number: given once, in the order in which sources appear in the journal, and never
/// again to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SourceId(pub u16);

/// A source's name: 1 to 64 of `a-z`, `0-9`, `.`, `_`, `-`, beginning with a letter or digit.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(Arc<str>);

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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
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

/// A source and the policy for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Its number.
    pub id: SourceId,
    /// Its name.
    pub name: SourceName,
    /// What its silence means.
    pub mode: Mode,
    /// The zone of its calendar days.
    pub zone: Tz,
    /// The last complete run that succeeded: the watermark "last seen" of all its listings.
    pub last_seen: Option<Time>,
    /// When it first appeared.
    pub since: Time,
}
