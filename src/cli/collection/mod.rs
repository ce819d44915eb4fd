//! `ironlist source`, `run` and `hold`: collection from the command line, through the API.

mod runs;
mod secret;
mod sources;
mod watch;

pub(super) use runs::{RunCommand, run};
pub(super) use sources::{SourceCommand, source};

use super::ExitCode;
use super::console::{Console, outline};
use super::door::{Door, encode, json};
use super::lists::list;
use crate::web::Body;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json as document};
use std::io::Write;

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
    let (id, word, reason) = match command {
        HoldCommand::List => {
            return list(HOLDS, &["id", "source", "since", "difference", "why"], door, console.out).await;
        }
        HoldCommand::Consent { id, reason } => (id, "consent", reason),
        HoldCommand::Reject { id, reason } => (id, "reject", reason),
    };
    let answer = door.post(&format!("{HOLDS}/{}/{word}", encode(id)), &document!({"reason": reason})).await?;
    told(&answer, console.out)
}

/// Sends a document with PUT, and takes one.
async fn put(door: &Door, path: &str, document: &Value) -> anyhow::Result<Value> {
    json(door.ask(Method::PUT, path, "application/json", Body::full(document.to_string())).await?).await
}

fn told(answer: &Value, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    outline(answer, 0, out)?;
    Ok(ExitCode::Done)
}
