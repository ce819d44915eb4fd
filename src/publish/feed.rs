//! A feed as readers and the health check see it, and the one step that takes it to a generation.

use super::profile::Profile;
use super::release::Released;
use super::render::render;
use crate::disk::DiskError;
use crate::engine::Snapshot;
use crate::model::Time;
use arc_swap::ArcSwap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a feed gives to whoever asks.
#[derive(Debug)]
pub enum Offer {
    /// Nothing: no list was kept, and none has been made yet.
    Nothing,
    /// Nothing, because nothing is listed: see the module's word on the empty list.
    Empty,
    /// A list.
    List(Arc<Released>),
}

/// How a feed fares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The newest generation that was rendered; `None` before the first.
    pub generation: Option<u64>,
    /// What is wrong, if anything is.
    pub fault: Option<Fault>,
}

/// What is wrong with a feed that goes on with what it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What happened, and where.
    pub what: String,
    /// Since when, without a break.
    pub since: Time,
}

/// One feed: its profile, what it offers, how it fares.
#[derive(Debug)]
pub struct Feed {
    profile: Profile,
    file: PathBuf,
    offer: ArcSwap<Offer>,
    book: Mutex<Book>,
}

/// What only the worker and the health check look at.
#[derive(Debug, Default)]
struct Book {
    status: Status,
    /// The time of the newest list ever offered; the next one's is later.
    modified: Option<Time>,
    /// The generation of what is offered.
    offered: u64,
    /// Whether the file holds what is offered.
    kept: bool,
}

impl Feed {
    /// Opens the feed whose file is in `folder`, and offers what was kept there.
    fn open(folder: &Path, profile: Profile, now: Time) -> Self {
        let file = folder.join(&profile.name).with_extension("feed");
        let mut book = Book::default();
        let offer = match Released::load(&file, &profile) {
            Ok(Some(released)) => {
                (book.modified, book.offered, book.kept) =
                    (Some(released.modified), released.generation, true);
                Offer::List(Arc::new(released))
            }
            Ok(None) => Offer::Nothing,
            Err(error) => {
                tracing::warn!(%error, feed = profile.name, "the feed's last list cannot be used");
                book.status.fault = Some(Fault { what: error.to_string(), since: now });
                Offer::Nothing
            }
        };
        Self { profile, file, offer: ArcSwap::from_pointee(offer), book: Mutex::new(book) }
    }

    /// What it is.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What it gives now. Takes no lock; hold the guard no longer than a request.
    #[inline]
    pub fn offer(&self) -> arc_swap::Guard<Arc<Offer>> {
        self.offer.load()
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.book().status.clone()
    }

    /// Takes the feed to `snapshot`; `whole` says that the stores are, so that the snapshot is the
    /// newest there is. Whatever fails, what was offered stays. Blocks on the disk.
    pub(super) fn refresh(&self, snapshot: &Snapshot, whole: bool, now: Time) {
        match self.advance(snapshot, whole) {
            Ok(()) => self.book().status.fault = None,
            Err(what) => self.fail(what, now),
        }
    }

    /// Notes that something went wrong.
    pub(super) fn fail(&self, what: String, now: Time) {
        tracing::error!(feed = self.profile.name, what, "the feed goes on with what it has");
        let fault = &mut self.book().status.fault;
        let since = fault.as_ref().map_or(now, |fault| fault.since);
        *fault = Some(Fault { what, since });
    }

    fn advance(&self, snapshot: &Snapshot, whole: bool) -> Result<(), String> {
        if !whole && snapshot.generation < self.book().offered {
            // The snapshot of a damaged store may be older than the list that was kept.
            return Ok(());
        }
        if self.book().status.generation != Some(snapshot.generation) {
            self.release(snapshot)?;
        }
        self.keep().map_err(|error| error.to_string())
    }

    /// Renders, and offers what is new. Before it is kept: a disk that hangs does not hold up an allow.
    fn release(&self, snapshot: &Snapshot) -> Result<(), String> {
        let offer = Arc::clone(&self.offer.load());
        let before = if let Offer::List(released) = &*offer { Some(released) } else { None };
        let room = before.map_or(0, |released| released.text.bytes.len() + (64 << 10));
        let rendered = render(snapshot, &self.profile, room).map_err(|error| error.to_string())?;
        let may_be_empty = self.profile.allow_empty && !snapshot.sources.is_empty();
        let same = before.is_some_and(|released| released.text.bytes == rendered.text);
        if rendered.entries == 0 && !may_be_empty {
            self.offer.store(Arc::new(Offer::Empty));
        } else if !same {
            let modified = self.next_modified(snapshot.time);
            let released = Released::new(rendered, snapshot.generation, modified);
            self.offer.store(Arc::new(Offer::List(Arc::new(released))));
            (self.book().modified, self.book().kept) = (Some(modified), false);
        }
        let mut book = self.book();
        (book.status.generation, book.offered) = (Some(snapshot.generation), snapshot.generation);
        Ok(())
    }

    fn next_modified(&self, time: Time) -> Time {
        self.book().modified.map_or(time, |before| time.max(before.plus(1)))
    }

    fn keep(&self) -> Result<(), DiskError> {
        let offer = Arc::clone(&self.offer.load());
        if let Offer::List(released) = &*offer
            && !self.book().kept
        {
            released.save(&self.file, &self.profile)?;
            self.book().kept = true;
        }
        Ok(())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feeds of a data folder.
#[derive(Debug, Default)]
pub struct Feeds(Vec<Feed>);

impl Feeds {
    /// Opens the feeds in the data folder `folder`. The last good lists are offered from here on,
    /// whatever became of the stores; a file that cannot be used is a fault of its feed.
    ///
    /// # Errors
    /// The folder of the feeds cannot be made.
    pub fn open(folder: &Path, profiles: Vec<Profile>, now: Time) -> Result<Self, DiskError> {
        let folder = folder.join("feeds");
        std::fs::create_dir_all(&folder).map_err(|e| DiskError::io(folder.display().to_string(), e))?;
        Ok(Self(profiles.into_iter().map(|profile| Feed::open(&folder, profile, now)).collect()))
    }

    /// The feed of that name.
    pub fn get(&self, name: &str) -> Option<&Feed> {
        self.iter().find(|feed| feed.profile.name == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Feed> {
        self.0.iter()
    }
}
