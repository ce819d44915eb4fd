//! A table as text (RFC 4180, but lines end with a line feed alone), safe to open in a spreadsheet.

use super::page::Page;
use super::row::{COLUMNS, Row, is_formula};
use super::sheet::Sheet;
use crate::model::Format;
use std::io;

/// Writes the names of the columns, and a line an entry.
pub(super) fn write(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    page.put(COLUMNS.join(","))?;
    page.put("\n")?;
    let mut text = Vec::new();
    sheet.pieces(Format::Csv.families()).try_for_each(|piece| {
        let cells = Row::new(sheet, piece, &mut text).cells();
        page.entry(|out| {
            for (at, value) in cells.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"" } else { b"," });
                write_cell(out, value);
            }
            out.push(b'\n');
        })
    })
}

/// Appends a cell. One that could be a formula begins with an apostrophe. A spreadsheet that cuts at semicolons,
/// as in many countries, would begin a cell inside this one: what follows a semicolon is treated alike.
fn write_cell(out: &mut Vec<u8>, value: &str) {
    let quoted = value.contains([',', '"', ';']) || value.starts_with(' ') || is_formula(value);
    if !quoted {
        return out.extend_from_slice(value.as_bytes());
    }
    out.push(b'"');
    for (at, part) in value.split(';').enumerate() {
        out.extend_from_slice(if at == 0 { b"" } else { b";" });
        out.extend_from_slice(if is_formula(part.trim_start_matches('"')) { b"'" } else { b"" });
        out.extend_from_slice(part.replace('"', "\"\"").as_bytes());
    }
    out.push(b'"');
}
