//! A firewall as people describe it: what it reads, from where, and how much it can take. Plain data with its invariants;
//! it knows not what a device has fetched.

use super::profile::{NOTHING, UNCOUNTED};
use super::{Budget, OutputName, Profile, TooBroad};
use crate::addr::IpRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The SHA-256 of a certificate (DER), written in 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Fingerprint([u8; 32]);

/// That is no fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the SHA-256 of a certificate is meant: 64 hexadecimal digits, with colons or without")]
pub struct BadFingerprint;

impl Fingerprint {
    /// Of the certificate with this digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let said = text.bytes().filter(|byte| *byte != b':');
        let digits: Option<Vec<u8>> = said
            .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(BadFingerprint)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = BadFingerprint;
    fn try_from(text: String) -> Result<Self, BadFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A firewall, or another reader, that is known by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name.
    pub name: OutputName,
    /// What it is, in the operator's words or those of a preset.
    #[serde(default)]
    pub model: String,
    /// The feeds that it reads; none: the default one.
    #[serde(default)]
    pub feeds: Vec<OutputName>,
    /// How much it can take of all of them together.
    #[serde(default)]
    pub budget: Budget,
    /// How much it can take of each of them; of one that has parts, of each part.
    #[serde(default)]
    pub each: Budget,
    /// Whence it is declared to ask. These addresses are never published: a firewall must not block itself.
    #[serde(default)]
    pub networks: Vec<IpRange>,
    /// What it may show in place of a key: certificates of its own, by their digest.
    #[serde(default)]
    pub certificates: Vec<Fingerprint>,
    /// After so many minutes without a pull it is called silent.
    #[serde(default = "usual_silence")]
    pub silent_minutes: u32,
}

/// The path of the presets among those of devices.
const PRESETS: &str = "presets";

impl Device {
    /// A device of which nothing is known but its name.
    pub fn new(name: OutputName) -> Self {
        Self {
            name,
            model: String::new(),
            feeds: Vec::new(),
            budget: Budget::default(),
            each: Budget::default(),
            networks: Vec::new(),
            certificates: Vec::new(),
            silent_minutes: usual_silence(),
        }
    }

    /// The feeds that it gets: those that it names, and the default one where it names none.
    pub fn reads(&self) -> Cow<'_, [OutputName]> {
        match self.feeds.is_empty() {
            true => vec![OutputName::fortigate()].into(),
            false => self.feeds.as_slice().into(),
        }
    }

    /// What is wrong with it, where it may read `feeds`, if anything is.
    pub fn fault<'a>(&self, feeds: impl Iterator<Item = &'a Profile>) -> Option<String> {
        if self.name.as_str() == PRESETS {
            return Some("the API has the known models under that name: choose another one".to_owned());
        }
        if self.budget.is_nothing() || self.each.is_nothing() {
            return Some(NOTHING.to_owned());
        }
        // What a firewall asks from is never published, so that a slip of the keyboard would open half of a feed.
        let broad = self.networks.iter().find(|network| TooBroad::default().excludes(**network));
        if let Some(network) = broad {
            return Some(format!(
                "no firewall asks from {network}; it may be a /8 at most, or a /19 of IPv6"
            ));
        }
        self.uncounted(feeds)
    }

    /// What is wrong with reading one of `feeds`, where its length cannot be told before it is written.
    pub fn uncounted<'a>(&self, feeds: impl Iterator<Item = &'a Profile>) -> Option<String> {
        let of_bytes = self.budget.bytes.or(self.each.bytes);
        let mut read = feeds.filter(|feed| self.reads().contains(&feed.name));
        let uncounted = read.find(|feed| of_bytes.is_some() && feed.format.needs_facts());
        uncounted.map(|feed| format!("it reads {} within a budget of bytes; {UNCOUNTED}", feed.name))
    }
}

const fn usual_silence() -> u32 {
    60
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Format;

    #[test]
    fn a_fingerprint_is_read_as_programs_write_it_and_nothing_else_is_one() {
        let plain = "0f".repeat(31) + "a0";
        let read: Fingerprint = plain.parse().unwrap();
        assert_eq!((read.to_string(), read.digest()[31]), (plain.clone(), 0xa0));
        let colons = "0F:".repeat(31) + "A0";
        assert_eq!(colons.parse(), Ok(read));
        for wrong in [&plain[1..], "", &format!("{plain}0"), &plain.replace('a', "g"), "sha256"] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(BadFingerprint), "{wrong}");
        }
    }

    #[test]
    fn a_device_that_nobody_could_show_or_remove_is_none() {
        let fault = |name: &str| Device::new(name.parse().unwrap()).fault([].into_iter());
        assert!(fault("presets").unwrap().contains("choose another one"));
        assert_eq!(fault("preset"), None);
    }

    #[test]
    fn bytes_are_no_budget_for_a_format_whose_length_nobody_knows() {
        let budget = Budget { entries: None, bytes: Some(30_000) };
        let good = Profile { budget, ..Profile::new("a".parse().unwrap()) };
        assert_eq!(good.fault(), None);
        let table = Profile { format: Format::Csv, ..good.clone() };
        assert!(table.fault().unwrap().contains("entries instead of bytes"));
        let table = Profile { budget: Budget::default(), ..table };
        let device: Device =
            serde_json::from_str(r#"{"name":"box","feeds":["a"],"each":{"bytes":30000}}"#).unwrap();
        assert_eq!(device.fault([&good].into_iter()), None);
        assert!(device.fault([&table].into_iter()).unwrap().contains("it reads a within"));
        let other = Device { feeds: vec!["b".parse().unwrap()], ..device };
        assert_eq!(other.fault([&table].into_iter()), None);
        let usual = Profile { name: OutputName::fortigate(), ..table.clone() };
        let unnamed = Device { feeds: Vec::new(), ..other.clone() };
        assert!(unnamed.fault([&table, &usual].into_iter()).unwrap().contains("it reads fortigate within"));
        let nothing = Device { each: Budget { entries: Some(0), bytes: None }, ..other };
        assert!(nothing.fault([].into_iter()).is_some());
    }
}
