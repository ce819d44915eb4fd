//! Who fetched which generation of what: noted in memory at each pull, written down now and then.

use super::access::Reader;
use super::book::Book;
use crate::disk::DiskError;
use crate::model::Time;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many readers and documents are remembered at most: an open network may hold any number of addresses.
const MOST: usize = 10_000;

/// The last pull of a document by a reader, and how many there were.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pull {
    /// When.
    pub at: Time,
    /// From where.
    pub from: String,
    /// The generation in which what it has now appeared.
    pub generation: u64,
    /// The answer's status.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// How often the document was sent, wholly or in part.
    pub sent: u64,
    /// How often it was told that nothing has changed.
    pub unchanged: u64,
}

/// Reader and document, and the last pull of it.
pub(super) type Noted = ((String, String), Pull);

/// What was fetched, by reader and document.
#[derive(Debug, Default)]
pub struct Pulls(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: HashMap<(String, String), Pull>,
    /// Those that were not written down yet.
    unwritten: Vec<(String, String)>,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The feed, and the part and document where there are several.
    pub document: &'a str,
    /// When.
    pub at: Time,
    /// From where.
    pub from: &'a str,
    /// The generation in which what is offered appeared.
    pub generation: u64,
    /// 200, 206 or 304.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
}

impl Pulls {
    /// What the book remembers.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn open(book: &Book) -> Result<Self, DiskError> {
        let last = book.pulls()?.into_iter().collect();
        Ok(Self(Mutex::new(Inner { last, unwritten: Vec::new() })))
    }

    /// Notes an answer; about 100 ns.
    pub fn note(&self, reader: &Reader, answer: Answer<'_>) {
        let key = (reader.to_string(), answer.document.to_owned());
        let mut inner = self.inner();
        if inner.last.len() >= MOST && !inner.last.contains_key(&key) {
            return;
        }
        let pull = inner.last.entry(key.clone()).or_default();
        let is_unchanged = answer.status == 304;
        *pull = Pull {
            at: answer.at,
            from: answer.from.to_owned(),
            generation: answer.generation,
            status: answer.status,
            bytes: answer.bytes,
            sent: pull.sent + u64::from(!is_unchanged),
            unchanged: pull.unchanged + u64::from(is_unchanged),
        };
        inner.unwritten.push(key);
    }

    /// The last pulls of a reader, by document.
    pub fn of(&self, reader: &Reader) -> Vec<(String, Pull)> {
        let reader = reader.to_string();
        let inner = self.inner();
        let own = inner.last.iter().filter(|((who, _), _)| *who == reader);
        let mut own: Vec<_> = own.map(|((_, document), pull)| (document.clone(), pull.clone())).collect();
        own.sort_by(|a, b| a.0.cmp(&b.0));
        own
    }

    /// All of them, by reader and document.
    pub fn all(&self) -> Vec<((String, String), Pull)> {
        let mut all: Vec<_> =
            self.inner().last.iter().map(|(key, pull)| (key.clone(), pull.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Writes down what is new, and forgets what is older than `oldest`. Blocks on the disk.
    ///
    /// # Errors
    /// A fault of the disk; what is new is written down the next time.
    pub fn keep(&self, book: &Book, oldest: Time) -> Result<(), DiskError> {
        let (new, gone) = {
            let mut inner = self.inner();
            let gone: Vec<_> =
                inner.last.iter().filter(|(_, pull)| pull.at < oldest).map(|(key, _)| key.clone()).collect();
            gone.iter().for_each(|key| drop(inner.last.remove(key)));
            let mut keys = std::mem::take(&mut inner.unwritten);
            keys.sort_unstable();
            keys.dedup();
            let pull = |key| inner.last.get(&key).cloned().map(|pull| (key, pull));
            (keys.into_iter().filter_map(pull).collect::<Vec<_>>(), gone)
        };
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        book.put_pulls(new.iter().map(|(key, pull)| (key, pull)), &gone).inspect_err(|_| {
            self.inner().unwritten.extend(new.iter().map(|(key, _)| key.clone()));
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
