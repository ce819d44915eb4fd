//! What lies in the data folder of a service that does not run: is it what was written?

use super::super::folder;
use super::super::settings::Settings;
use super::Finding;
use crate::disk::{DiskError, Medium, read_footed};
use crate::engine::{self, Condition, Engine, SNAPSHOT_FILE};
use crate::journal::{self, Journal};
use crate::store::{self, Projection};
use crate::web::health::Check;
use anyhow::{Context, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Reads every store to its end. Blocks: about a second a gigabyte.
pub(super) fn look(data: &Path) -> Vec<Finding> {
    if !data.join(journal::FILE).exists() {
        return vec![("journal".to_owned(), Check::healthy("empty: nothing was ever kept here"))];
    }
    let medium = Medium::folder(data);
    let mut findings = Vec::new();
    let journal = match replay(&medium) {
        Ok(journal) => {
            findings.push(("journal", extent(&journal)));
            Some(journal)
        }
        Err(error) => {
            findings.push(("journal", of_error(&error)));
            None
        }
    };
    findings.push(("store", store(&medium, journal.as_ref())));
    findings.push(("snapshot", file(&data.join(SNAPSHOT_FILE))));
    findings.extend(feeds(data).iter().map(|path| ("feed", file(path))));
    findings.into_iter().map(|(name, check)| (name.to_owned(), check)).collect()
}

/// Follows the chain of records from the first that is kept to the last.
fn replay(medium: &Medium) -> Result<Journal, DiskError> {
    let journal = Journal::open(medium)?;
    let first = journal.first()?;
    journal.replay(first - 1, |_| Ok::<_, DiskError>(()))?;
    let stands = journal.checkpoint()?.map_or(0, |checkpoint| checkpoint.generation);
    if stands + 1 < first {
        let why = format!("the records before generation {first} are missing");
        return Err(DiskError::damaged(journal::FILE, why));
    }
    Ok(journal)
}

fn extent(journal: &Journal) -> Check {
    let last = journal.generation();
    match journal.first() {
        Ok(1) => Check::healthy(format!("{last} generations, unbroken")),
        Ok(first) => {
            Check::healthy(format!("generations {first} to {last}, unbroken, and a checkpoint before"))
        }
        Err(error) => of_error(&error),
    }
}

fn of_error(error: &DiskError) -> Check {
    Check::unhealthy(error.to_string(), engine::cure(error))
}

fn store(medium: &Medium, journal: Option<&Journal>) -> Check {
    if !medium.path().join(store::FILE).exists() {
        return Check::healthy("not there; the next start makes it from the journal");
    }
    match seen(medium, journal) {
        Err(error) => of_error(&error),
        Ok(seen) => Check::healthy(format!("whole, at generation {seen}")),
    }
}

/// The last generation that the store took in, if it was of this journal; opening it checks every
/// page.
fn seen(medium: &Medium, journal: Option<&Journal>) -> Result<u64, DiskError> {
    let projection = Projection::open(medium)?;
    journal.map_or(Ok(()), |journal| engine::compare(journal, &projection))?;
    projection.generation()
}

/// A file that ends in its own digest, and that the service makes anew when it is wrong.
fn file(path: &Path) -> Check {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match read_footed(path) {
        Ok(Some(_)) => Check::healthy(format!("{name} is whole")),
        Ok(None) => Check::healthy("not there; the next start makes it"),
        Err(error) => Check::degraded(error.to_string(), "nothing to do: the next start makes it anew"),
    }
}

fn feeds(data: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(data.join("feeds")) else { return Vec::new() };
    let mut feeds: Vec<PathBuf> = found.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    feeds.retain(|path| path.extension().is_some_and(|extension| extension == "feed"));
    feeds.sort();
    feeds
}

/// Puts a damaged store aside and makes it anew from the journal; says what was done.
///
/// # Errors
/// The journal itself is damaged, or the disk fails; the store is then where it was, or aside.
pub(super) fn rebuild(settings: &Settings) -> anyhow::Result<String> {
    let medium = Medium::folder(&settings.data);
    ensure!(settings.data.join(journal::FILE).exists(), "there is no journal in {}", settings.data.display());
    let journal = replay(&medium).context("there is nothing to rebuild from; restore a backup")?;
    let path = settings.data.join(store::FILE);
    match seen(&medium, Some(&journal)) {
        Ok(seen) => return Ok(format!("the store is whole, at generation {seen}")),
        Err(DiskError::Damaged { what, .. } | DiskError::Version { what, .. })
            if what.ends_with(store::FILE) => {}
        Err(error) => return Err(error).context("the store is not what has to be made anew"),
    }
    // The engine opens it itself.
    drop(journal);
    let time = chrono::Utc::now().format("%Y%m%dT%H%M%SZ");
    let aside = settings.data.join(format!("{}.damaged-{time}", store::FILE));
    fs::rename(&path, &aside).with_context(|| path.display().to_string())?;
    let engine = Engine::open(folder::options(settings))?;
    let (generation, condition) = (engine.snapshot().generation, engine.condition());
    engine.stop();
    if let Condition::ReadOnly { why, cure } = condition {
        bail!("{why}; {cure}");
    }
    Ok(format!("the store was made anew, at generation {generation}; the damaged one is {}", aside.display()))
}
