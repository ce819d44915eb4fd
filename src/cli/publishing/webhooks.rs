//! `ironlist webhook`: who is told what happens, and how the telling goes.

use super::super::ExitCode;
use super::super::collection::secret;
use super::super::console::{Console, outline};
use super::super::door::{Door, encode};
use super::super::lists::{list, show, some};
use super::push::verify;
use super::{document, put, say};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

const WEBHOOKS: &str = "/api/v1/webhooks";

#[derive(Subcommand, Clone, Debug)]
pub(in crate::cli) enum WebhookCommand {
    /// All of them, with how they fare
    List,
    /// One of them
    Show {
        /// Its name
        name: String,
    },
    /// Tell a new one what happens from now on; its secret is shown this once
    Add(Box<Wish>),
    /// Change it: what is not said is as usual, but for its secret
    Set(Box<Wish>),
    /// Tell it again what happens from now on
    Enable(Plain),
    /// Tell it no more until it is enabled; what waits for it is given up
    Disable(Plain),
    /// Forget it, with all that waits for it
    Remove(Plain),
    /// Make another secret for it, shown this once; for a day the one before signs, too
    Secret(Plain),
    /// Send it a ping, and say how that went
    Test {
        /// Its name
        name: String,
    },
    /// What it was told, and how that went, the newest first
    Log {
        /// Its name
        name: String,
        /// At most so many deliveries
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
    },
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Plain {
    /// Its name
    name: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Wish {
    /// Its name
    name: String,
    /// Where events are sent: https://...
    #[arg(long)]
    url: Option<String>,
    /// Only this kind of event, such as feed.released; may be said again
    #[arg(long = "event", value_name = "KIND")]
    events: Vec<String>,
    /// Of feeds only this one; may be said again
    #[arg(long = "feed", value_name = "NAME")]
    feeds: Vec<String>,
    /// The authority that made its certificate (PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    ca: Option<PathBuf>,
    /// The SHA-256 of its certificate
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
    /// Sign with a secret of yours: it is asked for, or read from standard input
    #[arg(long)]
    own_secret: bool,
    /// Everything about it, as a table of a configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(in crate::cli) async fn webhook(
    command: &WebhookCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let one = |name: &str| format!("{WEBHOOKS}/{}", encode(name));
    let answer = match command {
        WebhookCommand::List => {
            let columns =
                ["name", "url", "enabled", "events", "feeds", "waiting", "delivered_at", "behind_since"];
            return list(WEBHOOKS, &columns, door, console.out).await;
        }
        WebhookCommand::Show { name } => return show(&one(name), door, console.out).await,
        WebhookCommand::Log { name, limit } => {
            let columns =
                ["number", "time", "event", "subject", "state", "attempts", "at", "status", "error"];
            return some(&format!("{}/log", one(name)), &columns, *limit, door, console.out).await;
        }
        WebhookCommand::Add(wish) => {
            let mut hook = wish.document(console.log)?;
            hook.insert("name".to_owned(), json!(wish.name));
            door.post(WEBHOOKS, &json!({"reason": wish.reason, "webhook": hook})).await?
        }
        WebhookCommand::Set(wish) => {
            let hook = wish.document(console.log)?;
            put(door, &one(&wish.name), &json!({"reason": wish.reason, "webhook": hook})).await?
        }
        WebhookCommand::Enable(plain) => switch(door, &one(&plain.name), true, &plain.reason).await?,
        WebhookCommand::Disable(plain) => switch(door, &one(&plain.name), false, &plain.reason).await?,
        WebhookCommand::Remove(Plain { name, reason }) => door.remove(&one(name), reason).await?,
        WebhookCommand::Secret(Plain { name, reason }) => {
            door.post(&format!("{}/secret", one(name)), &json!({"reason": reason})).await?
        }
        WebhookCommand::Test { name } => door.post(&format!("{}/test", one(name)), &json!({})).await?,
    };
    outline(&answer, 0, console.out)?;
    Ok(if answer["delivered"] == false { ExitCode::Negative } else { ExitCode::Done })
}

/// Everything else stays as it is.
async fn switch(door: &Door, path: &str, enabled: bool, reason: &str) -> anyhow::Result<Value> {
    let mut hook = door.get(path).await?;
    let mut same: Map<String, Value> = ["url", "events", "feeds", "verify"]
        .map(|key| (key.to_owned(), hook[key].take()))
        .into_iter()
        .collect();
    same.insert("enabled".to_owned(), json!(enabled));
    put(door, path, &json!({"reason": reason, "webhook": same})).await
}

impl Wish {
    /// What the file says, and above it what the command line says.
    fn document(&self, log: &mut dyn std::io::Write) -> anyhow::Result<Map<String, Value>> {
        let mut hook = self.file.as_deref().map(document).transpose()?.unwrap_or_default();
        say(&mut hook, "url", json!(self.url));
        say(&mut hook, "events", json!(self.events));
        say(&mut hook, "feeds", json!(self.feeds));
        say(&mut hook, "verify", json!(verify(self.ca.as_deref(), self.fingerprint.as_deref())?));
        if self.own_secret {
            say(&mut hook, "secret", json!(*secret::read("secret", log)?));
        }
        Ok(hook)
    }
}
