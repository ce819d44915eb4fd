//! A record as bytes: a fixed head, then its steps; packed listings, JSON for what is small; the
//! whole compressed with zstd.

use crate::codec::{Damaged, Reader, Writer, get_rows, put_rows};
use crate::disk::Digest;
use crate::model::{Difference, Op, Receipt, Record, SourceId, Time};
use std::io::{self, Read};
use uuid::Uuid;

/// The first byte of every record; another form gets another number.
const FORM: u8 = 2;
/// Level 1 takes a third of the time of level 3, for a tenth more bytes.
const ZSTD_LEVEL: i32 = 1;
/// No record unpacks to more than this: 10 million listings with a long text each.
const MAX_BYTES: u64 = 4 << 30;

const SOURCE: u8 = 0;
const LISTINGS: u8 = 1;
const ALLOWS: u8 = 2;
const SUPPRESSIONS: u8 = 3;

/// Packs a record.
pub(super) fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let mut writer = Writer::default();
    writer.byte(FORM);
    writer.number(record.generation);
    writer.raw(record.batch.as_bytes());
    writer.signed(record.time.unix());
    writer.bytes(record.actor.as_bytes());
    writer.bytes(record.reason.as_bytes());
    writer.json(&record.cause)?;
    writer.count(record.ops.len());
    for op in &record.ops {
        put_op(&mut writer, op)?;
    }
    zstd::bulk::compress(&writer.into_bytes(), ZSTD_LEVEL)
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
    }
}

/// Unpacks a record.
pub(super) fn decode(body: &[u8]) -> io::Result<Record> {
    let mut raw = Vec::new();
    zstd::stream::read::Decoder::new(body)?.take(MAX_BYTES).read_to_end(&mut raw)?;
    get_record(&mut Reader::new(&raw)).map_err(io::Error::other)
}

fn get_record(reader: &mut Reader) -> Result<Record, Damaged> {
    if reader.byte()? != FORM {
        return Err(Damaged("a record has an unknown form"));
    }
    Ok(Record {
        generation: reader.number()?,
        batch: Uuid::from_bytes(reader.array()?),
        time: Time::from_unix(reader.signed()?),
        actor: reader.text()?.to_owned(),
        reason: reader.text()?.to_owned(),
        cause: reader.json()?,
        ops: (0..reader.count()?).map(|_| get_op(reader)).collect::<Result<_, _>>()?,
    })
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
