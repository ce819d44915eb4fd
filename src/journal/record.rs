//! A record as bytes: its form, a head that says who, when, why and how much, then its steps; packed
//! listings, JSON for what is small; the whole compressed with zstd. The head can be read by itself.

use crate::codec::{Damaged, Reader, Writer, get_rows, put_rows};
use crate::disk::Digest;
use crate::model::{Cause, Difference, Op, Receipt, Record, SourceId, Time};
use std::io::{self, Read};
use uuid::Uuid;

/// The first byte of every record; another form gets another number.
const FORM: u8 = 3;
/// Level 1 takes a third of the time of level 3, for a tenth more bytes.
const ZSTD_LEVEL: i32 = 1;
/// No head is longer: a change takes a few bytes, and there are at most two for each source.
const MAX_HEAD: u32 = 8 << 20;
/// No record unpacks to more than this: 10 million listings with a long text each.
const MAX_BYTES: u64 = 4 << 30;

const SOURCE: u8 = 0;
const LISTINGS: u8 = 1;
const ALLOWS: u8 = 2;
const SUPPRESSIONS: u8 = 3;
const OUTPUTS: u8 = 4;

/// What kind of thing a step changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A source itself.
    Source,
    /// What a source lists.
    Listings,
    /// The allowlist.
    Allows,
    /// The suppressions.
    Suppressions,
    /// Feeds and devices.
    Outputs,
}

/// How much one step changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Of what.
    pub what: What,
    /// Of which source, if it is about one.
    pub source: Option<SourceId>,
    /// Rows that went.
    pub removed: u64,
    /// Rows that came.
    pub added: u64,
}

impl Counted {
    fn new(op: &Op) -> Self {
        let (what, source, removed, added) = match op {
            Op::Source(source) => (What::Source, Some(source.id), 0, 1),
            Op::Listings { source, difference } => {
                (What::Listings, Some(*source), difference.removed.len(), difference.added.len())
            }
            Op::Allows { removed, added } => (What::Allows, None, removed.len(), added.len()),
            Op::Suppressions { removed, added } => (What::Suppressions, None, removed.len(), added.len()),
            Op::Outputs { removed, added } => (What::Outputs, None, removed.len(), added.len()),
        };
        Self { what, source, removed: removed as u64, added: added as u64 }
    }
}

/// A record without its listings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The generation it made.
    pub generation: u64,
    /// The batch's id.
    pub batch: Uuid,
    /// When, by the wall clock.
    pub time: Time,
    /// The last moment that was believed then.
    pub sure: Time,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What kind of event.
    pub cause: Cause,
    /// The digest over this record and all before it.
    pub digest: Digest,
    /// What its steps changed.
    pub changes: Vec<Counted>,
}

/// Packs a record.
pub(super) fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let head = head(record)?;
    let length = u32::try_from(head.len()).ok().filter(|length| *length <= MAX_HEAD);
    let length = length.ok_or_else(|| io::Error::other("a record has too many steps"))?;
    let mut writer = Writer::default();
    writer.byte(FORM);
    writer.raw(&length.to_be_bytes());
    writer.raw(&head);
    for op in &record.ops {
        put_op(&mut writer, op)?;
    }
    zstd::bulk::compress(&writer.into_bytes(), ZSTD_LEVEL)
}

fn head(record: &Record) -> io::Result<Vec<u8>> {
    let mut writer = Writer::default();
    writer.number(record.generation);
    writer.raw(record.batch.as_bytes());
    writer.signed(record.time.unix());
    writer.bytes(record.actor.as_bytes());
    writer.bytes(record.reason.as_bytes());
    writer.json(&record.cause)?;
    writer.count(record.ops.len());
    for Counted { what, source, removed, added } in record.ops.iter().map(Counted::new) {
        writer.byte(kind(what));
        if let Some(source) = source {
            writer.number(source.0);
        }
        writer.number(removed);
        writer.number(added);
    }
    writer.signed(record.sure.unix());
    Ok(writer.into_bytes())
}

const fn kind(what: What) -> u8 {
    match what {
        What::Source => SOURCE,
        What::Listings => LISTINGS,
        What::Allows => ALLOWS,
        What::Suppressions => SUPPRESSIONS,
        What::Outputs => OUTPUTS,
    }
}

fn put_op(writer: &mut Writer, op: &Op) -> io::Result<()> {
    match op {
        Op::Source(source) => {
            writer.byte(SOURCE);
            Ok(writer.json(source)?)
        }
        Op::Listings { source, difference } => {
            writer.byte(LISTINGS);
            writer.number(source.0);
            put_rows(writer, &difference.removed);
            put_rows(writer, &difference.added);
            Ok(())
        }
        Op::Allows { removed, added } => {
            writer.byte(ALLOWS);
            Ok(writer.json(&(removed, added))?)
        }
        Op::Suppressions { removed, added } => {
            writer.byte(SUPPRESSIONS);
            Ok(writer.json(&(removed, added))?)
        }
        Op::Outputs { removed, added } => {
            writer.byte(OUTPUTS);
            Ok(writer.json(&(removed, added))?)
        }
    }
}

/// Unpacks a record.
pub(super) fn decode(body: &[u8]) -> io::Result<Record> {
    let mut unpacked = zstd::stream::read::Decoder::new(body)?;
    let summary = get_head(&mut unpacked, [0; 32])?;
    let mut raw = Vec::new();
    unpacked.take(MAX_BYTES).read_to_end(&mut raw)?;
    let mut reader = Reader::new(&raw);
    let ops: Result<_, Damaged> = summary.changes.iter().map(|_| get_op(&mut reader)).collect();
    let Summary { generation, batch, time, sure, actor, reason, cause, .. } = summary;
    Ok(Record { generation, batch, time, sure, actor, reason, cause, ops: ops.map_err(io::Error::other)? })
}

/// The head of a sealed record; what comes behind it is not unpacked.
pub(super) fn summary(sealed: &[u8]) -> io::Result<Summary> {
    let (digest, body) = sealed.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
    get_head(&mut zstd::stream::read::Decoder::new(body)?, *digest)
}

fn get_head(unpacked: &mut impl Read, digest: Digest) -> io::Result<Summary> {
    let mut front = [0; 5];
    unpacked.read_exact(&mut front)?;
    let [form, length @ ..] = front;
    let length = u32::from_be_bytes(length);
    if form != FORM || length > MAX_HEAD {
        return Err(io::Error::other(Damaged("a record has an unknown form")));
    }
    let mut head = vec![0; length as usize];
    unpacked.read_exact(&mut head)?;
    get_summary(&mut Reader::new(&head), digest).map_err(io::Error::other)
}

fn get_summary(reader: &mut Reader, digest: Digest) -> Result<Summary, Damaged> {
    let mut summary = Summary {
        generation: reader.number()?,
        batch: Uuid::from_bytes(reader.array()?),
        time: Time::from_unix(reader.signed()?),
        sure: Time::default(),
        actor: reader.text()?.to_owned(),
        reason: reader.text()?.to_owned(),
        cause: reader.json()?,
        digest,
        changes: (0..reader.count()?).map(|_| get_counted(reader)).collect::<Result<_, _>>()?,
    };
    // Records that were made before this was told end here.
    summary.sure = if reader.is_empty() { summary.time } else { Time::from_unix(reader.signed()?) };
    Ok(summary)
}

fn get_counted(reader: &mut Reader) -> Result<Counted, Damaged> {
    let kind = reader.byte()?;
    let what = match kind {
        SOURCE => What::Source,
        LISTINGS => What::Listings,
        ALLOWS => What::Allows,
        SUPPRESSIONS => What::Suppressions,
        OUTPUTS => What::Outputs,
        _ => return Err(Damaged("a record has an unknown step")),
    };
    let is_of_source = matches!(what, What::Source | What::Listings);
    let source = is_of_source.then(|| reader.fitting().map(SourceId)).transpose()?;
    Ok(Counted { what, source, removed: reader.number()?, added: reader.number()? })
}

fn get_op(reader: &mut Reader) -> Result<Op, Damaged> {
    match reader.byte()? {
        SOURCE => Ok(Op::Source(reader.json()?)),
        LISTINGS => Ok(Op::Listings {
            source: SourceId(reader.fitting()?),
            difference: Difference { removed: get_rows(reader)?, added: get_rows(reader)? },
        }),
        ALLOWS => reader.json().map(|(removed, added)| Op::Allows { removed, added }),
        SUPPRESSIONS => reader.json().map(|(removed, added)| Op::Suppressions { removed, added }),
        OUTPUTS => reader.json().map(|(removed, added)| Op::Outputs { removed, added }),
        _ => Err(Damaged("a record has an unknown step")),
    }
}

/// A receipt as bytes.
pub(super) fn receipt_bytes(receipt: &Receipt) -> Vec<u8> {
    let mut writer = Writer::default();
    let Receipt { generation, added, changed, removed, unchanged, expired } = *receipt;
    for number in [generation, added, changed, removed, unchanged, expired] {
        writer.number(number);
    }
    writer.into_bytes()
}

/// A receipt from its bytes.
pub(super) fn receipt_from(bytes: &[u8]) -> Option<Receipt> {
    let mut reader = Reader::new(bytes);
    let mut next = || reader.number().ok();
    Some(Receipt {
        generation: next()?,
        added: next()?,
        changed: next()?,
        removed: next()?,
        unchanged: next()?,
        expired: next()?,
    })
}

/// The journal's head as bytes.
pub(super) fn head_bytes((generation, digest): (u64, Digest)) -> Vec<u8> {
    [generation.to_be_bytes().as_slice(), &digest].concat()
}

/// The journal's head from its bytes.
pub(super) fn head_from(bytes: &[u8]) -> Option<(u64, Digest)> {
    let (generation, digest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*generation), digest.try_into().ok()?))
}
