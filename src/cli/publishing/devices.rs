//! `ironlist device`: the firewalls, what they read, and the keys they show.

use super::super::ExitCode;
use super::super::collection::secret;
use super::super::console::{Console, outline, table};
use super::super::door::{Door, encode};
use super::super::lists::{list, show};
use super::{changed, document, push, put, say, valid};
use crate::addr::IpRange;
use crate::model::{Device, Fingerprint, OutputName};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

const DEVICES: &str = "/api/v1/devices";
const REMNANTS: &str = "/api/v1/remnants";

#[derive(Subcommand, Clone, Debug)]
pub(in crate::cli) enum DeviceCommand {
    /// All of them, with what they have
    List,
    /// One of them
    Show {
        /// Its name
        name: String,
    },
    /// Make a new one known
    Add(Wish),
    /// Change it: what is not said stays as it is
    Set(Box<Changes>),
    /// Forget it; its key opens nothing from then on
    Remove {
        /// Its name
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Make a key for it, shown this once; one that it had opens nothing from then on
    Key {
        /// Its name
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Push to it from now on, and prove what it enforces; the key of its API is asked for, or read from standard input
    PushTo(Box<push::To>),
    /// Push to it no more
    PushStop {
        /// Its name
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Push everything to it now
    Push {
        /// Its name
        name: String,
    },
    /// What was pushed to firewalls, is pushed no more, and is still enforced there
    Remnants,
    /// Empty such a list on its firewall, by its id
    PushClear {
        /// The remnant's id
        id: String,
        /// Only forget it: the firewall is no more, or somebody else looks after the list
        #[arg(long)]
        forget: bool,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Which models are known, and what they can take
    Presets,
    /// Who fetched what, known by name or not
    Pulls,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Wish {
    /// Its name
    #[arg(value_parser = valid::<OutputName>)]
    name: String,
    /// What it is; a preset's name gives it that one's budgets
    #[arg(long)]
    model: Option<String>,
    /// A feed that it reads; may be said again. Without any it may read all
    #[arg(long = "feed", value_name = "NAME", value_parser = valid::<OutputName>)]
    feeds: Vec<String>,
    /// A network from which it asks, and which is never published; may be said again
    #[arg(long = "network", value_name = "RANGE", value_parser = valid::<IpRange>)]
    networks: Vec<String>,
    /// The SHA-256 of a certificate that it shows in place of a key; may be said again
    #[arg(long = "certificate", value_name = "DIGITS", value_parser = valid::<Fingerprint>)]
    certificates: Vec<String>,
    /// It can take so many lines of all its feeds together
    #[arg(long, value_name = "NUMBER")]
    entries: Option<u64>,
    /// It can take so many bytes of all its feeds together
    #[arg(long, value_name = "NUMBER")]
    bytes: Option<u64>,
    /// It can take so many lines of each of its feeds
    #[arg(long, value_name = "NUMBER")]
    each_entries: Option<u64>,
    /// It can take so many bytes of each of its feeds
    #[arg(long, value_name = "NUMBER")]
    each_bytes: Option<u64>,
    /// After so many minutes without a pull it is called silent
    #[arg(long, value_name = "NUMBER")]
    silent_minutes: Option<u32>,
    /// Everything about it, as a table of a configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Changes {
    #[command(flatten)]
    wish: Wish,
    /// Make this field as usual again: feeds, networks, certificates, budget; may be said again
    #[arg(long, value_name = "FIELD", conflicts_with = "file")]
    clear: Vec<String>,
}

pub(in crate::cli) async fn device(
    command: &DeviceCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let one = |name: &str| format!("{DEVICES}/{}", encode(name));
    let answer = match command {
        DeviceCommand::List => {
            let columns = ["name", "model", "feeds", "last_pull", "behind", "silent", "keys_since"];
            return list(DEVICES, &columns, door, console.out).await;
        }
        DeviceCommand::Show { name } => return show(&one(name), door, console.out).await,
        DeviceCommand::Add(wish) => {
            let mut device = wish.document()?;
            device.insert("name".to_owned(), json!(wish.name));
            door.post(DEVICES, &json!({"reason": wish.reason, "device": device})).await?
        }
        DeviceCommand::Set(changes) => {
            let Changes { wish, clear } = &**changes;
            let device = wish.over(clear, &one(&wish.name), door).await?;
            put(door, &one(&wish.name), &json!({"reason": wish.reason, "device": device})).await?
        }
        DeviceCommand::Remove { name, reason } => door.remove(&one(name), reason).await?,
        DeviceCommand::Key { name, reason } => {
            door.post(&format!("{}/keys", one(name)), &json!({"reason": reason})).await?
        }
        DeviceCommand::PushTo(to) => {
            let key = secret::read("key", console.log)?;
            put(door, &format!("{}/push", one(&to.name)), &to.document(&key)?).await?
        }
        DeviceCommand::PushStop { name, reason } => {
            let path = format!("{}/push", one(name));
            door.remove(&path, reason).await?
        }
        DeviceCommand::Push { name } => door.post(&format!("{}/push", one(name)), &json!({})).await?,
        DeviceCommand::Remnants => {
            let columns = ["id", "device", "list", "url", "entries", "feed", "pushed_at"];
            return list(REMNANTS, &columns, door, console.out).await;
        }
        DeviceCommand::PushClear { id, forget, reason } => {
            let one = format!("{REMNANTS}/{}", encode(id));
            match forget {
                true => door.remove(&one, reason).await?,
                false => door.post(&format!("{one}/clear"), &json!({"reason": reason})).await?,
            }
        }
        DeviceCommand::Presets => {
            let presets = door.get(&format!("{DEVICES}/presets")).await?;
            let rows = presets.as_array().cloned().unwrap_or_default();
            table(&rows, &["name", "about", "format", "each", "budget"], console.out)?;
            return Ok(ExitCode::Done);
        }
        DeviceCommand::Pulls => {
            let columns = [
                "reader",
                "document",
                "at",
                "from",
                "generation",
                "behind",
                "status",
                "bytes",
                "sent",
                "unchanged",
            ];
            return list("/api/v1/pulls", &columns, door, console.out).await;
        }
    };
    outline(&answer, 0, console.out)?;
    Ok(ExitCode::Done)
}

impl Wish {
    /// What is said, over what the device is; a file says everything.
    async fn over(&self, clear: &[String], path: &str, door: &Door) -> anyhow::Result<Value> {
        if self.file.is_some() {
            return Ok(self.document()?.into());
        }
        let mut clear = clear.to_vec();
        if self.model.is_some() && !clear.iter().any(|field| field == "budget") {
            // The budget was that of the model before, or is said anew.
            clear.push("budget".to_owned());
        }
        changed(door, path, &Device::new(self.name.parse()?), &clear, self.document()?).await
    }

    /// What the file says, and above it what the command line says.
    fn document(&self) -> anyhow::Result<Map<String, Value>> {
        let mut device = self.file.as_deref().map(document).transpose()?.unwrap_or_default();
        say(&mut device, "model", json!(self.model));
        say(&mut device, "feeds", json!(self.feeds));
        say(&mut device, "networks", json!(self.networks));
        say(&mut device, "certificates", json!(self.certificates));
        say(&mut device, "silent_minutes", json!(self.silent_minutes));
        let budgets = [("budget", self.entries, self.bytes), ("each", self.each_entries, self.each_bytes)];
        for (name, entries, bytes) in budgets {
            let mut budget = device.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            say(&mut budget, "entries", json!(entries));
            say(&mut budget, "bytes", json!(bytes));
            if !budget.is_empty() {
                device.insert(name.to_owned(), Value::Object(budget));
            }
        }
        Ok(device)
    }
}
