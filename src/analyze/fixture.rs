//! For tests: an engine in a folder of its own, with a clock that the test sets.

use super::Look;
use crate::addr::IpRange;
use crate::disk::Medium;
use crate::engine::{Clock, Engine, Options};
use crate::model::{Batch, Cause, Change, Detail, Receipt, RowsBuilder, Scope, Time};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use uuid::Uuid;

/// 2026-09-22, noon in Seoul: a Tuesday.
pub(crate) const NOON: &str = "2026-09-22T12:00:00+09:00";

pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
    engine: Option<Engine>,
    follower: bool,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::begin(false)
    }

    /// One that follows another.
    pub(crate) fn following() -> Self {
        Self::begin(true)
    }

    fn begin(follower: bool) -> Self {
        let now = Arc::new(AtomicI64::new(NOON.parse::<Time>().unwrap().unix()));
        let mut house = Self { folder: tempfile::tempdir().unwrap(), now, engine: None, follower };
        house.open();
        house
    }

    /// From now on the clock is that of the test's runtime, which a paused test drives.
    pub(crate) fn follow_tokio(&mut self) {
        self.engine = None;
        let (runtime, began, start) =
            (tokio::runtime::Handle::current(), tokio::time::Instant::now(), self.now());
        let clock: Clock = Arc::new(move || {
            let _inside = runtime.enter();
            start.plus(began.elapsed().as_secs() as i64)
        });
        let medium = Medium::folder(self.folder.path());
        self.engine = Some(Engine::open(Options { clock, ..Options::new(medium) }).unwrap());
    }

    fn open(&mut self) {
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || Time::from_unix(now.load(Ordering::Relaxed)));
        let medium = Medium::folder(self.folder.path());
        let options = Options { clock, follower: self.follower, ..Options::new(medium) };
        self.engine = Some(Engine::open(options).unwrap());
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_unix(self.now.load(Ordering::Relaxed))
    }

    pub(crate) fn wait(&self, hours: i64) {
        self.now.fetch_add(hours * 3600, Ordering::Relaxed);
    }

    pub(crate) async fn submit(&self, change: Change) -> Receipt {
        let (id, actor, reason) = (Uuid::now_v7(), "test".to_owned(), String::new());
        self.engine().submit(Batch { id, actor, reason, cause: Cause::Manual, change }).await.unwrap()
    }

    /// A source lists ranges; each comes with what it says of it.
    pub(crate) async fn list(&self, source: &str, rows: &[(IpRange, Detail)], scope: Scope) -> Receipt {
        let mut builder = RowsBuilder::default();
        rows.iter().for_each(|(range, detail)| builder.push(*range, detail));
        let source = source.parse().unwrap();
        self.submit(Change::List { source, rows: builder.finish().0, scope }).await
    }

    pub(crate) fn look<T>(&self, question: impl FnOnce(Look) -> Result<T, redb::Error>) -> T {
        let snapshot = Arc::clone(&self.engine().snapshot());
        let (now, zone) = (self.now(), self.engine().zone());
        self.engine().view(|view| question(Look { snapshot: &snapshot, view, now, zone })).unwrap()
    }

    /// Flips a bit in the store, and opens it again.
    pub(crate) fn damage(&mut self) {
        self.engine = None;
        let path = self.folder.path().join("ironlist.redb");
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(20).position(|w| w[..4] == [0, 0, 4, 32]).unwrap();
        bytes[at + 25] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        self.open();
    }
}

/// Plain rows.
pub(crate) fn plain(ranges: &[&str]) -> Vec<(IpRange, Detail)> {
    ranges.iter().map(|range| (range.parse().unwrap(), Detail::default())).collect()
}
