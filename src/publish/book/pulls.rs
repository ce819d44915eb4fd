//! Pulls in the book: who fetched which generation of what, the last time.

use super::Book;
use crate::disk::{DiskError, Shelf};
use crate::model::Time;
use crate::publish::release::Release;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const PULLS: Shelf<(&str, &str), Pull> = Shelf::new("pulls");

/// Makes the table where there is none.
pub(super) fn make(write: &redb::WriteTransaction) -> Result<(), redb::Error> {
    PULLS.make(write)
}

/// The last pull of a document by a reader, and how many there were.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Pull {
    /// When.
    pub at: Time,
    /// From where.
    pub from: IpAddr,
    /// The generation in which what it has now appeared.
    pub generation: u64,
    /// The time of that release: two may be of one generation.
    #[serde(default)]
    pub modified: Time,
    /// The answer's status.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// How often the document was sent to its end.
    pub sent: u64,
    /// How often it was told that nothing has changed.
    pub unchanged: u64,
}

impl Pull {
    /// Whether it was of an earlier release of the feed.
    pub fn is_before(&self, release: &Release) -> bool {
        (self.generation, self.modified) < (release.generation, release.modified)
    }
}

/// Reader and document, and the last pull of it.
pub(in crate::publish) type Noted = ((String, String), Pull);

impl Book {
    /// The last pull of each reader and document.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn pulls(&self) -> Result<Vec<Noted>, DiskError> {
        self.0.read(|view| {
            let mut all = Vec::new();
            PULLS.scan::<(&str, &str)>(view, .., false, |(reader, document), pull| {
                all.push(((reader.to_owned(), document.to_owned()), pull));
                true
            })?;
            Ok(all)
        })
    }

    /// Writes down pulls, and forgets those that are gone.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn put_pulls<'a>(
        &self,
        pulls: impl Iterator<Item = (&'a (String, String), &'a Pull)>,
        gone: &[(String, String)],
    ) -> Result<(), DiskError> {
        self.0.write(true, |write| {
            for ((reader, document), pull) in pulls {
                PULLS.put(write, (reader.as_str(), document.as_str()), pull)?;
            }
            for (reader, document) in gone {
                PULLS.remove(write, (reader.as_str(), document.as_str()))?;
            }
            Ok(())
        })
    }
}
