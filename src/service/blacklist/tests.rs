//! The role as its callers see it.

use super::*;
use crate::disk::Medium;
use crate::engine::Options;
use crate::model::{Policy, TooBroad};
use crate::web::Peer;
use crate::web::auth::Guard;
use crate::web::metrics::Metrics;
use crate::web::{App, Body, Role};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

mod earlier;
mod generations;
mod pages;

struct House {
    app: Arc<App>,
    engine: Engine,
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap())
    }

    fn over(folder: tempfile::TempDir) -> Self {
        let engine = Engine::open(Options::new(Medium::folder(folder.path()))).unwrap();
        let quick = engine.clone();
        let router = Blacklist::new(engine.clone()).router();
        let app = App::new(Role::Blacklist, router, &Arc::new(Metrics::new()))
            .fast(CHECK, move |request, ip, _| answer_check(&quick, request, ip))
            .guard(Guard::new("key", QUESTIONS));
        Self { app: Arc::new(app), engine, folder }
    }

    /// The folder, after everything was written down.
    fn close(self) -> tempfile::TempDir {
        self.engine.stop();
        self.folder
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: impl Into<String>) -> Response {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "test")
            .header(CONTENT_TYPE, kind)
            .body(Body::full(body.into()))
            .unwrap();
        self.app.answer(request, Peer::Local).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: impl Into<String>,
    ) -> (StatusCode, String) {
        let response = self.send(method, path, kind, body).await;
        let status = response.status();
        (status, String::from_utf8(response.into_body().read().await.unwrap().to_vec()).unwrap())
    }

    async fn json(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (status, text) = self.ask(method, path, "application/json", body.to_string()).await;
        (status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.json(Method::GET, path, Value::Null).await
    }

    async fn describe(&self, source: &str, policy: Policy) {
        let change = Change::Describe { source: source.parse().unwrap(), policy };
        self.engine.submit(batch(&Caller::local(), "", Cause::Manual, change)).await.unwrap();
    }

    async fn import(&self, parameters: &str, list: &str) -> Value {
        let path = format!("{IMPORT_PATH}?{parameters}");
        let (status, text) = self.ask(Method::POST, &path, "application/octet-stream", list).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

const BULK: &str = "/api/v1/blacklist/check";

#[tokio::test]
async fn an_import_is_looked_up_and_explained() {
    let house = House::new();
    let told = house.import("source=feed&reason=scan&country=kr", "20.0.0.0/24\n20.0.0.1\n20.0.0.01\n").await;
    assert_eq!((&told["added"], &told["rejected"], &told["generation"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(told["errors"][0]["code"], "leading_zero");
    let (status, answer) = house.get("/api/v1/blacklist/check/::ffff:20.0.0.1").await;
    let expected = json!({"ip":"20.0.0.1","listed":true,"sources":["feed"],"exempt":null,"generation":1});
    assert_eq!((status, answer), (200, expected));
    let (_, story) = house.get("/api/v1/blacklist/ips/20.0.0.1").await;
    let mut ranges: Vec<&str> =
        story["listings"].as_array().unwrap().iter().map(|l| l["range"].as_str().unwrap()).collect();
    ranges.sort_unstable();
    assert_eq!(ranges, ["20.0.0.0/24", "20.0.0.1"]);
    assert_eq!(
        (&story["listings"][0]["reason"], &story["listings"][0]["country"]),
        (&json!("scan"), &json!("KR"))
    );
}

#[tokio::test]
async fn what_is_no_address_is_refused_with_its_code() {
    let house = House::new();
    for (ip, code) in [("01.2.3.4", "leading_zero"), ("example.com", "hostname")] {
        let (status, problem) = house.get(&format!("/api/v1/blacklist/check/{ip}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!(code)));
    }
}

#[tokio::test]
async fn a_dry_run_tells_the_difference_and_changes_nothing() {
    let house = House::new();
    house.import("source=feed", "20.0.0.1\n20.0.0.2\n").await;
    let told = house.import("source=feed&replace=true&dry_run=true", "20.0.0.2\n20.0.0.3\n").await;
    assert_eq!(told["examples"], json!({"added":["20.0.0.3"],"removed":["20.0.0.1"]}));
    assert_eq!((&told["added"], &told["removed"], &told["generation"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(house.get("/api/v1/blacklist/check/20.0.0.3").await.1["listed"], false);
    house.import("source=feed&replace=true", "20.0.0.2\n20.0.0.3\n").await;
    assert_eq!(house.get("/api/v1/blacklist/check/20.0.0.1").await.1["listed"], false);
    assert_eq!(house.get("/api/v1/blacklist/check/20.0.0.3").await.1["listed"], true);
}

#[tokio::test]
async fn many_addresses_are_answered_as_json_and_as_lines() {
    let house = House::new();
    house.import("source=feed", "20.0.0.0/30\n2a00::/32\n10.0.0.1\n").await;
    let question = json!({"ips":["20.0.0.1","2a00::1","8.8.8.8","10.0.0.1","no\"pe"]});
    let (status, answer) = house.json(Method::POST, BULK, question).await;
    assert_eq!((status, &answer["checked"], &answer["listed"]), (200, &json!(5), &json!(2)));
    let listed: Vec<_> = answer["results"].as_array().unwrap().iter().map(|r| r["listed"].clone()).collect();
    assert_eq!(listed, [json!(true), json!(true), json!(false), json!(false), Value::Null]);
    assert_eq!(answer["results"][4]["ip"], "no\"pe");
    let lines = "20.0.0.1\r\n# remark\n\n2a00::1\n8.8.8.8\n10.0.0.1\nnope";
    let (_, text) = house.ask(Method::POST, BULK, "text/plain", lines).await;
    assert_eq!(text, "20.0.0.1\n2a00::1\n# checked 5 listed 2 invalid 1\n");
    let (_, all) = house.ask(Method::POST, &format!("{BULK}?all=true"), "text/plain", lines).await;
    let states: Vec<_> = all.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    assert_eq!(states, ["listed", "listed", "clear", "exempt", "invalid"]);
}

#[tokio::test]
async fn a_bulk_answer_names_addresses_in_their_canonical_form() {
    let house = House::new();
    let question = json!({"ips":["8.8.8.8\n"," 2A00:0::1\t","::ffff:20.0.0.1"]});
    let (_, answer) = house.json(Method::POST, BULK, question).await;
    let named: Vec<_> = answer["results"].as_array().unwrap().iter().map(|r| r["ip"].clone()).collect();
    assert_eq!(named, ["8.8.8.8", "2a00::1", "20.0.0.1"]);
}

#[tokio::test]
async fn what_is_too_broad_is_listed_by_nobody() {
    let house = House::new();
    for ip in ["0.0.0.0/1", "20.0.0.0-31.255.255.255", "2a00::/18"] {
        let (status, problem) =
            house.json(Method::POST, "/api/v1/blacklist/ips", json!({"ip":ip,"reason":"x"})).await;
        assert_eq!((status, &problem["code"]), (422, &json!("too_broad")), "{ip}");
    }
    let (status, _) =
        house.json(Method::POST, "/api/v1/blacklist/ips", json!({"ip":"20.0.0.0/8","reason":"x"})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_allow_says_what_it_frees_and_is_lifted_again() {
    let house = House::new();
    house.import("source=feed", "20.0.0.0/24\n").await;
    let allow = json!({"range":"20.0.0.128/25","reason":"ours"});
    let (status, told) = house.json(Method::POST, "/api/v1/blacklist/allowlist", allow).await;
    assert_eq!((status, &told["frees"]), (200, &json!(128)));
    let (_, text) = house.ask(Method::GET, "/api/v1/blacklist/active?format=text", "", "").await;
    assert_eq!(text, "20.0.0.0/25\n");
    let path = "/api/v1/blacklist/allowlist/20.0.0.128%2F25?reason=moved";
    assert_eq!(house.json(Method::DELETE, path, Value::Null).await.0, 200);
    assert_eq!(house.json(Method::DELETE, path, Value::Null).await.0, 404);
    let unknown = json!({"range":"20.0.0.1","reason":"x","colour":"red"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/allowlist", unknown).await.0, 422);
}

#[tokio::test]
async fn a_held_feed_is_told_to_whoever_blocks_and_counted_by_whoever_allows() {
    use super::super::fixture::House;
    let house = House::new(|publisher| {
        let feeds = Some(Arc::clone(publisher.feeds()));
        let role = Blacklist { feeds, ..Blacklist::new(publisher.engine().clone()) };
        App::new(Role::Blacklist, role.router(), &Arc::new(Metrics::new()))
            .guard(Guard::new("key", QUESTIONS))
    });
    let post = async |path: &str, body: Value| {
        let request = http::Request::builder().method(Method::POST).uri(path).header(HOST, "a");
        let request = request.header(CONTENT_TYPE, "application/json").body(Body::full(body.to_string()));
        let answer = house.app.answer(request.unwrap(), Peer::Local).await;
        serde_json::from_slice::<Value>(&answer.into_body().read().await.unwrap()).unwrap()
    };
    let block = json!({"ip": "40.0.0.1", "reason": "x"});
    house.list_ranges((0..1000).map(|n| format!("20.0.{}.{}", n / 100, n % 100 * 2).parse().unwrap())).await;
    assert_eq!(post("/api/v1/blacklist/ips", block.clone()).await["held"], Value::Null);
    house.list(&["20.0.0.0"]).await;
    assert_eq!(post("/api/v1/blacklist/ips", block).await["held"], json!(["fortigate"]));
    let told = post("/api/v1/blacklist/allowlist", json!({"range": "20.0.1.0/24", "reason": "ours"})).await;
    assert_eq!((&told["frees"], &told["broad"]), (&json!(100), &json!(true)), "nobody lists them any more");
    let told = post("/api/v1/blacklist/allowlist", json!({"range": "20.0.2.0", "reason": "ours"})).await;
    assert_eq!((&told["frees"], &told["broad"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn a_suppression_says_what_it_frees_and_a_broad_one_is_an_administrators() {
    let house = House::new();
    house.import("source=a", "20.0.0.0/24\n20.0.1.1\n30.0.0.0/8\n").await;
    house.import("source=b", "20.0.1.1\n").await;
    let suppress =
        async |body: Value| house.json(Method::POST, "/api/v1/blacklist/suppressions", body).await.1;
    let told = suppress(json!({"range": "20.0.0.128/25", "reason": "ours"})).await;
    assert_eq!(told["frees"], 0, "the /24 reaches beyond it");
    let told = suppress(json!({"range": "20.0.0.0/16", "source": "a", "reason": "ours"})).await;
    assert_eq!((&told["frees"], &told["broad"]), (&json!(256), &json!(false)), "b lists the other one still");
    let told = suppress(json!({"range": "30.0.0.0/8", "reason": "ours"})).await;
    assert_eq!((&told["frees"], &told["broad"]), (&json!(1 << 24), &json!(true)));
}

#[tokio::test]
async fn a_search_finds_by_what_is_said() {
    let house = House::new();
    house.import("source=a&reason=SSH%20scan", "20.0.0.1\n20.0.0.0/24\n").await;
    house.import("source=b&reason=mail", "30.0.0.1\n").await;
    let search = async |question: Value| {
        let (_, page) = house.json(Method::POST, "/api/v1/blacklist/search", question).await;
        let hits =
            page["data"].as_array().unwrap().iter().map(|hit| hit["range"].as_str().unwrap().to_owned());
        hits.collect::<Vec<_>>()
    };
    assert_eq!(search(json!({"reason":"ssh"})).await, ["20.0.0.0/24", "20.0.0.1"]);
    assert_eq!(search(json!({"address":"20.0.0.9"})).await, ["20.0.0.0/24"]);
    assert_eq!(search(json!({"prefix":"30.0.0.0/8"})).await, ["30.0.0.1"]);
    assert_eq!(search(json!({"source":"b","reason":"ssh"})).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_person_lists_and_ends_listings() {
    let house = House::new();
    let said = json!({"ip":"20.0.0.1","reason":"seen in the logs","detection_date":"2026-11-20"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/ips", said).await.1["new"], true);
    let (_, check) = house.get("/api/v1/blacklist/check/20.0.0.1").await;
    assert_eq!(check["sources"], json!(["manual"]));
    let path = "/api/v1/blacklist/ips/20.0.0.1?reason=harmless";
    assert_eq!(house.json(Method::DELETE, path, Value::Null).await.0, 200);
    assert_eq!(house.json(Method::DELETE, path, Value::Null).await.0, 404);
    house.import("source=feed", "20.0.0.1\n").await;
    let end = json!({"range":"20.0.0.1","source":"feed","reason":"a customer"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/suppressions", end).await.0, 200);
    house.import("source=feed&replace=true", "20.0.0.1\n").await;
    assert_eq!(house.get("/api/v1/blacklist/check/20.0.0.1").await.1["listed"], false);
}

#[tokio::test]
async fn a_change_without_a_reason_is_refused_and_one_with_it_is_told() {
    let house = House::new();
    let said = json!({"ip":"20.0.0.1","source":"regtech","reason":" seen\u{1b}[31m\n"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/ips", said).await.0, 200);
    let allow = json!({"range":"20.0.0.2","reason":"ours"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/allowlist", allow).await.0, 200);
    let code = async |method, path: &str, body: Value| {
        house.json(method, &format!("/api/v1/blacklist/{path}"), body).await.1["code"].clone()
    };
    for (method, path, body) in [
        (Method::POST, "ips", json!({"ip":"20.0.0.3"})),
        (Method::PUT, "ips/20.0.0.3", json!({"reason":" "})),
        (Method::DELETE, "ips/20.0.0.1", Value::Null),
        (Method::DELETE, "allowlist/20.0.0.2?reason=", json!({})),
        (Method::DELETE, "suppressions/20.0.0.2", json!({"reason":"\n"})),
    ] {
        assert_eq!(code(method.clone(), path, body).await, "reason_missing", "{method} {path}");
    }
    let long = "x".repeat(1025);
    for field in ["reason", "threat_type"] {
        let mut said = json!({"ip":"20.0.0.3","reason":"x"});
        said[field] = json!(long);
        assert_eq!(code(Method::POST, "ips", said).await, "text_too_long", "{field}");
    }
    let owned = json!({"range":"20.0.0.3","reason":"x","owner":long});
    assert_eq!(code(Method::POST, "allowlist", owned).await, "text_too_long");
    let other = json!({"ip":"20.0.0.4","reason":"x"});
    assert_eq!(code(Method::PUT, "ips/20.0.0.3", other).await, "ip_mismatch");

    assert_eq!(code(Method::DELETE, "ips/20.0.0.1?reason=over", Value::Null).await, "unknown_source");
    assert_eq!(
        code(Method::DELETE, "ips/20.0.0.1?source=regtech", json!({"reason":"over"})).await,
        Value::Null
    );
    assert_eq!(code(Method::DELETE, "allowlist/20.0.0.2", json!({"reason":"moved"})).await, Value::Null);
    let (_, told) = house.get("/api/v1/generations").await;
    let reasons: Vec<_> = told["data"].as_array().unwrap().iter().map(|one| one["reason"].clone()).collect();
    assert_eq!(reasons, ["moved", "over", "ours", "seen [31m"]);
}

#[tokio::test]
async fn every_change_is_told_with_who_and_why() {
    let house = House::new();
    house.import("source=feed&reason=first", "20.0.0.1\n").await;
    house.import("source=feed&reason=second", "20.0.0.2\n20.0.0.3\n").await;
    let (_, told) = house.get("/api/v1/generations").await;
    assert_eq!((&told["data"][0]["reason"], &told["data"][1]["reason"]), (&json!("second"), &json!("first")));
    let (_, one) = house.get("/api/v1/generations/2").await;
    assert_eq!(one["changes"], json!([{"what":"listings","source":"feed","removed":0,"added":2}]));
    assert_eq!(house.get("/api/v1/generations/3").await.0, 404);
    assert_eq!((&one["added"], &one["removed"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn a_bulk_body_keeps_its_good_lines() {
    let house = House::new();
    let path = "/api/v1/blacklist/ips/bulk?source=feed";
    let (_, text) = house.ask(Method::POST, path, "text/csv", "ip,country\n20.0.0.1,KR\nbad,KR\n").await;
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&told["accepted"], &told["rejected"], &told["errors"][0]["line"]),
        (&json!(1), &json!(1), &json!(3))
    );
    let (_, text) = house.ask(Method::POST, path, "text/plain", "20.0.0.9\n20.0.0.9\n").await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["accepted"], 2);
    let (status, _) = house.ask(Method::POST, path, "image/png", "x").await;
    assert_eq!(status, 415);
    let (status, text) = house.ask(Method::POST, path, "text/plain", "<!DOCTYPE html><html></html>").await;
    assert_eq!(status, 422, "{text}");
}

#[tokio::test]
async fn what_a_listing_does_not_say_its_source_says_for_it() {
    let house = House::new();
    house.import("source=a&replace=true", "20.0.0.1\n").await;
    let policy = Policy { confidence: Some(40), expires_days: Some(1), ..Policy::default() };
    house.describe("a", policy).await;
    let ends = house.engine.snapshot().source("a").unwrap().ends().unwrap().to_string();
    let (_, story) = house.get("/api/v1/blacklist/ips/20.0.0.1").await;
    let (_, found) = house.json(Method::POST, "/api/v1/blacklist/search", json!({"source": "a"})).await;
    for listing in [&story["listings"][0], &found["data"][0]["listings"][0]] {
        assert_eq!((&listing["confidence"], &listing["expires"]), (&json!(40), &json!(ends)));
    }
    let (_, statistics) = house.get("/api/v1/blacklist/statistics").await;
    assert_eq!(statistics["data"]["expiring_soon"], 1);
}

#[tokio::test]
async fn an_import_keeps_to_the_limits_of_its_source() {
    let house = House::new();
    let too_broad = TooBroad { v4: 24, ..TooBroad::default() };
    let policy = Policy { too_broad, ..Policy::default() };
    house.describe("a", policy).await;
    let list = "20.0.0.0/16\n20.0.0.0/24\n";
    assert_eq!(house.import("source=a", list).await["rejected"], 1);
    assert_eq!(house.import("source=b", list).await["rejected"], 0);
}

#[tokio::test]
async fn a_generation_that_is_not_there_is_not_found_however_large_its_number() {
    let house = House::new();
    house.describe("a", Policy::default()).await;
    assert_eq!(house.get("/api/v1/generations/1").await.0, 200);
    for number in ["0", "2", "999", "18446744073709551615"] {
        let (status, problem) = house.get(&format!("/api/v1/generations/{number}")).await;
        assert_eq!((status, &problem["code"]), (404, &json!("unknown_generation")), "{number}");
    }
}

#[tokio::test]
async fn what_would_end_before_it_begins_is_refused() {
    let house = House::new();
    let past = "1999-12-31T00:00:00Z";
    let allow = json!({"range": "20.0.0.1", "reason": "ours", "expires": past});
    let wishes = [("allowlist", &allow), ("suppressions", &allow)];
    for (path, wish) in wishes {
        let (status, problem) =
            house.json(Method::POST, &format!("/api/v1/blacklist/{path}"), wish.clone()).await;
        assert_eq!((status, &problem["code"]), (422, &json!("expires_in_the_past")), "{path}");
    }
    let manual = json!({"ip": "20.0.0.1", "reason": "seen", "expires": past});
    let (status, problem) = house.json(Method::POST, "/api/v1/blacklist/ips", manual).await;
    assert_eq!((status, &problem["code"]), (422, &json!("expires_in_the_past")));
}
