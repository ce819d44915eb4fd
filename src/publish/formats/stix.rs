//! STIX: one indicator an entry, and the identity that says so; as a bundle of version 2.1, and object by object for
//! those who take them one at a time, also in the form of 2.0.

use super::ids::id;
use super::page::Page;
use super::row::one_line;
use super::sheet::{Piece, Sheet};
use crate::addr::{IpRange, write_ip_range};
use crate::model::{Format, Time};
use serde::Serialize;
use std::borrow::Cow;
use std::io;

/// What all objects have in common (STIX 2.1, section 3.2).
#[derive(Serialize)]
struct Common {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec_version: Option<&'static str>,
    id: String,
    created: String,
    modified: String,
}

#[derive(Serialize)]
struct Identity<'a> {
    #[serde(flatten)]
    common: Common,
    name: &'a str,
    identity_class: &'static str,
}

#[derive(Serialize)]
struct Indicator<'a> {
    #[serde(flatten)]
    common: Common,
    created_by_ref: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    indicator_types: Option<[&'static str; 1]>,
    pattern: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern_type: Option<&'static str>,
    valid_from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    revoked: bool,
}

/// Which form an object has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::publish) enum Version {
    V20,
    V21,
}

/// What is said of an entry beside what is known of it.
#[derive(Clone, Copy)]
pub(in crate::publish) struct Statement<'a> {
    /// Whose entry it is.
    pub(in crate::publish) feed: &'a str,
    /// When it was said.
    pub(in crate::publish) time: Time,
    /// Whether it is said no more.
    pub(in crate::publish) revoked: bool,
    /// Whether it is told when the entry ends: for who takes all of it anew, and not for who is told when it is over.
    pub(in crate::publish) tells_end: bool,
}

const KIND: &str = "malicious-activity";

/// The id of the indicator of an entry: the same in every generation and on every machine.
pub(in crate::publish) fn indicator_id(feed: &str, entry: &str) -> String {
    format!("indicator--{}", id("indicator", &format!("{feed} {entry}")))
}

/// One indicator as JSON.
pub(in crate::publish) fn object(version: Version, statement: Statement<'_>, piece: Piece<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    write_ip_range(&mut text, piece.0);
    // Written just now, from digits, letters and marks.
    let entry = std::str::from_utf8(&text).unwrap_or_default();
    let author = author_id();
    let mut indicator = indicator(statement, &author, entry, piece);
    if version == Version::V20 {
        indicator.common.spec_version = None;
        (indicator.indicator_types, indicator.pattern_type, indicator.confidence) = (None, None, None);
        indicator.labels.insert(0, KIND.into());
    }
    // Texts and numbers, into memory: nothing of it can fail.
    serde_json::to_vec(&indicator).unwrap_or_default()
}

/// The identity that says all this, as JSON.
pub(in crate::publish) fn author(version: Version) -> Vec<u8> {
    let author = author_id();
    let mut identity = identity(&author);
    if version == Version::V20 {
        identity.common.spec_version = None;
    }
    serde_json::to_vec(&identity).unwrap_or_default()
}

fn author_id() -> String {
    format!("identity--{}", id("identity", "ironlist"))
}

/// Writes the bundle, an object a line.
pub(super) fn write(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let bundle = id("bundle", &format!("{} {}", sheet.feed, sheet.generation));
    let author = author_id();
    page.put(format!("{{\"type\":\"bundle\",\"id\":\"bundle--{bundle}\",\"objects\":[\n"))?;
    page.put(serde_json::to_vec(&identity(&author))?)?;
    let statement = Statement { feed: sheet.feed, time: sheet.time, revoked: false, tells_end: true };
    let mut text = Vec::new();
    sheet.pieces(Format::Stix.families()).try_for_each(|piece| {
        text.clear();
        sheet.write_range(&mut text, piece.0);
        // Written just now, from digits, letters and marks.
        let entry = std::str::from_utf8(&text).unwrap_or_default();
        let object = serde_json::to_vec(&indicator(statement, &author, entry, piece))?;
        page.entry(|out| {
            out.extend_from_slice(b",\n");
            out.extend_from_slice(&object);
        })
    })?;
    page.put("\n]}\n")
}

/// The same in every bundle, so its time is too.
fn identity(author: &str) -> Identity<'static> {
    let time = moment(Time::default());
    let common = Common {
        r#type: "identity",
        spec_version: Some("2.1"),
        id: author.to_owned(),
        created: time.clone(),
        modified: time,
    };
    Identity { common, name: "Ironlist", identity_class: "system" }
}

fn indicator<'a>(
    statement: Statement<'_>,
    author: &'a str,
    entry: &'a str,
    (range, facts): Piece<'a>,
) -> Indicator<'a> {
    let since = facts.and_then(|facts| facts.since).unwrap_or(statement.time);
    let until = facts.and_then(|facts| facts.until).filter(|until| statement.tells_end && *until > since);
    let text = |text: Option<&'a str>| text.map(one_line);
    let threat = text(facts.and_then(|facts| facts.threat.as_deref()));
    let sources = facts.iter().flat_map(|facts| facts.sources.iter());
    let common = Common {
        r#type: "indicator",
        spec_version: Some("2.1"),
        id: indicator_id(statement.feed, entry),
        created: moment(since),
        // What is said of an entry may change with every generation, and then it must be newer.
        modified: moment(since.max(statement.time)),
    };
    Indicator {
        common,
        created_by_ref: author,
        name: entry,
        description: text(facts.and_then(|facts| facts.reason.as_deref())),
        indicator_types: Some([KIND]),
        pattern: pattern(range, entry),
        pattern_type: Some("stix"),
        valid_from: moment(since),
        valid_until: until.map(moment),
        confidence: facts.and_then(|facts| facts.confidence).map(|percent| percent.min(100)),
        labels: threat.into_iter().chain(sources.map(|source| source.as_str().into())).collect(),
        revoked: statement.revoked,
    }
}

/// The pattern that an address matches. Of a prefix the language has `ISSUBSET` for what lies inside; simple readers
/// know only `=` and take the value as it stands, so that a prefix has both.
fn pattern(range: IpRange, entry: &str) -> String {
    let object = if matches!(range, IpRange::V4(_)) { "ipv4-addr" } else { "ipv6-addr" };
    if range.size() == 1 {
        return format!("[{object}:value = '{entry}']");
    }
    format!("[{object}:value = '{entry}' OR {object}:value ISSUBSET '{entry}']")
}

/// To the millisecond, as the standard wants it of `created` and `modified`.
pub(in crate::publish) fn moment(time: Time) -> String {
    time.utc().format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}
