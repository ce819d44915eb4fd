//! Sources, the allowlist, the suppressions, feeds and devices: few, and kept as JSON.

use super::View;
use crate::model::{Allow, Output, Source, SourceName, Suppression};
use redb::{ReadOnlyTable, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};

const SOURCES: TableDefinition<u16, &[u8]> = TableDefinition::new("sources");
const ALLOWS: TableDefinition<&str, &[u8]> = TableDefinition::new("allows");
const SUPPRESSIONS: TableDefinition<&str, &[u8]> = TableDefinition::new("suppressions");
const OUTPUTS: TableDefinition<&str, &[u8]> = TableDefinition::new("outputs");

pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(SOURCES)?;
    transaction.open_table(ALLOWS)?;
    transaction.open_table(SUPPRESSIONS)?;
    transaction.open_table(OUTPUTS)?;
    Ok(())
}

pub(super) fn clear(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(SOURCES)?.retain(|_, _| false)?;
    transaction.open_table(ALLOWS)?.retain(|_, _| false)?;
    transaction.open_table(SUPPRESSIONS)?.retain(|_, _| false)?;
    transaction.open_table(OUTPUTS)?.retain(|_, _| false)?;
    Ok(())
}

pub(super) fn put_source(transaction: &WriteTransaction, source: &Source) -> Result<(), redb::Error> {
    transaction.open_table(SOURCES)?.insert(source.id.0, json(source)?.as_slice())?;
    Ok(())
}

pub(super) fn change_allows(
    transaction: &WriteTransaction,
    removed: &[Allow],
    added: &[Allow],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ALLOWS)?;
    for allow in removed {
        table.remove(allow.range.to_string().as_str())?;
    }
    for allow in added {
        table.insert(allow.range.to_string().as_str(), json(allow)?.as_slice())?;
    }
    Ok(())
}

pub(super) fn change_suppressions(
    transaction: &WriteTransaction,
    removed: &[Suppression],
    added: &[Suppression],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(SUPPRESSIONS)?;
    for suppression in removed {
        table.remove(suppression_key(suppression).as_str())?;
    }
    for suppression in added {
        table.insert(suppression_key(suppression).as_str(), json(suppression)?.as_slice())?;
    }
    Ok(())
}

pub(super) fn change_outputs(
    transaction: &WriteTransaction,
    removed: &[Output],
    added: &[Output],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(OUTPUTS)?;
    for output in removed {
        table.remove(output.key().to_string().as_str())?;
    }
    for output in added {
        table.insert(output.key().to_string().as_str(), json(output)?.as_slice())?;
    }
    Ok(())
}

fn suppression_key(suppression: &Suppression) -> String {
    let source = suppression.source.as_ref().map_or("", SourceName::as_str);
    format!("{} {source}", suppression.range)
}

impl View<'_> {
    /// All sources, by number.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn sources(&self) -> Result<Vec<Source>, redb::Error> {
        self.0.open_table(SOURCES)?.iter()?.map(|row| parse(row?.1.value())).collect()
    }

    /// The allowlist.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn allows(&self) -> Result<Vec<Allow>, redb::Error> {
        all(&self.0.open_table(ALLOWS)?)
    }

    /// The suppressions.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn suppressions(&self) -> Result<Vec<Suppression>, redb::Error> {
        all(&self.0.open_table(SUPPRESSIONS)?)
    }

    /// The feeds and devices.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn outputs(&self) -> Result<Vec<Output>, redb::Error> {
        all(&self.0.open_table(OUTPUTS)?)
    }
}

fn all<T: DeserializeOwned>(table: &ReadOnlyTable<&str, &[u8]>) -> Result<Vec<T>, redb::Error> {
    table.iter()?.map(|row| parse(row?.1.value())).collect()
}

pub(super) fn dump(view: &View, line: &mut impl FnMut(&str)) -> Result<(), redb::Error> {
    view.sources()?.iter().for_each(|source| line(&format!("source {source:?}")));
    view.allows()?.iter().for_each(|allow| line(&format!("allow {allow:?}")));
    view.suppressions()?.iter().for_each(|s| line(&format!("suppression {s:?}")));
    view.outputs()?.iter().for_each(|output| line(&format!("output {output:?}")));
    Ok(())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(super::damaged)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes).map_err(super::damaged)
}
