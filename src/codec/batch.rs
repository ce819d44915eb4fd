//! A batch as bytes, for a writer in another process: rows packed, JSON for what is small.

use super::{Damaged, Reader, Writer, get_rows, put_rows};
use crate::model::{Batch, Change};
use uuid::Uuid;

/// The first byte; another form gets another number.
const FORM: u8 = 1;

const LIST: u8 = 0;
const UNLIST: u8 = 1;
const DESCRIBE: u8 = 2;
const SEEN: u8 = 3;
const ALLOW: u8 = 4;
const DISALLOW: u8 = 5;
const SUPPRESS: u8 = 6;
const UNSUPPRESS: u8 = 7;
const EXPIRE: u8 = 8;
const PUBLISH: u8 = 9;
const WITHDRAW: u8 = 10;
const RESTORE: u8 = 11;
const RELEASE: u8 = 12;

/// Packs a batch; linear in its rows.
///
/// # Errors
/// None of a batch that holds what its types allow.
pub fn put_batch(writer: &mut Writer, batch: &Batch) -> Result<(), serde_json::Error> {
    writer.byte(FORM);
    writer.raw(batch.id.as_bytes());
    writer.bytes(batch.actor.as_bytes());
    writer.bytes(batch.reason.as_bytes());
    writer.json(&batch.cause)?;
    put_change(writer, &batch.change)
}

fn put_change(writer: &mut Writer, change: &Change) -> Result<(), serde_json::Error> {
    match change {
        Change::List { source, rows, scope } => {
            writer.byte(LIST);
            writer.json(&(source, scope))?;
            put_rows(writer, rows);
            Ok(())
        }
        Change::Unlist { source, ranges } => {
            writer.byte(UNLIST);
            writer.json(&(source, ranges))
        }
        Change::Describe { source, policy } => {
            writer.byte(DESCRIBE);
            writer.json(&(source, policy))
        }
        Change::Seen { source } => {
            writer.byte(SEEN);
            writer.json(source)
        }
        Change::Restore { source, rows, generation } => {
            writer.byte(RESTORE);
            writer.json(&(source, generation))?;
            put_rows(writer, rows);
            Ok(())
        }
        Change::Release { source } => {
            writer.byte(RELEASE);
            writer.json(source)
        }
        Change::Allow(allow) => {
            writer.byte(ALLOW);
            writer.json(allow)
        }
        Change::Disallow(range) => {
            writer.byte(DISALLOW);
            writer.json(range)
        }
        Change::Suppress(suppression) => {
            writer.byte(SUPPRESS);
            writer.json(suppression)
        }
        Change::Unsuppress { range, source } => {
            writer.byte(UNSUPPRESS);
            writer.json(&(range, source))
        }
        Change::Publish(output) => {
            writer.byte(PUBLISH);
            writer.json(output)
        }
        Change::Withdraw(key) => {
            writer.byte(WITHDRAW);
            writer.json(key)
        }
        Change::Expire => {
            writer.byte(EXPIRE);
            Ok(())
        }
    }
}

/// Reads what [`put_batch`] wrote, and that nothing follows it.
///
/// # Errors
/// [`Damaged`].
pub fn get_batch(reader: &mut Reader) -> Result<Batch, Damaged> {
    if reader.byte()? != FORM {
        return Err(Damaged("a batch has an unknown form"));
    }
    let batch = Batch {
        id: Uuid::from_bytes(reader.array()?),
        actor: reader.text()?.to_owned(),
        reason: reader.text()?.to_owned(),
        cause: reader.json()?,
        change: get_change(reader)?,
    };
    if reader.is_empty() { Ok(batch) } else { Err(Damaged("something follows a batch")) }
}

fn get_change(reader: &mut Reader) -> Result<Change, Damaged> {
    Ok(match reader.byte()? {
        LIST => {
            let (source, scope) = reader.json()?;
            Change::List { source, scope, rows: get_rows(reader)? }
        }
        UNLIST => reader.json().map(|(source, ranges)| Change::Unlist { source, ranges })?,
        DESCRIBE => reader.json().map(|(source, policy)| Change::Describe { source, policy })?,
        SEEN => reader.json().map(|source| Change::Seen { source })?,
        RESTORE => {
            let (source, generation) = reader.json()?;
            Change::Restore { source, generation, rows: get_rows(reader)? }
        }
        RELEASE => reader.json().map(|source| Change::Release { source })?,
        ALLOW => reader.json().map(Change::Allow)?,
        DISALLOW => reader.json().map(Change::Disallow)?,
        SUPPRESS => reader.json().map(Change::Suppress)?,
        UNSUPPRESS => reader.json().map(|(range, source)| Change::Unsuppress { range, source })?,
        PUBLISH => reader.json().map(Change::Publish)?,
        WITHDRAW => reader.json().map(Change::Withdraw)?,
        EXPIRE => Change::Expire,
        _ => return Err(Damaged("a batch wants what is unknown")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::model::{
        Allow, Cause, Day, Detail, Output, Policy, Profile, RowsBuilder, Scope, SourceName, Suppression, Time,
    };
    use proptest::prelude::*;

    fn changes() -> Vec<Change> {
        let source: SourceName = "regtech".parse().unwrap();
        let range: IpRange = "20.0.0.0-20.0.0.9".parse().unwrap();
        let (reason, owner) = ("왜".to_owned(), "me".to_owned());
        let (expires, since) = (Some(Time::from_unix(7)), Time::from_unix(-7));
        let mut rows = RowsBuilder::default();
        rows.push(range, &Detail { reason: Some("scan".into()), ..Detail::default() });
        rows.push("2a00::/32".parse().unwrap(), &Detail::default());
        let rows = rows.finish().0;
        let output = Output::Feed(Profile::new("edge".parse().unwrap()));
        let list = |scope| Change::List { source: source.clone(), rows: rows.clone(), scope };
        vec![
            list(Scope::Part),
            list(Scope::Whole),
            list(Scope::Window { first: Day::from_number(20_000), last: Day::from_number(20_006) }),
            Change::Unlist { source: source.clone(), ranges: vec![range] },
            Change::Describe { source: source.clone(), policy: Policy::default() },
            Change::Seen { source: source.clone() },
            Change::Restore { source: source.clone(), rows: rows.clone(), generation: 7 },
            Change::Release { source: source.clone() },
            Change::Allow(Allow { range, reason: reason.clone(), owner: owner.clone(), expires, since }),
            Change::Disallow(range),
            Change::Suppress(Suppression { range, source: None, reason, owner, expires, since }),
            Change::Unsuppress { range, source: Some(source) },
            Change::Withdraw(output.key()),
            Change::Publish(output),
            Change::Expire,
        ]
    }

    fn packed(batch: &Batch) -> Vec<u8> {
        let mut writer = Writer::default();
        put_batch(&mut writer, batch).unwrap();
        writer.into_bytes()
    }

    #[test]
    fn every_batch_comes_back_and_none_that_was_cut_or_added_to() {
        for change in changes() {
            let (id, actor, reason) = (Uuid::now_v7(), "나".to_owned(), String::new());
            let batch = Batch { id, actor, reason, cause: Cause::Run, change };
            let mut bytes = packed(&batch);
            let back = get_batch(&mut Reader::new(&bytes)).unwrap();
            assert_eq!(format!("{back:?}"), format!("{batch:?}"));
            for end in 0..bytes.len() {
                assert!(get_batch(&mut Reader::new(&bytes[..end])).is_err(), "{batch:?} cut at {end}");
            }
            bytes.push(0);
            assert!(get_batch(&mut Reader::new(&bytes)).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_change_of_a_byte_ends_in_a_batch_or_in_damage(at: prop::sample::Index, to: u8, which: prop::sample::Index) {
            let change = which.get(&changes()).clone();
            let batch = Batch { id: Uuid::nil(), actor: "a".into(), reason: String::new(), cause: Cause::Run, change };
            let mut bytes = packed(&batch);
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = get_batch(&mut Reader::new(&bytes));
        }
    }
}
