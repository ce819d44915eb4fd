//! `ironlist feeds`: what is published, in which form, and what is left out.

use super::super::ExitCode;
use super::super::console::{Console, outline};
use super::super::door::{Door, encode, with_query};
use super::super::lists::{list, show};
use super::{changed, document, put, say, valid};
use crate::model::{
    Country, Families, Format, Lines, MOST_PARTS, OutputName, Preference, Profile, Severity, SourceName,
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;

const FEEDS: &str = "/api/v1/feeds";
const CHANGES: &str = "/api/v1/changes";

#[derive(Subcommand, Clone, Debug)]
pub(in crate::cli) enum FeedsCommand {
    /// All of them
    List,
    /// One of them: its profile, what it lists, whether it is held
    Show {
        /// Its name
        name: String,
    },
    /// What it leaves out and why, and who fetched which generation
    Report {
        /// Its name
        name: String,
    },
    /// What went (-) and came (+) since a generation, up to what it lists now
    Changes {
        /// Its name
        name: String,
        /// The generation that is known: earlier changes end with one, and `feeds list` shows one
        #[arg(long, value_name = "GENERATION")]
        since: u64,
        /// The history that led there, as an earlier answer said: another one is refused
        #[arg(long, value_name = "EPOCH")]
        epoch: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Publish a new one
    Add(Box<Wish>),
    /// Publish it otherwise: what is not said stays as it is
    Set(Box<Edit>),
    /// Say what it would list, and change nothing
    Preview(Box<Wish>),
    /// Publish it no more
    Remove {
        /// Its name
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Wish {
    /// Its name
    #[arg(value_parser = valid::<OutputName>)]
    name: String,
    /// Who is to read it: plain, fortigate, palo-alto, cisco, nftables, csv and others
    #[arg(long, value_parser = valid::<Format>)]
    format: Option<String>,
    /// The form of its lines: cidrs, ranges or addresses
    #[arg(long, value_parser = valid::<Lines>)]
    lines: Option<String>,
    /// What it carries: both, v4 or v6
    #[arg(long, value_parser = valid::<Families>)]
    families: Option<String>,
    /// Only of this source; may be said again
    #[arg(long = "source", value_name = "NAME", value_parser = valid::<SourceName>)]
    sources: Vec<String>,
    /// Not of this source; may be said again
    #[arg(long = "not-source", value_name = "NAME", value_parser = valid::<SourceName>)]
    not_sources: Vec<String>,
    /// Only of sources with this licence, by its exact words; may be said again
    #[arg(long = "licence", value_name = "TEXT")]
    licences: Vec<String>,
    /// At least so sure, 0 to 100
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    confidence: Option<u8>,
    /// At least so grave: minor, warning, critical or fatal
    #[arg(long, value_parser = valid::<Severity>)]
    severity: Option<String>,
    /// Only of this kind of threat; may be said again
    #[arg(long = "threat", value_name = "KIND")]
    threats: Vec<String>,
    /// Only in this country; may be said again
    #[arg(long = "country", value_name = "CC", value_parser = valid::<Country>)]
    countries: Vec<String>,
    /// Not in this country; may be said again
    #[arg(long = "not-country", value_name = "CC", value_parser = valid::<Country>)]
    not_countries: Vec<String>,
    /// Learned of at most so many days ago
    #[arg(long, value_name = "DAYS")]
    max_age_days: Option<u16>,
    /// Its readers can take so many lines
    #[arg(long, value_name = "NUMBER")]
    entries: Option<u64>,
    /// Its readers can take so many bytes
    #[arg(long, value_name = "NUMBER")]
    bytes: Option<u64>,
    /// What counts when that is not enough, the best first: confidence, severity, recency, sources
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = valid::<Preference>)]
    prefer: Vec<String>,
    /// Where devices share a budget, feeds with the lower number are served first
    #[arg(long, value_name = "NUMBER")]
    priority: Option<u16>,
    #[command(flatten)]
    gate: Gate,
    /// Publish it even when nothing is listed: whoever reads it then blocks nothing
    #[arg(long)]
    allow_empty: bool,
    /// Cut it into so many parts
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_PARTS)))]
    parts: Option<u16>,
    /// Never send it compressed: for firewalls that ask for what they cannot read
    #[arg(long)]
    no_compression: bool,
    /// Everything about it, as a table of a configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// How much may change without a person's word.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Gate {
    /// So much of it may go at once
    #[arg(long = "gate-shrink", value_name = "PERCENT")]
    shrink: Option<u32>,
    /// So much longer it may become at once
    #[arg(long = "gate-grow", value_name = "PERCENT")]
    grow: Option<u32>,
    /// Fewer lines than this that go or come are never judged by their share
    #[arg(long = "gate-few", value_name = "NUMBER")]
    few: Option<u64>,
    /// So much of all IPv4 addresses it may hold
    #[arg(long = "gate-space", value_name = "PERCENT")]
    space: Option<u32>,
    /// What is broader than a prefix of this length waits for a word
    #[arg(long = "gate-broad", value_name = "LENGTH", value_parser = clap::value_parser!(u8).range(0..=32))]
    broad_v4: Option<u8>,
    /// The same for IPv6
    #[arg(long = "gate-broad-v6", value_name = "LENGTH", value_parser = clap::value_parser!(u8).range(0..=128))]
    broad_v6: Option<u8>,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Edit {
    #[command(flatten)]
    wish: Wish,
    /// Make this field as usual again: lines, budget, gate, allow_empty, filter.countries; may be said again
    #[arg(long, value_name = "FIELD", conflicts_with = "file")]
    clear: Vec<String>,
}

pub(in crate::cli) async fn feeds(
    command: &FeedsCommand,
    door: &Door,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let one = |name: &str| format!("{FEEDS}/{}", encode(name));
    let answer = match command {
        FeedsCommand::List => {
            let columns = ["name", "format", "offers", "generation", "path"];
            return list(FEEDS, &columns, door, console.out).await;
        }
        FeedsCommand::Show { name } => return show(&one(name), door, console.out).await,
        FeedsCommand::Report { name } => {
            return show(&format!("{}/report", one(name)), door, console.out).await;
        }
        FeedsCommand::Changes { name, since, epoch, json } => {
            let since = since.to_string();
            let asked = [("since", Some(&*since)), ("feed", Some(name)), ("epoch", epoch.as_deref())];
            return difference(&door.get(&with_query(CHANGES, &asked)).await?, *json, console.out);
        }
        FeedsCommand::Add(wish) => {
            let mut feed = wish.document()?;
            feed.insert("name".to_owned(), json!(wish.name));
            door.post(FEEDS, &json!({"reason": wish.reason, "feed": feed})).await?
        }
        FeedsCommand::Set(edit) => {
            let Edit { wish, clear } = &**edit;
            let feed = wish.over(clear, &one(&wish.name), door).await?;
            put(door, &one(&wish.name), &json!({"reason": wish.reason, "feed": feed})).await?
        }
        FeedsCommand::Preview(wish) => {
            let is_there = door.get(&one(&wish.name)).await.is_ok();
            let feed = match is_there {
                true => wish.over(&[], &one(&wish.name), door).await?,
                false => wish.document()?.into(),
            };
            let said = json!({"reason": wish.reason, "feed": feed});
            door.post(&format!("{}/preview", one(&wish.name)), &said).await?
        }
        FeedsCommand::Remove { name, reason } => door.remove(&one(name), reason).await?,
    };
    outline(&answer, 0, console.out)?;
    Ok(ExitCode::Done)
}

/// What went comes first: whoever takes line by line never has too much. The last line says what to ask for next.
fn difference(told: &Value, json: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if json {
        writeln!(out, "{told:#}")?;
        return Ok(ExitCode::Done);
    }
    for (sign, key) in [("-", "removed"), ("+", "added")] {
        for range in told[key].as_array().into_iter().flatten().filter_map(Value::as_str) {
            writeln!(out, "{sign} {range}")?;
        }
    }
    let epoch = told["epoch"].as_str().unwrap_or("-");
    writeln!(out, "# generation {} epoch {epoch}", told["generation"])?;
    Ok(ExitCode::Done)
}

impl Wish {
    /// What is said, over what the feed is; a file says everything.
    async fn over(&self, clear: &[String], path: &str, door: &Door) -> anyhow::Result<Value> {
        if self.file.is_some() {
            return Ok(self.document()?.into());
        }
        changed(door, path, &Profile::new(self.name.parse()?), clear, self.document()?).await
    }

    /// What the file says, and above it what the command line says.
    fn document(&self) -> anyhow::Result<Map<String, Value>> {
        let mut feed = self.file.as_deref().map(document).transpose()?.unwrap_or_default();
        say(&mut feed, "format", json!(self.format));
        say(&mut feed, "lines", json!(self.lines));
        say(&mut feed, "families", json!(self.families));
        say(&mut feed, "parts", json!(self.parts));
        say(&mut feed, "prefer", json!(self.prefer));
        say(&mut feed, "priority", json!(self.priority));
        say(&mut feed, "allow_empty", if self.allow_empty { json!(true) } else { Value::Null });
        say(&mut feed, "compress", if self.no_compression { json!(false) } else { Value::Null });
        let mut part = |key: &str, fill: &dyn Fn(&mut Map<String, Value>)| {
            let mut inner = feed.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
            fill(&mut inner);
            if !inner.is_empty() {
                feed.insert(key.to_owned(), Value::Object(inner));
            }
        };
        part("filter", &|filter| {
            say(filter, "sources", json!(self.sources));
            say(filter, "not_sources", json!(self.not_sources));
            say(filter, "licences", json!(self.licences));
            say(filter, "confidence", json!(self.confidence));
            say(filter, "severity", json!(self.severity));
            say(filter, "threats", json!(self.threats));
            say(filter, "countries", json!(self.countries));
            say(filter, "not_countries", json!(self.not_countries));
            say(filter, "max_age_days", json!(self.max_age_days));
        });
        part("budget", &|budget| {
            say(budget, "entries", json!(self.entries));
            say(budget, "bytes", json!(self.bytes));
        });
        part("gate", &|gate| self.gate.say(gate));
        Ok(feed)
    }
}

impl Gate {
    fn say(&self, gate: &mut Map<String, Value>) {
        say(gate, "shrink_percent", json!(self.shrink));
        say(gate, "grow_percent", json!(self.grow));
        say(gate, "few", json!(self.few));
        say(gate, "space_percent", json!(self.space));
        let mut broad = gate.get("too_broad").and_then(Value::as_object).cloned().unwrap_or_default();
        say(&mut broad, "v4", json!(self.broad_v4));
        say(&mut broad, "v6", json!(self.broad_v6));
        if !broad.is_empty() {
            gate.insert("too_broad".to_owned(), Value::Object(broad));
        }
    }
}
