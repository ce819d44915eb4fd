//! What must hold for any input, one function for each fuzz target.
//!
//! The fuzzers look for inputs that break these laws; an ordinary test replays what they found.

#![allow(dead_code, reason = "each fuzz target uses one of these")]

use flate2::Compression;
use flate2::write::GzEncoder;
use ironlist::addr::{IpRange, IpSet, Range, parse_address, parse_range, write_ip_range};
use ironlist::collect::formats::{
    Fields, Format, Limits, Options, ReadError, Refused, RowFault, Sink, read, read_book, read_in_parts,
};
use ironlist::collect::{regtech, secudium};
use ironlist::publish::dnsbl::{Channel, Zone};
use std::io::{Cursor, Write as _};
use std::net::Ipv4Addr;
use std::panic::{self, AssertUnwindSafe};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Panics over an input for which it does not hold.
type Law = fn(&[u8]);

/// The law of each target by its name, which is also that of its corpus.
pub(crate) const LAWS: [(&str, Law); 14] = [
    ("address", address),
    ("auto", auto),
    ("plain", plain),
    ("csv", csv),
    ("tsv", tsv),
    ("json", json),
    ("ndjson", ndjson),
    ("gzip", gzip),
    ("zip", zip),
    ("xlsx", xlsx),
    ("xls", xls),
    ("html_list", html_list),
    ("grid", grid),
    ("dns", dns),
];

/// What is read as a range is canonical: it reads back from its own text and is not everything.
pub(crate) fn address(input: &[u8]) {
    let Ok(range) = parse_range(input) else {
        assert!(parse_address(input).is_err(), "an address is a range");
        return;
    };
    let mut text = Vec::new();
    write_ip_range(&mut text, range);
    assert_eq!(parse_range(&text), Ok(range));
    assert_eq!(text, range.to_string().into_bytes());
    assert_ne!(range, IpRange::V4(Range::ALL));
    assert_ne!(range, IpRange::V6(Range::ALL));
    if let Ok(address) = parse_address(input) {
        assert!(range.size() == 1 && range.contains(address));
        assert_eq!(address, address.to_canonical());
    }
}

/// A packet is answered with its own id within what its asker takes, or not at all.
pub(crate) fn dns(input: &[u8]) {
    let networks = IpSet::from_ranges(["127.0.0.0/8".parse().expect("a network")]);
    let zone = Zone::new("bl.test", "localhost", 300, networks).expect("a name");
    let mut out = Vec::new();
    for channel in [Channel::Udp, Channel::Tcp] {
        zone.answer(input, (Ipv4Addr::LOCALHOST.into(), channel), None, |_| String::new(), &mut out);
        if !out.is_empty() {
            assert_eq!(out[..2], input[..2]);
            assert!(out[2] & 128 != 0 && out.len() >= 12);
            assert!(channel == Channel::Tcp || out.len() <= 1232);
        }
    }
}

/// Whatever the file is.
pub(crate) fn auto(input: &[u8]) {
    let _ = checked(input, Format::Auto);
}

/// A line means the same whatever lines are around it.
pub(crate) fn plain(input: &[u8]) {
    let (Ok(whole), Ok(text)) = (checked(input, Format::Plain), std::str::from_utf8(input)) else { return };
    let lines = text.trim_start_matches('\u{feff}').split('\n');
    // Behind a comment, so that no line is short enough to be judged as a whole file.
    let behind = |line| format!("{}\n{line}", "#".repeat(10_000));
    let alone = lines.filter_map(|line| checked(behind(line).as_bytes(), Format::Plain).ok());
    let alone: Vec<IpRange> = alone.flat_map(|rows| rows.ranges).collect();
    assert!(text.contains('\u{feff}') || whole.ranges == alone);
}

/// Tables with commas and the like.
pub(crate) fn csv(input: &[u8]) {
    let _ = checked(input, Format::Csv);
}

/// Tables with tabs.
pub(crate) fn tsv(input: &[u8]) {
    let _ = checked(input, Format::Tsv);
}

/// JSON documents.
pub(crate) fn json(input: &[u8]) {
    let _ = checked(input, Format::Json);
}

/// JSON values a line.
pub(crate) fn ndjson(input: &[u8]) {
    let _ = checked(input, Format::Ndjson);
}

/// A list says the same when it is compressed; and whatever claims to be compressed is read or refused.
pub(crate) fn gzip(input: &[u8]) {
    let _ = checked(&[b"\x1f\x8b\x08\0\0\0\0\0\0\xff", input].concat(), Format::Auto);
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(input).unwrap();
    same_packed(input, &packer.finish().unwrap());
}

/// The same for an archive.
pub(crate) fn zip(input: &[u8]) {
    let _ = checked(&[b"PK\x03\x04", input].concat(), Format::Auto);
    let mut packer = ZipWriter::new(Cursor::new(Vec::new()));
    packer.start_file("list.txt", SimpleFileOptions::default()).unwrap();
    packer.write_all(input).unwrap();
    same_packed(input, &packer.finish().unwrap().into_inner());
}

fn same_packed(input: &[u8], packed: &[u8]) {
    match (checked(input, Format::Auto), checked(packed, Format::Auto)) {
        (Ok(plain), Ok(unpacked)) => assert_eq!(plain.ranges, unpacked.ranges),
        // What is an archive of some kind itself is not read out of another.
        (_, Err(error)) if error.code() == "nested_archive" => {}
        (Err(plain), Err(unpacked)) => assert_eq!(plain.code(), unpacked.code()),
        (plain, unpacked) => assert_eq!(plain.is_ok(), unpacked.is_ok()),
    }
}

/// Workbooks, as the process reads them that is confined for it.
pub(crate) fn xlsx(input: &[u8]) {
    book(input, Format::Xlsx);
}

/// The older kind.
pub(crate) fn xls(input: &[u8]) {
    book(input, Format::Xls);
}

/// What comes out is text, and a line for each row: its number, which rises, and its cells between tabs.
fn book(input: &[u8], format: Format) {
    let mut output = Vec::new();
    // A book that the library cannot bear ends the process that reads it, and is refused: no news for a fuzzer.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let read = panic::catch_unwind(AssertUnwindSafe(|| read_book(input.to_vec(), format, None, &mut output)));
    panic::set_hook(hook);
    if !matches!(read, Ok(Ok(()))) {
        return;
    }
    let text = String::from_utf8(output).unwrap();
    let numbers = text.lines().map(|line| line.split_once('\t').map(|(number, _)| number.parse::<u32>()));
    let numbers: Vec<u32> = numbers.map(|number| number.unwrap().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert!(numbers.iter().all(|number| (1..=1_048_576).contains(number)));
    let cells = |line: &str| line.split('\t').skip(1).filter(|cell| !cell.contains(char::is_control)).count();
    assert!(text.lines().all(|line| cells(line) == line.matches('\t').count() && cells(line) <= 128));
}

/// Pages of REGTECH's list: each row that is shown is read again from what is kept, or rejected.
pub(crate) fn html_list(input: &[u8]) {
    let Some(page) = regtech::page(&String::from_utf8_lossy(input)) else { return };
    let kept = regtech::ndjson(&page.rows);
    match checked(&kept, Format::Ndjson) {
        Ok(rows) => assert_eq!(rows.ranges.len() as u64 + rows.rejected, page.rows.len() as u64),
        Err(error) => assert_eq!(error.code(), "mostly_bad"),
    }
    assert!(page.rows.iter().all(|row| !row.key().is_empty() && row.uuid.len() <= 64));
}

/// SECUDIUM's list of posts: whatever it says, a file's name on the server is no path.
pub(crate) fn grid(input: &[u8]) {
    let Some(grid) = secudium::grid(input) else { return };
    for post in grid.posts {
        assert!(!post.key().is_empty());
        let Some(secudium::Attachment { uuid, .. }) = post.attachment else { continue };
        assert!(!uuid.is_empty() && !uuid.contains(['/', '\\', '&', '?', '#', '%', ' ']));
    }
}

/// The rows of a reading; whatever happens, lines count upwards and nothing is lost uncounted.
#[derive(Default)]
struct Rows {
    ranges: Vec<IpRange>,
    rejected: u64,
    line: u64,
}

impl Rows {
    fn at(&mut self, line: u64) {
        assert!(line > 0 && line >= self.line, "line {line} after line {}", self.line);
        self.line = line;
    }
}

impl Sink for Rows {
    fn row(&mut self, line: u64, range: IpRange, fields: &Fields<'_>) -> Result<(), Refused> {
        self.at(line);
        assert!(fields.confidence.is_none_or(|percent| percent <= 100));
        self.ranges.push(range);
        Ok(())
    }

    fn reject(&mut self, line: u64, _: &str, fault: RowFault) {
        self.at(line);
        assert!(!fault.code().is_empty());
        self.rejected += 1;
    }
}

fn checked(input: &[u8], format: Format) -> Result<Rows, ReadError> {
    let limits = Limits { size: 4 << 20, ..Limits::default() };
    let mut options = Options { format, limits, ..Options::default() };
    // No process is started for every input that looks like a workbook.
    options.sheet_reader.program = Some("/nonexistent".into());
    let mut rows = Rows::default();
    let read = read(input, &options, &mut rows);
    let in_parts = read_in_parts(input, &options, Rows::default);
    match (&read, &in_parts) {
        (Ok(summary), Ok((same, sinks))) => {
            assert_eq!(summary, same);
            assert_eq!(summary.rows, rows.ranges.len() as u64);
            assert_eq!(summary.rejected, rows.rejected);
            assert_eq!(summary.rows, sinks.iter().map(|sink| sink.ranges.len() as u64).sum::<u64>());
        }
        (Err(one), Err(other)) => assert_eq!(one.code(), other.code()),
        _ => assert_eq!(read.is_ok(), in_parts.is_ok()),
    }
    read.map(|_| rows)
}
