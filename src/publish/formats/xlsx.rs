//! A workbook for people. A sheet has 1,048,576 rows and no more, so a longer list goes on in the next one.

use super::page::Page;
use super::row::{COLUMNS, Row, is_formula};
use super::sheet::{Piece, Sheet};
use crate::model::Format;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format as Style, Workbook, Worksheet, XlsxError};
use std::io;

/// The rows of a sheet, the names of the columns among them.
const ROWS: u32 = 1 << 20;

/// Half of what a cell takes, because Excel counts the longer characters twice.
const LONGEST: usize = 16_383;

/// Writes the workbook. Rows wait in temporary files, not in memory; the compressed book is made as a whole.
pub(super) fn write(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let book = book(sheet, page, ROWS).map_err(io::Error::other)?;
    page.put(book)
}

fn book(sheet: &Sheet<'_>, page: &mut Page<'_>, rows: u32) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    // The default is the time of writing: the same list would be other bytes each time.
    let time = ExcelDateTime::from_timestamp(sheet.time.unix())?;
    book.set_properties(&DocProperties::new().set_author("Ironlist").set_creation_datetime(&time));
    let mut pieces = sheet.pieces(Format::Xlsx.families()).peekable();
    let mut number = 1;
    loop {
        let name = format!("Entries {number}");
        let worksheet = book.add_worksheet_with_constant_memory()?.set_name(name)?;
        fill(worksheet, sheet, &mut pieces.by_ref().take(rows as usize - 1), page)?;
        if pieces.peek().is_none() {
            return book.save_to_buffer();
        }
        number += 1;
    }
}

/// Fills one sheet.
fn fill<'a>(
    worksheet: &mut Worksheet,
    sheet: &Sheet<'_>,
    pieces: &mut impl Iterator<Item = Piece<'a>>,
    page: &mut Page<'_>,
) -> Result<(), XlsxError> {
    let (head, text) = (Style::new().set_bold(), Style::new().set_quote_prefix());
    for (column, name) in (0..).zip(COLUMNS) {
        worksheet.write_string_with_format(0, column, name, &head)?;
    }
    let mut room = Vec::new();
    for (row, piece) in (1..).zip(pieces) {
        for (column, cell) in (0..).zip(Row::new(sheet, piece, &mut room).cells()) {
            let cell: String = cell.chars().take(LONGEST).collect();
            if is_formula(&cell) {
                worksheet.write_string_with_format(row, column, cell, &text)?;
            } else if !cell.is_empty() {
                worksheet.write_string(row, column, cell)?;
            }
        }
        page.entry(|_| ())?;
    }
    Ok(())
}
