//! What collection must not forget: definitions, runs, how sources stand, credentials, holds, audit.
//!
//! One redb file, JSON documents, every commit durable before it is acted on. It knows nothing of the
//! crafts; what a craft remembers it keeps as it is. All calls block on the disk.

mod credentials;
mod state;
#[cfg(test)]
mod tests;

pub use credentials::{Answer, Credentials, NoAttempt};
pub use state::{Audit, Held, Hindrance, Hold, How, Memory, Resume, Retrying, Settled, Standing, Stopped};

use super::definition::Definition;
use super::run::Run;
use crate::disk::{DiskError, Medium, RedbFile, Shelf};
use crate::model::SourceName;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The file in the data folder.
pub const FILE: &str = "collection.redb";
/// Memory that redb may keep pages in, in bytes.
const CACHE: usize = 8 << 20;
/// Runs that are remembered of each source.
const RUNS: usize = 200;
/// Holds that are remembered of each source after they were decided.
const SETTLED: usize = 20;
/// Entries of the audit that are remembered.
const AUDIT: u64 = 100_000;
/// The form of what is kept; another one is another version's.
const FORM: u32 = 1;

const META: TableDefinition<&str, u32> = TableDefinition::new("meta");
const DEFINITIONS: Shelf<&str, Definition> = Shelf::new("definitions");
const STANDINGS: Shelf<&str, Standing> = Shelf::new("standings");
const CREDENTIALS: Shelf<&str, Credentials> = Shelf::new("credentials");
const RUNS_BY_ID: Shelf<u128, Run> = Shelf::new("runs");
const RUNS_OF: TableDefinition<(&str, u128), ()> = TableDefinition::new("runs_of");
const HOLDS: Shelf<u128, Hold> = Shelf::new("holds");
const AUDITS: Shelf<u64, Audit> = Shelf::new("audit");

/// The ledger of one data folder.
#[derive(Debug)]
pub struct Ledger(RedbFile);

impl Ledger {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// As [`RedbFile::open`], and [`DiskError::Version`].
    pub fn open(medium: &Medium) -> Result<Self, DiskError> {
        let file = RedbFile::open(medium, FILE, CACHE)?;
        let form = file.write(true, |write| {
            DEFINITIONS.make(write)?;
            STANDINGS.make(write)?;
            CREDENTIALS.make(write)?;
            RUNS_BY_ID.make(write)?;
            write.open_table(RUNS_OF)?;
            HOLDS.make(write)?;
            AUDITS.make(write)?;
            let mut meta = write.open_table(META)?;
            let form = meta.get("form")?.map(|form| form.value());
            meta.insert("form", form.unwrap_or(FORM))?;
            Ok(form.unwrap_or(FORM))
        })?;
        if form == FORM {
            Ok(Self(file))
        } else {
            Err(DiskError::Version { what: FILE.into(), version: form })
        }
    }

    /// Looks at what was last committed.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn look<T>(&self, look: impl FnOnce(&Look<'_>) -> Result<T, redb::Error>) -> Result<T, DiskError> {
        self.0.read(|view| look(&Look(view)))
    }

    /// Changes things together; they are on the disk, all or none, when this returns.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&Change<'_>) -> Result<T, redb::Error>,
    ) -> Result<T, DiskError> {
        self.0.write(true, |write| change(&Change(write)))
    }
}

/// The ledger as it was last committed.
pub struct Look<'t>(&'t ReadTransaction);

impl Look<'_> {
    /// What people have defined over the API.
    pub fn definitions(&self) -> Result<BTreeMap<SourceName, Definition>, redb::Error> {
        let mut all = BTreeMap::new();
        DEFINITIONS.scan::<&str>(self.0, .., false, |name, definition| {
            all.extend(name.parse().ok().map(|name| (name, definition)));
            true
        })?;
        Ok(all)
    }

    /// What people have defined a source to be over the API.
    pub fn definition(&self, source: &SourceName) -> Result<Option<Definition>, redb::Error> {
        DEFINITIONS.get(self.0, source.as_str())
    }

    /// How a source stands; one that was never heard of stands at its beginning.
    pub fn standing(&self, source: &SourceName) -> Result<Standing, redb::Error> {
        Ok(STANDINGS.get(self.0, source.as_str())?.unwrap_or_default())
    }

    /// How every source stands that was heard of.
    pub fn standings(&self) -> Result<BTreeMap<SourceName, Standing>, redb::Error> {
        let mut all = BTreeMap::new();
        STANDINGS.scan::<&str>(self.0, .., false, |name, standing| {
            all.extend(name.parse().ok().map(|name| (name, standing)));
            true
        })?;
        Ok(all)
    }

    /// The credentials of a source.
    pub fn credentials(&self, source: &SourceName) -> Result<Option<Credentials>, redb::Error> {
        CREDENTIALS.get(self.0, source.as_str())
    }

    /// One run.
    pub fn run(&self, id: Uuid) -> Result<Option<Run>, redb::Error> {
        RUNS_BY_ID.get(self.0, id.as_u128())
    }

    /// At most `limit` runs, newest first, of one source or of all; those before the run `before`.
    pub fn runs(
        &self,
        source: Option<&SourceName>,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Run>, redb::Error> {
        let end = before.map_or(u128::MAX, |id| id.as_u128());
        let Some(source) = source else {
            let mut runs = Vec::new();
            RUNS_BY_ID.scan(self.0, ..end, true, |_, run| {
                runs.push(run);
                runs.len() < limit
            })?;
            return Ok(runs);
        };
        let index = self.0.open_table(RUNS_OF)?;
        let of = index.range((source.as_str(), 0)..(source.as_str(), end))?.rev().take(limit);
        let mut runs = Vec::new();
        for key in of {
            let id = key?.0.value().1;
            runs.extend(RUNS_BY_ID.get(self.0, id)?);
        }
        Ok(runs)
    }

    /// The runs that are not over, as far as the ledger knows.
    pub fn unfinished(&self) -> Result<Vec<Run>, redb::Error> {
        let mut open = Vec::new();
        RUNS_BY_ID.scan::<u128>(self.0, .., false, |_, run| {
            open.extend(Some(run).filter(|run| !run.state.is_over()));
            true
        })?;
        Ok(open)
    }

    /// How many runs are remembered, of one source or of all.
    pub fn count_runs(&self, source: Option<&SourceName>) -> Result<u64, redb::Error> {
        let index = self.0.open_table(RUNS_OF)?;
        match source {
            None => redb::ReadableTableMetadata::len(&index).map_err(Into::into),
            Some(source) => {
                Ok(index.range((source.as_str(), 0)..=(source.as_str(), u128::MAX))?.count() as u64)
            }
        }
    }

    /// One hold.
    pub fn hold(&self, id: Uuid) -> Result<Option<Hold>, redb::Error> {
        HOLDS.get(self.0, id.as_u128())
    }

    /// What waits for a person's word, oldest first.
    pub fn pending(&self) -> Result<Vec<Hold>, redb::Error> {
        let mut pending = Vec::new();
        HOLDS.scan::<u128>(self.0, .., false, |_, hold| {
            pending.extend(Some(hold).filter(|hold| hold.settled.is_none()));
            true
        })?;
        Ok(pending)
    }

    /// At most `limit` entries of the audit with their numbers, newest first, those before number `before`.
    pub fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Audit)>, redb::Error> {
        let mut entries = Vec::new();
        AUDITS.scan(self.0, ..before.unwrap_or(u64::MAX), true, |number, entry| {
            entries.push((number, entry));
            entries.len() < limit
        })?;
        Ok(entries)
    }

    /// How many entries the audit has.
    pub fn count_audit(&self) -> Result<u64, redb::Error> {
        AUDITS.len(self.0)
    }
}

/// Changes that are committed together.
pub struct Change<'t>(&'t WriteTransaction);

impl Change<'_> {
    /// Defines a source.
    pub fn define(&self, source: &SourceName, definition: &Definition) -> Result<(), redb::Error> {
        DEFINITIONS.put(self.0, source.as_str(), definition)
    }

    /// Whether somebody has defined a source over the API.
    pub fn is_defined(&self, source: &SourceName) -> Result<bool, redb::Error> {
        DEFINITIONS.update(self.0, source.as_str(), |kept| kept.is_some())
    }

    /// Forgets a source, but for its runs and what is in the audit.
    pub fn forget(&self, source: &SourceName) -> Result<(), redb::Error> {
        DEFINITIONS.remove(self.0, source.as_str())?;
        STANDINGS.remove(self.0, source.as_str())?;
        CREDENTIALS.remove(self.0, source.as_str())
    }

    /// Changes how a source stands; gives what `change` gave.
    pub fn standing<T>(
        &self,
        source: &SourceName,
        change: impl FnOnce(&mut Standing) -> T,
    ) -> Result<T, redb::Error> {
        STANDINGS.update(self.0, source.as_str(), |kept| change(kept.get_or_insert_default()))
    }

    /// Changes what is known of a source's credentials; gives what `change` gave.
    pub fn credentials<T>(
        &self,
        source: &SourceName,
        change: impl FnOnce(&mut Option<Credentials>) -> T,
    ) -> Result<T, redb::Error> {
        CREDENTIALS.update(self.0, source.as_str(), change)
    }

    /// Writes a run down. Forgets the oldest of its source when there are many, but none that somebody still has to
    /// decide about; gives the ids of those.
    pub fn run(&self, run: &Run) -> Result<Vec<Uuid>, redb::Error> {
        RUNS_BY_ID.put(self.0, run.id.as_u128(), run)?;
        let source = run.source.as_str();
        let mut index = self.0.open_table(RUNS_OF)?;
        index.insert((source, run.id.as_u128()), ())?;
        let all = index.range((source, 0)..=(source, u128::MAX))?;
        let all: Vec<u128> = all.map(|key| Ok(key?.0.value().1)).collect::<Result<_, redb::Error>>()?;
        let mut old = all[..all.len().saturating_sub(RUNS)].to_vec();
        if !old.is_empty() {
            let holds = HOLDS.all(self.0)?;
            old.retain(|id| !holds.iter().any(|hold| hold.settled.is_none() && hold.run.as_u128() == *id));
        }
        for id in &old {
            index.remove((source, *id))?;
            RUNS_BY_ID.remove(self.0, *id)?;
        }
        Ok(old.iter().map(|id| Uuid::from_u128(*id)).collect())
    }

    /// Writes a hold down. Forgets the oldest settled one of its source when there are many.
    pub fn hold(&self, hold: &Hold) -> Result<(), redb::Error> {
        HOLDS.put(self.0, hold.id.as_u128(), hold)?;
        let mut settled = HOLDS.all(self.0)?;
        settled.retain(|other| other.source == hold.source && other.settled.is_some());
        let old = settled.len().saturating_sub(SETTLED);
        settled[..old].iter().try_for_each(|hold| HOLDS.remove(self.0, hold.id.as_u128()))
    }

    /// Lets `settle` end every hold of a source that waits for a person's word.
    pub fn settle_pending(&self, source: &SourceName, settle: impl Fn(&mut Hold)) -> Result<(), redb::Error> {
        let mut pending = HOLDS.all(self.0)?;
        pending.retain(|hold| hold.source == *source && hold.settled.is_none());
        pending.iter_mut().try_for_each(|hold| {
            settle(hold);
            self.hold(hold)
        })
    }

    /// Puts a definition there that no version can read.
    #[cfg(test)]
    pub(crate) fn spoil(&self, source: &SourceName) -> Result<(), redb::Error> {
        Shelf::<&str, String>::new("definitions").put(self.0, source.as_str(), &String::new())
    }

    /// Adds to the audit, and forgets its oldest entry when there are very many.
    pub fn audit(&self, entry: &Audit) -> Result<(), redb::Error> {
        let number = AUDITS.last(self.0)?.unwrap_or(0) + 1;
        AUDITS.put(self.0, number, entry)?;
        AUDITS.remove(self.0, number.saturating_sub(AUDIT))
    }
}
