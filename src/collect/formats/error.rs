//! Why a line cannot be used, or a file as a whole.

use crate::addr::Fault;
use std::fmt::Write as _;
use thiserror::Error;

/// Why a line, or a record, gave no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RowFault {
    /// The value that should be an address or a range is none.
    #[error(transparent)]
    Value(#[from] Fault),
    /// Longer than [`super::LONGEST_LINE`].
    #[error("the line is longer than 4 KiB")]
    LineTooLong,
    /// A record without an address.
    #[error("there is no address in this record")]
    NoAddress,
    /// A record that does not follow the file's own syntax.
    #[error("the record is malformed")]
    Malformed,
    /// A date that is none.
    #[error("this is no date")]
    BadDate,
    /// Wider than any list has reason to be.
    #[error("it is wider than /{v4}, or /{v6} for IPv6; list its parts if you mean it")]
    TooBroad {
        /// The widest IPv4 prefix that is taken.
        v4: u8,
        /// The widest IPv6 prefix that is taken.
        v6: u8,
    },
}

impl RowFault {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Value(fault) => fault.code(),
            Self::LineTooLong => "line_too_long",
            Self::NoAddress => "no_address",
            Self::Malformed => "malformed",
            Self::BadDate => "bad_date",
            Self::TooBroad { .. } => "too_broad",
        }
    }
}

/// One of the first rejected lines, to show to a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// Counted as in [`Sink::row`](super::Sink::row).
    pub line: u64,
    /// The beginning of what stood there.
    pub value: String,
    /// What is wrong with it.
    pub fault: RowFault,
}

/// A file that gives no rows at all. The caller keeps what it had before and tells a person.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The input could not be read.
    #[error("the file cannot be read: {0}")]
    Input(#[from] std::io::Error),
    /// No bytes, or nothing but blanks.
    #[error("the file is empty")]
    Empty,
    /// A web page, as servers send in place of a file, also with status 200.
    #[error("the file is a web page, not a list")]
    Html,
    /// Neither text nor a known archive or workbook.
    #[error("the file is binary data")]
    Binary,
    /// An archive of a kind that is not read.
    #[error("the file is {0}, which is not read; unpack it first")]
    Unsupported(&'static str),
    /// Larger than allowed, as it is or unpacked.
    #[error("the file holds more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Unpacks to too many times its size: a decompression bomb.
    #[error("the file unpacks to more than {ratio} times its size")]
    Ratio {
        /// The limit.
        ratio: u64,
    },
    /// An archive of too many files.
    #[error("the archive holds more than {limit} files")]
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
    /// An archive in an archive.
    #[error("the archive holds another archive")]
    Nested,
    /// A damaged, encrypted or truncated archive.
    #[error("the archive cannot be unpacked: {0}")]
    Archive(String),
    /// Not valid JSON, perhaps cut off.
    #[error("the JSON document is broken: {0}")]
    Json(#[from] serde_json::Error),
    /// A JSON document in which no list was found.
    #[error("no list found in the JSON document; give the path to it")]
    NoList,
    /// Columns, none of which holds addresses.
    #[error("no column holds addresses, or a column that was named is not there")]
    NoColumn,
    /// More wrong lines than right ones.
    #[error("most of it is not a list: {rejected} lines are wrong, {rows} are right{}", shown(.examples))]
    MostlyBad {
        /// Rows that could be read.
        rows: u64,
        /// Values that could not.
        rejected: u64,
        /// The first of those.
        examples: Vec<Example>,
    },
    /// More wrong lines than right ones, in a file that was to replace all that a source lists.
    #[error("{rejected} lines are wrong and {rows} are right, so it replaces nothing")]
    WholeMostlyBad {
        /// Rows that could be read.
        rows: u64,
        /// Values that could not.
        rejected: u64,
    },
    /// Not one address, in a file that was to replace all that a source lists.
    #[error("nothing in the file is an address ({rejected} lines are wrong), so it replaces nothing")]
    NothingListed {
        /// Values that could not be read.
        rejected: u64,
    },
    /// A workbook that could not be read.
    #[error(transparent)]
    Sheet(#[from] SheetError),
}

impl ReadError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Input(_) => "unreadable",
            Self::Empty => "empty_file",
            Self::Html => "html_page",
            Self::Binary => "binary_file",
            Self::Unsupported(_) => "unsupported_archive",
            Self::TooLarge { .. } => "file_too_large",
            Self::Ratio { .. } => "decompression_bomb",
            Self::TooManyMembers { .. } => "too_many_members",
            Self::Nested => "nested_archive",
            Self::Archive(_) => "broken_archive",
            Self::Json(_) => "broken_json",
            Self::NoList => "no_list",
            Self::NoColumn => "no_address_column",
            Self::MostlyBad { .. } | Self::WholeMostlyBad { .. } => "mostly_bad",
            Self::NothingListed { .. } => "nothing_listed",
            Self::Sheet(error) => error.code(),
        }
    }
}

/// Why a workbook could not be read. [`Self::Start`] is never the workbook's fault, [`Self::Broke`] may be.
#[derive(Debug, Error)]
pub enum SheetError {
    /// Not a workbook, or a damaged one.
    #[error("the file is not a workbook that can be read")]
    NotAWorkbook,
    /// No sheet with addresses, or none of the wanted name.
    #[error("the workbook has no sheet with a column of addresses")]
    NoSheet,
    /// Positions beyond what a sheet can have.
    #[error("the sheet claims more rows or columns than a sheet can have")]
    Bounds,
    /// Reading it took too much memory or too much time.
    #[error("the workbook takes too much memory or time to read")]
    Resources,
    /// The process that reads workbooks panicked: over this one, or for want of memory.
    #[error("the spreadsheet reader broke off: {0}")]
    Broke(String),
    /// The process that reads workbooks could not be started, bounded or spoken to.
    #[error("the spreadsheet reader could not be run: {0}")]
    Start(#[source] std::io::Error),
}

impl SheetError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAWorkbook => "not_a_workbook",
            Self::NoSheet => "no_sheet",
            Self::Bounds => "sheet_bounds",
            Self::Resources => "sheet_resources",
            Self::Broke(_) => "sheet_reader_broke",
            Self::Start(_) => "sheet_reader",
        }
    }
}

fn shown(examples: &[Example]) -> String {
    let mut text = String::new();
    for Example { line, value, fault } in examples {
        // Writing to a string does not fail.
        let _ = write!(text, "; line {line}: {value:?} {fault}");
    }
    text
}
