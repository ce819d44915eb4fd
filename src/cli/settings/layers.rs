//! Where values come from, each layer over the one before: defaults, file, `conf.d`, environment,
//! flags.

use super::SettingsError;
use super::publishing::{Outputs, Webhooks, outputs, webhooks};
use super::sources::{SOURCES, sources};
use super::table::{PREFIX, Setting, TABLE, closest, find};
use super::value::{FromValue, typed};
use crate::collect::definition::Definition;
use crate::model::{Output, SourceName};
use crate::vault;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file that is read when no other is named.
const USUAL_FILE: &str = "/etc/ironlist/ironlist.toml";
/// The folder beside the file with more of them, read in the order of their names.
const MORE: &str = "conf.d";
/// Names the file itself, and so is no setting in it.
pub(in crate::cli) const CONFIG_VARIABLE: &str = "IRONLIST_CONFIG";

/// Where a value was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In this file.
    File(PathBuf),
    /// In the environment, under this name.
    Environment(String),
    /// On the command line, with this flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// What the values are taken from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The file; none: the usual one, if it is there.
    pub config: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Key, flag and text.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Inputs {
    /// The process's own environment, without names or values that are not text.
    pub fn of_process(config: Option<PathBuf>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { config, environment: std::env::vars_os().filter_map(text).collect(), flags: Vec::new() }
    }
}

/// A value for every setting, and where it was said.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
    sources: BTreeMap<SourceName, Definition>,
    outputs: Outputs,
    webhooks: Webhooks,
}

impl Layers {
    pub(super) fn read(inputs: &Inputs) -> Result<Self, SettingsError> {
        let default = |setting: &Setting| (setting.key, (setting.default_value(), Origin::Default));
        let values = TABLE.iter().map(default).collect();
        let (sources, outputs, webhooks) = (BTreeMap::new(), Outputs::new(), Webhooks::new());
        let mut layers = Self { values, sources, outputs, webhooks };
        for path in files(inputs.config.as_deref())? {
            let text = fs::read_to_string(&path)
                .map_err(|error| SettingsError::Unreadable { file: path.clone(), error })?;
            layers.file(&path, &text)?;
        }
        layers.environment(&inputs.environment)?;
        for (key, flag, text) in &inputs.flags {
            layers.text(find(key), text, Origin::Flag(flag))?;
        }
        Ok(layers)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&(Value, Origin)> {
        self.values.get(key)
    }

    /// The sources of all files.
    pub(super) fn sources(&self) -> &BTreeMap<SourceName, Definition> {
        &self.sources
    }

    /// The feeds and devices of all files, feeds first.
    pub(super) fn outputs(&self) -> Vec<Output> {
        self.outputs.values().cloned().collect()
    }

    /// The webhooks of all files.
    pub(super) fn webhooks(&self) -> Webhooks {
        self.webhooks.clone()
    }

    /// The value of a setting, as what the program works with.
    pub(super) fn get<T: FromValue>(&self, key: &'static str) -> Result<T, SettingsError> {
        let Some((value, origin)) = self.entry(key) else { return Err(unknown(key, "the program")) };
        T::from_value(value).map_err(|why| wrong(key, value, origin, why))
    }

    /// What to say of a value that is of its kind, and yet wrong beside the others.
    pub(super) fn refusal(&self, key: &'static str, why: &str) -> SettingsError {
        match self.entry(key) {
            Some((value, origin)) => wrong(key, value, origin, why.to_owned()),
            None => unknown(key, "the program"),
        }
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let mut table: Table = text
            .parse()
            .map_err(|error| SettingsError::Syntax { file: path.to_owned(), error: Box::new(error) })?;
        if let Some(value) = table.remove(SOURCES) {
            self.sources.extend(sources(value, path)?);
        }
        self.outputs.extend(outputs(&mut table, path)?);
        self.webhooks.extend(webhooks(&mut table, path)?);
        self.table("", table, path)
    }

    fn table(&mut self, above: &str, table: Table, path: &Path) -> Result<(), SettingsError> {
        for (name, value) in table {
            let key = if above.is_empty() { name } else { format!("{above}.{name}") };
            match (find(&key), value) {
                (Some(setting), value) => self.put(setting, value, Origin::File(path.to_owned())),
                (None, Value::Table(table)) if is_section(&key) || !table.is_empty() => {
                    self.table(&key, table, path)?;
                }
                (None, _) => return Err(unknown(&key, &path.display().to_string())),
            }
        }
        Ok(())
    }

    /// Empty is unset: that is what `NAME=${NAME:-}` in a container's file comes to. But whoever gives an empty list of
    /// networks for one that is open by default may mean to close it.
    fn environment(&mut self, all: &[(String, String)]) -> Result<(), SettingsError> {
        let mut empty = all.iter().filter(|(_, text)| text.is_empty()).map(|(name, _)| name);
        if let Some((name, setting)) = empty.find_map(|name| opened_by(name)) {
            let origin = Origin::Environment(name.to_owned());
            let why = "say none to close it, or leave the variable out".to_owned();
            return Err(wrong(setting.key, &Value::String(String::new()), &origin, why));
        }
        let given: Vec<_> = all.iter().filter(|(_, text)| !text.is_empty()).collect();
        if let Some((name, _)) = given.iter().find(|(name, _)| is_stray(name)) {
            return Err(SettingsError::UnknownVariable {
                name: name.clone(),
                closest: closest_variable(name),
            });
        }
        for setting in TABLE {
            let own = setting.variable();
            let names = setting.aliases.iter().copied().chain([own.as_str()]);
            for name in names {
                if let Some((name, text)) = given.iter().find(|(given, _)| given == name) {
                    self.text(Some(setting), text, Origin::Environment(name.clone()))?;
                }
            }
        }
        Ok(())
    }

    fn text(
        &mut self,
        setting: Option<&'static Setting>,
        text: &str,
        origin: Origin,
    ) -> Result<(), SettingsError> {
        let Some(setting) = setting else { return Ok(()) };
        let value = typed(text, &setting.default_value())
            .map_err(|why| wrong(setting.key, &Value::String(text.to_owned()), &origin, why))?;
        self.put(setting, value, origin);
        Ok(())
    }

    fn put(&mut self, setting: &'static Setting, value: Value, origin: Origin) {
        self.values.insert(setting.key, (value, origin));
    }
}

/// The setting of a variable by which networks are let in that are open unless somebody says otherwise.
fn opened_by(name: &str) -> Option<(&str, &'static Setting)> {
    let opens = |setting: &&Setting| setting.default.contains("127.0.0.0/8") && setting.variable() == name;
    TABLE.iter().find(opens).map(|setting| (name, setting))
}

fn unknown(key: &str, place: &str) -> SettingsError {
    SettingsError::UnknownKey { key: key.to_owned(), place: place.to_owned(), closest: closest(key) }
}

fn wrong(key: &'static str, value: &Value, origin: &Origin, why: String) -> SettingsError {
    SettingsError::WrongValue { key, value: value.to_string(), origin: origin.clone(), why }
}

fn is_section(key: &str) -> bool {
    TABLE.iter().any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// Ours by its prefix, and yet no setting. Kubernetes puts names of this form into every container
/// beside a service called `ironlist`: those are not ours.
fn is_stray(name: &str) -> bool {
    let by_kubernetes = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    let known = |setting: &Setting| setting.variable() == name || setting.aliases.contains(&name);
    name.starts_with(PREFIX)
        && name != CONFIG_VARIABLE
        // No setting, because what is in effect can be shown.
        && name != vault::VARIABLE
        && !TABLE.iter().any(known)
        && !by_kubernetes.iter().any(|part| name.contains(part))
}

fn closest_variable(name: &str) -> Option<String> {
    let key = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase().replacen('_', ".", 1);
    find(closest(&key)?).map(Setting::variable)
}

/// The files to read, in their order. A file that was named must be there; the usual one need not.
fn files(named: Option<&Path>) -> Result<Vec<PathBuf>, SettingsError> {
    let main = named.unwrap_or(Path::new(USUAL_FILE));
    let mut files = Vec::new();
    if named.is_some() || main.exists() {
        files.push(main.to_owned());
    }
    let folder = main.with_file_name(MORE);
    let mut more: Vec<PathBuf> = match fs::read_dir(&folder) {
        Ok(found) => found.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(SettingsError::Unreadable { file: folder, error }),
    };
    more.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    more.sort();
    files.extend(more);
    Ok(files)
}
