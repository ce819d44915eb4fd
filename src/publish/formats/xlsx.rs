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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpSet;
    use crate::addr::{Range, RangeSet};
    use crate::model::{Lines, Time};
    use crate::publish::{Annotated, Entry, Facts};
    use std::io::{Cursor, Read};

    fn write_book(reason: &str, count: u32, rows: u32) -> (Vec<u8>, u64) {
        let v4: RangeSet<u32> = (0..count).map(|at| Range::single(at * 2)).collect();
        let entries = v4.iter().map(|range| Entry { range, facts: 0 }).collect();
        let facts = Facts { reason: Some(reason.into()), ..Facts::default() };
        let annotated = Annotated { v4: entries, v6: Vec::new(), facts: vec![facts] };
        let selection = IpSet { v4, v6: RangeSet::EMPTY };
        let (time, entries) = (Time::from_unix(1_790_000_000), Some(&annotated));
        let sheet =
            Sheet { feed: "test", generation: 7, time, lines: Lines::Cidrs, selection: &selection, entries };
        let mut none = io::sink();
        let mut page = Page::new(&mut none);
        let book = book(&sheet, &mut page, rows).unwrap();
        (book, page.entries())
    }

    fn part(book: &[u8], name: &str) -> String {
        let mut text = String::new();
        let mut archive = zip::ZipArchive::new(Cursor::new(book)).unwrap();
        archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_one_sheet_does_not_hold_goes_on_in_the_next_with_the_columns_names() {
        let (book, entries) = write_book("x", 7, 4);
        assert_eq!(entries, 7);
        let names = part(&book, "xl/workbook.xml");
        assert!(names.contains("Entries 3") && !names.contains("Entries 4"), "{names}");
        for (number, rows) in [(1, 4), (2, 4), (3, 2)] {
            let sheet = part(&book, &format!("xl/worksheets/sheet{number}.xml"));
            assert_eq!(sheet.matches("<row ").count(), rows, "sheet {number}");
            assert!(sheet.contains(">until<"));
        }
        assert!(!part(&write_book("x", 3, 4).0, "xl/workbook.xml").contains("Entries 2"), "it just fits");
    }

    #[test]
    fn the_same_list_is_the_same_workbook_whenever_it_is_written() {
        let book = write_book("x", 3, ROWS).0;
        assert_eq!(book, write_book("x", 3, ROWS).0);
        assert!(part(&book, "docProps/core.xml").contains(">2026-09-21T14:13:20Z<"), "the time of the list");
    }

    #[test]
    fn a_cell_is_text_whatever_it_holds_and_however_long_it_is() {
        let sheet = part(&write_book("=1+1</t><f>2</f>", 1, ROWS).0, "xl/worksheets/sheet1.xml");
        assert!(sheet.contains("=1+1&lt;/t&gt;") && !sheet.contains("<f>"), "{sheet}");
        assert!(part(&write_book("=1", 1, ROWS).0, "xl/styles.xml").contains("quotePrefix=\"1\""));
        let long = "공".repeat(40_000);
        let sheet = part(&write_book(&long, 1, ROWS).0, "xl/worksheets/sheet1.xml");
        assert_eq!(sheet.matches('공').count(), LONGEST);
    }
}
