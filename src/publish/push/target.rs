//! Where a device's lists are pushed to, and how. Plain data; the key is sealed, and nobody ever reads it back.

use crate::fetch::{Trust, Url};
use crate::model::{Device, OutputName, Time};
use crate::publish::outgoing::{Verify, is_private, kept_trust};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The longest name that a firewall gives a list.
const LONGEST_NAME: usize = 35;

/// How a list gets to the firewall.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What differs from what it has; the whole list where that is not certain.
    #[default]
    Changes,
    /// The whole list, each time.
    Snapshot,
    /// The firewall is told to fetch it now.
    Refresh,
}

/// A target as a person says it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The firewall's address for administrators, such as `https://10.0.0.1`.
    #[schemars(with = "String")]
    pub url: Url,
    /// The key of an administrator of its API; none keeps the one that is there.
    #[schemars(with = "Option<String>")]
    pub token: Option<Zeroizing<String>>,
    /// The virtual domain, where there are several.
    #[serde(default)]
    pub vdom: Option<String>,
    /// Whom to believe.
    #[serde(default)]
    pub verify: Option<Verify>,
    /// The firewall's name for each feed; a feed that is not named here has the same name there.
    #[serde(default)]
    pub names: BTreeMap<OutputName, String>,
    /// How.
    #[serde(default)]
    pub mode: Mode,
}

/// A target as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The firewall's address.
    pub url: Url,
    /// Its virtual domain.
    pub vdom: Option<String>,
    /// Whom to believe.
    pub verify: Option<Verify>,
    /// The firewall's name for each feed.
    pub names: BTreeMap<OutputName, String>,
    /// How.
    pub mode: Mode,
    /// Since when.
    pub since: Time,
    /// The key as the vault sealed it, in hexadecimal digits: another one at every sealing.
    pub(super) sealed: String,
}

/// Why that is no target.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadTarget {
    /// Not a base to which paths can be added.
    #[error("the URL is https://HOST, or with a port and a path, and nothing after it")]
    Url,
    /// The key would cross a network in clear.
    #[error("the key would travel unencrypted: use https")]
    Clear,
    /// No key was ever given.
    #[error("a token is missing: the key of a REST API administrator of the firewall")]
    NoToken,
    /// Not one that a header takes.
    #[error("the token is no key: letters and digits are meant")]
    Token,
    /// The certificate or the fingerprint is none.
    #[error("verify is {{\"ca\": PEM}} or {{\"fingerprint\": 64 hexadecimal digits of a SHA-256}}")]
    Verify,
    /// A feed that the device does not read.
    #[error("the device does not read {0}: add it to its feeds first")]
    Feed(OutputName),
    /// A name that no list on a firewall has.
    #[error("{0:?} is no name of a list: 1 to {LONGEST_NAME} characters are meant")]
    Name(String),
}

impl Wish {
    /// Reads what a person says.
    ///
    /// # Errors
    /// What is wrong, without the words themselves: one of them is the key.
    pub fn read(said: serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let is_token = |value: &serde_json::Value| value.is_string() || value.is_null();
        if said.get("token").is_some_and(|token| !is_token(token)) {
            return Err("token: a text is meant.".to_owned());
        }
        serde_json::from_value(said.into()).map_err(|error| format!("{error}."))
    }

    /// What is wrong with it for this device.
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn check(&self, device: &Device) -> Result<(), BadTarget> {
        let is_base = self.url.query().is_none() && self.url.fragment().is_none();
        let has_user = !self.url.username().is_empty() || self.url.password().is_some();
        match is_private(&self.url) {
            _ if !is_base || has_user || self.url.host_str().is_none() => return Err(BadTarget::Url),
            Some(true) => {}
            Some(false) => return Err(BadTarget::Clear),
            None => return Err(BadTarget::Url),
        }
        if Verify::trust(self.verify.as_ref()).is_none() {
            return Err(BadTarget::Verify);
        }
        for (feed, name) in &self.names {
            if !device.reads().contains(feed) {
                return Err(BadTarget::Feed(feed.clone()));
            }
            if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
                return Err(BadTarget::Name(name.chars().take(80).collect()));
            }
        }
        Ok(())
    }
}

impl Target {
    /// The feeds of the device with the names that the firewall has for them.
    pub(super) fn lists(&self, device: &Device) -> Vec<(OutputName, String)> {
        let named = |feed: OutputName| {
            let name = self.names.get(&feed).cloned().unwrap_or_else(|| feed.to_string());
            (feed, name)
        };
        device.reads().iter().cloned().map(named).collect()
    }

    /// Whom to believe.
    pub(super) fn trust(&self) -> Trust {
        kept_trust(self.verify.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(change: serde_json::Value) -> Result<(), BadTarget> {
        let device = json!({"name": "edge", "feeds": ["edge-list"]});
        let device: Device = serde_json::from_value(device).unwrap();
        let mut wish = json!({"url": "https://10.0.0.1:8443", "token": "key"});
        wish.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value::<Wish>(wish).unwrap().check(&device)
    }

    #[test]
    fn a_key_travels_encrypted_or_not_at_all() {
        assert_eq!(checked(json!({})), Ok(()));
        assert_eq!(checked(json!({"url": "http://127.0.0.1:8080"})), Ok(()));
        assert_eq!(checked(json!({"url": "http://10.0.0.1"})), Err(BadTarget::Clear));
        for url in ["https://u:p@10.0.0.1", "https://10.0.0.1/?a=b", "ftp://10.0.0.1"] {
            assert_eq!(checked(json!({ "url": url })), Err(BadTarget::Url), "{url}");
        }
    }

    #[test]
    fn a_firewall_is_believed_by_its_authority_or_its_own_certificate() {
        let fingerprint = "ab:".repeat(31) + "AB";
        assert_eq!(checked(json!({"verify": {"fingerprint": fingerprint}})), Ok(()));
        for verify in [json!({"fingerprint": "ab"}), json!({"ca": "nothing"})] {
            assert_eq!(checked(json!({ "verify": verify })), Err(BadTarget::Verify));
        }
    }

    #[test]
    fn only_what_the_device_reads_has_a_name_there() {
        assert_eq!(checked(json!({"names": {"edge-list": "Blacklist"}})), Ok(()));
        let other = checked(json!({"names": {"other": "Blacklist"}}));
        assert_eq!(other, Err(BadTarget::Feed("other".parse().unwrap())));
        assert_eq!(checked(json!({"names": {"edge-list": ""}})), Err(BadTarget::Name(String::new())));
    }
}
