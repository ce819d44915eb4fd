//! What known readers can take, from vendors' documents: a device that names one of these gets its budget.

use crate::model::{Budget, Device, Format};

/// What a kind of reader can take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preset {
    /// What a device calls it.
    pub name: &'static str,
    /// Which devices are meant.
    pub about: &'static str,
    /// The format of its feeds.
    pub format: Format,
    /// How much it can take of all its feeds together.
    pub budget: Budget,
}

const MIB: u64 = 1 << 20;

const fn preset(
    name: &'static str,
    about: &'static str,
    format: Format,
    entries: Option<u64>,
    mebibytes: Option<u64>,
) -> Preset {
    let bytes = match mebibytes {
        Some(mebibytes) => Some(mebibytes * MIB),
        None => None,
    };
    Preset { name, about, format, budget: Budget { entries, bytes } }
}

/// All presets. FortiGate cuts what is over its limit off without a word, and a second feed over it can come out empty.
pub const PRESETS: [Preset; 14] = [
    preset("fortigate", "FortiOS before 7.4.4", Format::Fortigate, Some(131_072), Some(10)),
    preset(
        "fortigate-7.4.4-entry",
        "FortiOS 7.4.4 to 7.6.2, entry models",
        Format::Fortigate,
        Some(300_000),
        Some(32),
    ),
    preset("fortigate-7.4.4-mid", "the same, mid-range models", Format::Fortigate, Some(300_000), Some(64)),
    preset("fortigate-7.4.4-high", "the same, high-end models", Format::Fortigate, Some(300_000), Some(128)),
    preset(
        "fortigate-7.6.3-entry",
        "FortiOS from 7.6.3, entry models",
        Format::Fortigate,
        Some(300_000),
        Some(32),
    ),
    preset("fortigate-7.6.3-mid", "the same, mid-range models", Format::Fortigate, Some(1_000_000), Some(64)),
    preset(
        "fortigate-7.6.3-high",
        "the same, high-end models",
        Format::Fortigate,
        Some(5_000_000),
        Some(128),
    ),
    preset("fortigate-vm02", "FortiGate-VM02", Format::Fortigate, Some(168_928), None),
    preset("palo-alto-50k", "Palo Alto models for 50,000 addresses", Format::PaloAlto, Some(50_000), None),
    preset("palo-alto-150k", "Palo Alto models for 150,000 addresses", Format::PaloAlto, Some(150_000), None),
    preset("cisco-fmc", "Cisco FMC Security Intelligence", Format::Cisco, None, Some(500)),
    preset("check-point", "Check Point indicators", Format::CheckPoint, None, None),
    preset("ipset", "ipset as it comes, without a raised maxelem", Format::Ipset, Some(65_536), None),
    preset("juniper-srx", "Juniper SRX", Format::Juniper, None, None),
];

/// A device with the budget of the preset that its model names, unless it says one of its own.
#[must_use]
pub fn with_preset(mut device: Device) -> Device {
    if device.budget == Budget::default()
        && let Some(preset) = find(&device.model)
    {
        device.budget = preset.budget;
    }
    device
}

/// The preset of that name.
fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_name_of_its_own_that_a_device_could_say() {
        for (at, preset) in PRESETS.iter().enumerate() {
            assert!(PRESETS[..at].iter().all(|other| other.name != preset.name), "{}", preset.name);
            assert!(preset.name.parse::<crate::model::OutputName>().is_ok());
            assert_eq!(find(preset.name), Some(preset));
        }
        assert_eq!(find("toaster"), None);
    }
}
