//! What bouncers are answered.

use super::*;
use crate::disk::Medium;
use crate::engine::Options;
use crate::model::{Allow, Batch, Cause, Change, Detail, Profile, RowsBuilder, Scope, Time};
use crate::web::auth::Guard;
use crate::web::metrics::Metrics;
use crate::web::{App, Peer, Role};
use http::header::{CONTENT_ENCODING, HOST};
use serde_json::Value;
use std::io::Read as _;
use std::sync::atomic::{AtomicI64, Ordering};

const NOON: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

struct House {
    engine: Engine,
    feeds: Arc<Feeds>,
    app: Arc<App>,
    clock: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(NOON));
        let hand = Arc::clone(&clock);
        let options = Options {
            clock: Arc::new(move || Time::from_unix(hand.load(Ordering::Relaxed))),
            ..Options::new(Medium::folder(folder.path()))
        };
        let engine = Engine::open(options).unwrap();
        let feeds = Arc::new(Feeds::open(folder.path(), Profile::fortigate(), Time::default()).unwrap());
        let rolls = Arc::new(Rolls::new(engine.clone()));
        let keys = ["bouncer"].into_iter().collect();
        let (ours, feed) = (Arc::clone(&feeds), OutputName::fortigate());
        let decisions = Decisions::new(engine.clone(), ours, rolls, feed, keys, (3600, 7 * DAY));
        let guard = Guard::new("admin", &[]).leaving(&[PREFIX]);
        let app = App::new(Role::Blacklist, decisions.router(), &Arc::new(Metrics::new())).guard(guard);
        Self { engine, feeds, app: Arc::new(app), clock, _folder: folder }
    }

    async fn change(&self, change: Change) {
        let (id, reason) = (uuid::Uuid::now_v7(), String::new());
        let batch = Batch { id, actor: "test".into(), reason, cause: Cause::Run, change };
        self.engine.submit(batch).await.unwrap();
        self.feeds.refresh(&self.engine);
    }

    async fn list(&self, list: &[&str]) {
        let mut rows = RowsBuilder::default();
        list.iter().for_each(|range| rows.push(range.parse().unwrap(), &Detail::default()));
        let (source, rows) = ("a".parse().unwrap(), rows.finish().0);
        self.change(Change::List { source, rows, scope: Scope::Whole }).await;
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = http::Request::builder().method(method).uri(path).header(HOST, "a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let far = Peer::Tcp(([192, 0, 2, 1], 9).into());
        self.app.answer(request.body(Body::empty()).unwrap(), far).await
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.ask("GET", path, &[("x-api-key", "bouncer")]).await;
        assert_eq!(response.status(), 200);
        serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap()
    }

    async fn values(&self, path: &str) -> [Vec<String>; 2] {
        let told = self.get(path).await;
        ["new", "deleted"].map(|part| {
            let values = told[part].as_array().unwrap().iter();
            values.map(|decision| decision["value"].as_str().unwrap().to_owned()).collect()
        })
    }
}

const STARTUP: &str = "/v1/decisions/stream?startup=true";
const STREAM: &str = "/v1/decisions/stream?startup=false&scopes=ip,range&dedup=false";

#[tokio::test]
async fn two_bouncers_with_one_key_both_get_every_change() {
    let house = House::new();
    house.list(&["20.0.0.0/24", "30.0.0.7"]).await;
    assert_eq!(house.values(STARTUP).await, [vec!["20.0.0.0/24", "30.0.0.7"], vec![]]);
    house.clock.fetch_add(4000, Ordering::Relaxed);
    let range = "20.0.0.128/25".parse().unwrap();
    let (reason, owner, since) = (String::new(), String::new(), Time::from_unix(NOON));
    house.change(Change::Allow(Allow { range, reason, owner, expires: None, since })).await;
    let told = [vec!["20.0.0.0/25"], vec!["20.0.0.0/24"]];
    assert_eq!(house.values(STREAM).await, told);
    assert_eq!(house.values(STREAM).await, told, "the second one");
    assert_eq!(house.values(STARTUP).await[0], ["20.0.0.0/25", "30.0.0.7"]);
    house.clock.fetch_add(3601, Ordering::Relaxed);
    assert_eq!(house.values(STREAM).await, [vec![""; 0], vec!["20.0.0.0/24"]], "everybody has what is new");
    house.clock.fetch_add(7 * DAY, Ordering::Relaxed);
    assert_eq!(house.values(STREAM).await[1], [""; 0], "by now nobody holds it any more");
}

impl House {
    async fn allow(&self, range: &str) {
        let (reason, owner, since) = (String::new(), String::new(), Time::from_unix(NOON));
        let range = range.parse().unwrap();
        self.change(Change::Allow(Allow { range, reason, owner, expires: None, since })).await;
    }
}

#[tokio::test]
async fn a_bouncer_that_was_away_lets_go_what_was_allowed_meanwhile() {
    let house = House::new();
    house.list(&["20.0.0.1", "30.0.0.7"]).await;
    house.allow("30.0.0.7").await;
    house.clock.fetch_add(6 * DAY, Ordering::Relaxed);
    assert_eq!(house.values(STREAM).await[1], ["30.0.0.7"], "also when the service was away");
    house.list(&["20.0.0.1", "30.0.0.7", "40.0.0.1"]).await;
    assert_eq!(house.values(STREAM).await, [vec!["40.0.0.1"], vec!["30.0.0.7"]]);
    house.change(Change::Disallow("30.0.0.7".parse().unwrap())).await;
    assert_eq!(house.values(STREAM).await, [vec!["30.0.0.7", "40.0.0.1"], vec![]], "it is listed again");
}

#[tokio::test]
async fn an_allow_is_told_also_when_nothing_is_left_and_an_accident_is_not() {
    let house = House::new();
    house.list(&["20.0.0.1", "30.0.0.7"]).await;
    house.allow("20.0.0.0/24").await;
    house.list(&[]).await;
    assert_eq!(
        house.values(STREAM).await,
        [vec![""; 0], vec!["20.0.0.1"]],
        "and nothing of the source's silence"
    );
    assert_eq!(house.ask("GET", STARTUP, &[("x-api-key", "bouncer")]).await.status(), 503);
}

#[tokio::test]
async fn a_line_is_told_again_before_it_ends_and_after() {
    let house = House::new();
    house.list(&["20.0.0.1"]).await;
    house.clock.fetch_add(2 * 3600, Ordering::Relaxed);
    let first = house.get(STARTUP).await["new"][0]["duration"].as_str().unwrap().to_owned();
    let hours: i64 = first.split_once('h').unwrap().0.parse().unwrap();
    let mut told = Vec::new();
    for hour in 0..=hours + 2 {
        if !house.values(STREAM).await[0].is_empty() {
            told.push(hour - hours);
        }
        house.clock.fetch_add(3600, Ordering::Relaxed);
    }
    assert_eq!(told, [0, 1], "the hours around its end, {first} away");
}

#[tokio::test]
async fn nothing_listed_is_no_answer_that_would_open_a_firewall() {
    let house = House::new();
    for path in [STARTUP, STREAM, "/v1/decisions", "/v1/decisions?ip=20.0.0.1"] {
        assert_eq!(house.ask("GET", path, &[("x-api-key", "bouncer")]).await.status(), 503, "{path}");
    }
    house.list(&["20.0.0.1"]).await;
    house.get(STARTUP).await;
    house.list(&[]).await;
    assert_eq!(house.ask("GET", STREAM, &[("x-api-key", "bouncer")]).await.status(), 503);
}

#[tokio::test]
async fn a_key_is_right_or_the_answer_is_forbidden() {
    let house = House::new();
    house.list(&["20.0.0.1"]).await;
    for key in ["bouncer", "admin"] {
        assert_eq!(house.ask("HEAD", "/v1/decisions", &[("x-api-key", key)]).await.status(), 200);
    }
    for headers in [&[("x-api-key", "other")][..], &[], &[("x-api-key", "bouncer"), ("x-api-key", "other")]] {
        for path in ["/v1/decisions", STREAM, "/v1/heartbeat"] {
            assert_eq!(house.ask("GET", path, headers).await.status(), 403, "{path} {headers:?}");
        }
    }
    assert_eq!(house.ask("GET", "/v1/heartbeat", &[("x-api-key", "bouncer")]).await.status(), 200);
}

#[tokio::test]
async fn one_address_is_asked_about_in_every_way_that_bouncers_have() {
    let house = House::new();
    house.list(&["20.0.0.0/24", "20.0.1.1"]).await;
    for query in [
        "ip=20.0.0.9",
        "scope=range&value=20.0.0.9",
        "range=20.0.0.0/25",
        "range=20.0.0.0/23&contains=false&scopes=Range",
    ] {
        let told = house.get(&format!("/v1/decisions?{query}")).await;
        assert_eq!(
            (told.as_array().unwrap().len(), &told[0]["value"]),
            (1, &"20.0.0.0/24".into()),
            "{query}"
        );
    }
    assert_eq!(house.get("/v1/decisions?ip=20.0.2.1&type=ban").await, Value::Null);
    assert_eq!(house.get("/v1/decisions").await.as_array().unwrap().len(), 2);
    let wrong = house.ask("GET", "/v1/decisions?ip=20.0.0", &[("x-api-key", "bouncer")]).await;
    assert_eq!(wrong.status(), 400);
}

#[tokio::test]
async fn a_stream_is_compressed_for_those_who_take_it() {
    let house = House::new();
    let list: Vec<String> = (0..3000).map(|n| format!("20.0.{}.{}", n / 100, n % 100 * 2)).collect();
    house.list(&list.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let headers = [("x-api-key", "bouncer"), ("accept-encoding", "deflate, gzip")];
    let response = house.ask("GET", STARTUP, &headers).await;
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    let bytes = response.into_body().read().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["new"].as_array().unwrap().len(), 3000);
    assert!(bytes.len() * 4 < text.len());
}
