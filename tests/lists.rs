//! Lists as the program itself reads them: workbooks in the real child process.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use ironlist::addr::IpRange;
use ironlist::collect::formats::{
    ExitReason, Fields, Format, Limits, Options, ReadError, Refused, RowFault, SheetReader, Sink, read,
};
use rust_xlsxwriter::{ExcelDateTime, Format as Style, Workbook};
use std::io::{Cursor, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

#[derive(Default)]
struct Rows {
    rows: Vec<String>,
    rejected: Vec<(u64, &'static str)>,
}

impl Sink for Rows {
    fn row(&mut self, line: u64, range: IpRange, fields: &Fields<'_>) -> Result<(), Refused> {
        let shown = [fields.reason, fields.country, fields.detected, fields.listed, fields.expires];
        let shown: Vec<_> = shown.into_iter().flatten().collect();
        self.rows.push(format!("{line} {range} {}", shown.join(" ")).trim_end().to_owned());
        Ok(())
    }

    fn reject(&mut self, line: u64, _: &str, fault: RowFault) {
        self.rejected.push((line, fault.code()));
    }
}

fn options() -> Options {
    let program = Some(env!("CARGO_BIN_EXE_ironlist").into());
    Options { sheet_reader: SheetReader { program, ..SheetReader::default() }, ..Options::default() }
}

fn read_book(book: &[u8], options: &Options) -> Result<Rows, ReadError> {
    let mut rows = Rows::default();
    let summary = read(book, options, &mut rows)?;
    assert!(matches!(summary.format, Format::Xlsx | Format::Xls));
    Ok(rows)
}

fn code(book: &[u8], options: &Options) -> &'static str {
    read_book(book, options).map_or_else(|error| error.code(), |_| "read")
}

/// A workbook of sheets of text cells.
fn workbook(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
    let mut book = Workbook::new();
    for (name, rows) in sheets {
        let sheet = book.add_worksheet().set_name(*name).unwrap();
        for (row, cells) in (0..).zip(*rows) {
            for (column, cell) in (0..).zip(*cells) {
                sheet.write_string(row, column, *cell).unwrap();
            }
        }
    }
    book.save_to_buffer().unwrap()
}

/// A workbook with one sheet of the given XML, as small as a workbook can be.
fn bare_workbook(sheet: &str) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    let parts = [
        ("[Content_Types].xml", format!("<Types xmlns=\"{PACKAGE}/content-types\"/>")),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"r1\" Type=\"{RELATIONS}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"r1\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONS}\"><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        ("xl/worksheets/sheet1.xml", format!("<worksheet xmlns=\"{MAIN}\">{sheet}</worksheet>")),
    ];
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const HEADER: &[&str] = &["IP", "국가", "등록사유", "등록일", "해제일"];
const ROW: &[&str] = &["192.0.2.1", "CN", "공격 탐지", "2025-06-01", "2025-09-01"];
const READ: &str = "2 192.0.2.1 공격 탐지 CN 2025-06-01 2025-09-01";

#[test]
fn the_sheet_with_addresses_is_found_by_name_or_by_its_header() {
    let advice: &[&[&str]] = &[&["유형", "제목"], &["x", "192.0.2.77"]];
    let usual = workbook(&[
        ("보안권고문", advice),
        ("other", &[&["IP"], &["192.0.2.9"]]),
        ("요주의 IP", &[HEADER, ROW]),
    ]);
    assert_eq!(read_book(&usual, &options()).unwrap().rows, [READ]);
    let by_header = workbook(&[("보안권고문", advice), ("목록", &[HEADER, ROW])]);
    assert_eq!(read_book(&by_header, &options()).unwrap().rows, [READ]);
    let named = Options { sheet: Some("other".to_owned()), ..options() };
    assert_eq!(read_book(&usual, &named).unwrap().rows, ["2 192.0.2.9"]);
    let missing = Options { sheet: Some("missing".to_owned()), ..options() };
    assert_eq!(code(&usual, &missing), "no_sheet");
    assert_eq!(code(&workbook(&[("a", &[&["x", "y"], &["1", "2"]])]), &options()), "no_sheet");
}

#[test]
fn a_header_without_rows_is_an_empty_list_and_bad_rows_are_reported() {
    assert!(read_book(&workbook(&[("a", &[HEADER])]), &options()).unwrap().rows.is_empty());
    let book = workbook(&[("a", &[&["title"], HEADER, ROW, &["300.1.1.1"], &["", "KR"]])]);
    let rows = read_book(&book, &options()).unwrap();
    assert_eq!(rows.rows, [READ.replacen('2', "3", 1)]);
    assert_eq!(rows.rejected, [(4, "octet_too_large"), (5, "no_address")]);
}

#[test]
fn date_cells_and_numbers_read_as_a_person_sees_them() {
    let mut book = Workbook::new();
    let style = Style::new().set_num_format("yyyy-mm-dd hh:mm");
    let sheet = book.add_worksheet();
    sheet.write_string(0, 0, "탐지시간").unwrap().write_string(0, 1, "공격 IP").unwrap();
    let moment = ExcelDateTime::from_ymd(2025, 6, 24).unwrap().and_hms(0, 30, 0).unwrap();
    sheet.write_datetime_with_format(1, 0, &moment, &style).unwrap().write_string(1, 1, "192.0.2.1").unwrap();
    let day = ExcelDateTime::from_ymd(2025, 6, 25).unwrap();
    sheet.write_datetime_with_format(2, 0, &day, &style).unwrap().write_string(2, 1, "192.0.2.2").unwrap();
    let rows = read_book(&book.save_to_buffer().unwrap(), &options()).unwrap();
    assert_eq!(rows.rows, ["2 192.0.2.1 2025-06-24 00:30:00", "3 192.0.2.2 2025-06-25"]);
}

#[test]
fn inline_strings_in_a_sheet_that_understates_its_size_are_read() {
    let sheet = "<dimension ref=\"A1\"/><sheetData>\
        <row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>&#44397;&#44032;</t></is></c><c r=\"B1\" t=\"inlineStr\"><is><t>IP</t></is></c></row>\
        <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>KR</t></is></c><c r=\"B2\" t=\"inlineStr\"><is><t>192.0.2.1</t></is></c></row>\
        </sheetData>";
    assert_eq!(read_book(&bare_workbook(sheet), &options()).unwrap().rows, ["2 192.0.2.1 KR"]);
}

#[test]
fn the_older_kind_of_workbook_is_read_whatever_it_is_called() {
    let book = include_bytes!("data/attacks.xls");
    let rows = read_book(book, &Options { name: Some("attacks.xlsx".to_owned()), ..options() }).unwrap();
    assert_eq!(
        rows.rows,
        ["2 192.0.2.1 웹 공격 KR 2025-06-24 00:30:00", "3 192.0.2.2 포트 스캔 CN 2025. 0 6. 29. 오전 09:00"]
    );
}

#[test]
fn hostile_workbooks_end_their_reading_and_nothing_else() {
    let far = "<sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>192.0.2.1</t></is></c></row>\
        <row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row></sheetData>";
    assert_eq!(read_book(&bare_workbook(far), &options()).unwrap().rows, ["1 192.0.2.1"]);
    let beyond = "<sheetData><row r=\"1048577\"><c r=\"A1048577\"><v>1</v></c></row></sheetData>";
    assert_ne!(code(&bare_workbook(beyond), &options()), "read");
    let cell = "A".repeat(300 << 20);
    let bomb = format!(
        "<sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>{cell}</t></is></c></row></sheetData>"
    );
    drop(cell);
    assert_eq!(code(&bare_workbook(&bomb), &options()), "sheet_resources");
    assert_eq!(code(&bare_workbook("<sheetData><row><c><v>1</v></c></wrong>"), &options()), "no_sheet");
    assert_eq!(code(b"\xd0\xcf\x11\xe0 and nothing else", &options()), "not_a_workbook");
}

#[test]
fn a_reader_that_fails_is_not_taken_for_a_bad_workbook() {
    let book = workbook(&[("a", &[HEADER, ROW])]);
    let with = |program: &str, time| Options {
        sheet_reader: SheetReader { program: Some(program.into()), time },
        limits: Limits { size: 1 << 20, ..Limits::default() },
        ..Options::default()
    };
    assert_eq!(code(&book, &with("/nonexistent/ironlist", Duration::from_secs(5))), "sheet_reader");
    assert_eq!(code(&book, &with("/usr/bin/yes", Duration::from_secs(5))), "sheet_resources");
    let folder = tempfile::tempdir().unwrap();
    let script = |text: &str| {
        let path = folder.path().join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let slow = with(&script("exec sleep 60"), Duration::from_millis(200));
    assert_eq!(code(&book, &slow), "sheet_resources");
    // As a panic ends.
    let broke = with(&script("echo \"it panicked\n at line 7\" >&2; exit 101"), Duration::from_secs(5));
    let error = read_book(&book, &broke).err().unwrap();
    assert_eq!(error.code(), "sheet_reader_broke");
    assert!(error.to_string().ends_with("exit status: 101 it panicked at line 7"), "{error}");
}

#[test]
fn a_reader_that_has_memory_before_it_is_bounded_reads_nothing() {
    // Without the word to its allocator, which else takes more than the limit before there is one.
    let mut reader = Command::new(env!("CARGO_BIN_EXE_ironlist"));
    let reader = reader.args(["read-sheet", "xlsx"]).env_clear().stdin(Stdio::null());
    assert_eq!(reader.status().unwrap().code(), Some(ExitReason::Unbounded as i32));
}

#[test]
fn a_large_cell_fits_into_the_memory_of_the_reader() {
    let cell = "A".repeat(16 << 20);
    let row = format!(
        "<sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>192.0.2.1</t></is></c></row>\
        <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>192.0.2.2</t></is></c><c r=\"B2\" t=\"inlineStr\">\
        <is><t>{cell}</t></is></c></row></sheetData>"
    );
    let read = read_book(&bare_workbook(&row), &options()).unwrap();
    assert_eq!((read.rows, read.rejected), (vec!["1 192.0.2.1".to_owned()], vec![(2, "line_too_long")]));
}

#[test]
fn an_xls_that_would_take_gigabytes_costs_its_process_only() {
    // Found by a fuzzer, which replays it nowhere else: it has the memory of the machine.
    assert_eq!(code(include_bytes!("data/hungry.xls"), &options()), "sheet_resources");
}
