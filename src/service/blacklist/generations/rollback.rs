//! `POST …/{n}/rollback`: a source lists again what it listed then.

use crate::model::{Cause, Receipt, SourceName};
use crate::service::blacklist::{Blacklist, batch};
use crate::service::reason::reason;
use crate::service::reply::blocking;
use crate::web::{Caller, Json, Path, Problem};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Wanted {
    source: SourceName,
    reason: Option<String>,
    /// Say what would change, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What it comes to.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct Done {
    status: &'static str,
    source: SourceName,
    /// The generation whose listings the source has again.
    back_to: u64,
    dry_run: bool,
    /// Whether nothing of its runs is taken in until somebody switches it on.
    held: bool,
    #[serde(flatten)]
    receipt: Receipt,
}

pub(in super::super) async fn rollback(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<u64>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Done>, Problem> {
    let reason = reason(wanted.reason.as_deref())?;
    let current = role.engine.snapshot().generation;
    if number == current {
        let detail = format!("Generation {current} is the current one; there is nothing to take back.");
        return Err(Problem::unprocessable("nothing_to_undo", detail));
    }
    let (engine, source) = (role.engine.clone(), wanted.source.clone());
    let change = blocking(move || Ok(engine.restoring(&source, number)?)).await?;
    let receipt = match wanted.dry_run {
        true => role.engine.preview(batch(&caller, &reason, Cause::Rollback, change)).await?.receipt,
        false => role.submit(&caller, &reason, Cause::Rollback, change).await?,
    };
    let held = wanted.source.as_str() != SourceName::MANUAL;
    let (source, dry_run) = (wanted.source, wanted.dry_run);
    Ok(Json(Done { status: "success", source, back_to: number, dry_run, held, receipt }))
}
