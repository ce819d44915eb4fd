//! The forms in which readers take a feed: their names, and what each can carry. The bytes are `publish`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a feed writes what it lists, each form exact and sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lines {
    /// Every single address, for readers that know nothing else; a million at most.
    Addresses,
    /// The fewest prefixes; a single address without its length.
    Cidrs,
    /// The fewest ranges, `first-last`; a single address alone.
    Ranges,
}

impl Lines {
    /// Their name, as in profiles.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Cidrs => "cidrs",
            Self::Ranges => "ranges",
        }
    }
}

/// Which families a feed carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Families {
    /// IPv4, then IPv6.
    Both,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// The form of a feed, named after whoever reads it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One entry a line and nothing else.
    Plain,
    /// FortiGate's external connector: the same.
    Fortigate,
    /// Palo Alto's external dynamic list; a range counts as one entry there.
    PaloAlto,
    /// Cisco's Security Intelligence feed, which asks a second address for the list's MD5.
    Cisco,
    /// Check Point's indicators, CSV.
    CheckPoint,
    /// Sophos' third-party feed: single IPv4 addresses.
    Sophos,
    /// F5's feed list: address, length, list, category.
    F5,
    /// Juniper's feed server: every entry with its length.
    Juniper,
    /// A RouterOS script.
    Mikrotik,
    /// An alias by URL of OPNsense or pfSense.
    Opnsense,
    /// One transaction for `nft -f`.
    Nftables,
    /// A file for `ipset restore`.
    Ipset,
    /// An include of nginx' `geo`.
    Nginx,
    /// HAProxy's ACL file.
    Haproxy,
    /// Suricata's IP reputation, with its categories.
    Suricata,
    /// A table for people and spreadsheets.
    Csv,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// A workbook for people.
    Xlsx,
    /// A STIX 2.1 bundle of indicators.
    Stix,
    /// A MISP feed: an event, the manifest, the hashes.
    Misp,
    /// A response policy zone for resolvers.
    Rpz,
    /// A combined data set for rbldnsd.
    Rbldnsd,
}

/// One of the documents of a format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Document {
    /// What the format is there for: the list itself; for MISP, the event.
    List(Format),
    /// The MD5 of Cisco's list, in hexadecimal.
    CiscoDigest,
    /// What the numbers of Suricata's categories mean.
    SuricataCategories,
    /// The events of a MISP feed.
    MispManifest,
    /// The MD5 of each value of a MISP feed.
    MispHashes,
}

/// What is to be known of a format without writing it.
struct Traits {
    name: &'static str,
    extension: &'static str,
    content_type: &'static str,
    /// The first is what a profile gets that does not choose.
    lines: &'static [Lines],
    families: Families,
    /// Documents beside the list.
    beside: &'static [Document],
    needs_facts: bool,
}

const TEXT: &str = "text/plain; charset=utf-8";
const CSV: &str = "text/csv; charset=utf-8";
const JSON: &str = "application/json";
const ANY: &[Lines] = &[Lines::Cidrs, Lines::Ranges, Lines::Addresses];
const RANGES: &[Lines] = &[Lines::Ranges, Lines::Cidrs, Lines::Addresses];
const NO_RANGES: &[Lines] = &[Lines::Cidrs, Lines::Addresses];

/// A list of lines of both families.
const LIST: Traits = Traits {
    name: "plain",
    extension: "txt",
    content_type: TEXT,
    lines: ANY,
    families: Families::Both,
    beside: &[],
    needs_facts: false,
};

/// What tells more of an entry than that it is listed.
const TABLE: Traits = Traits { needs_facts: true, ..LIST };

impl Format {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Plain,
        Self::Fortigate,
        Self::PaloAlto,
        Self::Cisco,
        Self::CheckPoint,
        Self::Sophos,
        Self::F5,
        Self::Juniper,
        Self::Mikrotik,
        Self::Opnsense,
        Self::Nftables,
        Self::Ipset,
        Self::Nginx,
        Self::Haproxy,
        Self::Suricata,
        Self::Csv,
        Self::Json,
        Self::Ndjson,
        Self::Xlsx,
        Self::Stix,
        Self::Misp,
        Self::Rpz,
        Self::Rbldnsd,
    ];

    const fn traits(self) -> Traits {
        match self {
            Self::Plain => LIST,
            Self::Fortigate => Traits { name: "fortigate", ..LIST },
            Self::PaloAlto => Traits { name: "palo-alto", lines: RANGES, ..LIST },
            Self::Cisco => {
                Traits { name: "cisco", lines: NO_RANGES, beside: &[Document::CiscoDigest], ..LIST }
            }
            Self::CheckPoint => Traits {
                name: "check-point",
                extension: "csv",
                content_type: CSV,
                lines: &[Lines::Ranges, Lines::Addresses],
                families: Families::V4,
                ..TABLE
            },
            Self::Sophos => {
                Traits { name: "sophos", lines: &[Lines::Addresses], families: Families::V4, ..LIST }
            }
            Self::F5 => Traits { name: "f5", lines: NO_RANGES, ..LIST },
            Self::Juniper => Traits { name: "juniper", lines: NO_RANGES, ..LIST },
            Self::Mikrotik => Traits { name: "mikrotik", extension: "rsc", lines: NO_RANGES, ..LIST },
            Self::Opnsense => Traits { name: "opnsense", lines: NO_RANGES, ..LIST },
            Self::Nftables => Traits { name: "nftables", extension: "nft", lines: RANGES, ..LIST },
            Self::Ipset => Traits { name: "ipset", extension: "ipset", lines: NO_RANGES, ..LIST },
            Self::Nginx => Traits { name: "nginx", extension: "conf", lines: NO_RANGES, ..LIST },
            Self::Haproxy => Traits { name: "haproxy", extension: "acl", lines: NO_RANGES, ..LIST },
            Self::Suricata => Traits {
                name: "suricata",
                extension: "list",
                lines: NO_RANGES,
                beside: &[Document::SuricataCategories],
                ..TABLE
            },
            Self::Csv => Traits { name: "csv", extension: "csv", content_type: CSV, ..TABLE },
            Self::Json => Traits { name: "json", extension: "json", content_type: JSON, ..TABLE },
            Self::Ndjson => {
                Traits { name: "ndjson", extension: "ndjson", content_type: "application/x-ndjson", ..TABLE }
            }
            Self::Xlsx => Traits {
                name: "xlsx",
                extension: "xlsx",
                content_type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                ..TABLE
            },
            Self::Stix => Traits {
                name: "stix",
                extension: "json",
                content_type: "application/stix+json;version=2.1",
                lines: NO_RANGES,
                ..TABLE
            },
            Self::Misp => Traits {
                name: "misp",
                extension: "json",
                content_type: JSON,
                lines: NO_RANGES,
                beside: &[Document::MispManifest, Document::MispHashes],
                ..TABLE
            },
            Self::Rpz => {
                Traits { name: "rpz", extension: "zone", content_type: "text/dns", lines: NO_RANGES, ..LIST }
            }
            Self::Rbldnsd => Traits { name: "rbldnsd", extension: "zone", lines: NO_RANGES, ..LIST },
        }
    }

    /// Its name, as in profiles and paths.
    pub const fn as_str(self) -> &'static str {
        self.traits().name
    }

    /// How the name of a file of its list ends, without the dot.
    pub const fn extension(self) -> &'static str {
        self.traits().extension
    }

    /// The media type of its list.
    pub const fn content_type(self) -> &'static str {
        self.traits().content_type
    }

    /// The lines that its readers take; the first is what a profile gets that does not choose.
    pub const fn lines(self) -> &'static [Lines] {
        self.traits().lines
    }

    /// The families that its readers take.
    pub const fn families(self) -> Families {
        self.traits().families
    }

    /// Whether it says more of an entry than that it is listed.
    pub const fn needs_facts(self) -> bool {
        self.traits().needs_facts
    }

    /// Its documents, the list first.
    pub fn documents(self) -> impl Iterator<Item = Document> {
        [Document::List(self)].into_iter().chain(self.traits().beside.iter().copied())
    }
}

impl Document {
    /// The format to which it belongs.
    pub const fn format(self) -> Format {
        match self {
            Self::List(format) => format,
            Self::CiscoDigest => Format::Cisco,
            Self::SuricataCategories => Format::Suricata,
            Self::MispManifest | Self::MispHashes => Format::Misp,
        }
    }

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::List(format) => format.content_type(),
            Self::CiscoDigest | Self::SuricataCategories => TEXT,
            Self::MispManifest => JSON,
            Self::MispHashes => CSV,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a format; there are {known}", known = Format::ALL.map(Format::as_str).join(", "))]
pub struct BadFormat(String);

impl FromStr for Format {
    type Err = BadFormat;
    fn from_str(text: &str) -> Result<Self, BadFormat> {
        let named = Self::ALL.into_iter().find(|format| format.as_str() == text);
        named.ok_or_else(|| BadFormat(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_one_name_for_profiles_paths_and_people() {
        for format in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        for lines in ANY {
            assert_eq!(serde_json::to_value(lines).unwrap(), lines.as_str());
        }
        let error = "forti".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("\"forti\"") && error.contains("palo-alto, cisco"), "{error}");
    }

    #[test]
    fn every_document_belongs_to_the_format_that_names_it() {
        for format in Format::ALL {
            assert_eq!(format.documents().next(), Some(Document::List(format)));
            assert!(format.documents().all(|document| document.format() == format));
        }
        assert_eq!(Format::ALL.into_iter().flat_map(Format::documents).count(), Format::ALL.len() + 4);
    }
}
