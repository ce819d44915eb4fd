//! A secret from standard input: typed unseen on a terminal, or the first line of a pipe. Never from an
//! argument, which every user of the machine could read.

use anyhow::Context;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};
use zeroize::Zeroizing;

/// Reads the secret that `what` names.
///
/// # Errors
/// Standard input cannot be read, or has nothing.
pub(in crate::cli) fn read(what: &str, log: &mut dyn Write) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    let read = if io::stdin().is_terminal() {
        typed(what, log, &mut line)
    } else {
        io::stdin().lock().read_line(&mut line)
    };
    read.context("standard input")?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    anyhow::ensure!(!line.is_empty(), "there was no {what} on standard input");
    Ok(line)
}

fn typed(what: &str, log: &mut dyn Write, line: &mut String) -> io::Result<usize> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut unseen = shown.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    // Before it is asked for: whoever is asked may type at once.
    tcsetattr(&stdin, OptionalActions::Now, &unseen)?;
    let asked = write!(log, "{what} (it is not shown): ").and_then(|()| log.flush());
    let read = asked.and_then(|()| stdin.lock().read_line(line));
    // Whatever was typed, the terminal is to echo again.
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    writeln!(log)?;
    read
}
