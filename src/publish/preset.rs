//! What known readers can take, from vendors' documents: a device that names one of these gets its budgets.

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
    /// How much it can take of each feed.
    pub each: Budget,
    /// How much it can take of all its feeds together.
    pub budget: Budget,
}

const MIB: u64 = 1 << 20;
const NONE: Budget = Budget { entries: None, bytes: None };

/// Whose limits nobody tells.
const fn preset(name: &'static str, about: &'static str, format: Format) -> Preset {
    Preset { name, about, format, each: NONE, budget: NONE }
}

/// FortiOS from 7.4.4 on: so many entries of all feeds, so many MiB of each.
const fn fortigate(name: &'static str, about: &'static str, entries: u64, mebibytes: u64) -> Preset {
    preset(name, about, Format::Fortigate).all(entries).of_each(None, Some(mebibytes * MIB))
}

impl Preset {
    const fn all(self, entries: u64) -> Self {
        Self { budget: Budget { entries: Some(entries), bytes: None }, ..self }
    }

    const fn of_each(self, entries: Option<u64>, bytes: Option<u64>) -> Self {
        Self { each: Budget { entries, bytes }, ..self }
    }
}

/// All presets. FortiGate cuts what is over its limit off without a word, and a second feed over it can come out empty.
pub const PRESETS: [Preset; 26] = [
    preset("fortigate", "FortiOS before 7.4.4", Format::Fortigate).of_each(Some(131_072), Some(10 * MIB)),
    fortigate("fortigate-7.4.4-entry", "FortiOS 7.4.4 to 7.6.2, entry models", 300_000, 32),
    fortigate("fortigate-7.4.4-mid", "the same, mid-range models", 300_000, 64),
    fortigate("fortigate-7.4.4-high", "the same, high-end models", 300_000, 128),
    fortigate("fortigate-7.6.3-entry", "FortiOS from 7.6.3, entry models", 300_000, 32),
    fortigate("fortigate-7.6.3-mid", "the same, mid-range models", 1_000_000, 64),
    fortigate("fortigate-7.6.3-high", "the same, high-end models", 5_000_000, 128),
    preset("fortigate-vm02", "FortiGate-VM02", Format::Fortigate).all(168_928),
    preset("palo-alto-50k", "Palo Alto models for 50,000 addresses", Format::PaloAlto).all(50_000),
    preset("palo-alto-150k", "Palo Alto models for 150,000 addresses", Format::PaloAlto).all(150_000),
    preset("cisco-fmc", "Cisco FMC Security Intelligence", Format::Cisco).of_each(None, Some(500 * MIB)),
    preset("check-point", "Check Point indicators", Format::CheckPoint),
    preset("sophos", "Sophos third-party threat feeds", Format::Sophos),
    preset("f5", "F5 IP intelligence feed lists", Format::F5),
    preset("juniper-srx", "Juniper SRX", Format::Juniper),
    preset("mikrotik", "MikroTik RouterOS", Format::Mikrotik),
    preset("opnsense", "OPNsense and pfSense aliases by URL", Format::Opnsense),
    preset("nftables", "nftables", Format::Nftables),
    preset("ipset", "ipset as it comes, without a raised maxelem", Format::Ipset).of_each(Some(65_536), None),
    preset("nginx", "nginx geo", Format::Nginx),
    preset("haproxy", "HAProxy ACL files", Format::Haproxy),
    preset("suricata", "Suricata IP reputation", Format::Suricata),
    preset("bind-rpz", "resolvers with response policy zones", Format::Rpz),
    preset("rbldnsd", "rbldnsd", Format::Rbldnsd),
    preset("stix", "readers of STIX 2.1 bundles", Format::Stix),
    preset("misp", "MISP", Format::Misp),
];

/// A device with the budgets of the preset that its model names, unless it says one of its own.
#[must_use]
pub fn with_preset(mut device: Device) -> Device {
    if (device.budget, device.each) == (NONE, NONE)
        && let Some(preset) = find(&device.model)
    {
        (device.budget, device.each) = (preset.budget, preset.each);
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

    #[test]
    fn what_a_vendor_limits_by_feed_is_no_sum() {
        let json = |model: &str| serde_json::json!({"name": "box", "model": model});
        let device = |model: &str| with_preset(serde_json::from_value(json(model)).unwrap());
        let old = device("fortigate");
        assert_eq!((old.budget, old.each.entries, old.each.bytes), (NONE, Some(131_072), Some(10 * MIB)));
        let new = device("fortigate-7.4.4-entry");
        assert_eq!((new.budget.entries, new.budget.bytes), (Some(300_000), None));
        assert_eq!(new.each, Budget { entries: None, bytes: Some(32 * MIB) });
        let said = Device { each: Budget { entries: Some(9), bytes: None }, ..device("none") };
        assert_eq!(with_preset(Device { model: "fortigate".into(), ..said.clone() }).each, said.each);
    }
}
