//! Spreadsheets, from inside: what the child process does.
//!
//! A workbook on standard input, the rows of one of its sheets on standard output, each as its
//! number and its cells between tabs. The process first takes from itself all it will not need:
//! memory, time, files. It knows nothing of the service whose program it is.

use super::table::Columns;
use super::{Format, LONGEST_LINE, Layout};
use calamine::{Data, DataType, ExcelDateTime, Reader, Xls, Xlsx, XlsxError};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Cursor, Read, Write};
use std::sync::Arc;
use zip::ZipArchive;

/// The subcommand under which the program does this: `read-sheet FORMAT [SHEET]`.
pub const COMMAND: &str = "read-sheet";

/// What the process is to be started with: by itself the allocator takes a gigabyte of addresses before `main`, and
/// a limit of memory that is set then bounds nothing, but may refuse any piece of it.
pub(super) const ALLOCATOR: (&str, &str) = ("MIMALLOC_DISALLOW_ARENA_ALLOC", "1");

const MEMORY: u64 = 256 << 20;
const CPU_SECONDS: u64 = 20;
/// Bytes the parts of a workbook may declare to unpack to, together.
const UNPACKED: u64 = 1 << 30;
const PARTS: usize = 10_000;
const ROWS: u32 = 1_048_576;
const COLUMNS: u32 = 16_384;
/// Cells further to the right hold nothing that a list has; empty ones between would be written.
const COLUMNS_READ: u32 = 128;
/// How far down a sheet its header may be.
const HEADER_ROWS: u32 = 20;
/// The sheet of addresses in the workbooks of the Korean portals, wherever it stands in them.
const USUAL_SHEET: &str = "요주의 IP";

/// Why a workbook gave no rows, as the child's exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitReason {
    /// Not a workbook, or a damaged one.
    NotAWorkbook = 10,
    /// No sheet with addresses, or none of the wanted name.
    NoSheet = 11,
    /// Positions beyond what a sheet can have.
    Bounds = 12,
    /// More memory, time or parts than a workbook may take.
    Resources = 13,
    /// The process could not be bounded, and has read nothing.
    Unbounded = 14,
}

impl ExitReason {
    pub(super) fn of_code(code: i32) -> Option<Self> {
        let all = [Self::NotAWorkbook, Self::NoSheet, Self::Bounds, Self::Resources, Self::Unbounded];
        all.into_iter().find(|reason| *reason as i32 == code)
    }
}

/// The child's whole life: `arguments` are those after [`COMMAND`]; gives the exit code.
///
/// Limits the process it runs in, for good.
pub fn run(arguments: &[String]) -> u8 {
    let format = arguments.first().and_then(|name| name.parse().ok());
    let sheet = arguments.get(1).map(String::as_str);
    let outcome = confine().and_then(|()| {
        let mut book = Vec::new();
        let mut output = BufWriter::new(std::io::stdout().lock());
        std::io::stdin().read_to_end(&mut book).map_err(|_| ExitReason::Resources)?;
        read_book(book, format.unwrap_or_default(), sheet, &mut output)?;
        output.flush().map_err(|_| ExitReason::Resources)
    });
    outcome.err().map_or(0, |reason| reason as u8)
}

/// Writes the rows of a sheet, each as its number and its cells between tabs, to `output`: what the child does once
/// it is confined, and not for anybody else with a workbook of a stranger's.
///
/// # Errors
/// The workbook cannot be read; what was written is void.
pub fn read_book(
    book: Vec<u8>,
    format: Format,
    sheet: Option<&str>,
    output: &mut impl Write,
) -> Result<(), ExitReason> {
    match format {
        Format::Xls => read_xls(book, sheet, output),
        _ => read_xlsx(&book, sheet, output),
    }
}

fn confine() -> Result<(), ExitReason> {
    if taken() > MEMORY / 2 {
        return Err(ExitReason::Unbounded);
    }
    let limits = [
        (Resource::As, MEMORY),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
    ];
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|_| ExitReason::Unbounded)?;
    }
    Ok(())
}

/// The bytes of addresses that this process has; none, where the system does not say.
fn taken() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.strip_suffix("kB"));
    size.and_then(|kibibytes| kibibytes.trim().parse::<u64>().ok()).map_or(0, |kibibytes| kibibytes << 10)
}

type Book<'b> = Xlsx<Cursor<&'b [u8]>>;

fn read_xlsx(bytes: &[u8], wanted: Option<&str>, output: &mut impl Write) -> Result<(), ExitReason> {
    check_parts(bytes)?;
    let mut book: Book<'_> = Xlsx::new(Cursor::new(bytes)).map_err(of_xlsx)?;
    let names = book.sheet_names();
    let sheet = choose(&names, wanted, |name| {
        let mut beginning = Vec::new();
        copy_cells(&mut book, name, HEADER_ROWS, &mut beginning).map(|()| beginning)
    })?;
    copy_cells(&mut book, &sheet, ROWS, output)
}

/// The sizes that the archive declares, before anything is unpacked.
fn check_parts(bytes: &[u8]) -> Result<(), ExitReason> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| of_error(&error))?;
    let declared = |part| archive.by_index_data(part).map_or(UNPACKED, |part| part.size());
    let size = (0..archive.len().min(PARTS)).map(declared).fold(0, u64::saturating_add);
    if size > UNPACKED || archive.len() > PARTS { Err(ExitReason::Resources) } else { Ok(()) }
}

/// The sheet to read: the wanted one, the usual one, the first whose beginning has a header with a
/// column of addresses, or the first with an address in it.
fn choose(
    names: &[String],
    wanted: Option<&str>,
    mut beginning: impl FnMut(&str) -> Result<Vec<u8>, ExitReason>,
) -> Result<String, ExitReason> {
    let named = |name: &str| names.iter().find(|known| known.trim() == name).cloned();
    if let Some(name) = wanted {
        return named(name).ok_or(ExitReason::NoSheet);
    }
    if let Some(name) = named(USUAL_SHEET) {
        return Ok(name);
    }
    let mut fallback = None;
    for name in names {
        let text = match beginning(name) {
            Err(ExitReason::Resources) => return Err(ExitReason::Resources),
            beginning => beginning.ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        };
        let Some(text) = text else { continue };
        let mut rows = text.lines().map(|line| line.split('\t').skip(1));
        if rows.clone().any(|cells| Columns::of_header(cells, &Layout::default()).is_some()) {
            return Ok(name.clone());
        }
        if fallback.is_none() && rows.any(|cells| Columns::of_values(cells, &Layout::default()).is_some()) {
            fallback = Some(name.clone());
        }
    }
    fallback.ok_or(ExitReason::NoSheet)
}

/// Writes the rows of a sheet above row `below`, cell by cell: what a sheet declares about its
/// size means nothing, neither too much nor too little.
fn copy_cells(
    book: &mut Book<'_>,
    sheet: &str,
    below: u32,
    output: &mut impl Write,
) -> Result<(), ExitReason> {
    let mut cells = book.worksheet_cells_reader(sheet).map_err(of_xlsx)?;
    let mut row = Row::default();
    while let Some(cell) = cells.next_cell().map_err(of_xlsx)? {
        let (at, column) = cell.get_position();
        if at >= ROWS || column >= COLUMNS {
            return Err(ExitReason::Bounds);
        }
        if at >= below {
            break;
        }
        row.put(at, column, output, |text| write_cell(text, cell.get_value()))?;
    }
    row.end(output)
}

fn of_xlsx(error: XlsxError) -> ExitReason {
    match error {
        XlsxError::RowNumberOverflow | XlsxError::ColumnNumberOverflow => ExitReason::Bounds,
        error => of_error(&error),
    }
}

/// What an error of the libraries means. Somewhere within it may be one of input that means a want of memory.
fn of_error(error: &(dyn Error + 'static)) -> ExitReason {
    let input = |error: &(dyn Error + 'static)| {
        let shared = || error.downcast_ref::<Arc<io::Error>>().map(|error| error.kind());
        error.downcast_ref::<io::Error>().map(io::Error::kind).or_else(shared)
    };
    let mut errors = std::iter::successors(Some(error), |&error| error.source());
    let starved = errors.any(|error| input(error) == Some(io::ErrorKind::OutOfMemory));
    if starved { ExitReason::Resources } else { ExitReason::NotAWorkbook }
}

fn read_xls(bytes: Vec<u8>, wanted: Option<&str>, output: &mut impl Write) -> Result<(), ExitReason> {
    let mut book: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(|error| of_error(&error))?;
    let sheets = book.worksheets();
    let names: Vec<String> = sheets.iter().map(|(name, _)| name.clone()).collect();
    let named = |name: &str| sheets.iter().find(|(known, _)| known == name).map(|(_, cells)| cells);
    let sheet = choose(&names, wanted, |name| {
        let mut beginning = Vec::new();
        copy_range(named(name).ok_or(ExitReason::NoSheet)?, HEADER_ROWS, &mut beginning).map(|()| beginning)
    })?;
    copy_range(named(&sheet).ok_or(ExitReason::NoSheet)?, ROWS, output)
}

/// As [`copy_cells`], for the older kind, which has at most 65,536 rows of 256 cells.
fn copy_range(cells: &calamine::Range<Data>, below: u32, output: &mut impl Write) -> Result<(), ExitReason> {
    let (top, left) = cells.start().unwrap_or_default();
    let mut row = Row::default();
    for (at, column, value) in cells.used_cells() {
        let (at, column) = (top + at as u32, left + column as u32);
        if at >= below {
            break;
        }
        row.put(at, column, output, |text| write_cell(text, value))?;
    }
    row.end(output)
}

/// The row that is being put together.
#[derive(Default)]
struct Row {
    at: Option<u32>,
    columns: u32,
    text: String,
}

impl Row {
    /// Adds a cell, behind as many empty ones as lie between; a new row ends the one before.
    fn put(
        &mut self,
        at: u32,
        column: u32,
        output: &mut impl Write,
        write: impl FnOnce(&mut String),
    ) -> Result<(), ExitReason> {
        if self.at != Some(at) {
            self.end(output)?;
            self.at = Some(at);
        }
        // Cells come in order; one that does not, or stands too far right, belongs to no table.
        if column < self.columns || column >= COLUMNS_READ || self.text.len() > LONGEST_LINE {
            return Ok(());
        }
        self.text.extend(std::iter::repeat_n('\t', (column + 1 - self.columns) as usize));
        self.columns = column + 1;
        write(&mut self.text);
        Ok(())
    }

    fn end(&mut self, output: &mut impl Write) -> Result<(), ExitReason> {
        if let Some(at) = self.at.take().filter(|_| !self.text.trim().is_empty()) {
            writeln!(output, "{}{}", at + 1, self.text).map_err(|_| ExitReason::Resources)?;
        }
        self.columns = 0;
        self.text.clear();
        Ok(())
    }
}

/// Appends a cell as a person would read it, without tabs and line ends.
fn write_cell(text: &mut String, value: &impl DataType) {
    if let Some(date) = value.get_datetime() {
        return write_date(text, date);
    }
    let shown = value.get_string().or(value.get_datetime_iso()).map(Cow::Borrowed);
    let shown = shown.or_else(|| value.as_string().map(Cow::Owned)).unwrap_or_default();
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.extend(shown.chars().take(LONGEST_LINE + 1).map(clean));
}

fn write_date(text: &mut String, date: ExcelDateTime) {
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    // Writing to a string does not fail.
    let _ = write!(text, "{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) != (0, 0, 0) {
        let _ = write!(text, " {hour:02}:{minute:02}:{second:02}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::result::ZipError;

    #[test]
    fn a_want_of_memory_is_not_the_workbooks_fault_however_deep_it_is_told() {
        let input = |kind| XlsxError::Zip(ZipError::Io(io::Error::from(kind)));
        assert_eq!(of_xlsx(input(io::ErrorKind::OutOfMemory)), ExitReason::Resources);
        assert_eq!(of_xlsx(input(io::ErrorKind::InvalidData)), ExitReason::NotAWorkbook);
        let shared: Box<dyn Error> = Box::new(Arc::new(io::Error::from(io::ErrorKind::OutOfMemory)));
        assert_eq!(of_error(&*shared), ExitReason::Resources);
        let names = ["a".to_owned(), "b".to_owned()];
        for (reason, told) in
            [(ExitReason::Resources, ExitReason::Resources), (ExitReason::NotAWorkbook, ExitReason::NoSheet)]
        {
            assert_eq!(choose(&names, None, |_| Err(reason)), Err(told));
        }
    }
}
