//! What a text is written in: its content decides, its name only where the content leaves a doubt.

use super::delimited::{header, split};
use super::json::is_record;
use super::{Format, Layout, Options};
use crate::addr::parse_range;

/// The format to read `text` in.
pub(super) fn settle(text: &str, options: &Options) -> Format {
    match options.format {
        Format::Auto => detect(text, options.name.as_deref().unwrap_or_default(), &options.layout),
        wanted => wanted,
    }
}

fn detect(text: &str, name: &str, layout: &Layout) -> Format {
    let text = text.trim_start();
    match text.as_bytes() {
        [b'{', ..] => object(text),
        [b'[', ..] if begins_json(&text[1..]) => Format::Json,
        _ if layout.is_of_table() => Format::Csv,
        _ => table(text, layout).or_else(|| by_name(name)).unwrap_or(Format::Plain),
    }
}

/// Whether what follows a bracket is JSON; rules for intrusion detectors put bare addresses there.
fn begins_json(text: &str) -> bool {
    text.trim_start().starts_with(['"', '{', '[', ']'])
}

/// A document in one piece, or a record a line.
fn object(text: &str) -> Format {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let more = lines.next().is_some_and(|line| line.starts_with('{'));
    match is_record(first) {
        Some(has_address) if has_address || more => Format::Ndjson,
        _ => Format::Json,
    }
}

/// A table, if the first lines name columns or have an address between commas.
fn table(text: &str, layout: &Layout) -> Option<Format> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for line in lines.by_ref().take_while(|line| layout.is_comment(line)) {
        let names = header(line.trim_start_matches(['#', ';', '/', ' ']), Format::Auto, layout);
        if let Some((delimiter, _)) = names.filter(|(_, columns)| columns.known() > 1) {
            return Some(of_delimiter(delimiter));
        }
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !layout.is_comment(line))?;
    if let Some((delimiter, _)) = header(first, Format::Auto, layout) {
        return Some(of_delimiter(delimiter));
    }
    let mut cells = Vec::new();
    split(first, ',', &mut cells);
    let addresses = cells.iter().filter(|cell| parse_range(cell.as_bytes()).is_ok()).count();
    // Addresses alone between commas are several values of a plain list.
    (addresses > 0 && addresses < cells.iter().filter(|cell| !cell.is_empty()).count()).then_some(Format::Csv)
}

fn of_delimiter(delimiter: char) -> Format {
    if delimiter == '\t' { Format::Tsv } else { Format::Csv }
}

fn by_name(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zip");
    match name.rsplit_once('.')?.1 {
        "csv" => Some(Format::Csv),
        "tsv" => Some(Format::Tsv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ => None,
    }
}
