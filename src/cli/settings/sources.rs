//! The sources of a configuration file: read from it, and shown as a part of it.

use super::show::masked;
use super::{Settings, SettingsError};
use crate::collect::definition::Definition;
use crate::model::SourceName;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The table of the file under which sources stand.
pub(super) const SOURCES: &str = "source";

/// The sources of a file; one that stands in several files is the last one's.
pub(super) fn sources(value: Value, path: &Path) -> Result<BTreeMap<SourceName, Definition>, SettingsError> {
    let wrong = |source: &str, why: String| SettingsError::WrongSource {
        place: path.display().to_string(),
        name: source.to_owned(),
        why,
    };
    let Value::Table(tables) = value else {
        return Err(wrong("", "a table [source.NAME] is meant".to_owned()));
    };
    let mut sources = BTreeMap::new();
    for (name, table) in tables {
        let source: SourceName = name.parse().map_err(|error| wrong(&name, format!("{error}")))?;
        let definition: Definition =
            table.try_into().map_err(|error: toml::de::Error| wrong(&name, error.message().to_owned()))?;
        definition.check_as(&source).map_err(|error| wrong(&name, error.to_string()))?;
        sources.insert(source, definition);
    }
    Ok(sources)
}

impl Settings {
    /// The sources as a part of a file that means the same, but for what is secret.
    pub(super) fn show_sources(&self) -> String {
        if self.collection.sources.is_empty() {
            return String::new();
        }
        let table: Option<Table> = Table::try_from(&self.collection.sources).ok();
        let all = table.map(|table| (SOURCES.to_owned(), masked(&Value::Table(table))));
        let all = Table::from_iter(all);
        format!("\n{}", toml::to_string(&all).unwrap_or_default())
    }
}
