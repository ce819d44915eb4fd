//! `ironlist run`: runs begun, watched and answered.

use super::super::ExitCode;
use super::super::console::{Console, table};
use super::super::door::{Door, encode, json as read, with_query};
use super::super::lists::show;
use super::super::upload::Input;
use super::{secret, told, watch};
use crate::web::Body;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

const RUNS: &str = "/api/v1/collection/runs";
const TRIGGER: &str = "/api/v1/collection/trigger";
const UPLOAD: &str = "/api/v1/collection/upload";

#[derive(Subcommand, Clone, Debug)]
pub(in crate::cli) enum RunCommand {
    /// The latest
    List {
        /// Those of this source only
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One of them
    Show {
        /// Its id
        id: String,
    },
    /// Fetch a source now, and wait for the end
    Start {
        /// The source
        source: String,
        /// The first day to ask for, where the source knows days
        #[arg(long, value_name = "DAY")]
        start_date: Option<String>,
        /// The last day
        #[arg(long, value_name = "DAY")]
        end_date: Option<String>,
        /// Everything, whatever is remembered, and although the source is cooling down
        #[arg(long)]
        force: bool,
        /// Do not wait for the end
        #[arg(long)]
        no_wait: bool,
    },
    /// Take a file in, in the name of a source, and wait for the end
    Upload {
        /// The source
        source: String,
        /// A workbook or a list; `-` is standard input
        file: PathBuf,
    },
    /// Watch a run until it ends
    Watch {
        /// Its id
        id: String,
    },
    /// End it; what it has brought already stays
    Cancel {
        /// Its id
        id: String,
    },
    /// Say the one-time code that a portal has sent; it is asked for, or read from standard input
    Otp {
        /// The run's id
        id: String,
    },
    /// Write what it fetched to standard output
    Raw {
        /// Its id
        id: String,
        /// Which of its documents, from 0
        #[arg(long, default_value_t = 0)]
        index: usize,
    },
    /// Read what it fetched once more, and wait for the end
    Again {
        /// Its id
        id: String,
    },
}

pub(in crate::cli) async fn run(
    command: &RunCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let one = |id: &str| format!("{RUNS}/{}", encode(id));
    let nothing = json!({});
    match command {
        RunCommand::List { source, limit } => list(source.as_deref(), *limit, door, console.out).await,
        RunCommand::Show { id } => show(&one(id), door, console.out).await,
        RunCommand::Start { source, start_date, end_date, force, no_wait } => {
            let wish =
                json!({"source": source, "start_date": start_date, "end_date": end_date, "force": force});
            let begun = door.post(TRIGGER, &wish).await?;
            if *no_wait { told(&begun, console.out) } else { follow(&begun, door, console).await }
        }
        RunCommand::Upload { source, file } => {
            let begun = upload(source, file, door, console.log).await?;
            follow(&begun, door, console).await
        }
        RunCommand::Watch { id } => follow(&json!({"run": id}), door, console).await,
        RunCommand::Cancel { id } => {
            told(&door.post(&format!("{}/cancel", one(id)), &nothing).await?, console.out)
        }
        RunCommand::Otp { id } => {
            let code = secret::read("one-time code", console.log)?;
            told(&door.post(&format!("{}/otp", one(id)), &json!({"code": *code})).await?, console.out)
        }
        RunCommand::Raw { id, index } => {
            raw(&format!("{}/raw?index={index}", one(id)), door, console.out).await
        }
        RunCommand::Again { id } => {
            let begun = door.post(&format!("{}/again", one(id)), &nothing).await?;
            follow(&begun, door, console).await
        }
    }
}

async fn list(
    source: Option<&str>,
    limit: usize,
    door: &Door,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let limit = limit.to_string();
    let path = with_query(RUNS, &[("source", source), ("limit", Some(&limit))]);
    let answer = door.get(&path).await?;
    let rows: Vec<Value> = answer["data"].as_array().into_iter().flatten().map(row).collect();
    let columns = [
        "id",
        "source",
        "state",
        "trigger",
        "queued",
        "new",
        "changed",
        "unchanged",
        "expired",
        "rejected",
        "fault",
    ];
    table(&rows, &columns, out)?;
    Ok(ExitCode::Done)
}

/// A run in one line.
fn row(run: &Value) -> Value {
    let mut row = run.clone();
    if let (Some(row), Some(counts)) = (row.as_object_mut(), run["counts"].as_object()) {
        row.extend(counts.clone());
        row.insert("fault".to_owned(), run["fault"]["code"].clone());
    }
    row
}

async fn upload(
    source: &str,
    file: &std::path::Path,
    door: &Door,
    log: &mut dyn Write,
) -> anyhow::Result<Value> {
    let input = Input::open(file)?;
    let name = input.name.clone();
    let path = with_query(UPLOAD, &[("source", Some(source)), ("name", Some(&name))]);
    let bar = input.progress(log)?;
    let body = input.into_body(Vec::new(), bar.clone());
    let answer = door.ask(Method::POST, &path, "application/octet-stream", body).await;
    bar.finish_and_clear();
    read(answer?).await
}

async fn raw(path: &str, door: &Door, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let response = door.ask(Method::GET, path, "application/json", Body::empty()).await?;
    let bytes = response.into_body().read().await.map_err(|_| anyhow::anyhow!("the answer broke off"))?;
    out.write_all(&bytes)?;
    Ok(ExitCode::Done)
}

/// Watches a run and tells its end: 0 when it is done, 1 when something is held or was rejected, 2 when it failed.
async fn follow(begun: &Value, door: &Door, console: Console<'_>) -> anyhow::Result<ExitCode> {
    let id = begun["run"].as_str().unwrap_or_default();
    let run = watch::until_over(&format!("{RUNS}/{}", encode(id)), id, door, console.log).await?;
    told(&run, console.out)?;
    Ok(match run["state"].as_str() {
        Some("done") => ExitCode::Done,
        Some("held" | "rejected") => ExitCode::Negative,
        _ => ExitCode::Failed,
    })
}
