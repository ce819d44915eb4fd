//! A firewall as people describe it: what it reads, from where, and how much it can take. Plain data with its invariants;
//! it knows not what a device has fetched.

use super::profile::{NOTHING, UNCOUNTED};
use super::{Budget, OutputName, Profile, TooBroad};
use crate::addr::IpRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A firewall, or another reader, that is known by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name.
    pub name: OutputName,
    /// What it is, in the operator's words or those of a preset.
    #[serde(default)]
    pub model: String,
    /// The feeds that it reads.
    #[serde(default)]
    pub feeds: Vec<OutputName>,
    /// How much it can take of all of them together.
    #[serde(default)]
    pub budget: Budget,
    /// How much it can take of each of them; of one that has parts, of each part.
    #[serde(default)]
    pub each: Budget,
    /// Whence it asks. These addresses are never published: a firewall must not block itself.
    #[serde(default)]
    pub networks: Vec<IpRange>,
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
            silent_minutes: usual_silence(),
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
        let mut read = feeds.filter(|feed| self.feeds.contains(&feed.name));
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
        let nothing = Device { each: Budget { entries: Some(0), bytes: None }, ..other };
        assert!(nothing.fault([].into_iter()).is_some());
    }
}
