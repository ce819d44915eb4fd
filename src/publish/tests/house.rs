//! An engine with feeds, and short words for what tests do to them.

use crate::addr::{IpRange, IpSet, Range};
use crate::disk::Medium;
use crate::engine::{Engine, Options};
use crate::model::{
    Allow, Batch, Cause, Change, Detail, Output, Profile, RowsBuilder, Scope, Suppression, Time,
};
use crate::publish::{Feed, Feeds, Released, Rendition};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

pub(super) const NOON: Time = Time::from_unix(1_790_000_000);

pub(super) struct House {
    pub(super) engine: Engine,
    pub(super) feeds: Arc<Feeds>,
    clock: Arc<AtomicI64>,
    pub(super) folder: TempDir,
}

impl House {
    pub(super) fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(NOON.unix())))
    }

    fn open(folder: TempDir, clock: Arc<AtomicI64>) -> Self {
        let hand = Arc::clone(&clock);
        let options = Options {
            clock: Arc::new(move || Time::from_unix(hand.load(Ordering::Relaxed))),
            ..Options::new(Medium::folder(folder.path()))
        };
        let engine = Engine::open(options).unwrap();
        let feeds = Arc::new(Feeds::open(folder.path(), Profile::fortigate(), NOON).unwrap());
        Self { engine, feeds, clock, folder }
    }

    /// Stops all, does something to what lies on the disk, and starts again.
    pub(super) fn restart(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self { engine, feeds, clock, folder } = self;
        engine.stop();
        drop((engine, feeds));
        meanwhile(folder.path());
        Self::open(folder, clock)
    }

    /// Opens the feeds again, as a start does.
    pub(super) fn reopen_feeds(&mut self) {
        self.feeds = Arc::new(Feeds::open(self.folder.path(), Profile::fortigate(), NOON).unwrap());
    }

    /// So much time passes.
    pub(super) fn clock(&self, seconds: i64) {
        self.jump(seconds);
        // Else it would be doubted: for the machine no time has passed.
        self.expire();
    }

    /// Somebody puts the clock wrong.
    pub(super) fn jump(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) async fn submit(&self, (cause, change): (Cause, Change)) {
        let id = uuid::Uuid::now_v7();
        let batch = Batch { id, actor: "test".into(), reason: String::new(), cause, change };
        self.engine.submit(batch).await.unwrap();
    }

    pub(super) fn change(&self, cause: Cause, change: Change) {
        block_on(self.submit((cause, change)));
    }

    pub(super) fn expire(&self) {
        block_on(self.engine.expire()).unwrap();
    }

    /// A source lists these; what it listed before and does not list now has gone.
    pub(super) fn list_text(&self, source: &str, list: &[&str]) {
        let (cause, change) = listing(source, &ranges(list), &Detail::default(), Scope::Whole);
        self.change(cause, change);
    }

    /// The same with a detail, and nothing gone unless nothing at all is said by it.
    pub(super) fn list(&self, source: &str, list: &[IpRange], detail: &Detail) {
        let scope = if *detail == Detail::default() { Scope::Whole } else { Scope::Part };
        let (cause, change) = listing(source, list, detail, scope);
        self.change(cause, change);
    }

    pub(super) fn allow(&self, range: IpRange) {
        let (reason, owner) = (String::new(), String::new());
        self.change(Cause::Manual, Change::Allow(Allow { range, reason, owner, expires: None, since: NOON }));
    }

    pub(super) fn disallow(&self, range: IpRange) {
        self.change(Cause::Manual, Change::Disallow(range));
    }

    pub(super) fn suppress(&self, range: IpRange) {
        let (reason, owner) = (String::new(), String::new());
        let suppression = Suppression { range, source: None, reason, owner, expires: None, since: NOON };
        self.change(Cause::Manual, Change::Suppress(suppression));
    }

    /// A plain feed of everything.
    pub(super) fn profile(&self, name: &str) -> Profile {
        Profile::new(name.parse().unwrap())
    }

    pub(super) fn publish(&self, profile: Profile) {
        self.change(Cause::Manual, Change::Publish(Output::Feed(profile)));
    }

    pub(super) fn refresh(&self) {
        self.feeds.refresh(&self.engine);
    }

    pub(super) fn feed(&self, name: &str) -> Arc<Feed> {
        self.feeds.get(name).unwrap()
    }

    /// What the default feed lists.
    pub(super) fn released(&self) -> Arc<Released> {
        self.feed("fortigate").released().unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(super) fn listing(source: &str, list: &[IpRange], detail: &Detail, scope: Scope) -> (Cause, Change) {
    let mut rows = RowsBuilder::default();
    list.iter().for_each(|range| rows.push(*range, detail));
    (Cause::Run, Change::List { source: source.parse().unwrap(), rows: rows.finish().0, scope })
}

pub(super) fn ranges(list: &[&str]) -> Vec<IpRange> {
    list.iter().map(|range| range.parse().unwrap()).collect()
}

/// So many single addresses that do not touch.
pub(super) fn singles(count: u32) -> Vec<IpRange> {
    (0..count).map(|n| IpRange::V4(Range::single(0x1400_0000 + 2 * n))).collect()
}

pub(super) fn set(list: &[IpRange]) -> IpSet {
    list.iter().copied().collect()
}

pub(super) fn text(list: &Rendition) -> String {
    String::from_utf8(list.text().to_vec()).unwrap()
}
