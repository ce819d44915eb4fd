//! What reading a list yields: rows, rejected lines and their counts.

use super::Format;
use super::error::{Example, ReadError, RowFault};
use crate::addr::IpRange;

/// Whole files are judged from so many rejected lines on.
const ENOUGH_TO_JUDGE: u64 = 10;
const EXAMPLES: usize = 5;
const EXAMPLE_CHARS: usize = 80;

/// What a list says about a range beside the range; every field as the list writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fields<'a> {
    /// Why it is listed.
    pub reason: Option<&'a str>,
    /// The kind of threat.
    pub threat_type: Option<&'a str>,
    /// How grave.
    pub severity: Option<&'a str>,
    /// The country, mostly two letters.
    pub country: Option<&'a str>,
    /// How sure the list is, 0 to 100.
    pub confidence: Option<u8>,
    /// When it was seen.
    pub detected: Option<&'a str>,
    /// When it was listed.
    pub listed: Option<&'a str>,
    /// When the listing ends.
    pub expires: Option<&'a str>,
    /// The list's own name for the record.
    pub upstream_id: Option<&'a str>,
}

impl Fields<'_> {
    /// Nothing but the range is known: the fields of every row of a plain list.
    pub const NONE: Fields<'static> = Fields {
        reason: None,
        threat_type: None,
        severity: None,
        country: None,
        confidence: None,
        detected: None,
        listed: None,
        expires: None,
        upstream_id: None,
    };
}

/// Who receives the rows of a list.
pub trait Sink {
    /// One row. `line` counts from 1: the line, the record of a JSON document, or the sheet's row.
    ///
    /// # Errors
    /// The row is not one that the receiver takes. It is then counted among the wrong ones, and comes
    /// back to [`Sink::reject`].
    fn row(&mut self, line: u64, range: IpRange, fields: &Fields<'_>) -> Result<(), Refused>;
    /// One line, or one value of it, that could not be read or was refused.
    fn reject(&mut self, line: u64, value: &str, fault: RowFault);
}

/// A row that its receiver does not take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// What of it is wrong, as the list writes it.
    pub value: String,
    /// Why.
    pub fault: RowFault,
}

/// What a file was and how much of it could be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// What the file is written in; never [`Format::Auto`].
    pub format: Format,
    /// Rows that the sink took.
    pub rows: u64,
    /// Values rejected.
    pub rejected: u64,
}

/// A sink that is counted.
pub(super) struct Tally<'s, S> {
    sink: &'s mut S,
    rows: u64,
    rejected: u64,
    examples: Vec<Example>,
}

impl<'s, S: Sink> Tally<'s, S> {
    pub(super) fn new(sink: &'s mut S) -> Self {
        Self { sink, rows: 0, rejected: 0, examples: Vec::new() }
    }

    #[inline]
    pub(super) fn row(&mut self, line: u64, range: IpRange, fields: &Fields<'_>) {
        match self.sink.row(line, range, fields) {
            Ok(()) => self.rows += 1,
            Err(Refused { value, fault }) => self.reject(line, &value, fault),
        }
    }

    pub(super) fn reject(&mut self, line: u64, value: &str, fault: RowFault) {
        self.rejected += 1;
        if self.examples.len() < EXAMPLES {
            let value = value.chars().take(EXAMPLE_CHARS).collect();
            self.examples.push(Example { line, value, fault });
        }
        self.sink.reject(line, value, fault);
    }

    /// Either a row or a rejected value.
    pub(super) fn put(&mut self, line: u64, value: &str, read: Result<(IpRange, Fields<'_>), RowFault>) {
        match read {
            Ok((range, fields)) => self.row(line, range, &fields),
            Err(fault) => self.reject(line, value, fault),
        }
    }

    /// Whether nothing has been read yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.rows + self.rejected == 0
    }

    /// What was counted; the sink is free again.
    pub(super) fn count(self) -> Count {
        Count { rows: self.rows, rejected: self.rejected, examples: self.examples }
    }
}

/// How much of a file could be read.
#[derive(Default)]
pub(super) struct Count {
    rows: u64,
    rejected: u64,
    examples: Vec<Example>,
}

impl Count {
    /// Takes in the count of the file's next part.
    pub(super) fn add(&mut self, next: Self) {
        self.rows += next.rows;
        self.rejected += next.rejected;
        self.examples.extend(next.examples);
        self.examples.truncate(EXAMPLES);
    }

    /// The counts, or the refusal of a file most of which is wrong: it is not the list it is
    /// taken for, and the few lines that look right are there by chance. Unless somebody has looked,
    /// and is `tolerant`.
    pub(super) fn finish(self, format: Format, tolerant: bool) -> Result<Summary, ReadError> {
        let Self { rows, rejected, examples } = self;
        if rejected >= ENOUGH_TO_JUDGE && rejected > rows && !tolerant {
            return Err(ReadError::MostlyBad { rows, rejected, examples });
        }
        Ok(Summary { format, rows, rejected })
    }
}
