//! Who fetched which generation of what: noted in memory at each pull, written down now and then.

use super::access::Reader;
use super::book::{Book, Noted, Pull};
use super::release::Release;
use crate::disk::DiskError;
use crate::model::{OutputName, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many documents of readers without a name are remembered at most: an open network may hold any number of them.
const MOST: usize = 10_000;

/// What was fetched, by reader and document.
#[derive(Debug, Default)]
pub struct Pulls {
    all: Mutex<BTreeMap<Reader, BTreeMap<String, Entry>>>,
    /// Held by whoever writes, so that what is forgotten is not written again.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Entry {
    pull: Pull,
    /// Whether the book has it so.
    is_written: bool,
}

impl Entry {
    fn note(&mut self, answer: Answer<'_>) {
        let Answer { at, from, status, bytes, .. } = answer;
        self.is_written = false;
        let pull = &mut self.pull;
        (pull.at, pull.from, pull.status, pull.bytes) = (at, from, status, bytes);
        if answer.has_all {
            (pull.generation, pull.modified) = (answer.generation, answer.modified);
            let count = if status == 304 { &mut pull.unchanged } else { &mut pull.sent };
            *count += 1;
        }
    }
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The feed, and the part and document where there are several.
    pub document: &'a str,
    /// When.
    pub at: Time,
    /// From where.
    pub from: IpAddr,
    /// The generation in which what is offered appeared.
    pub generation: u64,
    /// The time of that release.
    pub modified: Time,
    /// 200, 206 or 304.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
    /// Whether the reader has all of it now. Who asks for a head, a piece or a page was here, and proves nothing.
    pub has_all: bool,
}

impl Pulls {
    /// What the book remembers.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn open(book: &Book) -> Result<Self, DiskError> {
        let mut all: BTreeMap<Reader, BTreeMap<String, Entry>> = BTreeMap::new();
        for ((reader, document), pull) in book.pulls()? {
            if let Some(reader) = Reader::named(&reader) {
                all.entry(reader).or_default().insert(document, Entry { pull, is_written: true });
            }
        }
        Ok(Self { all: Mutex::new(all), turn: Mutex::default() })
    }

    /// Notes an answer. It allocates nothing for who has had the document before: some poll without pause.
    pub fn note(&self, reader: &Reader, answer: Answer<'_>) {
        let mut all = self.all_of_them();
        if let Some(entry) = all.get_mut(reader).and_then(|own| own.get_mut(answer.document)) {
            return entry.note(answer);
        }
        let is_nameless = |reader: &Reader| matches!(reader, Reader::Address(_));
        let nameless = || all.iter().filter(|(reader, _)| is_nameless(reader)).map(|(_, own)| own.len());
        if is_nameless(reader) && nameless().sum::<usize>() >= MOST {
            return;
        }
        let nothing = Pull {
            at: answer.at,
            from: answer.from,
            generation: 0,
            modified: Time::default(),
            status: 0,
            bytes: 0,
            sent: 0,
            unchanged: 0,
        };
        let mut entry = Entry { pull: nothing, is_written: false };
        entry.note(answer);
        all.entry(reader.clone()).or_default().insert(answer.document.to_owned(), entry);
    }

    /// All of them, by reader and document.
    pub fn all(&self) -> Vec<Noted> {
        let all = self.all_of_them();
        let noted = all.iter().flat_map(|(reader, own)| {
            own.iter()
                .map(move |(document, entry)| ((reader.to_string(), document.clone()), entry.pull.clone()))
        });
        let mut noted: Vec<_> = noted.collect();
        noted.sort_by(|a, b| a.0.cmp(&b.0));
        noted
    }

    /// How often a device was answered about a document, if its last answer was of that release.
    pub(super) fn count(&self, device: &OutputName, document: &str, release: &Release) -> u64 {
        let all = self.all_of_them();
        let own = all.get(&Reader::Device(device.clone())).and_then(|own| own.get(document));
        let is_of = |pull: &Pull| (pull.generation, pull.modified) == (release.generation, release.modified);
        let own = own.filter(|entry| is_of(&entry.pull));
        own.map_or(0, |entry| entry.pull.sent + entry.pull.unchanged)
    }

    /// From where a reader asked last for each document.
    pub(super) fn whence(&self, reader: &Reader) -> BTreeSet<IpAddr> {
        let all = self.all_of_them();
        let own = all.get(reader).into_iter().flat_map(BTreeMap::values);
        own.map(|entry| entry.pull.from.to_canonical()).collect()
    }

    /// When a device asked last for anything.
    pub fn last(&self, device: &OutputName) -> Option<Time> {
        let all = self.all_of_them();
        let own = all.get(&Reader::Device(device.clone()))?;
        own.values().map(|entry| entry.pull.at).max()
    }

    /// Forgets what a device fetched. Blocks on the disk.
    ///
    /// # Errors
    /// A fault of the disk; it is remembered there until the next time.
    pub(super) fn forget(&self, book: &Book, device: &OutputName) -> Result<(), DiskError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = self.all_of_them().remove(&Reader::Device(device.clone())) else { return Ok(()) };
        let gone: Vec<_> = own.into_keys().map(|document| (device.to_string(), document)).collect();
        book.put_pulls(std::iter::empty(), &gone)
    }

    /// Writes down what is new, and forgets what is older than `oldest`. Blocks on the disk.
    ///
    /// # Errors
    /// A fault of the disk; it is tried again the next time.
    pub fn keep(&self, book: &Book, oldest: Time) -> Result<(), DiskError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut new, mut gone) = (BTreeMap::new(), Vec::new());
        for (reader, own) in self.all_of_them().iter() {
            for (document, entry) in own {
                let key = (reader.to_string(), document.clone());
                match (entry.pull.at < oldest, entry.is_written) {
                    (true, _) => gone.push(key),
                    (false, false) => drop(new.insert(key, entry.pull.clone())),
                    (false, true) => {}
                }
            }
        }
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        book.put_pulls(new.iter(), &gone)?;
        let mut all = self.all_of_them();
        for (reader, own) in all.iter_mut() {
            own.retain(|_, entry| entry.pull.at >= oldest);
            for (document, entry) in own {
                // What came meanwhile differs from what was written, and is written the next time.
                let written = new.get(&(reader.to_string(), document.clone()));
                entry.is_written |= written == Some(&entry.pull);
            }
        }
        all.retain(|_, own| !own.is_empty());
        Ok(())
    }

    fn all_of_them(&self) -> MutexGuard<'_, BTreeMap<Reader, BTreeMap<String, Entry>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Medium;

    const NOON: Time = Time::from_unix(1_790_000_000);

    fn answer(at: Time, status: u16) -> Answer<'static> {
        let from = "10.0.0.1".parse().unwrap();
        Answer { document: "edge", at, from, generation: 7, modified: NOON, status, bytes: 9, has_all: true }
    }

    #[test]
    fn what_was_noted_is_there_after_a_restart_and_forgotten_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(&Medium::folder(folder.path())).unwrap();
        let pulls = Pulls::open(&book).unwrap();
        let (device, address) =
            (Reader::Device("box".parse().unwrap()), Reader::Address("2a00::1".parse().unwrap()));
        pulls.note(&device, answer(NOON, 200));
        pulls.note(&device, answer(NOON.plus(60), 304));
        pulls.note(&address, answer(NOON, 206));
        pulls.keep(&book, Time::default()).unwrap();
        let again = Pulls::open(&book).unwrap();
        assert_eq!(again.all(), pulls.all());
        let counts: Vec<_> =
            again.all().into_iter().map(|((who, _), pull)| (who, pull.sent, pull.unchanged)).collect();
        assert_eq!(counts, [("address 2a00::1".to_owned(), 1, 0), ("box".to_owned(), 1, 1)]);
        again.keep(&book, NOON.plus(1)).unwrap();
        assert_eq!(Pulls::open(&book).unwrap().all().len(), 1, "the address has not come again");
    }

    #[test]
    fn readers_without_a_name_do_not_crowd_devices_out() {
        let pulls = Pulls::default();
        for n in 0..=MOST as u32 {
            pulls.note(&Reader::Address(std::net::Ipv4Addr::from(n).into()), answer(NOON, 200));
        }
        assert_eq!(pulls.all().len(), MOST);
        pulls.note(&Reader::Device("box".parse().unwrap()), answer(NOON, 200));
        assert_eq!(pulls.all().len(), MOST + 1);
    }
}
