//! The snapshot file: a generation as bytes with a digest, read back faster than any store, and
//! still readable when the stores are damaged.

use super::classes::Classes;
use super::coverage::Coverage;
use super::derive::Derivation;
use super::snapshot::Snapshot;
use crate::addr::{Class, Range, Run, Table, Word};
use crate::codec::{Damaged, Reader, Writer};
use crate::disk::{Digest, DiskError, read_footed, write_footed};
use crate::model::{Allow, Exemptions, Output, Source, SourceId, Suppression, Time};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The name in the data folder.
pub const FILE: &str = "snapshot.bin";
/// The first bytes: what it is, and in which form.
const MAGIC: &[u8] = b"ironlist snapshot 4\n";

/// Everything that is small.
#[derive(Serialize, Deserialize)]
struct Head {
    generation: u64,
    /// The journal's digest at that generation: a snapshot of another journal is not believed.
    journal: Digest,
    time: Time,
    /// None in a file that was written before it was told.
    #[serde(default)]
    sure: Option<Time>,
    sources: Vec<Source>,
    allows: Vec<Allow>,
    suppressions: Vec<Suppression>,
    outputs: Vec<Output>,
    /// The pair behind each class in use, [`Class::CLEAR`] first.
    classes: Vec<(Vec<SourceId>, u8)>,
}

/// Writes `snapshot` as the file `path`.
///
/// # Errors
/// A fault of the disk; the file is as it was.
pub(super) fn save(path: &Path, snapshot: &Snapshot, journal: Digest) -> Result<(), DiskError> {
    let mut renumber = Renumber::default();
    let mut body = Writer::default();
    put_runs(&mut body, snapshot.table.v4.runs(), &mut renumber);
    put_runs(&mut body, snapshot.table.v6.runs(), &mut renumber);
    put_coverage(&mut body, &snapshot.coverage).map_err(|e| DiskError::io(FILE, e))?;
    let pair = |class: &Class| {
        let standing = snapshot.standing(*class);
        (standing.ids.to_vec(), standing.exemptions.bits())
    };
    let head = Head {
        generation: snapshot.generation,
        journal,
        time: snapshot.time,
        sure: Some(snapshot.sure),
        sources: snapshot.sources.values().cloned().collect(),
        allows: snapshot.allows.to_vec(),
        suppressions: snapshot.suppressions.to_vec(),
        outputs: snapshot.outputs.to_vec(),
        classes: renumber.order.iter().map(pair).collect(),
    };
    let mut front = Writer::default();
    front.raw(MAGIC);
    front.bytes(&serde_json::to_vec(&head).map_err(|e| DiskError::io(FILE, e.into()))?);
    write_footed(path, &[&front.into_bytes(), &body.into_bytes()]).map(drop)
}

/// Reads the file `path`; `None` if there is none. Answers the state, and the journal's digest.
///
/// # Errors
/// [`DiskError::Damaged`] or a fault of the disk.
pub(super) fn load(path: &Path, zone: chrono_tz::Tz) -> Result<Option<(Derivation, Digest)>, DiskError> {
    let Some(file) = read_footed(path)? else { return Ok(None) };
    get(&file.bytes, zone).map(Some).map_err(|e| DiskError::damaged(path.display().to_string(), e))
}

fn get(bytes: &[u8], zone: chrono_tz::Tz) -> Result<(Derivation, Digest), Damaged> {
    let mut reader = Reader::new(bytes);
    if reader.raw(MAGIC.len())? != MAGIC {
        return Err(Damaged("it is no snapshot of this form"));
    }
    let head: Head = serde_json::from_slice(reader.bytes()?).map_err(|_| Damaged("its head is bad JSON"))?;
    let mut classes = Classes::new();
    head.sources.iter().for_each(|source| classes.name(source.id, &source.name));
    let known: Vec<Class> = head
        .classes
        .into_iter()
        .map(|(ids, exemptions)| classes.number(ids.into(), Exemptions::from_bits(exemptions)))
        .collect();
    let empty = Table::default();
    let table = Table {
        v4: empty.v4.next(&get_runs(&mut reader, &known)?, |class, _| *class),
        v6: empty.v6.next(&get_runs(&mut reader, &known)?, |class, _| *class),
    };
    let snapshot = Snapshot {
        generation: head.generation,
        time: head.time,
        sure: head.sure.unwrap_or(head.time),
        zone,
        table,
        standings: classes.standings(),
        sources: Arc::new(head.sources.into_iter().map(|source| (source.id, source)).collect()),
        coverage: Arc::new(get_coverage(&mut reader)?),
        allows: Arc::new(head.allows),
        suppressions: Arc::new(head.suppressions),
        outputs: Arc::new(head.outputs),
    };
    Ok((Derivation { snapshot, classes }, head.journal))
}

/// Numbers classes anew in the order of their first use, so that those no longer used are left.
#[derive(Default)]
struct Renumber {
    order: Vec<Class>,
    numbers: Vec<Option<u32>>,
}

impl Renumber {
    fn number(&mut self, class: Class) -> u32 {
        if self.numbers.len() <= class.index() {
            self.numbers.resize(class.index() + 1, None);
        }
        let next = self.order.len() as u32;
        let slot = &mut self.numbers[class.index()];
        if slot.is_none() {
            self.order.push(class);
        }
        *slot.get_or_insert(next)
    }
}

fn put_runs<W: Word>(writer: &mut Writer, runs: impl Iterator<Item = Run<W>>, renumber: &mut Renumber) {
    // The count comes after the runs are known, so they are written apart first.
    let mut packed = Writer::default();
    let (mut count, mut before) = (0_usize, 0_u128);
    for (range, class) in runs {
        let (first, last) = (range.first().widen(), range.last().widen());
        packed.number(first - before);
        packed.number(last - first);
        packed.number(renumber.number(class));
        before = last;
        count += 1;
    }
    writer.count(count);
    writer.raw(&packed.into_bytes());
}

fn get_runs<W: Word>(reader: &mut Reader, known: &[Class]) -> Result<Vec<Run<W>>, Damaged> {
    let count = reader.count()?;
    let mut runs = Vec::with_capacity(count);
    let mut before = 0_u128;
    for _ in 0..count {
        let first = before.checked_add(reader.wide()?).ok_or(Damaged("a run begins too high"))?;
        let last = first.checked_add(reader.wide()?).filter(|last| *last <= W::MAX.widen());
        let last = last.ok_or(Damaged("a run ends too high"))?;
        let class = *known.get(reader.fitting::<usize>()?).ok_or(Damaged("a run has no class"))?;
        let range = Range::new(W::narrow(first), W::narrow(last)).ok_or(Damaged("a run is reversed"))?;
        runs.push((range, class));
        before = last;
    }
    // Equal firsts are possible only for damaged data: a run begins after the one before ended.
    let disjoint = runs.windows(2).all(|pair| pair[0].0.last() < pair[1].0.first());
    if disjoint { Ok(runs) } else { Err(Damaged("runs overlap")) }
}

fn put_coverage(writer: &mut Writer, all: &BTreeMap<SourceId, Arc<Coverage>>) -> std::io::Result<()> {
    writer.count(all.len());
    for (source, coverage) in all {
        writer.number(source.0);
        let mut singles = Vec::with_capacity(coverage.singles.serialized_size());
        coverage.singles.serialize_into(&mut singles)?;
        writer.bytes(&singles);
        put_ranges(writer, &coverage.wide);
        put_ranges(writer, &coverage.v6);
    }
    Ok(())
}

fn get_coverage(reader: &mut Reader) -> Result<BTreeMap<SourceId, Arc<Coverage>>, Damaged> {
    let mut all = BTreeMap::new();
    for _ in 0..reader.count()? {
        let source = SourceId(reader.fitting()?);
        let singles = RoaringBitmap::deserialize_from(reader.bytes()?);
        let singles = singles.map_err(|_| Damaged("a bitmap does not read"))?;
        let coverage = Coverage { singles, wide: get_ranges(reader)?, v6: get_ranges(reader)? };
        all.insert(source, Arc::new(coverage));
    }
    Ok(all)
}

fn put_ranges<W: Word>(writer: &mut Writer, ranges: &[Range<W>]) {
    writer.count(ranges.len());
    let mut before = 0_u128;
    for range in ranges {
        let (first, last) = (range.first().widen(), range.last().widen());
        writer.number(first - before);
        writer.number(last - first);
        before = first;
    }
}

fn get_ranges<W: Word>(reader: &mut Reader) -> Result<Vec<Range<W>>, Damaged> {
    let mut before = 0_u128;
    (0..reader.count()?)
        .map(|_| {
            let first = before.checked_add(reader.wide()?).ok_or(Damaged("a range begins too high"))?;
            let last = first.checked_add(reader.wide()?).filter(|last| *last <= W::MAX.widen());
            let last = last.ok_or(Damaged("a range ends too high"))?;
            before = first;
            Range::new(W::narrow(first), W::narrow(last)).ok_or(Damaged("a range is reversed"))
        })
        .collect()
}
