//! Pushing to a firewall that takes what it is sent, and to one that does not.

use super::*;
use crate::addr::{IpRange, IpSet, Range};
use crate::disk::Medium;
use crate::engine::{Engine, Options};
use crate::fakes::fortigate::{self, State, TOKEN};
use crate::fakes::server::Portal;
use crate::model::{
    Allow, Batch, Cause, Change, Detail, Device, Filter, Output, OutputName, Profile, RowsBuilder, Scope,
    Suppression, Time,
};
use crate::publish::book::Audit;
use crate::publish::{BOOK_FILE, Publisher, Trouble};
use crate::vault::{KeySource, Vault};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

mod remnants;
mod targets;

const PACE: Pace = Pace {
    first: Duration::from_millis(20),
    most: Duration::from_millis(100),
    look: Duration::from_millis(300),
    tick: Duration::from_millis(1),
    patience: Duration::from_millis(900),
    timeout: Duration::from_secs(5),
};

struct House {
    publisher: Arc<Publisher>,
    pusher: Arc<Pusher>,
    firewall: Portal<State>,
    folder: tempfile::TempDir,
    _stop: oneshot::Sender<()>,
}

impl House {
    /// A house with a device that reads the default feed, and a firewall with a list of that name.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: crate::engine::Clock = Arc::new(|| Time::from_unix(1_790_000_000));
        let engine = Engine::open(Options { clock, ..Options::new(Medium::folder(folder.path())) }).unwrap();
        let publisher = Publisher::open(engine, Profile::fortigate(), IpSet::default()).unwrap();
        let firewall = fortigate::start(&["fortigate"]);
        let (pusher, stop) = staff(&publisher, folder.path(), "127.0.0.1", &firewall);
        let house = Self { publisher, pusher, firewall, folder, _stop: stop };
        let device = json!({"name": "edge", "feeds": ["fortigate"]});
        house.submit(Change::Publish(Output::Device(serde_json::from_value(device).unwrap()))).await;
        house
    }

    fn engine(&self) -> &Engine {
        self.publisher.engine()
    }

    fn device(&self) -> Device {
        let snapshot = self.engine().snapshot();
        snapshot.devices().next().unwrap().clone()
    }

    /// Collection lists, people do all else.
    async fn submit(&self, change: Change) {
        let cause = if matches!(change, Change::List { .. }) { Cause::Run } else { Cause::Manual };
        let (id, actor, reason) = (uuid::Uuid::now_v7(), "test".into(), String::new());
        self.engine().submit(Batch { id, actor, reason, cause, change }).await.unwrap();
        self.publisher.refresh();
    }

    /// Lists so many addresses, no two of which are neighbours.
    async fn list(&self, count: u32) {
        self.list_of(0..count).await;
    }

    async fn list_of(&self, numbers: std::ops::Range<u32>) {
        self.list_with(&Detail::default(), numbers).await;
    }

    /// Lists so many addresses as a threat.
    async fn list_as(&self, threat: &str, numbers: std::ops::Range<u32>) {
        let detail = Detail { threat: Some(threat.into()), ..Detail::default() };
        self.list_with(&detail, numbers).await;
    }

    async fn list_with(&self, detail: &Detail, numbers: std::ops::Range<u32>) {
        let mut rows = RowsBuilder::default();
        for n in numbers {
            rows.push(IpRange::V4(Range::single(0x1400_0000 + 2 * n)), detail);
        }
        let source = "a".parse().unwrap();
        self.submit(Change::List { source, rows: rows.finish().0, scope: Scope::Whole }).await;
    }

    async fn disallow(&self, range: &str) {
        self.submit(Change::Disallow(range.parse().unwrap())).await;
    }

    async fn allow(&self, range: &str) {
        let (range, reason, owner) = (range.parse().unwrap(), "ours".into(), String::new());
        let since = Time::from_unix(1_790_000_000);
        self.submit(Change::Allow(Allow { range, reason, owner, expires: None, since })).await;
    }

    fn target(&self, change: Value) -> Result<(), NotKept> {
        let mut wish = json!({"url": self.firewall.server.url(), "token": TOKEN});
        wish.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let wish = serde_json::from_value(wish).unwrap();
        self.pusher.set_target(&self.device(), wish, &audit())
    }

    fn standing(&self) -> Standing {
        self.publisher.pushes().standings(&name("edge")).remove(&name("fortigate")).unwrap_or_default()
    }

    fn report(&self) -> ListReport {
        let report = self.publisher.pushes().report(self.publisher.feeds(), &self.device()).unwrap();
        report.lists.into_iter().next().unwrap()
    }

    /// What the firewall was last asked to do, and what it has.
    fn commands(&self) -> Vec<(String, usize)> {
        self.firewall.state().commands
    }

    /// Waits until the firewall has what is released, by the firewall's own word.
    async fn enforced(&self) -> Proof {
        until("it is enforced", || {
            let list = self.report();
            list.enforced.filter(|_| list.behind_since.is_none() && list.trouble.is_none())
        })
        .await
    }

    async fn trouble(&self, code: &str) -> Trouble {
        until(code, || self.standing().trouble.filter(|trouble| trouble.code == code)).await
    }
}

fn staff(
    publisher: &Arc<Publisher>,
    folder: &std::path::Path,
    network: &str,
    firewall: &Portal<State>,
) -> (Arc<Pusher>, oneshot::Sender<()>) {
    let port = firewall.server.url().rsplit(':').next().unwrap().parse().unwrap();
    let settings = Settings { networks: vec![network.parse().unwrap()], ports: vec![port], pace: PACE };
    let vault = Arc::new(Vault::new(KeySource::find(folder, None, |_| None)));
    let pusher = Pusher::new(Arc::clone(publisher), vault, settings, Arc::new(|_| {}));
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(Arc::clone(&pusher).run(async move { drop(stopped.await) }));
    (pusher, stop)
}

fn name(text: &str) -> OutputName {
    text.parse().unwrap()
}

fn audit() -> Audit {
    let (at, actor) = (Time::from_unix(1_790_000_000), "test".to_owned());
    let (action, subject) = ("device.push".to_owned(), "edge".to_owned());
    Audit { at, actor, action, subject, reason: String::new(), detail: String::new() }
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("in vain: {what}");
}

#[tokio::test]
async fn a_change_is_sent_as_what_differs_and_proven_by_the_firewalls_own_counts() {
    let house = House::new().await;
    house.list(1000).await;
    house.target(json!({})).unwrap();
    let first = house.enforced().await;
    assert_eq!((first.valid, first.by), (1000, Mode::Snapshot), "nothing was certain before");
    house.list(1003).await;
    let second = house.enforced().await;
    assert_eq!((second.valid, second.invalid, second.by), (1003, Some(0), Mode::Changes));
    assert_eq!(house.commands(), [("snapshot".into(), 1000), ("add".into(), 3)]);
    house.allow("20.0.0.0/28").await;
    assert_eq!(house.enforced().await.valid, 1003 - 8);
    assert_eq!(house.commands().last(), Some(&("remove".into(), 8)));
    let list = house.firewall.state().lists["fortigate"].clone();
    let released = house.publisher.feeds().get("fortigate").unwrap().released().unwrap();
    let text = released.list().unwrap().text().clone();
    let mut sorted: Vec<&str> = std::str::from_utf8(&text).unwrap().lines().collect();
    let mut has: Vec<&str> = list.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    has.sort_unstable();
    assert_eq!(sorted, has);
}

#[tokio::test]
async fn a_list_that_somebody_else_touched_is_replaced() {
    let house = House::new().await;
    house.list(100).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    house.firewall.set(|state| drop(state.lists.get_mut("fortigate").unwrap().pop()));
    until("it is seen and mended", || (house.firewall.state().lists["fortigate"].len() == 100).then_some(()))
        .await;
    assert_eq!(house.commands(), [("snapshot".into(), 100), ("snapshot".into(), 100)]);
}

#[tokio::test]
async fn after_a_push_that_broke_off_the_whole_list_is_sent() {
    let house = House::new().await;
    house.list(100).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    // The firewall takes the addition and then falls silent: whether it has it is not certain.
    house.firewall.set(|state| state.slow = usize::MAX);
    house.list(101).await;
    house.trouble("counts_differ").await;
    assert_eq!(house.standing().has, None);
    house.firewall.set(|state| state.slow = 0);
    let proof = house.enforced().await;
    assert_eq!((proof.valid, proof.by), (101, Mode::Snapshot));
}

#[tokio::test]
async fn counts_are_not_believed_before_the_firewall_has_written_the_list() {
    let house = House::new().await;
    house.list(100).await;
    house.target(json!({"mode": "snapshot"})).unwrap();
    house.enforced().await;
    house.firewall.set(|state| state.slow = 3);
    // As many as before: the old counts would prove anything.
    house.list_of(1..101).await;
    house.enforced().await;
    assert!(!house.firewall.state().lists["fortigate"].contains(&"20.0.0.0".to_owned()));
    assert_eq!(house.commands().len(), 2);
}

#[tokio::test]
async fn what_a_firewall_ignores_or_says_went_wrong_is_never_proven() {
    for mode in ["changes", "snapshot", "refresh"] {
        let house = House::new().await;
        house.list(6).await;
        house.target(json!({})).unwrap();
        house.enforced().await;
        house.firewall.set(|state| state.ignores = true);
        house.target(json!({"mode": mode})).unwrap();
        // As many as before, and another one.
        house.list_of(1..7).await;
        let trouble = house.trouble("unproven").await;
        assert!(trouble.what.contains("6 entries may be older"), "{mode}: {}", trouble.what);
        assert!(house.report().behind_since.is_some() && house.report().released.is_some());
        house.firewall.set(|state| state.says = Some(503));
        let trouble = house.trouble("update_failed").await;
        assert!(trouble.what.contains("503"), "{mode}");
        assert!(house.standing().enforced.is_none());
    }
}

#[tokio::test]
async fn a_list_that_the_firewall_says_it_could_not_take_is_sent_again() {
    let house = House::new().await;
    house.list(6).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    house.firewall.set(|state| state.says = Some(503));
    house.trouble("update_failed").await;
    house.firewall.set(|state| state.says = None);
    house.enforced().await;
    assert!(house.commands().len() >= 2);
}

#[tokio::test]
async fn a_list_that_is_written_late_is_proven_by_the_next_attempt_though_nothing_moves_any_more() {
    let house = House::new().await;
    house.list(6).await;
    house.target(json!({"mode": "snapshot"})).unwrap();
    house.enforced().await;
    house.firewall.set(|state| state.ignores = true);
    house.list_of(1..7).await;
    house.trouble("unproven").await;
    // It has written it by now, and does not write again what it has.
    house.firewall.set(|state| state.updated += 1);
    assert_eq!(house.enforced().await.valid, 6);
}

#[tokio::test]
async fn a_firewall_that_has_fetched_the_release_before_it_was_told_to_is_proven_by_its_next_pull() {
    let house = House::new().await;
    house.list(6).await;
    let lines = (0..6).map(|n| format!("20.0.0.{}", 2 * n)).collect();
    house.firewall.set(|state| drop(state.lists.insert("fortigate".into(), lines)));
    house.firewall.set(|state| state.ignores = true);
    house.target(json!({"mode": "refresh"})).unwrap();
    house.trouble("unproven").await;
    let released = house.publisher.feeds().get("fortigate").unwrap().released().unwrap();
    let modified = released.release.modified;
    let pull = |generation| {
        let (document, from, at) = ("fortigate", "10.0.0.1".parse().unwrap(), house.engine().now());
        let answer = crate::publish::Answer {
            document,
            at,
            from,
            generation,
            modified,
            status: 304,
            bytes: 0,
            has_all: true,
        };
        house.publisher.note(&crate::publish::Reader::Device(name("edge")), answer);
    };
    let generation = house.report().released.unwrap();
    pull(generation - 1);
    house.trouble("unproven").await;
    until("its pull counts", || {
        pull(generation);
        house.standing().enforced
    })
    .await;
}

#[tokio::test]
async fn what_a_firewall_has_no_room_for_or_cannot_read_is_a_fault_with_its_cure() {
    let house = House::new().await;
    house.firewall.set(|state| state.capacity = Some(50));
    house.list(60).await;
    house.target(json!({})).unwrap();
    let trouble = house.trouble("list_overflow").await;
    assert_eq!(trouble.what, "60 entries are more than the firewall takes: it enforces 50");
    assert!(trouble.cure.contains("budget") && house.standing().enforced.is_none());
    house.firewall.set(|state| (state.capacity, state.misread) = (None, Some("20.0.0.2".into())));
    house.trouble("counts_differ").await;
    house.firewall.set(|state| state.misread = None);
    assert_eq!(house.enforced().await.valid, 60);
}

#[tokio::test]
async fn a_firewall_that_fails_for_a_while_has_the_newest_list_afterwards() {
    let house = House::new().await;
    house.list(10).await;
    house.firewall.set(|state| state.fails = vec![503; 6]);
    house.target(json!({})).unwrap();
    let trouble = house.trouble("firewall_status").await;
    house.list(12).await;
    assert_eq!(house.enforced().await.valid, 12);
    assert!(trouble.attempts >= 1 && !trouble.stopped);
    house.firewall.set(|state| drop(state.lists.remove("fortigate")));
    house.list(13).await;
    assert!(house.trouble("list_missing").await.cure.contains("update method push"));
}

#[tokio::test]
async fn a_held_feed_sends_what_it_serves() {
    let house = House::new().await;
    house.list(1000).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    // So much at once is held, while an allow goes through.
    house.list(10).await;
    house.allow("20.0.0.0/28").await;
    assert_eq!(house.enforced().await.valid, 992);
}

#[tokio::test]
async fn a_consent_in_the_generation_of_an_allow_is_pushed_too() {
    let house = House::new().await;
    house.list(1000).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    house.list(10).await;
    house.allow("20.0.0.0/28").await;
    let before = house.enforced().await;
    let feed = name("fortigate");
    let hold = house.publisher.feeds().get("fortigate").unwrap().status().hold.unwrap();
    house.publisher.feeds().consent(Some(&feed), hold.generation, house.engine()).unwrap();
    let after = house.enforced().await;
    assert_eq!((after.valid, after.generation), (2, before.generation), "in the same generation");
}
