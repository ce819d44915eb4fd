//! The names of feeds and devices. It must not know what is published under them.

use super::{Format, SourceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The name of a feed or a device: the rule of [`SourceName`], so that it fits paths, files and metrics.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct OutputName(SourceName);

/// How files of feeds end beside by their formats.
const ENDINGS: [&str; 3] = ["txt", "md5", "categories"];

/// The name is not one a feed or device may have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no name: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit")]
pub struct BadName(String);

impl OutputName {
    /// The name of the default feed.
    pub fn fortigate() -> Self {
        "fortigate".parse().unwrap_or_else(|_| unreachable!("it follows the rule, as a test shows"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is the feed `other` with the ending of a file behind it, whatever that one's format is now.
    pub fn is_with_ending_of(&self, other: &Self) -> bool {
        let ending = self.as_str().strip_prefix(other.as_str()).and_then(|rest| rest.strip_prefix('.'));
        ending.is_some_and(|ending| {
            ENDINGS.contains(&ending) || Format::ALL.iter().any(|format| format.extension() == ending)
        })
    }
}

impl FromStr for OutputName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        text.parse().map(Self).map_err(|_| BadName(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for OutputName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<OutputName> for String {
    fn from(name: OutputName) -> Self {
        name.0.into()
    }
}

impl Borrow<str> for OutputName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
