//! What bouncers are answered.

use super::super::fixture::{House, NOON, STRANGER, from};
use super::*;
use crate::model::Time;
use crate::model::{Allow, Change, Detail, Output, Profile, RowsBuilder, Scope};
use crate::web::auth::{Access, Guard};
use crate::web::metrics::Metrics;
use crate::web::{App, Role};
use http::header::{CONTENT_ENCODING, HOST};
use serde_json::Value;
use std::io::Read as _;

const DAY: i64 = 86_400;

fn house() -> House {
    House::new(|publisher| {
        let rolls = Arc::new(Rolls::new(publisher.engine().clone()));
        let keys = ["bouncer"].into_iter().collect();
        let (publisher, feed) = (Arc::clone(publisher), OutputName::fortigate());
        let decisions = Decisions::new(publisher, rolls, feed, keys, (3600, 7 * DAY));
        let guard = Guard::new("admin", Access::default());
        App::new(
            Role::Blacklist,
            Decisions::routes().with_state(Arc::new(decisions)),
            &Arc::new(Metrics::new()),
        )
        .guard(guard)
    })
}

async fn ask(house: &House, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = http::Request::builder().method(method).uri(path).header(HOST, "a");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.app.answer(request.body(Body::empty()).unwrap(), from(STRANGER)).await
}

async fn get(house: &House, path: &str) -> Value {
    let response = ask(house, "GET", path, &[("x-api-key", "bouncer")]).await;
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap()
}

async fn values(house: &House, path: &str) -> [Vec<String>; 2] {
    let told = get(house, path).await;
    ["new", "deleted"].map(|part| {
        let values = told[part].as_array().unwrap().iter();
        values.map(|decision| decision["value"].as_str().unwrap().to_owned()).collect()
    })
}

const STARTUP: &str = "/v1/decisions/stream?startup=true";
const STREAM: &str = "/v1/decisions/stream?startup=false&scopes=ip,range&dedup=false";

#[tokio::test]
async fn two_bouncers_with_one_key_both_get_every_change() {
    let house = house();
    house.list(&["20.0.0.0/24", "30.0.0.7"]).await;
    assert_eq!(values(&house, STARTUP).await, [vec!["20.0.0.0/24", "30.0.0.7"], vec![]]);
    house.later(4000);
    let range = "20.0.0.128/25".parse().unwrap();
    let (reason, owner, since) = (String::new(), String::new(), Time::from_unix(NOON));
    house.change(Change::Allow(Allow { range, reason, owner, expires: None, since })).await;
    let told = [vec!["20.0.0.0/25"], vec!["20.0.0.0/24"]];
    assert_eq!(values(&house, STREAM).await, told);
    assert_eq!(values(&house, STREAM).await, told, "the second one");
    assert_eq!(values(&house, STARTUP).await[0], ["20.0.0.0/25", "30.0.0.7"]);
    house.later(3601);
    assert_eq!(values(&house, STREAM).await, [vec![""; 0], vec!["20.0.0.0/24"]], "everybody has what is new");
    house.later(7 * DAY);
    assert_eq!(values(&house, STREAM).await[1], [""; 0], "by now nobody holds it any more");
}

async fn allow(house: &House, range: &str) {
    let (reason, owner, since) = (String::new(), String::new(), Time::from_unix(NOON));
    let range = range.parse().unwrap();
    house.change(Change::Allow(Allow { range, reason, owner, expires: None, since })).await;
}

#[tokio::test]
async fn a_bouncer_that_was_away_lets_go_what_was_allowed_meanwhile() {
    let house = house();
    house.list(&["20.0.0.1", "30.0.0.7"]).await;
    allow(&house, "30.0.0.7").await;
    house.later(6 * DAY);
    assert_eq!(values(&house, STREAM).await[1], ["30.0.0.7"], "also when the service was away");
    house.list(&["20.0.0.1", "30.0.0.7", "40.0.0.1"]).await;
    assert_eq!(values(&house, STREAM).await, [vec!["40.0.0.1"], vec!["30.0.0.7"]]);
    house.change(Change::Disallow("30.0.0.7".parse().unwrap())).await;
    assert_eq!(values(&house, STREAM).await, [vec!["30.0.0.7", "40.0.0.1"], vec![]], "it is listed again");
}

#[tokio::test]
async fn an_allow_is_told_also_when_nothing_is_left_and_an_accident_is_not() {
    let house = house();
    house.list(&["20.0.0.1", "30.0.0.7"]).await;
    allow(&house, "20.0.0.0/24").await;
    house.list(&[]).await;
    assert_eq!(
        values(&house, STREAM).await,
        [vec![""; 0], vec!["20.0.0.1"]],
        "and nothing of the source's silence"
    );
    assert_eq!(ask(&house, "GET", STARTUP, &[("x-api-key", "bouncer")]).await.status(), 503);
}

#[tokio::test]
async fn an_end_is_told_also_when_nothing_is_left() {
    let house = house();
    let mut rows = RowsBuilder::default();
    let detail = Detail { expires: Some(Time::from_unix(NOON + 1800)), ..Detail::default() };
    rows.push("20.0.0.1".parse().unwrap(), &detail);
    let (source, rows) = ("a".parse().unwrap(), rows.finish().0);
    house.change(Change::List { source, rows, scope: Scope::Whole }).await;
    assert_eq!(values(&house, STARTUP).await[0], ["20.0.0.1"]);
    house.later(1900);
    house.engine().expire().await.unwrap();
    house.publisher.refresh();
    assert_eq!(values(&house, STREAM).await, [vec![""; 0], vec!["20.0.0.1"]]);
}

#[tokio::test]
async fn a_line_is_told_again_before_it_ends_and_after() {
    let house = house();
    house.list(&["20.0.0.1"]).await;
    house.later(2 * 3600);
    let first = get(&house, STARTUP).await["new"][0]["duration"].as_str().unwrap().to_owned();
    let hours: i64 = first.split_once('h').unwrap().0.parse().unwrap();
    let mut told = Vec::new();
    for hour in 0..=hours + 2 {
        if !values(&house, STREAM).await[0].is_empty() {
            told.push(hour - hours);
        }
        house.later(3600);
    }
    assert_eq!(told, [0, 1], "the hours around its end, {first} away");
}

#[tokio::test]
async fn nothing_listed_is_no_answer_that_would_open_a_firewall() {
    let house = house();
    for path in [STARTUP, STREAM, "/v1/decisions", "/v1/decisions?ip=20.0.0.1"] {
        assert_eq!(ask(&house, "GET", path, &[("x-api-key", "bouncer")]).await.status(), 503, "{path}");
    }
    house.list(&["20.0.0.1"]).await;
    get(&house, STARTUP).await;
    house.list(&[]).await;
    assert_eq!(ask(&house, "GET", STREAM, &[("x-api-key", "bouncer")]).await.status(), 503);
}

#[tokio::test]
async fn a_key_is_right_or_nobody_is_let_in() {
    let house = house();
    house.list(&["20.0.0.1"]).await;
    for key in ["bouncer", "admin"] {
        assert_eq!(ask(&house, "HEAD", "/v1/decisions", &[("x-api-key", key)]).await.status(), 200);
    }
    for headers in [&[("x-api-key", "other")][..], &[], &[("x-api-key", "bouncer"), ("x-api-key", "other")]] {
        for path in ["/v1/decisions", STREAM, "/v1/heartbeat"] {
            assert_eq!(ask(&house, "GET", path, headers).await.status(), 401, "{path} {headers:?}");
        }
    }
    assert_eq!(ask(&house, "GET", "/v1/heartbeat", &[("x-api-key", "bouncer")]).await.status(), 200);
}

#[tokio::test]
async fn one_address_is_asked_about_in_every_way_that_bouncers_have() {
    let house = house();
    house.list(&["20.0.0.0/24", "20.0.1.1"]).await;
    for query in [
        "ip=20.0.0.9",
        "scope=range&value=20.0.0.9",
        "range=20.0.0.0/25",
        "range=20.0.0.0/23&contains=false&scopes=Range",
    ] {
        let told = get(&house, &format!("/v1/decisions?{query}")).await;
        assert_eq!(
            (told.as_array().unwrap().len(), &told[0]["value"]),
            (1, &"20.0.0.0/24".into()),
            "{query}"
        );
    }
    assert_eq!(get(&house, "/v1/decisions?ip=20.0.2.1&type=ban").await, Value::Null);
    assert_eq!(get(&house, "/v1/decisions").await.as_array().unwrap().len(), 2);
    let wrong = ask(&house, "GET", "/v1/decisions?ip=20.0.0", &[("x-api-key", "bouncer")]).await;
    assert_eq!(wrong.status(), 400);
}

#[tokio::test]
async fn a_stream_is_compressed_for_those_who_take_it() {
    let house = house();
    let list: Vec<String> = (0..3000).map(|n| format!("20.0.{}.{}", n / 100, n % 100 * 2)).collect();
    house.list(&list.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let headers = [("x-api-key", "bouncer"), ("accept-encoding", "deflate, gzip")];
    let response = ask(&house, "GET", STARTUP, &headers).await;
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    let bytes = response.into_body().read().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["new"].as_array().unwrap().len(), 3000);
    assert!(bytes.len() * 4 < text.len());
}

#[tokio::test]
async fn a_devices_token_is_a_key_for_the_feed_that_it_reads() {
    let house = house();
    house.list(&["20.0.0.1"]).await;
    let (ours, all, other) = (
        house.device("ours", &["fortigate"]).await,
        house.device("all", &[]).await,
        house.device("other", &["fortigate"]).await,
    );
    let elsewhere = Profile::new("elsewhere".parse().unwrap());
    house.change(Change::Publish(Output::Feed(elsewhere))).await;
    let moved = serde_json::from_value(serde_json::json!({"name": "other", "feeds": ["elsewhere"]})).unwrap();
    house.change(Change::Publish(Output::Device(moved))).await;
    for (key, status) in [(&ours.token, 200), (&all.token, 200), (&other.token, 403), (&ours.password, 401)] {
        for path in [STARTUP, STREAM, "/v1/decisions", "/v1/decisions?ip=20.0.0.1", "/v1/heartbeat"] {
            assert_eq!(ask(&house, "GET", path, &[("x-api-key", key)]).await.status(), status, "{path}");
        }
    }
    let counts: Vec<_> = house.pulls().into_iter().map(|(who, what, _, sent)| (who, what, sent)).collect();
    let row = |who: &str| (who.to_owned(), "fortigate/decisions".to_owned(), 4);
    assert_eq!(counts, [row("all"), row("ours")]);
}
