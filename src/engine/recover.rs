//! From what lies on the disk to a running engine.

use super::archive;
use super::derive::{Derivation, Within};
use super::snapshot::Snapshot;
use crate::addr::IpRange;
use crate::disk::{Digest, DiskError, Medium};
use crate::journal::{self, Journal};
use crate::model::{Difference, Op, Record, RowsBuilder, SourceId, Time};
use crate::store::{self, Projection, Tables, View};
use std::fs;
use std::path::Path;

/// What the snapshot file holds, and the journal's digest that it names.
type Loaded = Result<Option<(Derivation, Digest)>, DiskError>;

/// Takes into the projection the records it has not seen.
pub(super) fn catch_up_projection(
    journal: &Journal,
    projection: &Projection,
    zone: chrono_tz::Tz,
) -> Result<(), DiskError> {
    compare(journal, projection)?;
    if projection.generation()? + 1 < journal.first()? {
        restore(journal, projection)?;
    }
    let seen = projection.generation()?;
    if seen == journal.generation() {
        return Ok(());
    }
    journal.replay(seen, |record| projection.update(|update| update.apply(&record, zone).map(Ok)))?;
    projection.update(|update| update.remember(journal.generation(), &journal.digest()).map(Ok))
}

/// Begins the projection anew from the last checkpoint, where records that it has not seen are gone.
fn restore(journal: &Journal, projection: &Projection) -> Result<(), DiskError> {
    match journal.checkpoint()? {
        Some(mut checkpoint) if checkpoint.generation + 1 >= journal.first()? => {
            projection.restore(&mut checkpoint.state, (checkpoint.generation, checkpoint.digest))?;
            compare(journal, projection)
        }
        _ => {
            let why = format!("the records before generation {} are missing", journal.first()?);
            Err(DiskError::damaged(journal::FILE, why))
        }
    }
}

/// Checks that the projection was made from this journal and is not ahead of it.
///
/// # Errors
/// [`DiskError::Damaged`] when it is another's: somebody has put an older or a foreign journal
/// beside it.
pub fn compare(journal: &Journal, projection: &Projection) -> Result<(), DiskError> {
    let (seen, last) = (projection.generation()?, journal.generation());
    if seen > last {
        return Err(behind(journal, store::FILE, seen));
    }
    match projection.journal()? {
        // What is older than all records is replaced by the checkpoint anyway.
        Some((generation, _)) if generation + 1 < journal.first()? => Ok(()),
        Some((generation, digest)) if generation > last || journal.digest_at(generation)? != digest => {
            let why = format!("generation {generation} of this journal is not the one that it has seen");
            Err(DiskError::damaged(store::FILE, why))
        }
        _ => Ok(()),
    }
}

/// What was made from records of a journal is ahead of it: records are lost.
fn behind(journal: &Journal, file: &str, seen: u64) -> DiskError {
    let last = journal.generation();
    DiskError::damaged(journal::FILE, format!("it ends at generation {last}, and {file} has seen {seen}"))
}

/// Takes into the derivation the records it has not seen. The projection must be ahead already.
pub(super) fn catch_up_derivation(
    journal: &Journal,
    projection: &Projection,
    derivation: &mut Derivation,
) -> Result<(), DiskError> {
    let seen = derivation.snapshot.generation;
    if seen + 1 < journal.first()? {
        *derivation = from_projection(journal, projection, derivation.snapshot.zone)?;
        return Ok(());
    }
    if seen == journal.generation() {
        return Ok(());
    }
    journal.replay(seen, |record| projection.view(|view| derivation.advance(&record, view)))
}

/// The derivation at the journal's end: from the snapshot file where that fits, else from the
/// projection. The projection must have caught up. Says whether the file `path` is of that
/// generation.
fn derivation(
    journal: &Journal,
    projection: &Projection,
    path: &Path,
    loaded: Loaded,
    zone: chrono_tz::Tz,
) -> Result<(Derivation, bool), DiskError> {
    match loaded {
        Ok(Some((mut derivation, digest))) => {
            let generation = derivation.snapshot.generation;
            if generation > journal.generation() {
                return Err(behind(journal, archive::FILE, generation));
            }
            if generation + 1 < journal.first()? {
                tracing::info!(generation, "the snapshot file is older than all records; making it anew");
                return Ok((from_projection(journal, projection, zone)?, false));
            }
            if journal.digest_at(generation)? == digest {
                catch_up_derivation(journal, projection, &mut derivation)?;
                return Ok((derivation, generation == journal.generation()));
            }
            // It may be the last copy of what another journal held.
            let aside = path.with_extension("other");
            fs::rename(path, &aside).map_err(|error| DiskError::io(path.display().to_string(), error))?;
            tracing::warn!(kept = %aside.display(), "the snapshot file is of another journal; making it anew");
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the snapshot file is of no use; making it anew"),
    }
    Ok((from_projection(journal, projection, zone)?, false))
}

/// Builds the derivation from the listings and policy in the projection, as one made-up record.
fn from_projection(
    journal: &Journal,
    projection: &Projection,
    zone: chrono_tz::Tz,
) -> Result<Derivation, DiskError> {
    let mut derivation = Derivation::empty(zone);
    let (time, sure) = (journal.last_time()?, journal.last_sure()?);
    projection.view(|view| {
        let mut ops: Vec<Op> = view.sources()?.into_iter().map(Op::Source).collect();
        ops.push(Op::Suppressions { removed: Vec::new(), added: view.suppressions()? });
        ops.push(Op::Allows { removed: Vec::new(), added: view.allows()? });
        ops.push(Op::Outputs { removed: Vec::new(), added: view.outputs()? });
        let record = Record { ops, ..whole(journal.generation(), time, sure) };
        derivation.advance(&record, &Nothing).unwrap_or_else(|never| match never {});
        for source in view.sources()? {
            let mut added = RowsBuilder::default();
            view.each_listing(source.id, |range, detail| {
                added.push(range, detail);
                Ok(())
            })?;
            let difference = Difference { added: added.finish().0, ..Difference::default() };
            let ops = vec![Op::Listings { source: source.id, difference }];
            let record = Record { ops, ..whole(journal.generation(), time, sure) };
            derivation.advance(&record, &Nothing).unwrap_or_else(|never| match never {});
        }
        Ok(())
    })?;
    Ok(derivation)
}

fn whole(generation: u64, time: Time, sure: Time) -> Record {
    Record {
        generation,
        batch: uuid::Uuid::nil(),
        time,
        sure,
        actor: String::new(),
        reason: String::new(),
        cause: crate::model::Cause::Run,
        ops: Vec::new(),
    }
}

/// Before any listing is taken in, no suppression can end one.
struct Nothing;

impl Within for Nothing {
    type Error = std::convert::Infallible;
    fn within(&self, _: SourceId, _: IpRange) -> Result<Vec<IpRange>, Self::Error> {
        Ok(Vec::new())
    }
}

impl<T: Tables> Within for View<'_, T> {
    type Error = redb::Error;
    fn within(&self, source: SourceId, range: IpRange) -> Result<Vec<IpRange>, redb::Error> {
        Ok(match range {
            IpRange::V4(range) => View::within(self, source, range)?.into_iter().map(IpRange::V4).collect(),
            IpRange::V6(range) => View::within(self, source, range)?.into_iter().map(IpRange::V6).collect(),
        })
    }
}

/// The stores of a data folder, opened and brought to the journal's end.
pub(super) struct Recovered {
    pub(super) journal: Journal,
    pub(super) projection: Projection,
    pub(super) derivation: Derivation,
    /// Whether the snapshot file is of this generation.
    pub(super) archived: bool,
}

/// Why the stores could not be opened, and what there is to serve all the same.
pub(super) struct Unrecovered {
    pub(super) error: DiskError,
    /// What the snapshot file holds.
    pub(super) last: Option<Box<Snapshot>>,
}

/// Opens the stores while the snapshot file is read on another core.
///
/// # Errors
/// What failed, and what the snapshot file held all the same.
pub(super) fn recover(medium: &Medium, zone: chrono_tz::Tz) -> Result<Recovered, Unrecovered> {
    let path = medium.path().join(archive::FILE);
    let (stores, loaded) = std::thread::scope(|scope| {
        let loading = scope.spawn(|| archive::load(&path, zone));
        let stores = open(medium, zone);
        let loaded =
            loading.join().unwrap_or_else(|_| Err(DiskError::damaged(archive::FILE, "reading it panicked")));
        (stores, loaded)
    });
    let last = loaded.as_ref().ok().and_then(|loaded| Some(loaded.as_ref()?.0.snapshot.clone()));
    let recovered = stores.and_then(|(journal, projection)| {
        let (derivation, archived) = derivation(&journal, &projection, &path, loaded, zone)?;
        Ok(Recovered { journal, projection, derivation, archived })
    });
    recovered.map_err(|error| Unrecovered { error, last: last.map(Box::new) })
}

fn open(medium: &Medium, zone: chrono_tz::Tz) -> Result<(Journal, Projection), DiskError> {
    let journal = Journal::open(medium)?;
    let projection = Projection::open(medium)?;
    catch_up_projection(&journal, &projection, zone)?;
    Ok((journal, projection))
}
