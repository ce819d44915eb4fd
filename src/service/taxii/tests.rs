//! What readers of collections are answered.

use super::*;
use crate::disk::Medium;
use crate::engine::{Engine, Options};
use crate::model::{Batch, Cause, Change, Detail, Profile, RowsBuilder, Scope};
use crate::web::metrics::Metrics;
use crate::web::{App, Peer, Role};
use http::header::HOST;
use std::sync::atomic::{AtomicI64, Ordering};

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
        let clock = Arc::new(AtomicI64::new(1_790_000_000));
        let hand = Arc::clone(&clock);
        let options = Options {
            clock: Arc::new(move || Time::from_unix(hand.load(Ordering::Relaxed))),
            ..Options::new(Medium::folder(folder.path()))
        };
        let engine = Engine::open(options).unwrap();
        let feeds = Arc::new(Feeds::open(folder.path(), Profile::fortigate(), Time::default()).unwrap());
        let taxii = Taxii::new(Arc::clone(&feeds), Arc::new(Rolls::new(engine.clone())));
        let app = Arc::new(App::new(Role::Blacklist, taxii.router(), &Arc::new(Metrics::new())));
        Self { engine, feeds, app, clock, _folder: folder }
    }

    /// A minute later the source lists these.
    async fn list(&self, list: &[&str]) {
        self.clock.fetch_add(60, Ordering::Relaxed);
        let mut rows = RowsBuilder::default();
        list.iter().for_each(|range| rows.push(range.parse().unwrap(), &Detail::default()));
        let (source, rows) = ("a".parse().unwrap(), rows.finish().0);
        let change = Change::List { source, rows, scope: Scope::Whole };
        let (id, reason) = (uuid::Uuid::now_v7(), String::new());
        let batch = Batch { id, actor: "test".into(), reason, cause: Cause::Run, change };
        self.engine.submit(batch).await.unwrap();
        self.feeds.refresh(&self.engine);
    }

    async fn ask(&self, path: &str, accept: &str) -> Response {
        let request = http::Request::builder().uri(path).header(HOST, "a").header(ACCEPT, accept);
        self.app.answer(request.body(Body::empty()).unwrap(), Peer::Local).await
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.ask(path, TAXII_21).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
            (200, &TAXII_21.parse().unwrap())
        );
        serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap()
    }
}

const FEED: &str = "/taxii2/feeds/collections/fortigate";

#[tokio::test]
async fn a_reader_finds_its_way_from_discovery_to_objects() {
    let house = House::new();
    house.list(&["20.0.0.1", "2a00::/64"]).await;
    let root = house.get("/taxii2/").await["default"].as_str().unwrap().to_owned();
    assert_eq!(house.get(&root).await["versions"][0], TAXII_21);
    let collections = house.get(&format!("{root}collections/")).await;
    let id = collections["collections"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(house.get(&format!("{root}collections/{id}/")).await["title"], "fortigate");
    let objects = house.get(&format!("{root}collections/{id}/objects/")).await;
    assert_eq!((&objects["more"], objects["objects"].as_array().unwrap().len()), (&false.into(), 2));
    let first = objects["objects"][0]["id"].as_str().unwrap();
    let one = house.get(&format!("{FEED}/objects/{first}/")).await;
    assert_eq!((&one["objects"][0], one["objects"].as_array().unwrap().len()), (&objects["objects"][0], 1));
    let manifest = house.get(&format!("{FEED}/manifest?match[id]={first}")).await;
    assert_eq!(manifest["objects"][0]["id"], *first);
    assert_eq!(house.ask("/taxii2/feeds/collections/other/objects/", TAXII_21).await.status(), 404);
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_came_and_what_left_since() {
    let house = House::new();
    house.list(&["20.0.0.1", "30.0.0.1"]).await;
    let first = house.ask(&format!("{FEED}/objects/"), TAXII_21).await;
    let seen = first.headers()[&LAST].to_str().unwrap().to_owned();
    assert_eq!(first.headers()[&FIRST], seen);
    house.list(&["20.0.0.1", "40.0.0.1"]).await;
    let objects = house.get(&format!("{FEED}/objects/?added_after={seen}")).await;
    let told: Vec<(&str, bool)> = objects["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| (object["name"].as_str().unwrap(), object["revoked"] == true))
        .collect();
    assert_eq!(told, [("30.0.0.1", true), ("40.0.0.1", false)]);
    let none = house.get(&format!("{FEED}/objects/?added_after=2030-01-01T00:00:00.000Z")).await;
    assert_eq!(none, json!({ "more": false }));
}

#[tokio::test]
async fn pages_follow_each_other_also_when_the_list_changes_meanwhile() {
    let house = House::new();
    house.list(&["20.0.0.1", "30.0.0.1", "40.0.0.1"]).await;
    let page = house.get(&format!("{FEED}/objects/?limit=2")).await;
    assert_eq!((&page["more"], page["objects"].as_array().unwrap().len()), (&true.into(), 2));
    house.list(&["20.0.0.1", "30.0.0.1", "40.0.0.1", "21.0.0.1"]).await;
    let next = page["next"].as_str().unwrap();
    let page = house.get(&format!("{FEED}/objects/?limit=2&next={next}")).await;
    let names: Vec<&Value> =
        page["objects"].as_array().unwrap().iter().map(|object| &object["name"]).collect();
    assert_eq!(names, ["40.0.0.1", "21.0.0.1"]);
    for wrong in ["limit=0", "limit=x", "next=x", "added_after=x"] {
        assert_eq!(house.ask(&format!("{FEED}/objects/?{wrong}"), TAXII_21).await.status(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_reader_of_version_2_0_gets_a_bundle_of_it_and_no_refusal() {
    let house = House::new();
    assert_eq!(house.ask(&format!("{FEED}/objects/"), STIX_20).await.status(), 503, "no empty list");
    house.list(&["20.0.0.1", "2a00::/64"]).await;
    let response = house.ask(&format!("{FEED}/objects/"), STIX_20).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
        (200, &STIX_20.parse().unwrap())
    );
    let bundle: Value = serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap();
    assert_eq!((&bundle["type"], &bundle["spec_version"]), (&"bundle".into(), &"2.0".into()));
    assert_eq!(bundle["objects"].as_array().unwrap().len(), 3, "with who says so");
}
