//! What is said about collection: how it fetches, what it keeps, and the sources themselves.

use super::layers::Layers;
use super::show::masked;
use super::value::{Size, Words};
use super::{Settings, SettingsError};
use crate::collect::definition::Definition;
use crate::collect::raw::Retention;
use crate::fetch::budget::Budget;
use crate::fetch::{FetchSettings, Proxy, Reach, Trust};
use crate::model::SourceName;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The table of the file under which sources stand.
pub(super) const SOURCES: &str = "source";

/// How collection works.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Runs at work at once.
    pub slots: usize,
    /// How long raw bytes are kept.
    pub retention: Retention,
    /// The file with the key that seals credentials, if one is named.
    pub vault_key: Option<PathBuf>,
    /// How everything is fetched.
    pub fetch: FetchSettings,
    /// The sources of the file.
    pub sources: BTreeMap<SourceName, Definition>,
}

impl Collection {
    pub(super) fn read(layers: &Layers) -> Result<Self, SettingsError> {
        let hosts = layers.get("fetch.proxy_hosts")?;
        let proxy: Option<crate::fetch::Url> = layers.get("fetch.proxy")?;
        let reach = Reach {
            ports: layers.get("fetch.ports")?,
            exceptions: layers.get("fetch.exceptions")?,
            proxy: proxy.map(|url| Proxy { url, hosts }),
            ..Reach::default()
        };
        let days: usize = layers.get("collection.raw_days")?;
        Ok(Self {
            slots: layers.get("collection.slots")?,
            retention: Retention {
                days: u32::try_from(days).unwrap_or(u32::MAX),
                bytes: layers.get::<Size>("collection.raw_size")?.0,
            },
            vault_key: layers.get("collection.vault_key")?,
            fetch: FetchSettings {
                reach,
                size_limit: layers.get::<Size>("fetch.size")?.0,
                trust: layers.get::<Option<PathBuf>>("fetch.ca_file")?.map_or(Trust::System, Trust::File),
                contact: layers.get::<Words>("fetch.contact")?.0,
                memory: Budget::new(layers.get::<Size>("collection.memory")?.0),
                ..FetchSettings::default()
            },
            sources: layers.sources().clone(),
        })
    }
}

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
