//! Reading lists: the bytes of a file in, ranges with what the file says about them out.
//!
//! Every form that lists come in, each also in gzip or zip. The input is hostile: sizes, counts and
//! times are bounded, spreadsheets are read in a process of their own, and nothing is guessed from
//! a name that the content contradicts.
//!
//! Architecture invariant: knows `addr` and nothing of listings, sources or storage. A line that is
//! wrong costs that line and is reported; a file that is wrong gives a [`ReadError`], and then
//! whatever the sink has been given is void.

mod delimited;
mod detect;
mod error;
mod json;
mod layout;
mod line;
mod parser;
mod parts;
mod plain;
mod role;
mod rows;
mod sheet;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod unpack;
mod workbook;

pub use error::{Example, ReadError, RowFault, SheetError};
pub use layout::{Column, Layout, Separator};
pub use parser::{BadParser, Minimum, Parser};
pub use role::Role;
pub use rows::{Fields, Refused, Sink, Summary};
pub use sheet::SheetReader;
pub use unpack::Limits;
pub use workbook::{COMMAND as READ_SHEET, ExitReason, read_book, run as read_sheet};

use rows::Tally;
use schemars::JsonSchema;
use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::str::FromStr;
use unpack::Content;

/// The longest line or record that is read, in bytes; longer ones are reported one by one.
pub const LONGEST_LINE: usize = 4096;

/// What a file is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// To be found out: by content, then by name.
    #[default]
    Auto,
    /// A value a line, in any of the forms that lists without columns use.
    Plain,
    /// Columns between commas (or semicolons, or bars), with a header or without.
    Csv,
    /// Columns between tabs.
    Tsv,
    /// One JSON document.
    Json,
    /// A JSON value a line.
    Ndjson,
    /// An Excel workbook.
    Xlsx,
    /// An Excel workbook of the older kind.
    Xls,
}

impl Format {
    /// Every format, as a person may name it.
    pub const ALL: [Self; 8] =
        [Self::Auto, Self::Plain, Self::Csv, Self::Tsv, Self::Json, Self::Ndjson, Self::Xlsx, Self::Xls];

    /// The format's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Plain => "plain",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Xlsx => "xlsx",
            Self::Xls => "xls",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| format!("a format is one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// How to read a file; the default reads anything.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the file is written in. Workbooks are known by their first bytes whatever this says.
    pub format: Format,
    /// The file's name, a hint where the content leaves a doubt.
    pub name: Option<String>,
    /// For JSON: where the values are, as keys between dots; arrays on the way are entered.
    pub path: Option<String>,
    /// For workbooks: the sheet to read, instead of the one that has addresses.
    pub sheet: Option<String>,
    /// What is known of its columns and comments.
    pub layout: Layout,
    /// Whether a file with more wrong lines than right ones is read for the right ones: a person has
    /// looked at it and said so.
    pub tolerant: bool,
    /// How large things may be.
    pub limits: Limits,
    /// How spreadsheets are read.
    pub sheet_reader: SheetReader,
}

/// Reads `input` and gives `sink` each row and each line that is none, in the file's order.
///
/// A plain list takes about 20 ns a line and no allocation. Blocks: for seconds on a large
/// spreadsheet, which a child process reads.
///
/// # Errors
/// The file as a whole cannot be used, see [`ReadError`]; then the rows given so far are void.
pub fn read(input: &[u8], options: &Options, sink: &mut impl Sink) -> Result<Summary, ReadError> {
    let mut rows = Tally::new(sink);
    let format = match unpack::open(input, &options.limits)? {
        Content::Workbook(format, bytes) => {
            sheet::read(&bytes, format, options, &mut rows)?;
            format
        }
        Content::Text(bytes) => {
            let text = text::decode(&bytes)?;
            let format = detect::settle(&text, options);
            read_text(&text, format, options, &mut rows)?;
            format
        }
    };
    rows.count().finish(format, options.tolerant)
}

/// As [`read`], but a large plain list is read on all cores and never held in memory whole.
///
/// Gives a sink for each core: each line is in one of them under the file's line number, in no
/// order between the sinks.
///
/// # Errors
/// As [`read`], and when the input cannot be read.
pub fn read_in_parts<S: Sink + Send>(
    mut input: impl Read + Send,
    options: &Options,
    new_sink: impl Fn() -> S,
) -> Result<(Summary, Vec<S>), ReadError> {
    let mut head = Vec::new();
    input.by_ref().take(parts::BLOCK).read_to_end(&mut head)?;
    if head.len() as u64 == parts::BLOCK && is_plain(&head, options) {
        return parts::read(head.as_slice().chain(input), options, new_sink);
    }
    input.take(options.limits.size.saturating_add(1).saturating_sub(parts::BLOCK)).read_to_end(&mut head)?;
    let mut sink = new_sink();
    read(&head, options, &mut sink).map(|summary| (summary, vec![sink]))
}

/// Whether a file that begins so is a plain list, and UTF-8 or near it.
fn is_plain(head: &[u8], options: &Options) -> bool {
    let Ok(Content::Text(head)) = unpack::open(head, &options.limits) else { return false };
    let whole_lines = memchr::memrchr(b'\n', &head).map_or(0, |end| end + 1);
    let text = text::decode(&head[..whole_lines]);
    matches!(text, Ok(Cow::Borrowed(text)) if detect::settle(text, options) == Format::Plain)
}

fn read_text<S: Sink>(
    text: &str,
    format: Format,
    options: &Options,
    rows: &mut Tally<'_, S>,
) -> Result<(), ReadError> {
    match format {
        Format::Csv | Format::Tsv => delimited::read(text, format, &options.layout, rows),
        Format::Json => json::read_document(text, options, rows),
        Format::Ndjson => {
            json::read_lines(text, options, rows);
            Ok(())
        }
        Format::Xlsx | Format::Xls => Err(SheetError::NotAWorkbook.into()),
        Format::Plain | Format::Auto => {
            plain::read(text, 1, &options.layout, rows);
            Ok(())
        }
    }
}
