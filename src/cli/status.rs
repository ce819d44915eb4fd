//! `ironlist status`: how the running service is.

use super::ExitCode;
use super::args::StatusArgs;
use super::console::{Console, outline};
use super::door::{Door, json};
use crate::web::Body;
use serde_json::Value;
use std::path::Path;

/// Prints the health of the service that runs on the data folder, or only whether it is ready; healthy is 0,
/// anything less 1.
pub(super) async fn run(args: &StatusArgs, data: &Path, console: Console<'_>) -> anyhow::Result<ExitCode> {
    let Some(door) = Door::to_service(data).await? else {
        anyhow::bail!("no service runs on {}; `ironlist doctor` looks at what is there", data.display());
    };
    let path = if args.ready { "/ready" } else { "/health" };
    let request = http::Request::builder().uri(path).body(Body::empty())?;
    let health: Value = json(door.send(request).await?).await?;
    outline(&health, 0, console.out)?;
    Ok(if health["status"] == "healthy" { ExitCode::Done } else { ExitCode::Negative })
}
