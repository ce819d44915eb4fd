//! Tables of text: columns between commas, tabs, semicolons or bars.
//!
//! Records are cut by hand rather than by a CSV reader, because a quote that is never closed must
//! cost one line and not the rest of the file.

use super::error::RowFault;
use super::layout::{Layout, Separator};
use super::rows::{Sink, Tally};
use super::table::Columns;
use super::{Format, LONGEST_LINE, ReadError};
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;

const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];

/// Reads a table with a header, also one that stands in a comment, or by its first column of
/// addresses.
pub(super) fn read<S: Sink>(
    text: &str,
    format: Format,
    layout: &Layout,
    rows: &mut Tally<'_, S>,
) -> Result<(), ReadError> {
    let mut table = Table { format, layout, known: None, headed: false };
    let mut cells = Vec::new();
    let mut untold = 0;
    for record in (Records { rest: text, line: 1 }) {
        let trimmed = record.text.trim();
        if trimmed.is_empty() || table.is_comment(trimmed) {
            table.comment(trimmed);
        } else if record.text.len() > LONGEST_LINE {
            rows.reject(record.line, trimmed, RowFault::LineTooLong);
        } else if record.unclosed {
            rows.reject(record.line, trimmed, RowFault::Malformed);
        } else if rows.is_untouched() && table.header(record.text) {
        } else if let Some((delimiter, columns)) = table.columns(record.text) {
            split(record.text, delimiter, &mut cells);
            columns.put(|at| cells.get(at).map(AsRef::as_ref), record.line, rows);
        } else {
            // A title above the table, perhaps; what matters is whether a table comes.
            untold += 1;
        }
    }
    if untold > 0 && table.known.is_none() { Err(ReadError::NoColumn) } else { Ok(()) }
}

/// What is known of the table so far.
struct Table<'l> {
    format: Format,
    layout: &'l Layout,
    known: Option<(char, Columns)>,
    /// Whether a record has been taken for the header.
    headed: bool,
}

impl Table<'_> {
    /// Whether the line is one; between semicolons, a line that begins with one has a first cell
    /// without text.
    fn is_comment(&self, line: &str) -> bool {
        let empty_cell = matches!(self.known, Some((';', _))) && line.starts_with(';');
        self.layout.is_comment(line) && !empty_cell
    }

    /// Looks for a header in a comment: one name alone would be chance.
    fn comment(&mut self, line: &str) {
        let names = line.trim_start_matches(['#', ';', '/', ' ']);
        if let Some(found) =
            header(names, self.format, self.layout).filter(|(_, columns)| columns.known() > 1)
        {
            self.known.get_or_insert(found);
        }
    }

    /// Whether `record` is the header: the first one is, if there is said to be one.
    fn header(&mut self, record: &str) -> bool {
        if self.layout.header == Some(false) {
            return false;
        }
        let found = header(record, self.format, self.layout);
        let is_header = found.is_some() || (self.layout.header == Some(true) && !self.headed);
        self.headed |= is_header;
        self.known = found.or(self.known.take());
        is_header
    }

    /// The columns, if need be as `record` shows them.
    fn columns(&mut self, record: &str) -> Option<(char, &Columns)> {
        if self.known.is_none() {
            self.known = of_values(record, self.format, self.layout);
        }
        self.known.as_ref().map(|(delimiter, columns)| (*delimiter, columns))
    }
}

fn delimiters(format: Format, layout: &Layout) -> impl Iterator<Item = char> {
    let told = layout.separator.map(|Separator(mark)| mark);
    let told = told.or((format == Format::Tsv).then_some('\t'));
    let usual = DELIMITERS.into_iter().filter(move |_| told.is_none());
    told.into_iter().chain(usual)
}

/// The delimiter and the columns, if `record` names them.
pub(super) fn header(record: &str, format: Format, layout: &Layout) -> Option<(char, Columns)> {
    delimiters(format, layout).find_map(|delimiter| {
        let mut cells = Vec::new();
        split(record, delimiter, &mut cells);
        Columns::of_header(cells.iter().map(AsRef::as_ref), layout).map(|columns| (delimiter, columns))
    })
}

/// The delimiter and the column of addresses, if `record` has one among its values.
fn of_values(record: &str, format: Format, layout: &Layout) -> Option<(char, Columns)> {
    delimiters(format, layout).find_map(|delimiter| {
        let mut cells = Vec::new();
        split(record, delimiter, &mut cells);
        Columns::of_values(cells.iter().map(AsRef::as_ref), layout).map(|columns| (delimiter, columns))
    })
}

/// Cuts a record into its cells, without blanks and quotes around them.
pub(super) fn split<'t>(record: &'t str, delimiter: char, cells: &mut Vec<Cow<'t, str>>) {
    cells.clear();
    if delimiter == Separator::BLANKS {
        return cells.extend(record.split_ascii_whitespace().map(Cow::Borrowed));
    }
    let mut rest = Some(record);
    while let Some(text) = rest {
        let (cell, after) = match text.trim_start_matches(' ').strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => (Cow::Borrowed(""), text),
        };
        let (plain, next) = match after.split_once(delimiter) {
            Some((plain, next)) => (plain, Some(next)),
            None => (after, None),
        };
        // What follows a closing quote within its cell has no meaning.
        cells.push(if cell.is_empty() { Cow::Borrowed(plain.trim()) } else { cell });
        rest = next;
    }
}

/// The text up to the closing quote, doubled quotes made single, and what comes after it.
fn unquote(quoted: &str) -> (Cow<'_, str>, &str) {
    let bytes = quoted.as_bytes();
    let mut doubled = false;
    let mut from = 0;
    while let Some(at) = memchr(b'"', &bytes[from..]).map(|at| from + at) {
        if bytes.get(at + 1) != Some(&b'"') {
            let text = &quoted[..at];
            let text = if doubled { text.replace("\"\"", "\"").into() } else { Cow::Borrowed(text) };
            return (text, &quoted[at + 1..]);
        }
        doubled = true;
        from = at + 2;
    }
    (Cow::Borrowed(quoted), "")
}

/// One record: mostly a line, more where a quoted cell holds line breaks.
struct Record<'t> {
    line: u64,
    text: &'t str,
    unclosed: bool,
}

struct Records<'t> {
    rest: &'t str,
    line: u64,
}

impl<'t> Records<'t> {
    /// The length of the record and its lines: up to the first line end outside quotes.
    fn length(&self) -> Option<(usize, u64)> {
        let reach = self.rest.as_bytes();
        let mut quotes = 0;
        let mut lines = 0;
        let mut from = 0;
        while from <= reach.len().min(LONGEST_LINE) {
            let end = memchr(b'\n', &reach[from..]).map_or(reach.len(), |at| from + at);
            quotes += memchr_iter(b'"', &reach[from..end]).count();
            lines += 1;
            if quotes % 2 == 0 {
                return Some((end, lines));
            }
            from = end + 1;
        }
        None
    }
}

impl<'t> Iterator for Records<'t> {
    type Item = Record<'t>;

    fn next(&mut self) -> Option<Record<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = self.length();
        let first_line = || (memchr(b'\n', self.rest.as_bytes()).unwrap_or(self.rest.len()), 1);
        let (end, lines) = whole.unwrap_or_else(first_line);
        let record = Record { line: self.line, text: &self.rest[..end], unclosed: whole.is_none() };
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        self.line += lines;
        Some(record)
    }
}
