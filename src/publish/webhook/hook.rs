//! A webhook: where events are sent, which of them, and what they are signed with. Plain data; the secret is sealed, and
//! nobody ever reads it back.

use super::event::Kind;
use crate::fetch::{Trust, Url};
use crate::model::{OutputName, Time};
use crate::publish::ALL_FEEDS;
use crate::publish::outgoing::{Verify, is_private, kept_trust};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of a secret.
const SHORTEST: usize = 16;
const LONGEST: usize = 256;
/// Bytes of a URL.
const LONGEST_URL: usize = 2048;

/// A hook as a person says it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Where events are sent.
    #[schemars(with = "String")]
    pub url: Url,
    /// Which kinds; none said is all.
    #[serde(default)]
    pub events: Vec<Kind>,
    /// Only what is about these feeds, or about no feed; none said is all.
    #[serde(default)]
    pub feeds: Vec<OutputName>,
    /// Whom to believe.
    #[serde(default)]
    pub verify: Option<Verify>,
    /// What deliveries are signed with; none keeps the one that is there, or has one made.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub secret: Option<Zeroizing<String>>,
    /// Whether anything is sent.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// A hook as a configuration file says it: a secret stands in a file of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileWish {
    /// Where events are sent.
    pub url: Url,
    /// Which kinds.
    #[serde(default)]
    pub events: Vec<Kind>,
    /// About which feeds.
    #[serde(default)]
    pub feeds: Vec<OutputName>,
    /// Whom to believe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// The file that holds the secret; none: one is made, and shown when it is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Whether anything is sent.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl FileWish {
    /// The same with the secret itself.
    pub fn with(&self, secret: Option<Zeroizing<String>>) -> Wish {
        let Self { url, events, feeds, verify, enabled, .. } = self.clone();
        Wish { url, events, feeds, verify, secret, enabled }
    }
}

/// A hook as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hook {
    /// Another one for each that is added, also under an earlier one's name.
    pub(super) id: Uuid,
    /// Where events are sent.
    pub url: Url,
    /// Which kinds; none is all.
    pub events: Vec<Kind>,
    /// About which feeds; none is all.
    pub feeds: Vec<OutputName>,
    /// Whom to believe.
    pub verify: Option<Verify>,
    /// Why nothing is sent, if nothing is.
    pub off: Option<Off>,
    /// Since when it is there.
    pub since: Time,
    /// Since when it has its secret.
    pub secret_since: Time,
    /// Whether the configuration file set it up.
    pub by_file: bool,
    /// The secret as the vault sealed it, in hexadecimal digits: others at every sealing.
    pub(super) sealed: String,
    /// The secret before, which signs, too, up to a moment.
    pub(super) before: Option<(String, Time)>,
}

/// Why nothing is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Off {
    /// Since when.
    pub at: Time,
    /// Why.
    pub why: String,
    /// Whether the receiver asked for it, and no person.
    pub by_receiver: bool,
}

/// Why that is no hook.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadHook {
    /// Not an address to send to.
    #[error(
        "the URL is https://HOST with a path, of at most {LONGEST_URL} bytes, without user name and password"
    )]
    Url,
    /// Others could read on the way.
    #[error("what is sent would travel unencrypted: use https")]
    Clear,
    /// The certificate or the fingerprint is none.
    #[error("verify is {{\"ca\": PEM}} or {{\"fingerprint\": 64 hexadecimal digits of a SHA-256}}")]
    Verify,
    /// Too short to be one, or no text.
    #[error("the secret is {SHORTEST} to {LONGEST} letters, digits and signs without blanks")]
    Secret,
}

impl Off {
    /// A person said so.
    pub(super) fn by_person(at: Time) -> Self {
        Self { at, why: "it was switched off".to_owned(), by_receiver: false }
    }

    /// The receiver wants no more.
    pub(super) fn by_receiver(at: Time) -> Self {
        Self { at, why: "the receiver answered 410 Gone".to_owned(), by_receiver: true }
    }
}

impl Wish {
    /// Reads what a person says.
    ///
    /// # Errors
    /// What is wrong, without the secret.
    pub fn read(said: serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let is_secret = |value: &serde_json::Value| value.is_string() || value.is_null();
        if said.get("secret").is_some_and(|secret| !is_secret(secret)) {
            return Err("secret: a text is meant.".to_owned());
        }
        serde_json::from_value(said.into()).map_err(|error| format!("{error}."))
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// [`BadHook`].
    pub fn check(&self) -> Result<(), BadHook> {
        let has_user = !self.url.username().is_empty() || self.url.password().is_some();
        let is_long = self.url.as_str().len() > LONGEST_URL;
        match is_private(&self.url) {
            _ if has_user || is_long || self.url.fragment().is_some() => return Err(BadHook::Url),
            _ if self.url.host_str().is_none() => return Err(BadHook::Url),
            None => return Err(BadHook::Url),
            Some(false) => return Err(BadHook::Clear),
            Some(true) => {}
        }
        if Verify::trust(self.verify.as_ref()).is_none() {
            return Err(BadHook::Verify);
        }
        let is_secret = |secret: &str| {
            (SHORTEST..=LONGEST).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match &self.secret {
            Some(secret) if !is_secret(secret) => Err(BadHook::Secret),
            _ => Ok(()),
        }
    }

    /// Whether a hook is so already, but for its secret.
    pub(super) fn is(&self, hook: &Hook) -> bool {
        // What a receiver has switched off is not switched on by a file that never said otherwise.
        let is_off = self.enabled || hook.off.is_some();
        (&self.url, &self.events, &self.feeds, &self.verify)
            == (&hook.url, &hook.events, &hook.feeds, &hook.verify)
            && is_off
    }
}

impl Hook {
    /// Whether it is told of that.
    pub(super) fn wants(&self, kind: Kind, subject: &str) -> bool {
        let by_kind = self.events.is_empty() || self.events.contains(&kind);
        let names = |name: &OutputName| name.as_str() == subject;
        let by_feed = kind.about() != "feed" || subject == ALL_FEEDS;
        by_kind && (by_feed || self.feeds.is_empty() || self.feeds.iter().any(names))
    }

    /// Whom to believe.
    pub(super) fn trust(&self) -> Trust {
        kept_trust(self.verify.as_ref())
    }

    /// Where it goes, without what only the receiver needs to know.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wish(change: serde_json::Value) -> Wish {
        let mut said = json!({"url": "https://hooks.example/a?b=c"});
        said.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Wish::read(said.as_object().unwrap().clone()).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn what_would_be_read_on_the_way_or_is_no_secret_is_refused() {
        assert_eq!(wish(json!({})).check(), Ok(()));
        assert_eq!(wish(json!({"url": "http://127.0.0.1:9/x"})).check(), Ok(()));
        for (change, bad) in [
            (json!({"url": "http://hooks.example/"}), BadHook::Clear),
            (json!({"url": "https://me:pass@hooks.example/"}), BadHook::Url),
            (json!({"url": "https://hooks.example/#x"}), BadHook::Url),
            (json!({"url": "file:///etc/passwd"}), BadHook::Url),
            (json!({"url": format!("https://a.example/{}", "x".repeat(LONGEST_URL))}), BadHook::Url),
            (json!({"verify": {"fingerprint": "abc"}}), BadHook::Verify),
            (json!({"secret": "short"}), BadHook::Secret),
            (json!({"secret": "with blanks in it, so none"}), BadHook::Secret),
        ] {
            assert_eq!(wish(change.clone()).check(), Err(bad), "{change}");
        }
    }

    #[test]
    fn a_secret_of_another_type_is_not_repeated() {
        let said = json!({"url": "https://a.example", "secret": 471_147});
        let why = Wish::read(said.as_object().unwrap().clone()).err().unwrap();
        assert!(!why.contains("471"), "{why}");
    }

    #[test]
    fn a_hook_hears_of_its_kinds_and_feeds_and_of_all_feeds_together() {
        let mut hook = Hook {
            id: Uuid::nil(),
            url: "https://a.example".parse().unwrap(),
            events: vec![Kind::Released, Kind::Held, Kind::Silent],
            feeds: vec!["edge".parse().unwrap()],
            verify: None,
            off: None,
            since: Time::default(),
            secret_since: Time::default(),
            by_file: false,
            sealed: String::new(),
            before: None,
        };
        let told = [(Kind::Released, "edge"), (Kind::Held, "_all"), (Kind::Silent, "hq")];
        let untold = [(Kind::Released, "other"), (Kind::Failed, "edge"), (Kind::Heard, "hq")];
        assert!(told.iter().all(|(kind, subject)| hook.wants(*kind, subject)));
        assert!(untold.iter().all(|(kind, subject)| !hook.wants(*kind, subject)));
        (hook.events, hook.feeds) = (Vec::new(), Vec::new());
        assert!(told.iter().chain(&untold).all(|(kind, subject)| hook.wants(*kind, subject)));
    }
}
