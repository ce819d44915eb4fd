//! What must hold for any input, one function for each fuzz target.
//!
//! The fuzzers look for inputs that break these laws; an ordinary test replays what they found.

#![allow(dead_code, reason = "each fuzz target uses one of these")]

use ironlist::addr::{IpRange, parse_address, parse_range, write_ip_range};
use ironlist::collect::formats::{
    Fields, Format, Limits, Options, ReadError, Refused, RowFault, Sink, read, read_in_parts, write_rows,
};
use ironlist::collect::{regtech, secudium};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

/// Panics over an input for which it does not hold.
type Law = fn(&[u8]);

/// The law of each target by its name, which is also that of its corpus.
pub(crate) const LAWS: [(&str, Law); 10] = [
    ("address", address),
    ("auto", auto),
    ("plain", plain),
    ("csv", csv),
    ("tsv", tsv),
    ("json", json),
    ("ndjson", ndjson),
    ("workbook", workbook),
    ("html_list", html_list),
    ("grid", grid),
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
    assert!(range.level() > 0 || range.size() < 1 << 127 || matches!(range, IpRange::V6(_)));
    if let Ok(address) = parse_address(input) {
        assert!(range.size() == 1 && range.contains(address));
        assert_eq!(address, address.to_canonical());
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

/// Workbooks, as the child process reads them: rows and columns within what a sheet can have.
pub(crate) fn workbook(input: &[u8]) {
    let format = if input.starts_with(b"PK") { Format::Xlsx } else { Format::Xls };
    let mut text = Vec::new();
    // The library panics over some damaged workbooks; in the child that is an answer like any other,
    // and here no finding.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let read = catch_unwind(AssertUnwindSafe(|| write_rows(input.to_vec(), format, None, &mut text)));
    set_hook(hook);
    if !matches!(read, Ok(Ok(()))) {
        return;
    }
    let text = String::from_utf8(text).expect("cells are text");
    for line in text.lines() {
        let mut cells = line.split('\t');
        let row: u32 = cells.next().and_then(|number| number.parse().ok()).expect("each row has a number");
        assert!((1..=1_048_576).contains(&row), "row {row}");
        assert!(cells.clone().count() <= 128 && cells.all(|cell| !cell.contains(char::is_control)));
    }
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
