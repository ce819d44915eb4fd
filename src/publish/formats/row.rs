//! An entry with all that is known of it, as the columns of a table: the same for CSV, workbooks and JSON.

use super::sheet::{Piece, Sheet};
use crate::model::{Country, Severity, SourceName, Time};
use serde::Serialize;
use std::borrow::Cow;

/// The columns' names, which are also JSON's keys.
pub(super) const COLUMNS: [&str; 9] =
    ["entry", "sources", "threat", "reason", "country", "severity", "confidence", "since", "until"];

/// One row. What is not known has no key in JSON, and an empty cell in a table.
#[derive(Serialize, Default)]
pub(super) struct Row<'a> {
    pub(super) entry: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'a [SourceName],
    #[serde(skip_serializing_if = "Option::is_none")]
    threat: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<Country>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
}

impl<'a> Row<'a> {
    /// The row of an entry; `text` is room for its range.
    pub(super) fn new(sheet: &Sheet<'_>, (range, facts): Piece<'a>, text: &'a mut Vec<u8>) -> Self {
        text.clear();
        sheet.write_range(text, range);
        // Written just now, from digits, letters and marks.
        let entry = std::str::from_utf8(text).unwrap_or_default();
        let Some(facts) = facts else { return Self { entry, ..Self::default() } };
        Self {
            entry,
            sources: &facts.sources,
            threat: facts.threat.as_deref(),
            reason: facts.reason.as_deref(),
            country: facts.country,
            severity: facts.severity,
            confidence: facts.confidence,
            since: facts.since,
            until: facts.until,
        }
    }

    /// Its cells, in the order of [`COLUMNS`]. Control characters are spaces: no cell goes over a line.
    pub(super) fn cells(&self) -> [Cow<'a, str>; 9] {
        let time = |time: Option<Time>| Cow::Owned(time.map(|time| time.to_string()).unwrap_or_default());
        let sources: Vec<&str> = self.sources.iter().map(SourceName::as_str).collect();
        [
            self.entry.into(),
            sources.join(" ").into(),
            one_line(self.threat.unwrap_or_default()),
            one_line(self.reason.unwrap_or_default()),
            self.country.map(|country| country.to_string()).unwrap_or_default().into(),
            self.severity.map_or("", Severity::as_str).into(),
            self.confidence.map(|percent| percent.to_string()).unwrap_or_default().into(),
            time(self.since),
            time(self.until),
        ]
    }
}

/// The text with a space for every control character and line end.
pub(in crate::publish) fn one_line(text: &str) -> Cow<'_, str> {
    // U+2028 and U+2029 are line ends to some readers, and no control characters.
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(breaks) { text.replace(breaks, " ").into() } else { text.into() }
}

/// Whether a spreadsheet may take the cell for a formula. Spaces before it, also those without width, do not save
/// it everywhere.
pub(super) fn is_formula(cell: &str) -> bool {
    let space = |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    cell.trim_start_matches(space).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}
