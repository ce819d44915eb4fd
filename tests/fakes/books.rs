//! Workbooks as the portals make them, oddities included, and some that nobody should make.

use super::data::Row;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const SHEETS: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";

/// The names over the columns of REGTECH's sheet.
pub(crate) const REGTECH: [&str; 5] = ["IP", "국가", "등록사유", "등록일", "해제일"];
/// Those of SECUDIUM's.
pub(crate) const SECUDIUM: [&str; 7] =
    ["탐지시간", "공격유형", "심각도", "공격종류", "공격 IP", "공격 국가", "URL"];

/// A sheet of texts.
pub(crate) struct Sheet<'a> {
    pub(crate) name: &'a str,
    pub(crate) rows: Vec<Vec<String>>,
}

/// REGTECH's workbook: the sheet of addresses alone, or as the last but one of three.
pub(crate) fn regtech(rows: &[Row], all_tabs: bool) -> Vec<u8> {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut listed = vec![texts(&REGTECH)];
    listed.extend(rows.iter().map(|row| {
        let released = row.released.map(|day| day.to_string()).unwrap_or_default();
        vec![row.ip.clone(), row.country.to_owned(), row.reason.to_owned(), row.listed.to_string(), released]
    }));
    let listed = Sheet { name: "요주의 IP", rows: listed };
    if !all_tabs {
        return poi(&[listed]);
    }
    let advice =
        vec![texts(&["유형", "제목", "작성일"]), texts(&["권고", "198.51.100.9 차단 권고", "2026-06-01"])];
    let holes = vec![texts(&["CVE", "제목"]), texts(&["CVE-2026-0001", "취약점 198.51.100.8"])];
    poi(&[Sheet { name: "보안권고문", rows: advice }, listed, Sheet { name: "취약점 정보", rows: holes }])
}

/// A workbook as Apache POI streams it: inline strings with numeric character references, an empty
/// part of shared strings, and a dimension that says "one cell".
pub(crate) fn poi(sheets: &[Sheet<'_>]) -> Vec<u8> {
    let mut parts = frame(&sheets.iter().map(|sheet| sheet.name).collect::<Vec<_>>());
    for (number, sheet) in (1..).zip(sheets) {
        let mut cells = String::new();
        for (row, texts) in (1..).zip(&sheet.rows) {
            let _ = write!(cells, "<row r=\"{row}\">");
            for (column, text) in (b'A'..).zip(texts) {
                let column = char::from(column);
                let _ = write!(
                    cells,
                    "<c r=\"{column}{row}\" t=\"inlineStr\"><is><t>{}</t></is></c>",
                    referred(text)
                );
            }
            cells.push_str("</row>");
        }
        parts.push((
            format!("xl/worksheets/sheet{number}.xml"),
            format!("<worksheet xmlns=\"{MAIN}\"><dimension ref=\"A1\"/><sheetData>{cells}</sheetData></worksheet>"),
        ));
    }
    pack(&parts)
}

/// A workbook without a sheet, as the portal gives it when it has nothing to say.
pub(crate) fn no_sheets() -> Vec<u8> {
    let book = pack(&frame(&[]));
    // The one that was seen had 2,775 bytes; what follows an archive does not change it.
    let comment = 2_775 - book.len();
    let mut archive = ZipWriter::new_append(Cursor::new(book)).unwrap();
    archive.set_comment("x".repeat(comment).into_boxed_str()).unwrap();
    archive.finish().unwrap().into_inner()
}

/// One cell of 300 MB, in a file of 300 KB.
pub(crate) fn bomb() -> Vec<u8> {
    let mut parts = frame(&["요주의 IP"]);
    let cell = "A".repeat(300 << 20);
    parts.push((
        "xl/worksheets/sheet1.xml".to_owned(),
        format!("<worksheet xmlns=\"{MAIN}\"><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>{cell}</t></is></c></row></sheetData></worksheet>"),
    ));
    pack(&parts)
}

/// Every character beyond ASCII as a number.
fn referred(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
        }
    }
    out
}

/// All parts but the sheets.
fn frame(names: &[&str]) -> Vec<(String, String)> {
    let (mut sheets, mut relations, mut types) = (String::new(), String::new(), String::new());
    for (n, name) in (1..).zip(names) {
        let name = referred(name);
        let _ = write!(sheets, "<sheet name=\"{name}\" sheetId=\"{n}\" r:id=\"rId{n}\"/>");
        let _ = write!(
            relations,
            "<Relationship Id=\"rId{n}\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet{n}.xml\"/>"
        );
        let _ = write!(
            types,
            "<Override PartName=\"/xl/worksheets/sheet{n}.xml\" ContentType=\"{SHEETS}.worksheet+xml\"/>"
        );
    }
    let part = |name: &str, text: String| {
        (name.to_owned(), format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}"))
    };
    let related =
        |rows: String| format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{rows}</Relationships>");
    vec![
        part(
            "[Content_Types].xml",
            format!(
                "<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
                 <Override PartName=\"/xl/workbook.xml\" ContentType=\"{SHEETS}.sheet.main+xml\"/>{types}</Types>"
            ),
        ),
        part(
            "_rels/.rels",
            related(format!(
                "<Relationship Id=\"rId1\" Type=\"{RELATIONS}/officeDocument\" Target=\"xl/workbook.xml\"/>"
            )),
        ),
        part(
            "xl/_rels/workbook.xml.rels",
            related(format!(
                "{relations}<Relationship Id=\"rId99\" Type=\"{RELATIONS}/sharedStrings\" Target=\"sharedStrings.xml\"/>"
            )),
        ),
        part(
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONS}\"><sheets>{sheets}</sheets></workbook>"
            ),
        ),
        part("xl/sharedStrings.xml", format!("<sst count=\"0\" uniqueCount=\"0\" xmlns=\"{MAIN}\"/>")),
    ]
}

fn pack(parts: &[(String, String)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        archive.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
