//! A MISP feed: one event that holds the list, the manifest that names it, and the hashes by which MISP looks for
//! values without fetching the event.

use super::ids::id;
use super::page::Page;
use super::row::{Row, one_line};
use super::sheet::{Piece, Sheet};
use crate::disk::hex;
use crate::model::Format;
use md5::{Digest, Md5};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use uuid::Uuid;

/// Who made the event.
#[derive(Serialize)]
struct Maker {
    name: &'static str,
    uuid: Uuid,
}

/// What manifest and event say alike. MISP's numbers are texts.
#[derive(Serialize)]
struct Head {
    info: String,
    date: String,
    timestamp: String,
    /// Finished.
    analysis: &'static str,
    /// Medium.
    threat_level_id: &'static str,
    #[serde(rename = "Orgc")]
    maker: Maker,
    #[serde(rename = "Tag")]
    tags: [&'static str; 0],
}

#[derive(Serialize)]
struct Event {
    uuid: Uuid,
    published: bool,
    publish_timestamp: String,
    #[serde(flatten)]
    head: Head,
}

#[derive(Serialize)]
struct Attribute<'a> {
    uuid: Uuid,
    r#type: &'static str,
    category: &'static str,
    value: &'a str,
    to_ids: bool,
    timestamp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

/// The event of a feed. It keeps its name, so that MISP takes each generation for a new edition of it.
pub(super) fn event_id(feed: &str) -> Uuid {
    id("event", feed)
}

fn head(sheet: &Sheet<'_>) -> Head {
    Head {
        info: format!("Ironlist: {}", sheet.feed),
        date: sheet.time.utc().format("%Y-%m-%d").to_string(),
        timestamp: sheet.time.unix().to_string(),
        analysis: "2",
        threat_level_id: "2",
        maker: Maker { name: "Ironlist", uuid: id("organisation", "ironlist") },
        tags: [],
    }
}

/// `manifest.json`: the events by their UUID.
pub(super) fn manifest(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let manifest = BTreeMap::from([(event_id(sheet.feed), head(sheet))]);
    page.put(serde_json::to_vec(&manifest)?)?;
    page.put("\n")
}

/// The event, an attribute a line.
pub(super) fn event(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let head = head(sheet);
    let publish_timestamp = head.timestamp.clone();
    let event = Event { uuid: event_id(sheet.feed), published: true, publish_timestamp, head };
    let event = serde_json::to_string(&event)?;
    // All but the brace that closes it: the attributes are its last member.
    page.put(format!("{{\"Event\":{},\"Attribute\":[", &event[..event.len() - 1]))?;
    each(sheet, |value, piece| {
        let object = serde_json::to_vec(&attribute(sheet, value, piece))?;
        let before: &[u8] = if page.entries() == 0 { b"\n" } else { b",\n" };
        page.entry(|out| out.extend_from_slice(&[before, &object].concat()))
    })?;
    page.put("\n]}}\n")
}

fn attribute<'a>(sheet: &Sheet<'_>, value: &'a str, (_, facts): Piece<'_>) -> Attribute<'a> {
    let since = facts.and_then(|facts| facts.since).unwrap_or(sheet.time);
    let texts = facts.map(|facts| [facts.threat.as_deref(), facts.reason.as_deref()]);
    let texts: Vec<_> = texts.into_iter().flatten().flatten().map(one_line).collect();
    Attribute {
        uuid: id("attribute", &format!("{} {value}", sheet.feed)),
        r#type: "ip-src",
        category: "Network activity",
        value,
        to_ids: true,
        timestamp: since.unix().to_string(),
        comment: texts.join(": "),
    }
}

/// `hashes.csv`: the MD5 of each value, and the event that has it.
pub(super) fn hashes(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let after = format!(",{}\n", event_id(sheet.feed));
    each(sheet, |value, _| {
        let hash = hex(&Md5::digest(value));
        page.entry(|out| out.extend_from_slice(&[hash.as_bytes(), after.as_bytes()].concat()))
    })
}

/// Each entry with its text.
fn each(sheet: &Sheet<'_>, mut each: impl FnMut(&str, Piece<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut text = Vec::new();
    sheet
        .pieces(Format::Misp.families())
        .try_for_each(|piece| each(Row::new(sheet, piece, &mut text).entry, piece))
}
