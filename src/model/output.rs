//! What is published: feeds and the devices that read them, each by a name of its own. It knows neither how a feed is made
//! nor who may read it.

use super::{Device, OutputName, Profile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What people decide about publishing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// A feed.
    Feed(Profile),
    /// A device.
    Device(Device),
}

/// Which of the two, and its name: no two outputs have the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKey {
    /// The feed of that name.
    Feed(OutputName),
    /// The device of that name.
    Device(OutputName),
}

impl Output {
    /// What tells it from every other.
    pub fn key(&self) -> OutputKey {
        match self {
            Self::Feed(profile) => OutputKey::Feed(profile.name.clone()),
            Self::Device(device) => OutputKey::Device(device.name.clone()),
        }
    }
}

impl fmt::Display for OutputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed(name) => write!(f, "feed {name}"),
            Self::Device(name) => write!(f, "device {name}"),
        }
    }
}
