//! `ironlist user` and `key`: who may come in, and who was not let in.

use super::ExitCode;
use super::collection::secret;
use super::console::{Console, outline, table};
use super::door::{Door, encode, json};
use super::lists::{pages, show, some};
use super::moment;
use super::publishing::valid;
use crate::addr::IpRange;
use crate::identity::{Fingerprint, Name, UserRole};
use crate::rights::Right;
use crate::web::Body;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

const USERS: &str = "/api/v1/auth/users";
const KEYS: &str = "/api/v1/auth/keys";
const REFUSALS: &str = "/api/v1/auth/refusals";

#[derive(Subcommand, Clone, Debug)]
pub(super) enum UserCommand {
    /// All of them
    List,
    /// One of them
    Show {
        /// Their name
        #[arg(value_parser = valid::<Name>)]
        name: String,
    },
    /// Make somebody known; the password for their first login is shown this once
    Add {
        /// Their name
        #[arg(value_parser = valid::<Name>)]
        name: String,
        /// What they may do: user or admin
        #[arg(long, default_value = "user", value_parser = valid::<UserRole>)]
        role: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Change what they may do, or whether they may log in; their sessions end
    Set {
        /// Their name
        #[arg(value_parser = valid::<Name>)]
        name: String,
        /// What they may do: user or admin
        #[arg(long, value_parser = valid::<UserRole>)]
        role: Option<String>,
        /// Whether they are kept from logging in
        #[arg(long, value_name = "true|false")]
        disabled: Option<bool>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Forget them; their sessions end
    Remove {
        /// Their name
        #[arg(value_parser = valid::<Name>)]
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Give them a password for one login, shown this once; their sessions end
    Password {
        /// Their name
        #[arg(value_parser = valid::<Name>)]
        name: String,
        /// Give them this one instead: typed unseen on a terminal, else the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End their sessions
    Logout {
        /// Their name
        #[arg(value_parser = valid::<Name>)]
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Who was refused what, and why; the latest first
    Refusals {
        /// So many rows at most
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
    /// Have another key sign tokens from now on; those that are signed hold to their end
    RotateSigning {
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub(super) enum KeyCommand {
    /// All of them
    List,
    /// One of them
    Show {
        /// Its name
        #[arg(value_parser = valid::<Name>)]
        name: String,
    },
    /// Make one, shown this once
    Add(Box<Wish>),
    /// Give it another secret, shown this once; the one before holds for a while
    Rotate {
        /// Its name
        #[arg(value_parser = valid::<Name>)]
        name: String,
        /// So many hours the one before holds, up to 720; 0: it is over at once
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        overlap_hours: u32,
        /// The SHA-256 of the client certificate that stands for it from now on
        #[arg(long, value_name = "HEX", value_parser = valid::<Fingerprint>)]
        certificate: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Forget it; it opens nothing from then on
    Remove {
        /// Its name
        #[arg(value_parser = valid::<Name>)]
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Clone, Debug)]
pub(super) struct Wish {
    /// Its name
    #[arg(value_parser = valid::<Name>)]
    name: String,
    /// What it may do: check, read, feeds, metrics, write, admin; may be said again
    #[arg(long = "right", value_name = "RIGHT", required = true, value_parser = valid::<Right>)]
    rights: Vec<String>,
    /// A network from which alone it may be shown; may be said again
    #[arg(long = "network", value_name = "RANGE", value_parser = valid::<IpRange>)]
    networks: Vec<String>,
    /// When it ends: 90d, 12h, 2026-11-22 or 2026-11-22T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// The SHA-256 of the client certificate that stands for its secret
    #[arg(long, value_name = "HEX", value_parser = valid::<Fingerprint>)]
    certificate: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn user(
    command: &UserCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let one = |name: &str| format!("{USERS}/{}", encode(name));
    let answer = match command {
        UserCommand::List => return users(door, console).await,
        UserCommand::Show { name } => return show(&one(name), door, console.out).await,
        UserCommand::Add { name, role, reason } => {
            door.post(USERS, &json!({"name": name, "role": role, "reason": reason})).await?
        }
        UserCommand::Set { name, role, disabled, reason } => {
            let body = json!({"role": role, "disabled": disabled, "reason": reason}).to_string();
            let answer = door.ask(Method::PUT, &one(name), "application/json", Body::full(body)).await?;
            json(answer).await?
        }
        UserCommand::Remove { name, reason } => door.remove(&one(name), reason).await?,
        UserCommand::Password { name, password_stdin, reason } => {
            let chosen = password_stdin.then(|| secret::read("password", console.log)).transpose()?;
            let body = json!({"password": chosen.as_deref(), "reason": reason});
            door.post(&format!("{}/password", one(name)), &body).await?
        }
        UserCommand::Logout { name, reason } => {
            door.post(&format!("{}/logout", one(name)), &json!({"reason": reason})).await?
        }
        UserCommand::Refusals { limit } => {
            let columns = ["last", "count", "why", "claimed", "from", "what"];
            return some(REFUSALS, &columns, *limit, door, console.out).await;
        }
        UserCommand::RotateSigning { reason } => {
            door.post("/api/v1/auth/signing/rotate", &json!({"reason": reason})).await?
        }
    };
    outline(&answer, 0, console.out)?;
    Ok(ExitCode::Done)
}

/// Everybody, with when and from where they came last in columns of their own.
async fn users(door: &Door, console: Console<'_>) -> anyhow::Result<ExitCode> {
    let (_, mut rows) = pages(USERS, &[], usize::MAX, door).await?;
    rows.iter_mut().for_each(|row| flatten(row, "last_login"));
    let columns = ["name", "role", "disabled", "sessions", "last_login", "from", "one_time_until", "made_by"];
    table(&rows, &columns, console.out)?;
    Ok(ExitCode::Done)
}

/// Puts moment and place of a visit beside each other.
fn flatten(row: &mut Value, visit: &str) {
    let visited = row[visit].take();
    row["from"] = visited["from"].clone();
    row[visit] = visited["at"].clone();
}

pub(super) async fn key(
    command: &KeyCommand,
    zone: chrono_tz::Tz,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let one = |name: &str| format!("{KEYS}/{}", encode(name));
    let answer = match command {
        KeyCommand::List => {
            let (_, mut rows) = pages(KEYS, &[], usize::MAX, door).await?;
            rows.iter_mut().for_each(|row| flatten(row, "last_use"));
            let columns = ["name", "begins", "rights", "networks", "expires", "last_use", "from", "made_by"];
            table(&rows, &columns, console.out)?;
            return Ok(ExitCode::Done);
        }
        KeyCommand::Show { name } => return show(&one(name), door, console.out).await,
        KeyCommand::Add(wish) => {
            let key = json!({
                "name": wish.name,
                "rights": wish.rights,
                "networks": wish.networks,
                "expires": moment::optional(wish.expires.as_deref(), zone)?,
                "certificate": wish.certificate,
            });
            door.post(KEYS, &json!({"reason": wish.reason, "key": key})).await?
        }
        KeyCommand::Rotate { name, overlap_hours, certificate, reason } => {
            let overlap = u64::from(*overlap_hours) * 3600;
            let body = json!({"reason": reason, "overlap_seconds": overlap, "certificate": certificate});
            door.post(&format!("{}/rotate", one(name)), &body).await?
        }
        KeyCommand::Remove { name, reason } => door.remove(&one(name), reason).await?,
    };
    outline(&answer, 0, console.out)?;
    Ok(ExitCode::Done)
}
