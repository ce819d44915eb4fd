//! A table of JSON documents in redb: small, rarely read, and readable by the next version too.

use redb::{
    Key, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, Value, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::marker::PhantomData;
use std::ops::RangeBounds;

/// A table of documents of type `V`.
pub struct Shelf<K: Key + 'static, V> {
    table: TableDefinition<'static, K, &'static [u8]>,
    of: PhantomData<fn() -> V>,
}

impl<K: Key + 'static, V: Serialize + DeserializeOwned> Shelf<K, V> {
    /// The table of that name.
    pub const fn new(name: &'static str) -> Self {
        Self { table: TableDefinition::new(name), of: PhantomData }
    }

    /// Makes the table where there is none, so that reading needs no second thought.
    ///
    /// # Errors
    /// A fault of the disk, as of everything here.
    pub fn make(&self, write: &WriteTransaction) -> Result<(), redb::Error> {
        write.open_table(self.table)?;
        Ok(())
    }

    /// The document under a key.
    pub fn get<'k>(
        &self,
        view: &ReadTransaction,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<V>, redb::Error> {
        view.open_table(self.table)?.get(key)?.map(|bytes| decode(bytes.value())).transpose()
    }

    /// Gives `each` the documents in the order of their keys, or backwards, until it has had enough.
    pub fn scan<'k, B: Borrow<K::SelfType<'k>> + 'k>(
        &self,
        view: &ReadTransaction,
        range: impl RangeBounds<B> + 'k,
        backwards: bool,
        mut each: impl FnMut(K::SelfType<'_>, V) -> bool,
    ) -> Result<(), redb::Error> {
        let table = view.open_table(self.table)?;
        let mut range = table.range(range)?;
        while let Some(row) = if backwards { range.next_back() } else { range.next() } {
            let (key, bytes) = row?;
            if !each(key.value(), decode(bytes.value())?) {
                break;
            }
        }
        Ok(())
    }

    /// How many documents there are.
    pub fn len(&self, view: &ReadTransaction) -> Result<u64, redb::Error> {
        Ok(view.open_table(self.table)?.len()?)
    }

    /// Puts a document under a key.
    pub fn put<'k>(
        &self,
        write: &WriteTransaction,
        key: impl Borrow<K::SelfType<'k>>,
        document: &V,
    ) -> Result<(), redb::Error> {
        let bytes = encode(document)?;
        write.open_table(self.table)?.insert(key, bytes.as_slice())?;
        Ok(())
    }

    /// Reads a document, lets it be changed, and puts it back; gives what `change` gave.
    pub fn update<'k, T>(
        &self,
        write: &WriteTransaction,
        key: impl Borrow<K::SelfType<'k>>,
        change: impl FnOnce(&mut Option<V>) -> T,
    ) -> Result<T, redb::Error> {
        let mut table = write.open_table(self.table)?;
        let mut document = table.get(key.borrow())?.map(|bytes| decode(bytes.value())).transpose()?;
        let given = change(&mut document);
        match document {
            Some(document) => drop(table.insert(key, encode(&document)?.as_slice())?),
            None => drop(table.remove(key)?),
        }
        Ok(given)
    }

    /// All documents, as a writer sees them.
    pub fn all(&self, write: &WriteTransaction) -> Result<Vec<V>, redb::Error> {
        let table = write.open_table(self.table)?;
        table.iter()?.map(|row| decode(row?.1.value())).collect()
    }

    /// The number of the last document, in a table that counts them.
    pub fn last(&self, write: &WriteTransaction) -> Result<Option<u64>, redb::Error>
    where
        K: for<'v> Value<SelfType<'v> = u64>,
    {
        Ok(write.open_table(self.table)?.last()?.map(|(number, _)| number.value()))
    }

    /// Removes the first documents until there are at most so many.
    pub fn shorten(&self, write: &WriteTransaction, most: u64) -> Result<(), redb::Error> {
        let mut table = write.open_table(self.table)?;
        while table.len()? > most {
            table.pop_first()?;
        }
        Ok(())
    }

    /// Removes the document under a key, if there is one.
    pub fn remove<'k>(
        &self,
        write: &WriteTransaction,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<(), redb::Error> {
        write.open_table(self.table)?.remove(key)?;
        Ok(())
    }
}

fn encode(document: &impl Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(document).map_err(|error| redb::Error::Io(error.into()))
}

fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, redb::Error> {
    serde_json::from_slice(bytes).map_err(|error| redb::Error::Corrupted(error.to_string()))
}
