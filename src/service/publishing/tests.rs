//! Publishing as people set it up over the API.

use super::super::fixture::{House, Reader};
use super::*;
use crate::addr::{IpRange, Range};
use crate::web::auth::{Access, Guard};
use crate::web::metrics::Metrics;
use crate::web::{App, Body, Peer, Role};
use http::{Method, header};
use serde_json::{Value, json};

mod live;

use live::Events;

fn house() -> House {
    House::new(|publisher| {
        let routes = Publishing::routes().with_state(Publishing(Arc::clone(publisher)));
        App::new(Role::Blacklist, routes, &Arc::new(Metrics::new()))
            .guard(Guard::new("key", Access::everywhere()).believing(Arc::new(Reader)))
    })
}

async fn ask(house: &House, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = http::Request::builder().method(method).uri(path).header(header::HOST, "a");
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::full(body.to_string()) };
    let response = house.app.answer(request.body(body).unwrap(), Peer::Local).await;
    let status = response.status().as_u16();
    let body = response.into_body().read().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn get(house: &House, path: &str) -> Value {
    let (status, body) = ask(house, Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// So many single addresses that do not touch.
async fn list(house: &House, count: u32) {
    house.list_ranges((0..count).map(|n| IpRange::V4(Range::single(0x1400_0000 + 2 * n)))).await;
}

#[tokio::test]
async fn a_feed_is_set_up_seen_changed_and_withdrawn_with_reasons() {
    let house = house();
    list(&house, 1000).await;
    let wish = json!({"reason": "for the edge", "feed": {"name": "edge", "format": "palo-alto", "budget": {"entries": 10}}});
    assert_eq!(ask(&house, Method::POST, "/api/v1/feeds", wish.clone()).await.0, 200);
    assert_eq!(ask(&house, Method::POST, "/api/v1/feeds", wish).await.0, 409);
    let edge = get(&house, "/api/v1/feeds/edge").await;
    assert_eq!((&edge["format"], &edge["released"]["addresses"]), (&json!("palo-alto"), &json!(10)));
    assert_eq!(
        (&edge["cut"]["wanted_entries"], &edge["cut"]["addresses_left_out"]),
        (&json!(1000), &json!(990))
    );
    let put = json!({"reason": "more room", "feed": {"format": "palo-alto"}});
    assert_eq!(ask(&house, Method::PUT, "/api/v1/feeds/edge", put).await.0, 200);
    assert_eq!(get(&house, "/api/v1/feeds/edge").await["released"]["addresses"], 1000);
    let all = get(&house, "/api/v1/feeds").await;
    assert_eq!((all["total"].as_u64(), &all["data"][0]["name"]), (Some(2), &json!("edge")));
    let remove = json!({"reason": "sold"});
    assert_eq!(ask(&house, Method::DELETE, "/api/v1/feeds/edge", remove.clone()).await.0, 200);
    assert_eq!(ask(&house, Method::GET, "/api/v1/feeds/edge", Value::Null).await.0, 404);
    assert_eq!(ask(&house, Method::DELETE, "/api/v1/feeds/fortigate", remove).await.0, 404, "it is built in");
}

#[tokio::test]
async fn what_is_no_feed_is_refused_with_what_is_wrong() {
    let house = house();
    for (feed, code) in [
        (json!({"name": "../x"}), "body_shape"),
        (json!({"name": "a", "colour": "red"}), "body_shape"),
        (json!({"name": "a", "parts": 0}), "bad_output"),
        (json!({"name": "a", "format": "rpz", "lines": "ranges"}), "bad_output"),
    ] {
        let (status, problem) =
            ask(&house, Method::POST, "/api/v1/feeds", json!({"reason": "x", "feed": feed})).await;
        assert_eq!((status, &problem["code"]), (422, &json!(code)), "{problem}");
    }
    let silent = json!({"reason": " ", "feed": {"name": "a"}});
    assert_eq!(ask(&house, Method::POST, "/api/v1/feeds", silent).await.1["code"], "reason_missing");
    let device = json!({"reason": "x", "device": {"name": "box", "feeds": ["nowhere"]}});
    assert_eq!(ask(&house, Method::POST, "/api/v1/devices", device).await.1["code"], "bad_output");
}

#[tokio::test]
async fn a_feed_cannot_take_over_the_path_of_another() {
    let house = house();
    let add = async |name: &str| {
        let wish = json!({"reason": "x", "feed": {"name": name}});
        ask(&house, Method::POST, "/api/v1/feeds", wish).await
    };
    for (name, status) in
        [("fortigate.txt", 422), ("edge.json", 200), ("edge", 422), ("lan", 200), ("lan.v6", 200)]
    {
        let (answer, problem) = add(name).await;
        assert_eq!(answer, status, "{name}: {problem}");
    }
    assert!(add("lan.md5").await.1["detail"].as_str().unwrap().contains("feed lan"));
}

#[tokio::test]
async fn a_device_has_its_presets_budget_and_a_feed_that_it_reads_stays() {
    let house = house();
    list(&house, 10).await;
    let feed = json!({"reason": "x", "feed": {"name": "edge"}});
    ask(&house, Method::POST, "/api/v1/feeds", feed).await;
    let device =
        json!({"reason": "new box", "device": {"name": "box", "model": "fortigate-vm02", "feeds": ["edge"]}});
    assert_eq!(ask(&house, Method::POST, "/api/v1/devices", device).await.0, 200);
    let shown = get(&house, "/api/v1/devices/box").await;
    assert_eq!((&shown["budget"]["entries"], &shown["silent"]), (&json!(168_928), &json!(true)));
    let (status, problem) = ask(&house, Method::DELETE, "/api/v1/feeds/edge", json!({"reason": "x"})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("in_use")));
    let (status, keys) =
        ask(&house, Method::POST, "/api/v1/devices/box/keys", json!({"reason": "set up"})).await;
    assert_eq!((status, &keys["username"]), (200, &json!("box")));
    assert_eq!(keys["paths"][0], format!("/f/{}/edge.txt", keys["token"].as_str().unwrap()));
    assert!(get(&house, "/api/v1/devices/box").await["keys_since"].is_string());
    assert_eq!(get(&house, "/api/v1/audit").await["data"][0]["action"], "device.keys");
    assert!(get(&house, "/api/v1/devices/presets").await.as_array().unwrap().len() > 9);
}

#[tokio::test]
async fn a_device_says_what_it_opens_and_cuts_and_none_asks_from_half_of_the_world() {
    let house = house();
    list(&house, 1000).await;
    let wish = |device: Value| json!({"reason": "new", "device": device});
    for network in ["16.0.0.0/5", "0.0.0.0/1", "2a00::/18"] {
        let wish = wish(json!({"name": "typo", "networks": [network]}));
        let (status, problem) = ask(&house, Method::POST, "/api/v1/devices", wish).await;
        assert!(status == 422 && problem.to_string().contains("no firewall asks from"), "{status} {problem}");
    }
    let edge = json!({"name": "edge", "feeds": ["fortigate"], "networks": ["20.0.0.0/26"], "budget": {"entries": 100}});
    let (status, told) = ask(&house, Method::POST, "/api/v1/devices", wish(edge.clone())).await;
    assert_eq!((status, &told["frees"]), (200, &json!(32)));
    let cut = json!([{"feed": "fortigate", "wanted_entries": 968, "entries": 100}]);
    assert_eq!(told["cuts"], cut);
    let (_, told) = ask(&house, Method::PUT, "/api/v1/devices/edge", wish(edge)).await;
    assert_eq!(told["frees"], 0, "it asked from there before");
}

#[tokio::test]
async fn a_hold_is_shown_and_released_by_a_word_with_a_reason() {
    let house = house();
    list(&house, 1000).await;
    list(&house, 10).await;
    let holds = get(&house, "/api/v1/holds").await;
    let hold = &holds["data"][0];
    assert_eq!((&hold["id"], &hold["distance"]["gone"]), (&json!("fortigate"), &json!(990)));
    assert_eq!(hold["grounds"][0]["code"], "shrunk");
    let path = "/api/v1/holds/fortigate/consent";
    for unknown in ["nosuch", "0190a1b2-c3d4-7e5f-8061-728394a5b6c7", "no%20name"] {
        for word in ["consent", "reject"] {
            let path = format!("/api/v1/holds/{unknown}/{word}");
            let (status, problem) = ask(&house, Method::POST, &path, json!({"reason": "x"})).await;
            assert_eq!((status, &problem["code"]), (404, &json!("unknown_hold")), "{path}");
        }
    }
    let (status, problem) = ask(&house, Method::POST, path, json!({"reason": "x"})).await;
    assert_eq!((status, &problem["code"]), (422, &json!("generation_missing")));
    let early = json!({"reason": "it is right", "generation": 1});
    let (status, problem) = ask(&house, Method::POST, path, early).await;
    assert_eq!(
        (status, &problem["code"], &problem["generation"]),
        (409, &json!("hold_grown"), &hold["generation"])
    );
    let word = json!({"reason": "it is right", "generation": hold["generation"]});
    assert_eq!(ask(&house, Method::POST, path, word).await.0, 200);
    assert_eq!(get(&house, "/api/v1/holds").await["total"], 0);
    assert_eq!(get(&house, "/api/v1/feeds/fortigate").await["released"]["addresses"], 10);
    assert_eq!(get(&house, "/api/v1/audit").await["data"][0]["reason"], "it is right");
    list(&house, 1000).await;
    list(&house, 10).await;
    let reject = json!({"reason": "no"});
    assert_eq!(ask(&house, Method::POST, "/api/v1/holds/fortigate/reject", reject).await.0, 200);
    assert_eq!(get(&house, "/api/v1/holds").await["data"][0]["rejected"], true);
    assert_eq!(get(&house, "/api/v1/feeds/fortigate").await["released"]["addresses"], 1000);
}

#[tokio::test]
async fn a_report_says_what_is_left_out_and_why() {
    let house = house();
    list(&house, 10).await;
    let filter = json!({"reason": "x", "feed": {"name": "none", "filter": {"not_sources": ["a"]}}});
    ask(&house, Method::POST, "/api/v1/feeds", filter).await;
    let report = get(&house, "/api/v1/feeds/none/report").await;
    assert_eq!((&report["left_out"]["filter"], &report["feed"]["offers"]), (&json!(10), &json!("empty")));
    let device = json!({"reason": "x", "device": {"name": "box", "networks": ["20.0.0.0"]}});
    ask(&house, Method::POST, "/api/v1/devices", device).await;
    let report = get(&house, "/api/v1/feeds/fortigate/report").await;
    assert_eq!(
        (&report["left_out"]["devices"], &report["feed"]["released"]["addresses"]),
        (&json!(1), &json!(9))
    );
    let preview = json!({"reason": "x", "feed": {"filter": {"sources": ["a"]}}});
    let (_, preview) = ask(&house, Method::POST, "/api/v1/feeds/new/preview", preview).await;
    assert_eq!(preview["addresses"], 9);
}

#[tokio::test]
async fn changes_are_told_as_a_document_as_lines_and_refused_when_they_are_not_known() {
    let house = house();
    list(&house, 2).await;
    list(&house, 3).await;
    let told = get(&house, "/api/v1/changes?since=1").await;
    let epoch = told["epoch"].clone();
    assert_eq!(
        told,
        json!({"feed": "fortigate", "since": 1, "generation": 2, "epoch": epoch, "added": ["20.0.0.4"], "removed": []})
    );
    let request = http::Request::builder().uri("/api/v1/changes?since=1").header(header::HOST, "a");
    let request = request.header(header::ACCEPT, "application/x-ndjson").body(Body::empty()).unwrap();
    let lines = house.app.answer(request, Peer::Local).await.into_body().read().await.unwrap();
    let end = format!("{{\"op\":\"end\",\"generation\":2,\"epoch\":{epoch}}}\n");
    assert_eq!(lines, format!("{{\"op\":\"add\",\"range\":\"20.0.0.4\"}}\n{end}"));
    let ahead = ask(&house, Method::GET, "/api/v1/changes?since=9", Value::Null).await;
    assert_eq!((ahead.0, &ahead.1["code"]), (422, &json!("generation_ahead")));
    assert_eq!(ask(&house, Method::GET, "/api/v1/changes?since=0&feed=nowhere", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_generation_of_another_history_is_gone_whatever_its_number() {
    let (house, other) = (house(), house());
    for count in [1, 2, 3] {
        list(&house, count).await;
        list(&other, count + 5).await;
    }
    let epoch = async |house: &House| {
        get(house, "/api/v1/changes?since=3").await["epoch"].as_str().unwrap().to_owned()
    };
    let (own, foreign) = (epoch(&house).await, epoch(&other).await);
    list(&house, 4).await;
    let ask = async |epoch: &str| {
        ask(&house, Method::GET, &format!("/api/v1/changes?since=3&epoch={epoch}"), Value::Null).await
    };
    assert_eq!(ask(&own).await.0, 200);
    let (status, problem) = ask(&foreign).await;
    assert_eq!((status, &problem["code"]), (410, &json!("generation_gone")));
    let id = format!("{foreign}-3");
    let refused = Events::of(&house, "/api/v1/changes?since=3", Some(&id)).await.next().await.unwrap();
    assert!(refused.contains("generation_gone"), "{refused}");
    get(&house, "/api/v1/changes?since=3").await;
}

#[tokio::test]
async fn a_preview_says_what_a_budget_cuts_and_what_would_wait_for_a_word() {
    let house = house();
    list(&house, 1000).await;
    let wish = json!({"reason": "x", "feed": {"name": "edge"}});
    assert_eq!(ask(&house, Method::POST, "/api/v1/feeds", wish).await.0, 200);
    let preview = async |feed: Value| {
        let body = json!({"reason": "x", "feed": feed});
        ask(&house, Method::POST, "/api/v1/feeds/edge/preview", body).await.1
    };
    let small = preview(json!({"budget": {"entries": 10}})).await;
    assert_eq!((&small["addresses"], &small["cut"]["addresses_left_out"]), (&json!(10), &json!(990)));
    assert_eq!((&small["held"], &small["warnings"]), (&Value::Null, &Value::Null));
    list(&house, 10).await;
    let held = preview(json!({})).await;
    assert_eq!((&held["addresses"], &held["held"]["distance"]["gone"]), (&json!(10), &json!(990)), "{held}");
    assert_eq!(held["held"]["would"]["gone_by"], json!([{"source": "a", "addresses": 990}]));
    let other = preview(json!({"filter": {"not_sources": ["nobody"]}})).await;
    assert_eq!(other["warnings"], json!(["there is no source nobody yet"]));
    assert_eq!(
        get(&house, "/api/v1/feeds/edge").await["filter"]["not_sources"],
        json!([]),
        "nothing has changed"
    );
}

#[tokio::test]
async fn a_hold_shows_by_example_what_would_go_and_come_and_by_whom() {
    let house = house();
    list(&house, 1000).await;
    house.list_ranges((0..7).map(|n| IpRange::V4(Range::single(0x1e00_0000 + 2 * n)))).await;
    let hold = get(&house, "/api/v1/holds").await["data"][0].clone();
    let would = &hold["would"];
    assert_eq!(would["gone_by"], json!([{"source": "a", "addresses": 1000}]), "{hold}");
    assert_eq!(would["new_by"], json!([{"source": "a", "addresses": 7}]));
    assert_eq!(would["gone"].as_array().unwrap().len(), 5);
    assert_eq!(would["new"][0], "30.0.0.0");
    let request = http::Request::builder().uri("/api/v1/holds").header(header::HOST, "a");
    let request = request.header("x-api-key", "reader");
    let stranger = super::super::fixture::from([127, 0, 0, 1]);
    let answer = house.app.answer(request.body(Body::empty()).unwrap(), stranger).await;
    let shown: Value = serde_json::from_slice(&answer.into_body().read().await.unwrap()).unwrap();
    assert_eq!((&shown["total"], &shown["data"][0]["would"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn a_report_says_what_a_format_of_one_family_leaves_out() {
    let house = house();
    house.list(&["20.0.0.0/30", "2a00::/126", "2a00::9"]).await;
    let wish =
        json!({"reason": "x", "feed": {"name": "old", "format": "sophos", "filter": {"sources": ["b"]}}});
    let (_, added) = ask(&house, Method::POST, "/api/v1/feeds", wish.clone()).await;
    assert_eq!(added["warnings"], json!(["there is no source b yet"]));
    let wish = json!({"reason": "x", "feed": {"format": "sophos"}});
    let (_, changed) = ask(&house, Method::PUT, "/api/v1/feeds/old", wish).await;
    assert_eq!(changed["warnings"], Value::Null);
    let report = get(&house, "/api/v1/feeds/old/report").await;
    assert_eq!(report["left_out"]["format"], 5, "{report}");
}

#[tokio::test]
async fn a_budget_of_bytes_that_cannot_be_kept_is_refused_from_either_side() {
    let house = house();
    let bytes = json!({"bytes": 30_000});
    let feed = |name: &str, format: &str, budget: &Value| json!({"reason": "r", "feed": {"name": name, "format": format, "budget": budget}});
    let post = async |path: &str, body: Value| ask(&house, Method::POST, path, body).await;
    let refused = post("/api/v1/feeds", feed("table", "csv", &bytes)).await;
    assert!(
        refused.0 == 422 && refused.1["detail"].as_str().unwrap().contains("entries instead"),
        "{refused:?}"
    );
    assert_eq!(post("/api/v1/feeds", feed("table", "csv", &json!({"entries": 9}))).await.0, 200);
    let device = json!({"name": "box", "feeds": ["table"], "each": bytes});
    let wish = json!({"reason": "r", "device": device});
    let refused = post("/api/v1/devices", wish.clone()).await;
    assert!(refused.0 == 422 && refused.1["detail"].as_str().unwrap().contains("table"), "{refused:?}");
    let plain = feed("table", "plain", &json!({}));
    assert_eq!(ask(&house, Method::PUT, "/api/v1/feeds/table", plain).await.0, 200);
    assert_eq!(post("/api/v1/devices", wish).await.0, 200);
    let again = feed("table", "csv", &json!({}));
    let refused = ask(&house, Method::PUT, "/api/v1/feeds/table", again).await;
    assert!(refused.0 == 422 && refused.1["detail"].as_str().unwrap().contains("device box"), "{refused:?}");
}

#[tokio::test]
async fn a_wish_is_for_what_its_path_is_about() {
    let house = house();
    for (path, other) in [("feeds", "device"), ("devices", "feed"), ("feeds", "webhook")] {
        let body = json!({"reason": "r", other: {"name": "edge"}});
        let (status, problem) = ask(&house, Method::POST, &format!("/api/v1/{path}"), body).await;
        assert_eq!(status, 422, "{path} with {other}: {problem}");
    }
}
