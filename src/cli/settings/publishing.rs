//! What is said about publishing: the feeds, the devices and the webhooks themselves.

use super::show::masked;
use super::{Settings, SettingsError};
use crate::model::{Device, Output, OutputKey, OutputName, Profile};
use crate::publish::webhook::FileWish;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The tables of the file under which feeds, devices and webhooks stand.
pub(super) const FEEDS: &str = "feeds";
const DEVICES: &str = "devices";
pub(super) const WEBHOOKS: &str = "webhooks";

/// Feeds and devices by key; one that stands in several files is the last one's.
pub(super) type Outputs = BTreeMap<OutputKey, Output>;
/// Webhooks by name, likewise.
pub type Webhooks = BTreeMap<OutputName, FileWish>;

/// Takes the feeds and devices out of a file's table.
pub(super) fn outputs(table: &mut Table, path: &Path) -> Result<Outputs, SettingsError> {
    let feeds = section(table, path, FEEDS, feed)?;
    let devices = section(table, path, DEVICES, device)?;
    Ok(feeds.into_iter().chain(devices).map(|(_, output)| (output.key(), output)).collect())
}

/// Takes the webhooks out of a file's table.
pub(super) fn webhooks(table: &mut Table, path: &Path) -> Result<Webhooks, SettingsError> {
    Ok(section(table, path, WEBHOOKS, webhook)?.into_iter().collect())
}

/// Takes what stands under `section`, by name.
fn section<T>(
    table: &mut Table,
    path: &Path,
    section: &'static str,
    read: fn(OutputName, Table) -> Result<T, String>,
) -> Result<Vec<(OutputName, T)>, SettingsError> {
    let wrong = |name: &str, why: String| SettingsError::WrongOutput {
        place: path.display().to_string(),
        section,
        name: name.to_owned(),
        why,
    };
    let tables = match table.remove(section) {
        None => return Ok(Vec::new()),
        Some(Value::Table(tables)) => tables,
        Some(_) => return Err(wrong("NAME", "a table is meant".to_owned())),
    };
    let one = |(name, value): (String, Value)| {
        let Value::Table(fields) = value else { return Err(wrong(&name, "a table is meant".to_owned())) };
        let known: OutputName = name.parse().map_err(|error| wrong(&name, format!("{error}")))?;
        Ok((known.clone(), read(known, fields).map_err(|why| wrong(&name, why))?))
    };
    tables.into_iter().map(one).collect()
}

fn into<T: serde::de::DeserializeOwned>(fields: Table) -> Result<T, String> {
    fields.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

fn of<T: serde::de::DeserializeOwned>(name: OutputName, mut fields: Table) -> Result<T, String> {
    fields.insert("name".to_owned(), Value::String(name.to_string()));
    into(fields)
}

fn feed(name: OutputName, fields: Table) -> Result<Output, String> {
    let profile: Profile = of(name, fields)?;
    match profile.fault() {
        Some(fault) => Err(fault.to_owned()),
        None => Ok(Output::Feed(profile)),
    }
}

fn device(name: OutputName, fields: Table) -> Result<Output, String> {
    let device: Device = of(name, fields)?;
    Ok(Output::Device(crate::publish::with_preset(device)))
}

fn webhook(_: OutputName, fields: Table) -> Result<FileWish, String> {
    let wish: FileWish = into(fields)?;
    wish.with(None).check().map_err(|bad| bad.to_string())?;
    Ok(wish)
}

impl Settings {
    /// The feeds, devices and webhooks as a part of a file that means the same, but for what a URL may hide.
    pub(super) fn show_outputs(&self) -> String {
        let mut sections = [(FEEDS, Table::new()), (DEVICES, Table::new()), (WEBHOOKS, Table::new())];
        for output in &self.outputs {
            let (at, name, table) = match output {
                Output::Feed(profile) => (0, &profile.name, Table::try_from(profile)),
                Output::Device(device) => (1, &device.name, Table::try_from(device)),
            };
            let Ok(mut fields) = table else { continue };
            fields.remove("name");
            sections[at].1.insert(name.to_string(), Value::Table(fields));
        }
        for (name, wish) in &self.webhooks {
            let Ok(fields) = Table::try_from(wish) else { continue };
            sections[2].1.insert(name.to_string(), masked(&Value::Table(fields)));
        }
        let said = sections.into_iter().filter(|(_, table)| !table.is_empty());
        let all = Table::from_iter(said.map(|(section, table)| (section.to_owned(), Value::Table(table))));
        if all.is_empty() {
            String::new()
        } else {
            format!("\n{}", toml::to_string(&all).unwrap_or_default())
        }
    }
}
