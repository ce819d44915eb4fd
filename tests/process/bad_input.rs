//! What sources and attackers send instead of lists: each is refused by its name, costs that one
//! request, and changes nothing.

use super::house::{House, Plan};
use super::http;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_xlsxwriter::Workbook;
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const IMPORT: &str = "/api/v1/blacklist/import?source=bad";
/// Unpacks to more than bombs are given, and is well within the limit as it is sent.
const BOMB: usize = 64 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut packer = ZipWriter::new(Cursor::new(Vec::new()));
    packer.start_file(name, SimpleFileOptions::default()).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap().into_inner()
}

/// A workbook with these cells: row, column, text, all counted from 0.
fn workbook(cells: &[(u32, u16, &str)]) -> Vec<u8> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (row, column, text) in cells {
        sheet.write_string(*row, *column, *text).unwrap();
    }
    book.save_to_buffer().unwrap()
}

fn import(house: &House, body: &[u8]) -> http::Answer {
    house.post("gateway", IMPORT, "application/octet-stream", body)
}

fn goes_on(house: &House, generation: u64) {
    assert_eq!(house.generation(), generation);
    assert_eq!(house.get("gateway", "/ready").status, 200);
}

#[test]
fn what_is_no_list_is_refused_by_its_name_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let mut dice = fastrand::Rng::with_seed(1);
    let binary: Vec<u8> = (0..20_000).map(|_| dice.u8(..)).collect();
    let bomb = vec![b'1'; BOMB];
    let mut cut = gzip(b"192.0.2.1\n192.0.2.2\n");
    cut.truncate(cut.len() / 2);
    let page = b"<!DOCTYPE html><html><body>Session expired 45.1.2.3</body></html>".as_slice();
    let prose = "Dear sir,\nplease block 45.1.2.3 at once.\n".repeat(20);
    for (body, code) in [
        (page, "html_page"),
        (&binary, "binary_file"),
        (b"", "empty_file"),
        (b" \n\t\n", "empty_file"),
        (&gzip(&bomb), "decompression_bomb"),
        (&zip("list.txt", &bomb), "decompression_bomb"),
        (&zip("inner.zip", &zip("list.txt", b"45.1.2.3")), "nested_archive"),
        (&cut, "broken_archive"),
        (&workbook(&[(0, 0, "red"), (1, 0, "green"), (2, 0, "blue")]), "no_sheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and nothing else", "not_a_workbook"),
        (prose.as_bytes(), "mostly_bad"),
    ] {
        assert_eq!(import(&house, body).problem(), (422, code.to_owned()));
        goes_on(&house, 0);
    }
}

#[test]
fn a_line_that_is_too_long_costs_that_line_only() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let long = "4".repeat(5000);
    let answer = import(&house, format!("45.1.2.3\n{long}\n45.1.2.5\n").as_bytes());
    let answer = answer.ok().json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&2.into(), &1.into()), "{answer}");
    let error = &answer["errors"][0];
    assert_eq!((&error["line"], &error["code"]), (&2.into(), &"line_too_long".into()));
    assert!(error["value"].as_str().unwrap().len() <= 80);
}

#[test]
fn workbooks_are_read_and_one_that_claims_the_largest_sheet_is_as_cheap() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let rows = [(0, 0, "IP"), (0, 1, "사유"), (1, 0, "45.1.2.3"), (1, 1, "웹 공격"), (2, 0, "45.1.2.0/33")];
    let answer = import(&house, &workbook(&rows)).ok().json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&1.into(), &1.into()), "{answer}");
    let story = house.get("gateway", "/api/v1/blacklist/ips/45.1.2.3").json();
    assert_eq!(story["listings"][0]["reason"], "웹 공격", "{story}");
    let corners = [(0, 0, "45.1.2.5"), (1_048_575, 16_383, "x")];
    let answer = import(&house, &workbook(&corners)).ok().json();
    assert_eq!(answer["added"], 1, "{answer}");
    goes_on(&house, 2);
}

/// Sends lines without an end; gives the answer, and how many pieces of 70 KB were taken.
pub(crate) fn endless(house: &House, role: &str) -> (http::Answer, usize) {
    let key = house.key();
    let stream = http::connect(house.address(role)).unwrap();
    let mut sender = stream.try_clone().unwrap();
    let headers = [("transfer-encoding", "chunked"), ("x-api-key", &key)];
    sender.write_all(&http::head("localhost", "POST", IMPORT, &headers)).unwrap();
    let answer = std::thread::spawn(move || http::read(stream, "POST").unwrap());
    let piece = format!("{:x}\r\n{}\r\n", 70_000, "45.1.2.33\n".repeat(7000));
    let sent = (0..10_000).take_while(|_| sender.write_all(piece.as_bytes()).is_ok()).count();
    drop(sender);
    (answer.join().unwrap(), sent)
}

#[test]
fn a_body_without_an_end_is_cut_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).set("IRONLIST_LIMITS_IMPORT_BODY", "2 MiB").start();
    for role in ["blacklist", "gateway"] {
        let (answer, sent) = endless(&house, role);
        assert_eq!(answer.problem(), (413, "body_too_large".to_owned()), "{role}");
        assert!(sent < 1000, "{role} took {sent} pieces");
    }
    let long = house.post("gateway", IMPORT, "text/plain", vec![b'\n'; 3 << 20]);
    assert_eq!(long.problem(), (413, "body_too_large".to_owned()));
    goes_on(&house, 0);
}
