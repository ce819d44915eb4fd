//! Well-known public lists, each off until somebody switches it on.
//!
//! Plain data: where a list is, how it is read, how often its owner wants to be asked, under what
//! terms, and how far it is to be trusted. Whoever switches one on accepts its owner's terms.

use super::formats::Parser;
use crate::model::{Mode, Policy, TooBroad};
use std::time::Duration;

/// A list as its owner publishes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The source's name here.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Where it is.
    pub url: &'static str,
    /// What its silence means.
    pub mode: Mode,
    /// How to read it, as a configuration would say it.
    pub parser: &'static str,
    /// How long to wait between downloads: never less than the owner asks for.
    pub every: Duration,
    /// How sure it is of a listing of which it does not say so, 0 to 100.
    pub confidence: u8,
    /// Its listings end so many days after it was last seen: for when it dies silently.
    pub expires_days: u16,
    /// The terms of use, by name or where they stand.
    pub licence: &'static str,
    /// Whether others may be given it without more ado. A list whose owner wants credit or
    /// his copyright beside it may not, for a firewall's list has no room for that.
    pub pass_on: bool,
    /// The header in which it wants a key.
    pub key: Option<&'static str>,
    /// The broadest prefix that is no mistake in it, for IPv4.
    pub too_broad_v4: u8,
}

/// Hours.
const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

/// What most have in common.
const PLAIN: Entry = Entry {
    name: "",
    title: "",
    url: "",
    mode: Mode::Snapshot,
    parser: "",
    every: hours(12),
    confidence: 70,
    expires_days: 7,
    licence: "",
    pass_on: false,
    key: None,
    too_broad_v4: 8,
};

/// A level of FireHOL: put together from other lists, whose terms go on holding.
const FIREHOL: Entry =
    Entry { licence: "https://iplists.firehol.org: terms of the lists in it", every: hours(6), ..PLAIN };

/// Every list that is known, by name.
pub const CATALOG: [Entry; 17] = [
    Entry {
        name: "abuseipdb",
        title: "AbuseIPDB: addresses reported by many, with a key of one's own",
        url: "https://api.abuseipdb.com/api/v2/blacklist?confidenceMinimum=90&limit=10000",
        parser: "format = 'json'\npath = 'data'",
        // A free key is good for five requests a day.
        every: hours(6),
        confidence: 90,
        licence: "https://www.abuseipdb.com/legal",
        key: Some("Key"),
        ..PLAIN
    },
    Entry {
        name: "blocklist-de",
        title: "blocklist.de: attacks on servers of the last 48 hours",
        url: "https://lists.blocklist.de/lists/all.txt",
        every: hours(1),
        expires_days: 3,
        licence: "https://www.blocklist.de: free of charge",
        ..PLAIN
    },
    Entry {
        name: "cins-army",
        title: "CINS Army: addresses of a poor score at sentinels",
        url: "https://cinsscore.com/list/ci-badguys.txt",
        every: hours(3),
        licence: "https://cinsscore.com: free of charge",
        ..PLAIN
    },
    Entry {
        name: "dshield",
        title: "DShield: the networks that attack most",
        url: "https://feeds.dshield.org/block.txt",
        parser: "format = 'tsv'\ncolumns = { first = 1, last = 2, reason = 5, country = 6 }",
        every: hours(3),
        expires_days: 3,
        licence: "CC-BY-NC-SA-4.0",
        ..PLAIN
    },
    Entry {
        name: "emerging-threats-block",
        title: "Emerging Threats: rules for firewalls, from several lists",
        url: "https://rules.emergingthreats.net/fwrules/emerging-Block-IPs.txt",
        licence: "https://rules.emergingthreats.net: terms of the lists in it",
        ..PLAIN
    },
    Entry {
        name: "emerging-threats-compromised",
        title: "Emerging Threats: machines in others' hands",
        url: "https://rules.emergingthreats.net/blockrules/compromised-ips.txt",
        licence: "BSD-3-Clause",
        pass_on: true,
        ..PLAIN
    },
    Entry {
        name: "feodo-tracker",
        title: "Feodo Tracker: servers that command bots",
        url: "https://feodotracker.abuse.ch/downloads/ipblocklist.json",
        parser: "format = 'json'",
        every: hours(1),
        confidence: 90,
        licence: "CC0-1.0",
        pass_on: true,
        ..PLAIN
    },
    Entry {
        name: "firehol-level1",
        title: "FireHOL level 1: what nobody misses, private networks included",
        url: "https://iplists.firehol.org/files/firehol_level1.netset",
        confidence: 80,
        // It names multicast and all behind it in one prefix.
        too_broad_v4: 3,
        ..FIREHOL
    },
    Entry {
        name: "firehol-level2",
        title: "FireHOL level 2: attacks of the last 48 hours",
        url: "https://iplists.firehol.org/files/firehol_level2.netset",
        expires_days: 3,
        ..FIREHOL
    },
    Entry {
        name: "firehol-level3",
        title: "FireHOL level 3: attacks, spies and viruses of the last 30 days",
        url: "https://iplists.firehol.org/files/firehol_level3.netset",
        confidence: 50,
        ..FIREHOL
    },
    Entry {
        name: "firehol-level4",
        title: "FireHOL level 4: much, and some of it wrong",
        url: "https://iplists.firehol.org/files/firehol_level4.netset",
        confidence: 30,
        ..FIREHOL
    },
    Entry {
        name: "greensnow",
        title: "GreenSnow: scans and attempts on passwords",
        url: "https://blocklist.greensnow.co/greensnow.txt",
        every: hours(3),
        licence: "https://greensnow.co: free of charge",
        ..PLAIN
    },
    Entry {
        name: "ipsum",
        title: "IPsum: addresses that stand on at least three lists",
        url: "https://raw.githubusercontent.com/stamparm/ipsum/master/ipsum.txt",
        parser: "format = 'tsv'\nheader = false\ncolumns = { address = 1 }\nminimum = { column = 2, least = 3 }",
        licence: "Unlicense",
        pass_on: true,
        ..PLAIN
    },
    Entry {
        name: "spamhaus-drop",
        title: "Spamhaus DROP: networks that criminals have taken or rented",
        url: "https://www.spamhaus.org/drop/drop_v4.json",
        parser: "format = 'ndjson'",
        confidence: 100,
        expires_days: 14,
        licence: "https://www.spamhaus.org/blocklists/drop-fair-use-policy/",
        ..PLAIN
    },
    Entry {
        name: "spamhaus-drop-v6",
        title: "Spamhaus DROP for IPv6",
        url: "https://www.spamhaus.org/drop/drop_v6.json",
        parser: "format = 'ndjson'",
        confidence: 100,
        expires_days: 14,
        licence: "https://www.spamhaus.org/blocklists/drop-fair-use-policy/",
        ..PLAIN
    },
    Entry {
        name: "team-cymru-fullbogons",
        title: "Team Cymru: addresses that nobody has been given, private networks included",
        url: "https://www.team-cymru.org/Services/Bogons/fullbogons-ipv4.txt",
        confidence: 90,
        licence: "https://www.team-cymru.com/bogon-networks: free of charge",
        too_broad_v4: 3,
        ..PLAIN
    },
    Entry {
        name: "tor-exits",
        title: "Tor: exits, which are used by friend and foe",
        url: "https://check.torproject.org/exit-addresses",
        every: hours(1),
        confidence: 30,
        expires_days: 2,
        licence: "CC0-1.0",
        pass_on: true,
        ..PLAIN
    },
];

/// The list of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|entry| entry.name == name)
}

impl Entry {
    /// How it is read.
    ///
    /// # Errors
    /// The table's own settings are wrong, which a test rules out.
    pub fn parser(&self) -> Result<Parser, toml::de::Error> {
        toml::from_str(self.parser)
    }

    /// What its listings mean.
    pub fn policy(&self) -> Policy {
        Policy {
            mode: self.mode,
            confidence: Some(self.confidence),
            expires_days: Some(self.expires_days),
            licence: Some(self.licence.into()),
            too_broad: TooBroad { v4: self.too_broad_v4, ..TooBroad::default() },
            ..Policy::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::formats::Options;
    use crate::collect::{Terms, read};
    use crate::fetch::Reach;
    use crate::model::{Detail, SourceName};
    use std::collections::BTreeSet;

    /// A beginning of each list, and the ranges in it.
    const SAMPLES: [(&str, &str, &[&str]); CATALOG.len()] = [
        (
            "abuseipdb",
            r#"{"meta":{"generatedAt":"2026-11-22T10:00:05+00:00"},"data":[{"ipAddress":"20.0.0.1","countryCode":"CN","abuseConfidenceScore":100,"lastReportedAt":"2026-11-22T09:00:00+00:00"},{"ipAddress":"2a00::1","countryCode":null,"abuseConfidenceScore":97,"lastReportedAt":"2026-11-21T09:00:00+00:00"}]}"#,
            &["20.0.0.1", "2a00::1"],
        ),
        ("blocklist-de", "20.0.0.1\n2a00::1\n", &["20.0.0.1", "2a00::1"]),
        ("cins-army", "20.0.0.1\n20.0.0.2\n", &["20.0.0.1", "20.0.0.2"]),
        (
            "dshield",
            "#   DShield.org Recommended Block List\n#   updated: 2026-11-22T10:00:05\n#\n\
             Start\tEnd\tNetmask\tAttacks\tName\tCountry\temail\n\
             20.0.0.0\t20.0.0.255\t24\t3184\tEXAMPLE-NET\tUS\tabuse@example.net\n21.0.0.0\t21.0.0.255\t24\t99\t\t\t\n",
            &["20.0.0.0/24", "21.0.0.0/24"],
        ),
        (
            "emerging-threats-block",
            "# Rules\n#Spamhaus DROP Nets\n20.0.0.0/16\n\n#Feodo\n21.0.0.1\n",
            &["20.0.0.0/16", "21.0.0.1"],
        ),
        ("emerging-threats-compromised", "20.0.0.1\n20.0.0.3\n", &["20.0.0.1", "20.0.0.3"]),
        (
            "feodo-tracker",
            r#"[
    {
        "ip_address": "20.0.0.1",
        "port": 443,
        "status": "offline",
        "hostname": null,
        "as_number": 64500,
        "as_name": "EXAMPLE",
        "country": "DE",
        "first_seen": "2026-01-02 03:04:05",
        "last_online": "2026-11-21",
        "malware": "QakBot"
    }
]"#,
            &["20.0.0.1"],
        ),
        (
            "firehol-level1",
            "#\n# firehol_level1\n# This File Date  : Sun Nov 22 10:00:05 UTC 2026\n#\n0.0.0.0/8\n20.0.0.0/16\n224.0.0.0/3\n",
            &["0.0.0.0/8", "20.0.0.0/16", "224.0.0.0/3"],
        ),
        ("firehol-level2", "# x\n20.0.0.1\n21.0.0.0/24\n", &["20.0.0.1", "21.0.0.0/24"]),
        ("firehol-level3", "# x\n20.0.0.1\n", &["20.0.0.1"]),
        ("firehol-level4", "# x\n20.0.0.1\n", &["20.0.0.1"]),
        ("greensnow", "20.0.0.1\n20.0.0.3\n", &["20.0.0.1", "20.0.0.3"]),
        (
            "ipsum",
            "# IPsum Threat Intelligence Feed\n# Last update: Sun, 22 Nov 2026 03:00:00 +0100\n#\n# IP\tnumber of (black)lists\n#\n\
             20.0.0.1\t11\n20.0.0.2\t3\n20.0.0.3\t2\n",
            &["20.0.0.1", "20.0.0.2"],
        ),
        (
            "spamhaus-drop",
            "{\"cidr\":\"20.0.0.0/16\",\"sblid\":\"SBL1\",\"rir\":\"apnic\"}\n{\"cidr\":\"21.0.0.0/24\",\"sblid\":\"SBL2\",\"rir\":\"ripencc\"}\n\
             {\"type\":\"metadata\",\"timestamp\":1795341605,\"size\":2,\"records\":2,\"copyright\":\"(c)\",\"terms\":\"x\"}\n",
            &["20.0.0.0/16", "21.0.0.0/24"],
        ),
        (
            "spamhaus-drop-v6",
            "{\"cidr\":\"2a00:1::/32\",\"sblid\":\"SBL1\",\"rir\":\"ripencc\"}\n{\"type\":\"metadata\",\"timestamp\":1795341605}\n",
            &["2a00:1::/32"],
        ),
        (
            "team-cymru-fullbogons",
            "# last updated 1795341605 (Sun Nov 22 10:00:05 2026 GMT)\n0.0.0.0/8\n20.0.0.0/22\n",
            &["0.0.0.0/8", "20.0.0.0/22"],
        ),
        (
            "tor-exits",
            "ExitNode 00FF\nPublished 2026-11-22 01:00:00\nLastStatus 2026-11-22 02:00:00\nExitAddress 20.0.0.1 2026-11-22 02:30:00\n",
            &["20.0.0.1"],
        ),
    ];

    #[test]
    fn every_entry_is_sound_and_in_its_place() {
        for pair in CATALOG.windows(2) {
            assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
        }
        for entry in &CATALOG {
            let Entry { name, title, url, licence, .. } = entry;
            assert!(name.parse::<SourceName>().is_ok() && !title.is_empty() && !licence.is_empty(), "{name}");
            assert!(url.starts_with("https://"), "{name}");
            Reach::default().check(&url.parse().unwrap()).unwrap();
            assert!(entry.parser().unwrap().options().is_ok(), "{name}");
            assert!(entry.every >= hours(1) && entry.confidence <= 100 && entry.expires_days > 0, "{name}");
            assert_eq!(find(name), Some(entry));
        }
        assert_eq!(find("nobody"), None);
    }

    #[test]
    fn the_form_of_every_list_is_read() {
        for (entry, (name, sample, ranges)) in CATALOG.iter().zip(SAMPLES) {
            assert_eq!(entry.name, name);
            let options: Options = entry.parser().unwrap().options().unwrap();
            let policy = Policy { zone: chrono_tz::UTC, ..entry.policy() };
            let terms = Terms::new(Detail::default(), &policy);
            let intake = read(sample.as_bytes(), &options, &terms).unwrap();
            let found: BTreeSet<_> = intake.rows.iter().map(|(range, _)| range.to_string()).collect();
            assert_eq!(found, ranges.iter().map(ToString::to_string).collect(), "{name}");
            assert_eq!(intake.errors, [], "{name}");
        }
    }

    #[test]
    fn what_may_not_be_passed_on_says_so() {
        let free = |entry: &&Entry| entry.pass_on;
        let names: Vec<_> = CATALOG.iter().filter(free).map(|entry| entry.name).collect();
        assert_eq!(names, ["emerging-threats-compromised", "feodo-tracker", "ipsum", "tor-exits"]);
        assert!(CATALOG.iter().filter(free).all(|entry| !entry.licence.contains("NC")));
    }
}
