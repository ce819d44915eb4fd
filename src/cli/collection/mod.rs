//! `ironlist source`, `run` and `hold`: collection from the command line, through the API.

mod runs;
pub(super) mod secret;
mod sources;
mod watch;

pub(super) use runs::{RunCommand, run};
pub(super) use sources::{SourceCommand, source};

use super::ExitCode;
use super::console::{Console, outline, plain, table};
use super::door::{Door, encode, json};
use super::lists::pages;
use crate::web::Body;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json as document};
use std::io::{BufRead, IsTerminal, Write};

const HOLDS: &str = "/api/v1/holds";

/// What is held, and what is decided about it.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum HoldCommand {
    /// What waits for a decision
    List,
    /// Believe it: what is held is applied
    Consent {
        /// The hold's id
        id: String,
        /// For a feed's hold, the generation at which it was shown; on a terminal it is shown and asked about now
        #[arg(long, value_name = "NUMBER")]
        generation: Option<u64>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Do not believe it: everything stays as it is
    Reject {
        /// The hold's id
        id: String,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) async fn hold(
    command: &HoldCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let (id, word, body) = match command {
        HoldCommand::List => {
            let (_, rows) = pages(HOLDS, &[], usize::MAX, door).await?;
            let columns = ["id", "source", "since", "generation", "difference", "rejected", "why"];
            table(&rows, &columns, console.out)?;
            rows.iter().try_for_each(|hold| examples(hold, console.out))?;
            return Ok(ExitCode::Done);
        }
        HoldCommand::Consent { id, generation, reason } => {
            let shown = match generation {
                Some(generation) => Some(*generation),
                None => match shown(id, door, console.log).await? {
                    Some(generation) => match agreed(generation, console.log)? {
                        ExitCode::Done => Some(generation),
                        code => return Ok(code),
                    },
                    None => None,
                },
            };
            let body = match shown {
                Some(generation) => document!({"reason": reason, "generation": generation}),
                None => document!({"reason": reason}),
            };
            (id, "consent", body)
        }
        HoldCommand::Reject { id, reason } => (id, "reject", document!({"reason": reason})),
    };
    let answer = door.post(&format!("{HOLDS}/{}/{word}", encode(id)), &body).await?;
    told(&answer, console.out)
}

/// The generation at which a feed's hold is shown, which is told; none is a source's, whose hold does not move.
async fn shown(id: &str, door: &Door, log: &mut dyn Write) -> anyhow::Result<Option<u64>> {
    let holds = door.get(HOLDS).await?;
    let hold = holds["data"].as_array().and_then(|all| all.iter().find(|hold| hold["id"] == id));
    let Some((hold, generation)) = hold.and_then(|hold| Some((hold, hold["generation"].as_u64()?))) else {
        return Ok(None);
    };
    writeln!(log, "{id} goes to generation {generation}: {}", plain(&hold["why"]))?;
    examples(hold, log)?;
    Ok(Some(generation))
}

/// Whether somebody at the terminal has looked, and agrees: done. Where nobody sits, nobody was shown anything.
fn agreed(generation: u64, log: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        writeln!(
            log,
            "consent is for what somebody has looked at: say --generation {generation} if that is this"
        )?;
        return Ok(ExitCode::WrongUsage);
    }
    write!(log, "release it? [y/N] ")?;
    log.flush()?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    let is_agreed = matches!(line.trim(), "y" | "Y" | "yes");
    Ok(if is_agreed { ExitCode::Done } else { ExitCode::Negative })
}

/// What consent to a feed's hold would come to, by example.
fn examples(hold: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    for (what, count) in [("gone", "gone_addresses"), ("new", "new_addresses")] {
        let would = &hold["would"][what];
        if would.as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let by = hold["would"][format!("{what}_by")].as_array().cloned().unwrap_or_default();
        let by: Vec<String> =
            by.iter().map(|share| format!("{} {}", plain(&share["source"]), share["addresses"])).collect();
        let verb = if what == "gone" { "would go" } else { "would come" };
        let count = &hold["distance"][count];
        let of = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
        writeln!(out, "{}: {count} addresses {verb}{of}: {}, …", plain(&hold["id"]), plain(would))?;
    }
    Ok(())
}

/// Sends a document with PUT, and takes one.
async fn put(door: &Door, path: &str, document: &Value) -> anyhow::Result<Value> {
    json(door.ask(Method::PUT, path, "application/json", Body::full(document.to_string())).await?).await
}

fn told(answer: &Value, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    outline(answer, 0, out)?;
    Ok(ExitCode::Done)
}
