//! What is said about publishing: the feeds and the devices themselves.

use super::{Settings, SettingsError};
use crate::model::{Device, Output, OutputKey, OutputName, Profile};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The tables of the file under which feeds and devices stand.
pub(super) const FEEDS: &str = "feeds";
pub(super) const DEVICES: &str = "devices";

/// Feeds and devices by key; one that stands in several files is the last one's.
pub(super) type Outputs = BTreeMap<OutputKey, Output>;

/// Takes the feeds and devices out of a file's table.
pub(super) fn outputs(table: &mut Table, path: &Path) -> Result<Outputs, SettingsError> {
    let mut outputs = Outputs::new();
    for (section, read) in [(FEEDS, feed as Read), (DEVICES, device as Read)] {
        let wrong = |name: &str, why: String| SettingsError::WrongOutput {
            place: path.display().to_string(),
            section,
            name: name.to_owned(),
            why,
        };
        let tables = match table.remove(section) {
            None => continue,
            Some(Value::Table(tables)) => tables,
            Some(_) => return Err(wrong("NAME", "a table is meant".to_owned())),
        };
        for (name, value) in tables {
            let Value::Table(mut fields) = value else {
                return Err(wrong(&name, "a table is meant".to_owned()));
            };
            let known: OutputName = name.parse().map_err(|error| wrong(&name, format!("{error}")))?;
            fields.insert("name".to_owned(), Value::String(known.to_string()));
            let output = read(fields).map_err(|why| wrong(&name, why))?;
            outputs.insert(output.key(), output);
        }
    }
    Ok(outputs)
}

type Read = fn(Table) -> Result<Output, String>;

fn feed(fields: Table) -> Result<Output, String> {
    let profile: Profile = fields.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    match profile.fault() {
        Some(fault) => Err(fault.to_owned()),
        None => Ok(Output::Feed(profile)),
    }
}

fn device(fields: Table) -> Result<Output, String> {
    let device: Device = fields.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    Ok(Output::Device(crate::publish::with_preset(device)))
}

impl Settings {
    /// The feeds and devices as a part of a file that means the same.
    pub(super) fn show_outputs(&self) -> String {
        let mut sections = [(FEEDS, Table::new()), (DEVICES, Table::new())];
        for output in &self.outputs {
            let (at, name, table) = match output {
                Output::Feed(profile) => (0, &profile.name, Table::try_from(profile)),
                Output::Device(device) => (1, &device.name, Table::try_from(device)),
            };
            let Ok(mut fields) = table else { continue };
            fields.remove("name");
            sections[at].1.insert(name.to_string(), Value::Table(fields));
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
