//! What is said about the protocols beside HTTP feeds.

use super::SettingsError;
use super::layers::Layers;
use crate::model::OutputName;
use std::path::PathBuf;

/// What CrowdSec's bouncers get.
#[derive(Clone, Debug)]
pub struct CrowdSec {
    /// From which feed.
    pub feed: OutputName,
    /// The file with their keys, if one is named.
    pub keys_file: Option<PathBuf>,
    /// How long a change is told, in seconds.
    pub window: i64,
}

impl CrowdSec {
    pub(super) fn read(layers: &Layers) -> Result<Self, SettingsError> {
        let minutes: usize = layers.get("crowdsec.window_minutes")?;
        Ok(Self {
            feed: layers.get("crowdsec.feed")?,
            keys_file: layers.get("crowdsec.keys_file")?,
            window: i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(60),
        })
    }
}
