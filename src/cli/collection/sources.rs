//! `ironlist source`: what is collected, from where and when.

use super::super::ExitCode;
use super::super::console::Console;
use super::super::door::{Door, encode};
use super::super::lists::{list, show};
use super::{put, secret, told};
use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

const SOURCES: &str = "/api/v1/collection/sources";

#[derive(Subcommand, Clone, Debug)]
pub(in crate::cli) enum SourceCommand {
    /// All of them
    List,
    /// One of them
    Show {
        /// Its name
        name: String,
    },
    /// Collect from a new one
    Add(Add),
    /// Forget it; its listings stay until they end
    Remove {
        /// Its name
        name: String,
    },
    /// Collect it from now on
    Enable {
        /// Its name
        name: String,
    },
    /// Collect it no more
    Disable {
        /// Its name
        name: String,
    },
    /// Set the account or the key it is fetched with; the secret is asked for, or read from standard input
    Credentials(Account),
    /// Log in with the credentials that are kept, which counts as an attempt, and out again
    Test {
        /// Its name
        name: String,
    },
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Add {
    /// Its name
    name: String,
    /// Where its list is
    #[arg(long, required_unless_present = "file")]
    url: Option<String>,
    /// How often it is fetched: 1h, 30m, 1d
    #[arg(long, value_name = "INTERVAL", conflicts_with = "cron")]
    every: Option<String>,
    /// When it is fetched: minute, hour, day, month, weekday
    #[arg(long, value_name = "PATTERN")]
    cron: Option<String>,
    /// What its silence means: snapshot, window or append
    #[arg(long, default_value = "snapshot")]
    mode: String,
    /// Days after which a listing ends that it does not repeat
    #[arg(long, value_name = "DAYS")]
    expires_days: Option<u16>,
    /// Everything about it, as a table of a configuration file (TOML)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "every", "cron", "expires_days"])]
    file: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Account {
    /// The source's name
    name: String,
    /// The account's name, for a portal or for Basic authentication
    #[arg(long, value_name = "NAME", required_unless_present_any = ["header", "query"])]
    username: Option<String>,
    /// For a list with a key: the header that carries it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["username", "query"])]
    header: Option<String>,
    /// For a list with a key: the parameter of the query that carries it
    #[arg(long, value_name = "NAME", conflicts_with = "username")]
    query: Option<String>,
}

pub(in crate::cli) async fn source(
    command: &SourceCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let one = |name: &str| format!("{SOURCES}/{}", encode(name));
    let answer = match command {
        SourceCommand::List => {
            let columns =
                ["name", "kind", "mode", "enabled", "state", "trouble", "listings", "last_seen", "next_run"];
            return list(SOURCES, &columns, door, console.out).await;
        }
        SourceCommand::Show { name } => return show(&one(name), door, console.out).await,
        SourceCommand::Add(add) => door.post(SOURCES, &add.document()?).await?,
        SourceCommand::Remove { name } => door.delete(&one(name)).await?,
        SourceCommand::Enable { name } => put(door, &format!("{}/enable", one(name)), &json!({})).await?,
        SourceCommand::Disable { name } => put(door, &format!("{}/disable", one(name)), &json!({})).await?,
        SourceCommand::Credentials(account) => {
            let is_portal = door.get(&one(&account.name)).await?["kind"] != "feed";
            let document = account.document(is_portal, &secret::read("secret", console.log)?);
            put(door, &format!("{}/credentials", one(&account.name)), &document).await?
        }
        SourceCommand::Test { name } => {
            let tested = door.post(&format!("{}/test", one(name)), &json!({})).await?;
            told(&tested, console.out)?;
            return Ok(if tested["accepted"] == true { ExitCode::Done } else { ExitCode::Negative });
        }
    };
    told(&answer, console.out)
}

impl Add {
    fn document(&self) -> anyhow::Result<Value> {
        let mut document = match &self.file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                toml::from_str::<Map<String, Value>>(&text).with_context(|| path.display().to_string())?
            }
            None => Map::from_iter([
                ("kind".to_owned(), json!("feed")),
                ("url".to_owned(), json!(self.url)),
                ("policy".to_owned(), json!({"mode": self.mode, "expires_days": self.expires_days})),
            ]),
        };
        document.insert("name".to_owned(), json!(self.name));
        for (key, value) in [("every", &self.every), ("cron", &self.cron)] {
            document.extend(value.as_ref().map(|value| (key.to_owned(), json!(value))));
        }
        Ok(Value::Object(document))
    }
}

impl Account {
    fn document(&self, is_portal: bool, secret: &str) -> Value {
        match (&self.header, &self.query, &self.username) {
            (Some(name), _, _) => json!({"kind": "header", "name": name, "value": secret}),
            (None, Some(name), _) => json!({"kind": "query", "name": name, "value": secret}),
            (None, None, user) if is_portal => json!({"username": user, "password": secret}),
            (None, None, user) => json!({"kind": "basic", "user": user, "password": secret}),
        }
    }
}
