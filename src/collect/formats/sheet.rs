//! Spreadsheets, from outside: a child process reads the workbook, this side bounds it.
//!
//! A legal workbook of two kilobytes can make any reader take gigabytes or abort. So the reading is
//! done by a process that has little memory and little time, and whose death costs one file.

use super::rows::{Sink, Tally};
use super::table::Columns;
use super::workbook::{ALLOCATOR, COMMAND, ExitReason};
use super::{Format, LONGEST_LINE, Layout, Options, ReadError, RowFault, SheetError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What a child that broke off says of it is read up to here, in bytes.
const LAST_WORDS: u64 = 1 << 12;

/// How the process that reads workbooks is started and bounded.
#[derive(Clone, Debug)]
pub struct SheetReader {
    /// The program; none: the one that is running.
    pub program: Option<PathBuf>,
    /// How long reading a workbook may take.
    pub time: Duration,
}

impl Default for SheetReader {
    fn default() -> Self {
        Self { program: None, time: Duration::from_secs(30) }
    }
}

/// Reads the sheet that has addresses, or the one that `options` name.
pub(super) fn read<S: Sink>(
    book: &[u8],
    format: Format,
    options: &Options,
    rows: &mut Tally<'_, S>,
) -> Result<(), ReadError> {
    let child = start(format, options).map_err(SheetError::Start)?;
    let text = converse(child, book, options)?;
    put_rows(&text, &options.layout, rows)
}

fn start(format: Format, options: &Options) -> io::Result<Child> {
    let program = options.sheet_reader.program.clone().map_or_else(own_program, Ok)?;
    Command::new(program)
        .args([COMMAND, format.as_str()])
        .args(&options.sheet)
        .env_clear()
        .envs([ALLOCATOR])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// The program that is running, by a path that leads to it even after an upgrade has replaced the
/// file it came from.
fn own_program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// Gives the child the workbook and takes what it writes, until it is done or has had enough.
fn converse(mut child: Child, book: &[u8], options: &Options) -> Result<String, SheetError> {
    let deadline = Instant::now() + options.sheet_reader.time;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let limit = options.limits.size;
    let (done, text) = mpsc::channel();
    let written = std::thread::scope(|scope| {
        // A child that has seen enough closes its end; how it ended says whether that is an error.
        scope.spawn(move || input.map(|mut input| input.write_all(book)));
        scope.spawn(move || {
            let mut text = Vec::new();
            let read = output.map_or(Ok(0), |output| output.take(limit + 1).read_to_end(&mut text));
            // Whoever waits has gone only after its deadline.
            let _ = done.send(read.map(|_| text));
        });
        let written = text.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let within = matches!(&written, Ok(Ok(text)) if text.len() as u64 <= limit);
        let status = if within { wait(&mut child, deadline) } else { stop(&mut child) };
        (written, status)
    });
    let (Ok(text), status) = written else { return Err(SheetError::Resources) };
    outcome(status.map_err(SheetError::Start)?, child.stderr.take())?;
    String::from_utf8(text.map_err(SheetError::Start)?).map_err(|_| SheetError::NotAWorkbook)
}

/// Waits for a child that has written everything, which takes no time unless it hangs.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<ExitStatus> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    stop(child)
}

fn stop(child: &mut Child) -> io::Result<ExitStatus> {
    child.kill()?;
    child.wait()
}

fn outcome(status: ExitStatus, stderr: Option<ChildStderr>) -> Result<(), SheetError> {
    // Ended by a signal: out of memory, out of time, or stopped here.
    let code = status.code().ok_or(SheetError::Resources)?;
    match ExitReason::of_code(code) {
        _ if code == 0 => Ok(()),
        Some(ExitReason::NotAWorkbook) => Err(SheetError::NotAWorkbook),
        Some(ExitReason::NoSheet) => Err(SheetError::NoSheet),
        Some(ExitReason::Bounds) => Err(SheetError::Bounds),
        Some(ExitReason::Resources) => Err(SheetError::Resources),
        Some(ExitReason::Unbounded) => Err(SheetError::Start(io::Error::other("it could not be bounded"))),
        None => Err(SheetError::Broke(format!("{status} {}", last_words(stderr)))),
    }
}

/// What a child that has ended said on standard error: where it panicked, mostly.
fn last_words(stderr: Option<ChildStderr>) -> String {
    let mut said = Vec::new();
    // What cannot be read was not said.
    let _ = stderr.map(|stderr| stderr.take(LAST_WORDS).read_to_end(&mut said));
    String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The child's lines: the row's number, then its cells, between tabs.
fn put_rows<S: Sink>(text: &str, layout: &Layout, rows: &mut Tally<'_, S>) -> Result<(), ReadError> {
    let mut columns: Option<Columns> = None;
    let mut cells: Vec<&str> = Vec::new();
    let mut untold = 0;
    for line in text.lines() {
        let (number, row) = line.split_once('\t').unwrap_or((line, ""));
        let number = number.parse().unwrap_or_default();
        if line.len() > LONGEST_LINE {
            rows.reject(number, row, RowFault::LineTooLong);
            continue;
        }
        cells.clear();
        cells.extend(row.split('\t'));
        if columns.is_none() {
            let named = layout.header != Some(false);
            columns = named.then(|| Columns::of_header(cells.iter().copied(), layout)).flatten();
            if columns.is_some() {
                continue;
            }
            columns = Columns::of_values(cells.iter().copied(), layout);
        }
        match &columns {
            Some(columns) => columns.put(|at| cells.get(at).copied(), number, rows),
            None => untold += 1,
        }
    }
    if untold > 0 && columns.is_none() { Err(ReadError::NoColumn) } else { Ok(()) }
}
