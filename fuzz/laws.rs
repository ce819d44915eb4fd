//! What must hold for any input, one function for each fuzz target.
//!
//! The fuzzers look for inputs that break these laws; an ordinary test replays what they found.

#![allow(dead_code, reason = "each fuzz target uses one of these")]

use ironlist::addr::{IpRange, parse_address, parse_range, write_ip_range};
use ironlist::collect::formats::{
    Fields, Format, Limits, Options, ReadError, Refused, RowFault, Sink, read, read_in_parts,
};

/// Panics over an input for which it does not hold.
type Law = fn(&[u8]);

/// The law of each target by its name, which is also that of its corpus.
pub(crate) const LAWS: [(&str, Law); 7] = [
    ("address", address),
    ("auto", auto),
    ("plain", plain),
    ("csv", csv),
    ("tsv", tsv),
    ("json", json),
    ("ndjson", ndjson),
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
