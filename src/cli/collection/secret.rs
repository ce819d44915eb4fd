//! A secret from standard input: typed unseen on a terminal, or the first line of a pipe. Never from an
//! argument, which every user of the machine could read.

use anyhow::Context;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};
use zeroize::Zeroizing;

pub(super) fn read(log: &mut dyn Write) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    let stdin = io::stdin();
    if stdin.is_terminal() {
        write!(log, "secret (it is not shown): ")?;
        log.flush()?;
        let shown = tcgetattr(&stdin)?;
        let mut unseen = shown.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &unseen)?;
        let read = stdin.lock().read_line(&mut line);
        // Whatever was typed, the terminal is to echo again.
        tcsetattr(&stdin, OptionalActions::Now, &shown)?;
        writeln!(log)?;
        read.context("standard input")?;
    } else {
        stdin.lock().read_line(&mut line).context("standard input")?;
    }
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    anyhow::ensure!(!line.is_empty(), "there was no secret on standard input");
    Ok(line)
}
