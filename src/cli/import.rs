//! `ironlist import`: list files into the blacklist.

use super::ExitCode;
use super::args::ImportArgs;
use super::console::Console;
use super::door::{Door, json, with_query};
use super::upload::Input;
use anyhow::Context;
use http::Method;
use serde::Deserialize;
use std::io::{self, Write};
use std::path::Path;

const PATH: &str = "/api/v1/blacklist/import";
/// Lines reported of each file; what is wrong with a thousand more is the same.
const REPORTED: usize = 20;

/// What a file came to.
#[derive(Deserialize)]
struct Imported {
    generation: u64,
    read: u64,
    accepted: u64,
    rejected: u64,
    duplicates: u64,
    added: u64,
    changed: u64,
    removed: u64,
    unchanged: u64,
    errors: Vec<LineError>,
    examples: Option<Examples>,
}

#[derive(Deserialize)]
struct LineError {
    line: u64,
    value: String,
    code: String,
    detail: String,
}

#[derive(Deserialize)]
struct Examples {
    added: Vec<String>,
    removed: Vec<String>,
}

/// Imports each file; one that fails does not keep the others out.
pub(super) async fn run(args: &ImportArgs, door: &Door, console: Console<'_>) -> anyhow::Result<ExitCode> {
    let Console { out, log } = console;
    if args.replace && args.files.len() > 1 {
        writeln!(log, "ironlist: --replace takes one file: of several, only the last would be left")?;
        return Ok(ExitCode::WrongUsage);
    }
    let mut code = ExitCode::Done;
    for file in &args.files {
        match import(args, file, door, log).await {
            Ok((name, imported)) => {
                imported.report(&name, log)?;
                imported.summarize(&name, out)?;
                if imported.accepted == 0 {
                    code = ExitCode::Failed;
                }
            }
            Err(error) => {
                writeln!(log, "ironlist: {error:#}")?;
                code = ExitCode::Failed;
            }
        }
    }
    Ok(code)
}

async fn import(
    args: &ImportArgs,
    file: &Path,
    door: &Door,
    log: &mut dyn Write,
) -> anyhow::Result<(String, Imported)> {
    let input = Input::open(file)?;
    let name = input.name.clone();
    let is_set = |flag: bool| flag.then_some("true");
    let path = with_query(
        PATH,
        &[
            ("source", Some(&args.source)),
            ("name", Some(&name)),
            ("format", Some(args.format.as_str())),
            ("replace", is_set(args.replace)),
            ("expires", args.expires.as_deref()),
            ("reason", args.reason.as_deref()),
            ("country", args.country.as_deref()),
            ("dry_run", is_set(args.dry_run)),
        ],
    );
    let bar = input.progress(log)?;
    let body = input.into_body(Vec::new(), bar.clone());
    let answer = door.ask(Method::POST, &path, "application/octet-stream", body).await;
    bar.finish_and_clear();
    let imported = json(answer.with_context(|| file.display().to_string())?).await?;
    Ok((name, imported))
}

impl Imported {
    /// The lines that could not be read.
    fn report(&self, name: &str, log: &mut dyn Write) -> io::Result<()> {
        let shown = self.errors.len().min(REPORTED);
        for LineError { line, value, code, detail } in &self.errors[..shown] {
            writeln!(log, "{name}:{line}: {code}: {detail}: {value:?}")?;
        }
        match self.rejected.saturating_sub(shown as u64) {
            0 => Ok(()),
            more => writeln!(log, "{name}: {more} more lines could not be read"),
        }
    }

    fn summarize(&self, name: &str, out: &mut dyn Write) -> io::Result<()> {
        let Self { read, accepted, rejected, duplicates, .. } = self;
        let Self { generation, added, changed, removed, unchanged, .. } = self;
        writeln!(out, "{name}: {read} read, {accepted} accepted, {rejected} rejected, {duplicates} twice")?;
        let difference =
            format!("{added} added, {changed} changed, {removed} removed, {unchanged} unchanged");
        let Some(examples) = &self.examples else {
            return writeln!(out, "generation {generation}: {difference}");
        };
        writeln!(out, "would be, after generation {generation}: {difference}")?;
        for (sign, count, ranges) in [('+', *added, &examples.added), ('-', *removed, &examples.removed)] {
            ranges.iter().try_for_each(|range| writeln!(out, "{sign} {range}"))?;
            if count > ranges.len() as u64 {
                writeln!(out, "{sign} … {} more", count - ranges.len() as u64)?;
            }
        }
        Ok(())
    }
}
