//! `ironlist import`: list files into the blacklist.

use super::ExitCode;
use super::args::ImportArgs;
use super::console::Console;
use super::door::{Door, json, with_query};
use super::upload::Input;
use crate::collect::LineError;
use crate::service::blacklist::{IMPORT_PATH, Imported};
use anyhow::Context;
use http::Method;
use std::io::{self, Write};
use std::path::Path;

/// Lines reported of each file; what is wrong with a thousand more is the same.
const REPORTED: usize = 20;

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
                report(&imported, &name, log)?;
                summarize(&imported, &name, out)?;
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
        IMPORT_PATH,
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

/// The lines that could not be read.
fn report(imported: &Imported, name: &str, log: &mut dyn Write) -> io::Result<()> {
    let shown = imported.errors.len().min(REPORTED);
    for LineError { line, value, code, detail } in &imported.errors[..shown] {
        writeln!(log, "{name}:{line}: {code}: {detail}: {value:?}")?;
    }
    match imported.rejected.saturating_sub(shown as u64) {
        0 => Ok(()),
        more => writeln!(log, "{name}: {more} more lines could not be read"),
    }
}

fn summarize(imported: &Imported, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let Imported { read, accepted, rejected, duplicates, .. } = imported;
    let Imported { generation, added, changed, removed, unchanged, .. } = imported;
    writeln!(out, "{name}: {read} read, {accepted} accepted, {rejected} rejected, {duplicates} twice")?;
    let difference = format!("{added} added, {changed} changed, {removed} removed, {unchanged} unchanged");
    let Some(examples) = &imported.examples else {
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
