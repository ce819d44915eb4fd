//! The settings of the door: how it deals with the roles behind it.

use super::SettingsError;
use super::layers::Layers;
use super::value::Size;
use crate::gateway::{Balance, Rate, Rates};
use std::path::PathBuf;
use std::time::Duration;

/// How the gateway deals with the roles behind it.
#[derive(Clone, Debug)]
pub struct Behind {
    /// Which of several instances is asked.
    pub balance: Balance,
    /// How long an answer's head may take.
    pub timeout: Duration,
    /// About how often instances are asked whether they are ready.
    pub check: Duration,
    /// Requests at work in a role at once.
    pub at_work: usize,
    /// The certificates (PEM) that instances at https URLs are believed by.
    pub ca_file: Option<PathBuf>,
    /// The certificate (PEM) that the gateway shows them, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Bytes that kept answers may take.
    pub cache: u64,
}

impl Behind {
    pub(super) fn read(layers: &Layers) -> Result<Self, SettingsError> {
        let seconds = |key| Ok::<_, SettingsError>(Duration::from_secs(layers.get::<usize>(key)? as u64));
        let ca_file: Option<PathBuf> = layers.get("upstream.ca_file")?;
        Ok(Self {
            balance: layers.get("upstream.balance")?,
            timeout: seconds("upstream.timeout_seconds")?,
            check: seconds("upstream.check_seconds")?,
            at_work: layers.get("upstream.at_work")?,
            certificate: certificate(layers, ca_file.is_some())?,
            ca_file,
            cache: layers.get::<Size>("cache.size")?.0,
        })
    }
}

/// What is shown to instances at https URLs, which is for those that are believed alone.
fn certificate(layers: &Layers, believes: bool) -> Result<Option<(PathBuf, PathBuf)>, SettingsError> {
    let [chain, key] = ["upstream.cert_file", "upstream.key_file"];
    match (layers.get::<Option<PathBuf>>(chain)?, layers.get::<Option<PathBuf>>(key)?) {
        (Some(chain), Some(key)) if believes => Ok(Some((chain, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(layers.refusal(chain, "with it upstream.key_file is meant to be there")),
        (None, Some(_)) => Err(layers.refusal(key, "with it upstream.cert_file is meant to be there")),
        (Some(_), Some(_)) => Err(layers.refusal(chain, "with it upstream.ca_file is meant to be there")),
    }
}

/// How often one caller may ask for what, in the order of [`crate::gateway::Class::ALL`].
pub(super) fn rates(layers: &Layers) -> Result<Rates, SettingsError> {
    let rate = |key| layers.get::<Option<Rate>>(key);
    Ok([
        rate("rate.check")?,
        rate("rate.bulk")?,
        rate("rate.feeds")?,
        rate("rate.read")?,
        rate("rate.write")?,
        rate("rate.auth")?,
    ])
}
