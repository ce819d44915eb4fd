//! Lists that come in pages, and one thing of them, printed. It must not know what is listed.

use super::ExitCode;
use super::console::{outline, table};
use super::door::{Door, with_query};
use anyhow::Context;
use serde_json::Value;
use std::io::Write;

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
