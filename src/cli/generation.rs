//! `ironlist generation`: what changed the blacklist, and the way back.

use super::ExitCode;
use super::args::{GenerationCommand, RowArgs};
use super::console::{Console, outline, table};
use super::door::Door;
use super::lists::pages;
use serde_json::{Value, json};
use std::io::Write;

const GENERATIONS: &str = "/api/v1/generations";

pub(super) async fn generation(
    command: &GenerationCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let out = console.out;
    match command {
        GenerationCommand::List { limit, json } => {
            let (head, rows) = pages(GENERATIONS, &[], *limit, door).await?;
            if *json {
                document(head, rows, out)?;
            } else {
                let columns = ["generation", "time", "cause", "actor", "reason", "added", "removed"];
                table(&rows, &columns, out)?;
            }
        }
        GenerationCommand::Show { number, shown } => {
            rows(&format!("{GENERATIONS}/{number}"), None, shown, door, out).await?;
        }
        GenerationCommand::Diff { from, to, source, shown } => {
            rows(&format!("{GENERATIONS}/{from}/diff/{to}"), source.as_deref(), shown, door, out).await?;
        }
        GenerationCommand::Rollback { number, source, reason, dry_run, json } => {
            let wanted = json!({"source": source, "reason": reason, "dry_run": dry_run});
            let done = door.post(&format!("{GENERATIONS}/{number}/rollback"), &wanted).await?;
            if *json {
                writeln!(out, "{done:#}")?;
            } else {
                outline(&done, 0, out)?;
            }
        }
    }
    Ok(ExitCode::Done)
}

/// Prints what is said of all rows, and the first of them.
async fn rows(
    path: &str,
    source: Option<&str>,
    shown: &RowArgs,
    door: &Door,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (mut head, rows) = pages(path, &[("source", source)], shown.limit, door).await?;
    if shown.json {
        return document(head, rows, out);
    }
    let rest = head["total"].as_u64().unwrap_or_default().saturating_sub(rows.len() as u64);
    for name in ["status", "cursor", "data"] {
        head[name].take();
    }
    outline(&head, 0, out)?;
    if !rows.is_empty() {
        writeln!(out)?;
        let rows: Vec<Value> = rows.into_iter().map(flat).collect();
        table(&rows, &["change", "what", "source", "range", "name", "reason", "was"], out)?;
    }
    if rest > 0 {
        writeln!(out, "… and {rest} more: --limit, or --json")?;
    }
    Ok(())
}

/// A row for people: why it is, and why it was where that is something else.
fn flat(mut row: Value) -> Value {
    let said = |side: &Value| side["reason"].clone();
    let (before, after) = (said(&row["before"]), said(&row["after"]));
    let names =
        |side: &Value| side["feed"]["name"].as_str().or(side["device"]["name"].as_str()).map(str::to_owned);
    let name = names(&row["after"]).or(names(&row["before"]));
    let was = if before == after { Value::Null } else { before };
    for (column, value) in [("reason", after), ("was", was), ("name", name.into())] {
        row[column] = value;
    }
    row
}

fn document(mut head: Value, rows: Vec<Value>, out: &mut dyn Write) -> anyhow::Result<()> {
    head["data"] = rows.into();
    Ok(writeln!(out, "{head:#}")?)
}
