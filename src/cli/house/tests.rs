//! A process as its callers see it.

mod papers;

use super::*;
use crate::cli::folder;
use crate::cli::tests::House as Place;
use crate::disk::Medium;
use crate::engine::Options;
use crate::model::{Batch, Cause, Change, Output, OutputKey, Policy, Profile};
use crate::web::{Body, Peer};
use http::header::{CONTENT_TYPE, HOST};
use serde_json::Value;

pub(super) fn house(place: &Place) -> House {
    folder::make(&place.settings.data).unwrap();
    let engine = Engine::open(Options::new(Medium::folder(&place.settings.data))).unwrap();
    House::build(Some(engine), "key", &place.settings, Vec::new(), None).unwrap()
}

async fn ask(house: &House, method: &str, path: &str, kind: &str, body: String) -> (u16, String) {
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header(HOST, "a").header(CONTENT_TYPE, kind).body(Body::full(body)).unwrap();
    let response = house.apps[&Role::Blacklist].answer(request, Peer::Local).await;
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().read().await.unwrap().to_vec()).unwrap())
}

async fn get(house: &House, path: &str) -> (u16, Value) {
    let (status, text) = ask(house, "GET", path, "", String::new()).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_house_is_ready_from_its_first_lists_until_it_drains() {
    let place = Place::new();
    let house = house(&place);
    assert_eq!(get(&house, "/ready").await.0, 503);
    house.ready.open();
    assert_eq!(get(&house, "/ready").await.0, 200);
    house.ready.shut();
    assert_eq!(get(&house, "/ready").await.0, 503);
}

#[tokio::test]
async fn an_empty_feed_is_healthy_only_before_there_is_a_source() {
    let place = Place::new();
    let house = house(&place);
    let engine = house.engine.clone().unwrap();
    house.publisher.as_ref().unwrap().refresh();
    assert_eq!(get(&house, "/health").await.1["checks"]["feeds"]["status"], "healthy");
    let change = Change::Describe { source: "a".parse().unwrap(), policy: Policy::default() };
    let (id, reason) = (uuid::Uuid::now_v7(), String::new());
    let batch = Batch { id, actor: "test".into(), reason, cause: Cause::Import, change };
    engine.submit(batch).await.unwrap();
    house.publisher.as_ref().unwrap().refresh();
    let feeds = &get(&house, "/health").await.1["checks"]["feeds"];
    assert_eq!(feeds["status"], "degraded");
    assert!(feeds["cure"].as_str().is_some_and(|cure| cure.contains("import")), "{feeds}");
}

#[tokio::test]
async fn a_json_question_is_bounded_and_a_text_is_not() {
    let place = Place::with(&[("limits.import_body", "any", "1MiB")]);
    let house = house(&place);
    let (path, long) = ("/api/v1/blacklist/check", " ".repeat(65 << 20));
    let (status, problem) = ask(&house, "POST", path, "application/json", long.clone()).await;
    assert_eq!((status, problem.contains("body_too_large")), (413, true), "{problem}");
    let told = ask(&house, "POST", path, "text/plain", long).await;
    assert_eq!(told, (200, "# checked 0 listed 0 invalid 0\n".to_owned()));
}

#[tokio::test]
async fn whoever_logs_in_has_little_to_send() {
    let place = Place::new();
    let house = house(&place);
    let login = |length: usize| format!("{{\"username\":\"kim\",\"password\":\"{}\"}}", "x".repeat(length));
    for (length, expected) in [(4 << 10, 401), (16 << 10, 413)] {
        let path = "/api/v1/auth/login";
        assert_eq!(ask(&house, "POST", path, "application/json", login(length)).await.0, expected);
    }
}

#[tokio::test]
async fn the_feed_comes_in_the_form_that_is_set() {
    for (form, expected) in [
        ("cidrs", "20.0.0.1\n20.0.0.2/31\n"),
        ("ranges", "20.0.0.1-20.0.0.3\n"),
        ("addresses", "20.0.0.1\n20.0.0.2\n20.0.0.3\n"),
    ] {
        let place = Place::with(&[("feed.lines", "any", form)]);
        let house = house(&place);
        let path = "/api/v1/blacklist/import?source=a";
        let told = ask(&house, "POST", path, "text/plain", "20.0.0.1-20.0.0.3\n".into()).await;
        assert_eq!(told.0, 200, "{}", told.1);
        house.publisher.as_ref().unwrap().refresh();
        assert_eq!(
            ask(&house, "GET", "/feeds/fortigate.txt", "", String::new()).await,
            (200, expected.to_owned())
        );
    }
}

#[tokio::test]
async fn a_book_that_cannot_be_used_is_told_with_what_stands_still_and_its_cure() {
    let place = Place::new();
    let book = async |house: &House| get(house, "/health").await.1["checks"]["book"].clone();
    assert_eq!(book(&house(&place)).await["status"], "healthy");
    let place = Place::new();
    folder::make(&place.settings.data).unwrap();
    std::fs::write(place.settings.data.join("publishing.redb"), "ruined").unwrap();
    let told = book(&house(&place)).await;
    assert_eq!(told["status"], "degraded");
    let (detail, cure) = (told["detail"].as_str().unwrap(), told["cure"].as_str().unwrap());
    assert!(detail.contains("publishing.redb") && detail.contains("503"), "{detail}");
    assert!(cure.contains("ironlist device key"), "{cure}");
}

#[tokio::test]
async fn what_the_gate_over_all_feeds_has_lost_is_told_under_its_name_while_there_is_one() {
    let place = Place::new();
    let feeds = place.settings.data.join("feeds");
    folder::make(&place.settings.data).unwrap();
    std::fs::create_dir_all(&feeds).unwrap();
    std::fs::write(feeds.join("_whole.feed"), "ruined").unwrap();
    let house = house(&place);
    let second = Profile::new("second".parse().unwrap());
    let name = second.name.clone();
    let publish = async |change| {
        let (id, reason) = (uuid::Uuid::now_v7(), String::new());
        let batch = Batch { id, actor: "test".into(), reason, cause: Cause::Manual, change };
        house.engine.as_ref().unwrap().submit(batch).await.unwrap();
        house.publisher.as_ref().unwrap().refresh();
    };
    publish(Change::Publish(Output::Feed(second))).await;
    let told = get(&house, "/health").await.1["checks"]["feeds"].clone();
    assert_eq!(told["status"], "degraded");
    assert!(told["detail"].as_str().unwrap().starts_with("_all: "), "{told}");
    assert!(told["cure"].as_str().unwrap().contains("began anew"), "{told}");
    let metrics = ask(&house, "GET", "/metrics", "", String::new()).await.1;
    assert!(metrics.contains("ironlist_feed_fault{feed=\"_all\"} 1\n"), "{metrics}");
    publish(Change::Withdraw(OutputKey::Feed(name))).await;
    let told = get(&house, "/health").await.1["checks"]["feeds"].clone();
    assert_eq!(told["status"], "healthy", "nothing is judged together any more: {told}");
}
