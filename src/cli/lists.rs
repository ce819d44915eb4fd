//! What people keep, `ironlist allow` and `suppression`; and lists that come in pages.

use super::ExitCode;
use super::args::{AllowCommand, SuppressionCommand};
use super::console::{Console, outline, table};
use super::door::{Door, encode, with_query};
use super::moment;
use anyhow::Context;
use serde_json::{Value, json};
use std::io::Write;

const ALLOWLIST: &str = "/api/v1/blacklist/allowlist";
const SUPPRESSIONS: &str = "/api/v1/blacklist/suppressions";

pub(super) async fn allow(
    command: &AllowCommand,
    zone: chrono_tz::Tz,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let answer = match command {
        AllowCommand::List => {
            let columns = ["range", "reason", "owner", "expires", "since"];
            return list(ALLOWLIST, &columns, door, console.out).await;
        }
        AllowCommand::Add { range, reason, owner, expires } => {
            let expires = moment::optional(expires.as_deref(), zone)?;
            let new = json!({"range": range, "reason": reason, "owner": owner, "expires": expires});
            door.post(ALLOWLIST, &new).await?
        }
        AllowCommand::Remove { range, reason } => {
            let path = format!("{ALLOWLIST}/{}", encode(range));
            door.delete(&with_query(&path, &[("reason", Some(reason))])).await?
        }
    };
    outline(&answer, 0, console.out)?;
    Ok(ExitCode::Done)
}

pub(super) async fn suppression(
    command: &SuppressionCommand,
    zone: chrono_tz::Tz,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let answer = match command {
        SuppressionCommand::List => {
            let columns = ["range", "source", "reason", "owner", "expires", "since"];
            return list(SUPPRESSIONS, &columns, door, console.out).await;
        }
        SuppressionCommand::Add { range, source, reason, expires } => {
            let expires = moment::optional(expires.as_deref(), zone)?;
            let new = json!({"range": range, "source": source, "reason": reason, "expires": expires});
            door.post(SUPPRESSIONS, &new).await?
        }
        SuppressionCommand::Remove { range, source, reason } => {
            let path = format!("{SUPPRESSIONS}/{}", encode(range));
            let query = [("source", source.as_deref()), ("reason", Some(reason.as_str()))];
            door.delete(&with_query(&path, &query)).await?
        }
    };
    outline(&answer, 0, console.out)?;
    Ok(ExitCode::Done)
}

/// Prints all pages of a list as one table.
pub(super) async fn list(
    path: &str,
    columns: &[&str],
    door: &Door,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    some(path, columns, usize::MAX, door, out).await
}

/// Prints the first `most` rows of a list.
pub(super) async fn some(
    path: &str,
    columns: &[&str],
    most: usize,
    door: &Door,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let (_, rows) = pages(path, &[], most, door).await?;
    table(&rows, columns, out).context("the table cannot be written")?;
    Ok(ExitCode::Done)
}

/// The first `most` rows of a list, and the answer that they began with, without them.
pub(super) async fn pages(
    path: &str,
    parameters: &[(&str, Option<&str>)],
    most: usize,
    door: &Door,
) -> anyhow::Result<(Value, Vec<Value>)> {
    let (mut head, mut rows) = (Value::Null, Vec::new());
    let mut cursor: Option<String> = None;
    loop {
        let query = [parameters, &[("cursor", cursor.as_deref())]].concat();
        let mut page = door.get(&with_query(path, &query)).await?;
        match page["data"].take() {
            Value::Array(data) => rows.extend(data),
            _ => anyhow::bail!("the answer is no list"),
        }
        cursor = page["cursor"].as_str().map(str::to_owned);
        if head.is_null() {
            head = page;
        }
        if cursor.is_none() || rows.len() >= most {
            rows.truncate(most);
            return Ok((head, rows));
        }
    }
}

pub(super) async fn show(path: &str, door: &Door, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    outline(&door.get(path).await?, 0, out)?;
    Ok(ExitCode::Done)
}
