//! What publishing must not forget and generations do not hold: the keys of devices, who fetched what, where lists are
//! pushed to and what is proven to be there, which webhooks were told what, and who decided what. One redb file, JSON
//! documents, every commit durable. All calls block on the disk.

mod hooks;
mod pulls;
mod pushes;

pub(super) use pulls::Noted;
pub use pulls::Pull;

use crate::disk::{DiskError, Medium, RedbFile, Shelf, hex, unhex};
use crate::model::{OutputKey, OutputName, Time};
use redb::{ReadableTable as _, TableDefinition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file in the data folder.
pub const FILE: &str = "publishing.redb";
/// Memory that redb may keep pages in, in bytes.
const CACHE: usize = 4 << 20;
/// Entries of the audit that are remembered.
const AUDIT: u64 = 100_000;
/// The form of what is kept; another one is another version's.
const FORM: u32 = 1;

const META: TableDefinition<&str, u32> = TableDefinition::new("meta");
const KEYS: Shelf<&str, Keys> = Shelf::new("keys");
const AUDITS: Shelf<u64, Audit> = Shelf::new("audit");
const CONFIGURED: Shelf<&str, OutputKey> = Shelf::new("configured");

/// The digests of what a device shows for itself; the keys themselves are kept nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Keys {
    /// Hexadecimal SHA-256, see [`super::access::digest_of`].
    digests: Vec<String>,
    /// When they were made.
    pub since: Time,
}

impl Keys {
    /// Keys of these digests.
    pub fn new(digests: &[crate::disk::Digest], since: Time) -> Self {
        Self { digests: digests.iter().map(|digest| hex(digest)).collect(), since }
    }

    /// The digests.
    pub fn digests(&self) -> impl Iterator<Item = crate::disk::Digest> + '_ {
        self.digests.iter().filter_map(|text| unhex(text)?.try_into().ok())
    }
}

/// Who decided what, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// What, such as `hold.consent`.
    pub action: String,
    /// About which feed or device.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// More of what happened.
    pub detail: String,
}

/// The book of one data folder.
#[derive(Debug)]
pub struct Book(RedbFile);

impl Book {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// As [`RedbFile::open`], and [`DiskError::Version`].
    pub fn open(medium: &Medium) -> Result<Self, DiskError> {
        let file = RedbFile::open(medium, FILE, CACHE)?;
        let form = file.write(true, |write| {
            KEYS.make(write)?;
            pulls::make(write)?;
            AUDITS.make(write)?;
            CONFIGURED.make(write)?;
            hooks::make(write)?;
            pushes::make(write)?;
            let mut meta = write.open_table(META)?;
            let form = meta.get("form")?.map_or(FORM, |form| form.value());
            meta.insert("form", form)?;
            Ok(form)
        })?;
        match form {
            FORM => Ok(Self(file)),
            version => Err(DiskError::Version { what: FILE.into(), version }),
        }
    }

    /// The keys of every device that has some.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn keys(&self) -> Result<BTreeMap<OutputName, Keys>, DiskError> {
        self.0.read(|view| {
            let mut all = BTreeMap::new();
            KEYS.scan::<&str>(view, .., false, |name, keys| {
                all.extend(name.parse().ok().map(|name| (name, keys)));
                true
            })?;
            Ok(all)
        })
    }

    /// Gives a device keys in place of those it had; none takes them away.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn set_keys(&self, device: &OutputName, keys: Option<&Keys>, audit: &Audit) -> Result<(), DiskError> {
        self.0.write(true, |write| {
            match keys {
                Some(keys) => KEYS.put(write, device.as_str(), keys)?,
                None => KEYS.remove(write, device.as_str())?,
            }
            note(write, audit)
        })
    }

    /// What the configuration file set up the last time.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn configured(&self) -> Result<Vec<OutputKey>, DiskError> {
        self.0.write(false, |write| CONFIGURED.all(write))
    }

    /// Remembers what the configuration file sets up now.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn set_configured(&self, keys: &[OutputKey]) -> Result<(), DiskError> {
        self.0.write(true, |write| {
            for key in CONFIGURED.all(write)? {
                CONFIGURED.remove(write, key.to_string().as_str())?;
            }
            keys.iter().try_for_each(|key| CONFIGURED.put(write, key.to_string().as_str(), key))
        })
    }

    /// Writes an entry of the audit.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn audit(&self, entry: &Audit) -> Result<(), DiskError> {
        self.0.write(true, |write| note(write, entry))
    }

    /// At most `limit` entries of the audit with their numbers, newest first, those before the number `before`; and how
    /// many there are.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn audits(&self, before: Option<u64>, limit: usize) -> Result<(Vec<(u64, Audit)>, u64), DiskError> {
        self.0.read(|view| {
            let mut entries = Vec::new();
            AUDITS.scan(view, ..before.unwrap_or(u64::MAX), true, |number, entry| {
                entries.push((number, entry));
                entries.len() < limit
            })?;
            Ok((entries, AUDITS.len(view)?))
        })
    }
}

fn note(write: &redb::WriteTransaction, entry: &Audit) -> Result<(), redb::Error> {
    let number = AUDITS.last(write)?.unwrap_or(0) + 1;
    AUDITS.put(write, number, entry)?;
    AUDITS.remove(write, number.saturating_sub(AUDIT))
}
