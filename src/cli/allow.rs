//! `ironlist allow` and `suppression`: what people say that is never published, and what of a source is over.

use super::ExitCode;
use super::console::{Console, outline};
use super::door::{Door, encode, with_query};
use super::lists::list;
use super::moment;
use super::publishing::valid;
use crate::addr::IpRange;
use crate::model::SourceName;
use clap::Subcommand;
use serde_json::json;

const ALLOWLIST: &str = "/api/v1/blacklist/allowlist";
const SUPPRESSIONS: &str = "/api/v1/blacklist/suppressions";

#[derive(Subcommand, Clone, Debug)]
pub(super) enum AllowCommand {
    /// All of them
    List,
    /// Never publish a range
    Add {
        /// An address, prefix or range
        #[arg(value_parser = valid::<IpRange>)]
        range: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who answers for it
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        /// When it ends: 90d, 12h, 2026-11-22 or 2026-11-22T00:00:00Z
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// Publish it again where it is listed
    Remove {
        /// The range, as it was added
        #[arg(value_parser = valid::<IpRange>)]
        range: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub(super) enum SuppressionCommand {
    /// All of them
    List,
    /// End the listings inside a range
    Add {
        /// An address, prefix or range
        #[arg(value_parser = valid::<IpRange>)]
        range: String,
        /// Those of this source only
        #[arg(long, value_name = "NAME", value_parser = valid::<SourceName>)]
        source: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When it ends: 90d, 12h, 2026-11-22 or 2026-11-22T00:00:00Z
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// Believe the sources again
    Remove {
        /// The range, as it was added
        #[arg(value_parser = valid::<IpRange>)]
        range: String,
        /// The source, as it was added
        #[arg(long, value_name = "NAME", value_parser = valid::<SourceName>)]
        source: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

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
            door.remove(&path, reason).await?
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
