//! Telling a receiver that takes what it is told, and one that does not.

use super::*;
use crate::addr::{IpRange, IpSet, Range};
use crate::disk::Medium;
use crate::engine::{Engine, Options};
use crate::fakes::receiver::{self, Mood, State as Receiver, Told as Heard};
use crate::fakes::server::Portal;
use crate::model::{Batch, Cause, Change as Word, Detail, OutputName, Profile, RowsBuilder, Scope, Time};
use crate::publish::book::Audit;
use crate::publish::{BOOK_FILE, Publisher};
use crate::vault::{KeySource, Vault};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const PACE: Pace = Pace {
    first: Duration::from_millis(20),
    most: Duration::from_millis(80),
    look: Duration::from_millis(50),
    timeout: Duration::from_millis(400),
};
const SECRET: &str = "a-secret-of-some-length";

/// What is the matter with the only source, for the courier to see.
type Matter = Arc<Mutex<Option<String>>>;

struct House {
    publisher: Arc<Publisher>,
    courier: Arc<Courier>,
    matter: Matter,
    folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
}

impl House {
    fn open(folder: tempfile::TempDir, receiver: &Portal<Receiver>) -> Self {
        let clock: crate::engine::Clock = Arc::new(|| Time::from_unix(1_790_000_000));
        let engine = Engine::open(Options { clock, ..Options::new(Medium::folder(folder.path())) }).unwrap();
        let publisher = Publisher::open(engine, Profile::fortigate(), IpSet::default()).unwrap();
        let matter = Matter::default();
        let courier = courier(&publisher, folder.path(), "127.0.0.1", receiver, &matter);
        Self { publisher, courier, matter, folder, stop: None }
    }

    /// A house with a hook, and somebody who runs its errands.
    fn new(receiver: &Portal<Receiver>) -> Self {
        let mut house = Self::open(tempfile::tempdir().unwrap(), receiver);
        house.add("ops", json!({"url": receiver.server.url()})).unwrap();
        house.run();
        house
    }

    fn run(&mut self) {
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(Arc::clone(&self.courier).run(async move { drop(stopped.await) }));
        self.stop = Some(stop);
    }

    fn add(&self, name: &str, said: Value) -> Result<Shown, NotKept> {
        let mut wish = json!({"secret": SECRET});
        wish.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        self.courier.add(&named(name), read(wish), &audit())
    }

    fn set(&self, said: Value) -> Result<(), NotKept> {
        self.courier.set(&named("ops"), read(said), &audit())
    }

    /// Lists so many addresses, no two of which are neighbours, and releases that.
    async fn list(&self, count: u32) {
        let mut rows = RowsBuilder::default();
        for n in 0..count {
            rows.push(IpRange::V4(Range::single(0x1400_0000 + 2 * n)), &Detail::default());
        }
        self.submit(Word::List { source: "a".parse().unwrap(), rows: rows.finish().0, scope: Scope::Whole })
            .await;
    }

    /// Collection lists, people do all else.
    async fn submit(&self, change: Word) {
        let cause = if matches!(change, Word::List { .. }) { Cause::Run } else { Cause::Manual };
        let (id, actor, reason) = (uuid::Uuid::now_v7(), "test".into(), String::new());
        self.publisher.engine().submit(Batch { id, actor, reason, cause, change }).await.unwrap();
        self.publisher.refresh();
    }

    fn kept(&self) -> KeptHook {
        self.publisher.hooks().get(&named("ops")).unwrap()
    }

    async fn quiet(&self) {
        self.courier.look().unwrap();
        until("nothing waits", || (self.kept().waiting() == 0).then_some(())).await;
    }

    /// Ends it, and begins anew with what is on the disk.
    async fn restart(mut self, receiver: &Portal<Receiver>) -> Self {
        drop(self.stop.take());
        let is_alone = || Arc::strong_count(&self.courier) == 1 && Arc::strong_count(&self.publisher) == 2;
        until("nobody else has it", || is_alone().then_some(())).await;
        let Self { publisher, courier, folder, .. } = self;
        publisher.engine().stop();
        drop((publisher, courier));
        Self::open(folder, receiver)
    }
}

fn courier(
    publisher: &Arc<Publisher>,
    folder: &Path,
    network: &str,
    receiver: &Portal<Receiver>,
    matter: &Matter,
) -> Arc<Courier> {
    receiver.set(|state| state.secrets = vec![SECRET.to_owned()]);
    let port = receiver.server.url().rsplit(':').next().unwrap().parse().unwrap();
    let matter = Arc::clone(matter);
    let sources: Sources = Arc::new(move || vec![("a".to_owned(), matter.lock().unwrap().clone())]);
    let settings =
        Settings { networks: vec![network.parse().unwrap()], ports: vec![port], pace: PACE, sources };
    let vault = Arc::new(Vault::new(KeySource::find(folder, None, |_| None)));
    Courier::new(Arc::clone(publisher), vault, settings, Arc::new(|_| {}))
}

fn named(text: &str) -> OutputName {
    text.parse().unwrap()
}

fn read(said: Value) -> Wish {
    Wish::read(said.as_object().unwrap().clone()).unwrap_or_else(|why| panic!("{why}"))
}

fn audit() -> Audit {
    let (actor, action, subject) = ("test".to_owned(), "webhook.add".to_owned(), "ops".to_owned());
    let (reason, detail) = (String::new(), String::new());
    Audit { at: Time::from_unix(1_790_000_000), actor, action, subject, reason, detail }
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in vain: {what}");
}

fn events(told: &[Heard]) -> Vec<(&str, Option<u64>)> {
    told.iter().map(|one| (one.event.as_str(), one.document["release"]["generation"].as_u64())).collect()
}

#[tokio::test]
async fn a_release_is_told_once_signed_and_with_its_numbers() {
    let receiver = receiver::start();
    let house = House::new(&receiver);
    house.list(3).await;
    house.quiet().await;
    house.list(5).await;
    house.quiet().await;
    let told = receiver.state().told;
    assert_eq!(events(&told), [("feed.released", Some(1)), ("feed.released", Some(2))]);
    assert!(told.iter().all(|one| one.signed == [0]), "{told:?}");
    let [first, second] = [&told[0].document, &told[1].document];
    assert_eq!((&first["feed"], &first["release"]["added"]), (&json!("fortigate"), &json!(3)));
    let feed = house.publisher.feeds().get("fortigate").unwrap().released().unwrap();
    let etag = feed.list().unwrap().etag(crate::publish::Coding::Identity);
    assert_eq!(
        *second,
        json!({
            "schema": 1, "id": told[1].id, "event": "feed.released", "time": "2026-09-21T14:13:20Z",
            "feed": "fortigate", "stands_for": 1,
            "release": {
                "generation": 2, "since": 1, "modified": second["release"]["modified"],
                "path": "/feeds/fortigate", "etag": etag, "offered": true,
                "addresses": 5, "lines": 5, "added": 2, "removed": 0,
            },
        })
    );
}

#[tokio::test]
async fn what_fails_is_sent_again_as_the_same_delivery_and_in_order() {
    let receiver = receiver::start();
    receiver.set(|state| {
        state.moods = [500, 503, 302].map(Mood::Status).into();
        state.moods.extend([Mood::Elsewhere("http://127.0.0.1:9/".into()), Mood::Hang, Mood::Endless]);
    });
    let house = House::new(&receiver);
    house.list(3).await;
    house.courier.look().unwrap();
    house.list(5).await;
    house.quiet().await;
    let told = receiver.state().told;
    assert_eq!(told.len(), 7, "six attempts, and the second event: {told:?}");
    assert!(told[..6].iter().all(|one| one.id == told[0].id && one.document == told[0].document));
    assert_eq!(told[6].document["release"]["generation"], 2);
    let log = house.kept().deliveries;
    let first = log.values().next().unwrap();
    let last = first.last.clone().unwrap();
    assert_eq!((first.state, first.attempts, last.status), (State::Delivered, 6, Some(200)));
    assert!(last.answer.len() == 200 && last.answer.starts_with("and so on  [31m"), "{:?}", last.answer);
    assert_eq!(house.kept().trouble(), None);
}

#[tokio::test]
async fn each_fault_has_a_code_and_a_cure() {
    let receiver = receiver::start();
    let house = House::open(tempfile::tempdir().unwrap(), &receiver);
    house.add("ops", json!({"url": receiver.server.url()})).unwrap();
    for (mood, code, status) in [
        (Mood::Status(500), "receiver_status", Some(500)),
        (Mood::Elsewhere("https://a.example/".into()), "redirect", Some(302)),
        (Mood::Hang, "fetch_timeout", None),
        (Mood::Status(410), "receiver_gone", Some(410)),
    ] {
        receiver.set(|state| state.moods = [mood].into());
        let tested = house.courier.test(&named("ops")).await.unwrap();
        let last = tested.last.unwrap();
        assert_eq!((tested.state, last.code.as_deref(), last.status), (State::Failed, Some(code), status));
        assert!(last.cure.is_some_and(|cure| !cure.is_empty()));
    }
    let (publisher, folder) = (&house.publisher, house.folder.path());
    let other = courier(publisher, folder, "10.0.0.0/8", &receiver, &house.matter);
    let denied = other.test(&named("ops")).await.unwrap().last.unwrap();
    assert_eq!(denied.code.as_deref(), Some("address_denied"));
    assert!(denied.cure.unwrap().contains("push.networks"));
    std::fs::write(folder.join("vault.key"), [7; 32]).unwrap();
    let other = courier(publisher, folder, "127.0.0.1", &receiver, &house.matter);
    assert_eq!(other.test(&named("ops")).await.unwrap().last.unwrap().code.as_deref(), Some("not_sent"));
    assert_eq!(house.kept().deliveries.len(), 6, "every test is in the log");
}

#[tokio::test]
async fn a_receiver_that_is_gone_switches_its_hook_off_until_somebody_switches_it_on() {
    let receiver = receiver::start();
    receiver.set(|state| state.moods = [Mood::Hang, Mood::Status(410)].into());
    let house = House::new(&receiver);
    house.list(3).await;
    house.courier.look().unwrap();
    house.list(4).await;
    house.courier.look().unwrap();
    let trouble = until("it is off", || house.kept().trouble().filter(|trouble| trouble.stopped)).await;
    assert_eq!(trouble.code, "receiver_gone");
    assert!(house.kept().deliveries.values().all(|one| one.state == State::Dropped));
    house.list(5).await;
    house.courier.look().unwrap();
    assert_eq!(receiver.state().told.len(), 2, "nothing more");
    house.set(json!({"url": receiver.server.url()})).unwrap();
    house.list(6).await;
    house.quiet().await;
    let told = receiver.state().told;
    assert_eq!(events(&told[2..]), [("feed.released", Some(4))], "what comes from then on");
    assert!(told[2].signed == [0], "with the secret that it had");
}

#[tokio::test]
async fn what_waits_survives_a_restart_and_what_happens_meanwhile_is_told_too() {
    let receiver = receiver::start();
    receiver.set(|state| state.moods = vec![Mood::Status(500); 1000].into());
    let house = House::new(&receiver);
    house.list(3).await;
    house.courier.look().unwrap();
    house.list(4).await;
    house.courier.look().unwrap();
    let id = until("it was tried", || receiver.state().told.first().map(|one| one.id.clone())).await;
    until("that is known", || (house.kept().deliveries[&1].attempts > 0).then_some(())).await;
    let waited: Vec<_> = house.kept().deliveries.values().map(|one| one.id.to_string()).collect();
    // Released, and nobody looks before the end.
    let mut house = house.restart(&receiver).await;
    house.list(5).await;
    receiver.set(|state| (state.moods, state.told) = (Default::default(), Vec::new()));
    assert!(house.kept().trouble().is_some_and(|trouble| trouble.attempts > 0), "it knows that it failed");
    house.run();
    house.quiet().await;
    let told = receiver.state().told;
    let released = [1, 2, 3].map(|generation| ("feed.released", Some(generation)));
    assert_eq!((events(&told), &told[0].id), (released.to_vec(), &id));
    assert_eq!(told[..2].iter().map(|one| one.id.clone()).collect::<Vec<_>>(), waited);
}

#[tokio::test]
async fn a_hook_that_was_down_long_is_told_the_newest_release_with_all_that_changed() {
    let receiver = receiver::start();
    receiver.set(|state| state.moods = vec![Mood::Status(500); 10_000].into());
    let house = House::new(&receiver);
    let (book, id) = (house.publisher.book().unwrap(), house.kept().hook.id);
    let event = |n: usize| Event {
        kind: Kind::Held,
        subject: format!("feed-{n}"),
        at: Time::from_unix(1_790_000_000),
        news: News::default(),
        from: None,
    };
    let many = (0..=delivery::LONG).map(event).collect();
    let wait = |kept: &KeptHook| delivery::append(&kept.deliveries, many);
    house.publisher.hooks().change(book, (&named("ops"), id), None, wait).unwrap();
    for count in [1, 3, 2, 9] {
        house.list(count).await;
        house.courier.look().unwrap();
    }
    let kept = house.kept();
    assert_eq!(kept.waiting(), delivery::LONG + 2);
    let last = kept.deliveries.values().last().unwrap();
    let release = last.event.news.release.clone().unwrap();
    assert_eq!((release.since, release.generation, last.stands_for), (0, 4, 4));
    assert_eq!((release.addresses, release.added, release.removed), (9, Some(9), Some(0)));
}

#[tokio::test]
async fn holds_devices_and_sources_are_told_when_they_begin_and_when_they_end() {
    let receiver = receiver::start();
    let mut house = House::open(tempfile::tempdir().unwrap(), &receiver);
    house.list(2000).await;
    let device = json!({"name": "hq", "feeds": ["fortigate"]});
    house.submit(Word::Publish(crate::model::Output::Device(serde_json::from_value(device).unwrap()))).await;
    let events_wanted = json!(["feed.held", "feed.unheld", "source.troubled", "source.well", "device.heard"]);
    house.add("ops", json!({"url": receiver.server.url(), "events": events_wanted})).unwrap();
    house.run();
    house.list(3).await;
    house.quiet().await;
    *house.matter.lock().unwrap() = Some("held".to_owned());
    house.quiet().await;
    let feeds = house.publisher.feeds();
    let generation = feeds.get("fortigate").unwrap().status().hold.unwrap().generation;
    feeds.consent(Some(&OutputName::fortigate()), generation, house.publisher.engine()).unwrap();
    *house.matter.lock().unwrap() = None;
    let from = "127.0.0.1".parse().unwrap();
    let at = house.publisher.engine().now();
    let answer = crate::publish::Answer {
        has_all: true,
        document: "fortigate",
        at,
        from,
        generation: 3,
        modified: at,
        status: 200,
        bytes: 1,
    };
    house.publisher.note(&crate::publish::Reader::Device(named("hq")), answer);
    house.quiet().await;
    let told = receiver.state().told;
    let names: Vec<&str> = told.iter().map(|one| one.event.as_str()).collect();
    assert_eq!(names[..2], ["feed.held", "source.troubled"], "{told:?}");
    let mut over = names[2..].to_vec();
    over.sort_unstable();
    assert_eq!(over, ["device.heard", "feed.unheld", "source.well"]);
    let held = &told[0].document;
    assert_eq!((&held["feed"], &held["hold"]["gone"]), (&json!("fortigate"), &json!(1997)));
    assert_eq!((&told[1].document["source"], &told[1].document["what"]), (&json!("a"), &json!("held")));
}

#[tokio::test]
async fn two_releases_of_one_generation_are_both_told_with_what_each_changed() {
    let receiver = receiver::start();
    let house = House::new(&receiver);
    house.list(2000).await;
    house.quiet().await;
    house.list(3).await;
    let (range, reason, owner, since) =
        ("20.0.15.158".parse().unwrap(), "ours".into(), String::new(), Time::from_unix(1_790_000_000));
    house.submit(Word::Allow(crate::model::Allow { range, reason, owner, expires: None, since })).await;
    house.quiet().await;
    let (feeds, engine) = (house.publisher.feeds(), house.publisher.engine());
    feeds.consent(Some(&OutputName::fortigate()), 3, engine).unwrap();
    house.quiet().await;
    let told = receiver.state().told;
    let numbers = told.iter().filter_map(|one| {
        let release = one.document.get("release")?;
        Some(
            ["since", "generation", "addresses", "added", "removed"]
                .map(|key| release[key].as_u64().unwrap()),
        )
    });
    let numbers: Vec<_> = numbers.collect();
    assert_eq!(numbers, [[0, 1, 2000, 2000, 0], [1, 3, 1999, 0, 1], [3, 3, 3, 0, 1996]]);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_for_a_day_the_one_before_signs_too() {
    let receiver = receiver::start();
    let house = House::open(tempfile::tempdir().unwrap(), &receiver);
    let wish = read(json!({"url": receiver.server.url()}));
    let made = house.courier.add(&named("ops"), wish, &audit()).unwrap().unwrap();
    assert_eq!(made.len(), 64);
    let next = house.courier.rotate(&named("ops"), &audit()).unwrap();
    receiver.set(|state| state.secrets = vec![made.to_string(), next.to_string()]);
    house.courier.test(&named("ops")).await.unwrap();
    assert_eq!(receiver.state().told[0].signed, [0, 1]);
    let later = Audit { at: audit().at.plus(-90_000), ..audit() };
    let last = house.courier.rotate(&named("ops"), &later).unwrap();
    receiver.set(|state| state.secrets.push(last.to_string()));
    house.courier.test(&named("ops")).await.unwrap();
    assert_eq!(receiver.state().told[1].signed, [2], "a day later");
    let shown = format!("{:?} {:?}", house.kept(), house.publisher.book().unwrap().audits(None, 9).unwrap());
    let kept = std::fs::read(house.folder.path().join(BOOK_FILE)).unwrap();
    for secret in [made, next, last] {
        assert!(!shown.contains(&**secret));
        assert!(!kept.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "sealed on the disk");
    }
}

#[tokio::test]
async fn the_file_sets_hooks_up_and_takes_away_its_own_only() {
    let receiver = receiver::start();
    let house = House::open(tempfile::tempdir().unwrap(), &receiver);
    let secret = house.folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    house.add("people", json!({"url": receiver.server.url()})).unwrap();
    let wish: FileWish =
        serde_json::from_value(json!({"url": receiver.server.url(), "secret_file": secret})).unwrap();
    let said = BTreeMap::from([(named("ops"), wish.clone())]);
    let refused = house.courier.configure(&said).unwrap_err();
    assert!(refused.contains("ops: ") && refused.contains("chmod 600"), "{refused}");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    house.courier.configure(&said).unwrap();
    house.courier.test(&named("ops")).await.unwrap();
    assert_eq!(receiver.state().told[0].signed, [0]);
    let before = house.kept().hook;
    house.courier.configure(&said).unwrap();
    assert_eq!(house.kept().hook, before, "nothing new is said");
    let fewer = FileWish { events: vec![Kind::Held], ..wish };
    house.courier.configure(&BTreeMap::from([(named("ops"), fewer)])).unwrap();
    assert_eq!(house.kept().hook.events, [Kind::Held]);
    house.courier.configure(&BTreeMap::new()).unwrap();
    let left: Vec<String> = house.publisher.hooks().all().keys().map(ToString::to_string).collect();
    assert_eq!(left, ["people"]);
}
