//! `ironlist device push-to`: where a firewall's lists are pushed to.

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct To {
    /// The device's name
    pub(super) name: String,
    /// The firewall's address for administrators: https://10.0.0.1
    #[arg(long)]
    url: String,
    /// How: what differs, the whole list, or by telling it to fetch
    #[arg(long, value_enum, default_value = "changes")]
    mode: Mode,
    /// Its virtual domain
    #[arg(long)]
    vdom: Option<String>,
    /// The authority that made its certificate (PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    ca: Option<PathBuf>,
    /// The SHA-256 of its certificate
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
    /// Its name for a feed, where that is another one; may be said again
    #[arg(long = "list", value_name = "FEED=NAME", value_parser = pair)]
    lists: Vec<(String, String)>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Mode {
    Changes,
    Snapshot,
    Refresh,
}

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Snapshot => "snapshot",
            Self::Refresh => "refresh",
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(feed, name)| (feed.to_owned(), name.to_owned()));
    pair.ok_or_else(|| "FEED=NAME is meant".to_owned())
}

/// Whom to believe, as the API takes it.
///
/// # Errors
/// The authority's file cannot be read.
pub(super) fn verify(ca: Option<&Path>, fingerprint: Option<&str>) -> anyhow::Result<Option<Value>> {
    let Some(file) = ca else { return Ok(fingerprint.map(|digits| json!({"fingerprint": digits}))) };
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(Some(json!({"ca": text})))
}

impl To {
    /// What the API takes.
    ///
    /// # Errors
    /// The authority's file cannot be read.
    pub(super) fn document(&self, key: &str) -> anyhow::Result<Value> {
        let verify = verify(self.ca.as_deref(), self.fingerprint.as_deref())?;
        let names: Map<String, Value> =
            self.lists.iter().map(|(feed, name)| (feed.clone(), json!(name))).collect();
        Ok(json!({
            "reason": self.reason,
            "url": self.url,
            "token": key,
            "vdom": self.vdom,
            "verify": verify,
            "names": names,
            "mode": self.mode.as_str(),
        }))
    }
}
