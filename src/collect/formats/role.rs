//! What the columns of a table and the keys of a record hold, and the names by which lists call it.
//!
//! Names are compared without case, blanks and punctuation, so `Threat_Type`, `threat type` and
//! `threatType` are one. Korean names are those that portals and their workbooks use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An address, prefix or range.
    Address,
    /// The first address of a range.
    First,
    /// The last address of a range.
    Last,
    /// A netmask or prefix length for the address.
    Mask,
    /// Why it is listed.
    Reason,
    /// The kind of threat.
    Threat,
    /// How grave.
    Severity,
    /// The country.
    Country,
    /// How sure the list is, 0 to 100.
    Confidence,
    /// When it was seen.
    Detected,
    /// When it was listed.
    Listed,
    /// When the listing ends.
    Expires,
    /// The list's own name for the record.
    Id,
    /// How much speaks for the row, see [`super::Minimum`].
    #[serde(skip)]
    Count,
}

pub(super) const ROLES: usize = 14;

/// The names of each role, in the normal form of [`role_of`]; the first of a role is the surest.
const NAMES: [(Role, &[&str]); ROLES] = [
    (
        Role::Address,
        &[
            "ip",
            "ipaddress",
            "ipaddr",
            "address",
            "addr",
            "cidr",
            "network",
            "prefix",
            "subnet",
            "ipprefix",
            "ipv4prefix",
            "ipv6prefix",
            "iprange",
            "range",
            "net",
            "ipv4",
            "ipv6",
            "srcip",
            "sourceip",
            "dstip",
            "destinationip",
            "attackip",
            "attackerip",
            "remoteip",
            "clientip",
            "maliciousip",
            "ioc",
            "iocvalue",
            "indicator",
            "value",
            "공격ip",
            "공격자ip",
            "ip주소",
            "아이피",
            "유해ip",
            "차단ip",
            "요주의ip",
            "출발지ip",
        ],
    ),
    (
        Role::First,
        &["start", "startip", "startaddress", "firstip", "rangestart", "ipstart", "ipfrom", "시작ip"],
    ),
    (Role::Last, &["end", "endip", "endaddress", "lastip", "rangeend", "ipend", "ipto", "종료ip", "끝ip"]),
    (Role::Mask, &["mask", "netmask", "subnetmask", "prefixlength", "masklen", "넷마스크"]),
    (
        Role::Reason,
        &[
            "reason",
            "description",
            "comment",
            "comments",
            "note",
            "notes",
            "등록사유",
            "사유",
            "공격종류",
            "설명",
            "비고",
        ],
    ),
    (
        Role::Threat,
        &[
            "threattype",
            "threat",
            "type",
            "category",
            "categories",
            "attacktype",
            "classification",
            "malware",
            "공격유형",
            "위협유형",
            "유형",
            "분류",
        ],
    ),
    (Role::Severity, &["severity", "risk", "level", "priority", "심각도", "위험도", "등급"]),
    (Role::Country, &["country", "countrycode", "cc", "국가", "공격국가", "국가코드"]),
    (
        Role::Confidence,
        &["confidence", "confidencelevel", "confidencescore", "abuseconfidencescore", "score", "신뢰도"],
    ),
    (
        Role::Detected,
        &[
            "detected",
            "detecteddate",
            "detectiondate",
            "detectiontime",
            "detectedat",
            "lastseen",
            "lastseenutc",
            "lastonline",
            "lastreportedat",
            "date",
            "timestamp",
            "time",
            "탐지시간",
            "탐지일시",
            "탐지일",
        ],
    ),
    (
        Role::Listed,
        &[
            "listed",
            "listeddate",
            "dateadded",
            "added",
            "created",
            "createdat",
            "firstseen",
            "firstseenutc",
            "등록일",
            "등록일자",
            "등록일시",
        ],
    ),
    (
        Role::Expires,
        &[
            "expires",
            "expiresdate",
            "expiresat",
            "expiry",
            "expiration",
            "removaldate",
            "releasedate",
            "validuntil",
            "해제일",
            "해제일자",
            "만료일",
        ],
    ),
    (Role::Id, &["id", "uuid", "sblid", "upstreamid", "reference"]),
    // Only where a minimum is asked for, and then by the name given there.
    (Role::Count, &[]),
];

/// What a column of this name holds, and how sure that is: 0 is surest.
pub(super) fn ranked(name: &str) -> Option<(Role, usize)> {
    let normal: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    NAMES.iter().find_map(|(role, names)| Some((*role, names.iter().position(|known| *known == normal)?)))
}

/// What a value of this name is.
pub(super) fn role_of(name: &str) -> Option<Role> {
    ranked(name).map(|(role, _)| role)
}
