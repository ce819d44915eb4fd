//! What is said about collection: how it fetches, what it keeps, and the sources themselves.

use super::SettingsError;
use super::layers::Layers;
use super::value::{Size, Words};
use crate::collect::definition::Definition;
use crate::collect::raw::Retention;
use crate::fetch::budget::Budget;
use crate::fetch::{FetchSettings, Proxy, Reach, Trust};
use crate::model::SourceName;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
