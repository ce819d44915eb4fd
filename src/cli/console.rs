//! Standard output and standard error as the commands use them.
//!
//! Commands write to what they are given and know of no terminal; tests give them memory.

use serde_json::Value;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

/// Whoever read standard output has had enough: `ironlist check … | head` is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(super) struct ReaderGone;

/// Standard output, on which a reader that left is told apart from every other broken pipe.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(mark)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(mark)
    }
}

fn mark(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::BrokenPipe { io::Error::other(ReaderGone) } else { error }
}

/// What a command writes its answer to, and what it reports to.
pub(super) struct Console<'a> {
    /// The answer.
    pub(super) out: &'a mut dyn Write,
    /// Remarks, and what went wrong.
    pub(super) log: &'a mut dyn Write,
}

/// Writes `rows` (JSON objects) as a table of `columns`; a column that no row has is left out.
pub(super) fn table(rows: &[Value], columns: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let used: Vec<&str> =
        columns.iter().copied().filter(|column| rows.iter().any(|row| !row[column].is_null())).collect();
    let mut lines = vec![used.iter().map(|column| column.replace('_', " ").to_uppercase()).collect()];
    lines.extend(rows.iter().map(|row| used.iter().map(|column| plain(&row[column])).collect::<Vec<_>>()));
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..used.len()).map(width).collect();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Writes a JSON value for a person: a member a line, deeper ones indented, absent ones left out.
pub(super) fn outline(value: &Value, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    let Value::Object(members) = value else {
        return writeln!(out, "{:indent$}{}", "", plain(value));
    };
    for (name, member) in members.iter().filter(|(_, member)| !is_nothing(member)) {
        match member {
            Value::Object(_) => {
                writeln!(out, "{:indent$}{name}:", "")?;
                outline(member, indent + 2, out)?;
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                writeln!(out, "{:indent$}{name}:", "")?;
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        writeln!(out)?;
                    }
                    outline(item, indent + 2, out)?;
                }
            }
            _ => writeln!(out, "{:indent$}{name}: {}", "", plain(member))?,
        }
    }
    Ok(())
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// A value in one line. Control characters come from strangers' lists and stay off the terminal.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_aligned_and_leaves_out_what_nobody_has() {
        let rows = [json!({"name": "manual", "listings": 7}), json!({"name": "x", "listings": 12})];
        let mut out = Vec::new();
        table(&rows, &["name", "listings", "mode"], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME    LISTINGS\nmanual  7\nx       12\n");
    }

    #[test]
    fn an_outline_indents_and_keeps_terminal_escapes_out() {
        let story = json!({"ip": "192.0.2.1", "exempt": null, "sources": ["a", "b"],
            "listings": [{"reason": "x\u{1b}[31m"}, {"reason": "y"}]});
        let mut out = Vec::new();
        outline(&story, 0, &mut out).unwrap();
        let shown = "ip: 192.0.2.1\nlistings:\n  reason: x [31m\n\n  reason: y\nsources: a, b\n";
        assert_eq!(String::from_utf8(out).unwrap(), shown);
    }
}
