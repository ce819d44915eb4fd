//! A blacklist with its feeds and devices behind an application, for the tests of whoever answers from them.

use crate::addr::IpRange;
use crate::disk::Medium;
use crate::engine::{Clock, Engine, Options};
use crate::model::{Batch, Cause, Change, Detail, Device, Output, Profile, RowsBuilder, Scope, Time};
use crate::publish::{Audit, Publisher, Secrets};
use crate::rights::{Identity, Kind, Right, Rights};
use crate::web::claim::{Authority, Claim, Found, Key, Unproven};
use crate::web::{App, Peer};
use futures_util::future::BoxFuture;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The hour at which every test begins.
pub(super) const NOON: i64 = 1_790_000_000;

/// Somebody whom nobody knows.
pub(super) const STRANGER: [u8; 4] = [192, 0, 2, 1];

/// Knows one key, `reader`, which may read.
pub(super) struct Reader;

impl Authority for Reader {
    fn at_once(&self, claim: Claim<'_>, _: IpAddr) -> Option<Found> {
        let Claim::Key(Key { text: "reader", .. }) = claim else { return Some(Err(Unproven::Wrong)) };
        let rights = Rights::of(&[Right::Read]);
        Some(Ok(Arc::new(Identity { kind: Kind::Key, name: "reader".to_owned(), rights })))
    }

    fn ask<'a>(&'a self, _: Claim<'a>, _: IpAddr) -> BoxFuture<'a, Found> {
        Box::pin(async { Err(Unproven::Unknown) })
    }
}

pub(super) struct House {
    pub(super) publisher: Arc<Publisher>,
    pub(super) app: Arc<App>,
    clock: Arc<AtomicI64>,
    /// Gone with the house.
    _folder: tempfile::TempDir,
}

impl House {
    /// One in which everybody on this machine may read, and `app` answers.
    pub(super) fn new(app: impl FnOnce(&Arc<Publisher>) -> App) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(NOON));
        let hand = Arc::clone(&clock);
        let now: Clock = Arc::new(move || Time::from_unix(hand.load(Ordering::Relaxed)));
        let options = Options { clock: now, ..Options::new(Medium::folder(folder.path())) };
        let open = ["127.0.0.0/8".parse::<IpRange>().unwrap()].into_iter().collect();
        let engine = Engine::open(options).unwrap();
        let publisher = Publisher::open(engine, Profile::fortigate(), open).unwrap();
        let app = Arc::new(app(&publisher));
        Self { publisher, app, clock, _folder: folder }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.publisher.engine()
    }

    /// Puts the clock on.
    pub(super) fn later(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) async fn change(&self, change: Change) {
        let (id, reason) = (uuid::Uuid::now_v7(), String::new());
        let batch = Batch { id, actor: "test".into(), reason, cause: Cause::Run, change };
        self.publisher.submit(batch).await.unwrap();
        self.publisher.refresh();
        self.publisher.feeds().compress();
    }

    /// The only source lists these and nothing else.
    pub(super) async fn list(&self, list: &[&str]) {
        self.list_ranges(list.iter().map(|range| range.parse().unwrap())).await;
    }

    pub(super) async fn list_ranges(&self, list: impl Iterator<Item = IpRange>) {
        let mut rows = RowsBuilder::default();
        list.for_each(|range| rows.push(range, &Detail::default()));
        let (source, rows) = ("a".parse().unwrap(), rows.finish().0);
        self.change(Change::List { source, rows, scope: Scope::Whole }).await;
    }

    /// A device that reads these feeds, with new keys.
    pub(super) async fn device(&self, name: &str, feeds: &[&str]) -> Secrets {
        let device = serde_json::json!({"name": name, "feeds": feeds});
        let device: Device = serde_json::from_value(device).unwrap();
        let (action, detail) = ("device.keys".to_owned(), String::new());
        let (at, actor, subject) = (self.engine().now(), "test".to_owned(), name.to_owned());
        let audit = Audit { at, actor, action, subject, reason: String::new(), detail };
        let known = device.name.clone();
        self.change(Change::Publish(Output::Device(device))).await;
        self.publisher.make_keys(&known, &audit).unwrap()
    }

    /// What was pulled: by whom, which document, in which generation, how often.
    pub(super) fn pulls(&self) -> Vec<(String, String, u64, u64)> {
        let all = self.publisher.pulls().all().into_iter();
        all.map(|((reader, document), pull)| (reader, document, pull.generation, pull.sent)).collect()
    }
}

/// The other end of a connection from there.
pub(super) fn from(address: impl Into<IpAddr>) -> Peer {
    Peer::Tcp((address.into(), 9).into())
}
