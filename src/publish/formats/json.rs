//! JSON for programs: one document with a head, or an object a line.

use super::page::Page;
use super::row::Row;
use super::sheet::Sheet;
use crate::model::Format;
use serde::Serialize;
use std::io;

/// What the document says before its entries.
#[derive(Serialize)]
struct Head<'a> {
    feed: &'a str,
    generation: u64,
    time: crate::model::Time,
}

/// `{"feed":…,"generation":…,"time":…,"entries":[…]}`, an entry a line so that tools for lines can be used on it.
pub(super) fn document(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let head = Head { feed: sheet.feed, generation: sheet.generation, time: sheet.time };
    let head = serde_json::to_string(&head)?;
    // All but the brace that closes it: the entries are its last member.
    page.put(&head[..head.len() - 1])?;
    page.put(",\"entries\":[")?;
    rows(Format::Json, sheet, page, |first| if first { "\n" } else { ",\n" }, "")?;
    page.put("\n]}\n")
}

/// An object a line.
pub(super) fn lines(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    rows(Format::Ndjson, sheet, page, |_| "", "\n")
}

fn rows(
    format: Format,
    sheet: &Sheet<'_>,
    page: &mut Page<'_>,
    before: impl Fn(bool) -> &'static str,
    after: &str,
) -> io::Result<()> {
    let mut text = Vec::new();
    sheet.pieces(format.families()).try_for_each(|piece| {
        let row = serde_json::to_vec(&Row::new(sheet, piece, &mut text))?;
        let first = page.entries() == 0;
        page.entry(|out| {
            out.extend_from_slice(before(first).as_bytes());
            out.extend_from_slice(&row);
            out.extend_from_slice(after.as_bytes());
        })
    })
}
