//! The role as its callers see it.

use super::*;
use crate::analyze::fixture::{House, plain};
use crate::collect::collector::Options;
use crate::collect::definition::{Definition, Kind};
use crate::disk::Medium;
use crate::model::Scope;
use crate::model::{Batch, Cause, Country, Detail};
use crate::service::fixture::Reader;
use crate::vault::{KeySource, Vault};
use crate::web::auth::{Access, Guard};
use crate::web::metrics::Metrics;
use crate::web::{App, Body, Peer, Role};
use http::StatusCode;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Where one of the earlier system's callers is.
const EARLIER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5));

/// The role in a house, with a collector or without.
struct Office {
    app: Arc<App>,
}

impl Office {
    fn new(house: &House, collector: Option<Collector>) -> Self {
        let role = Collection { engine: house.engine().clone(), collector };
        let access = Access { earlier: [(EARLIER, EARLIER)].into_iter().collect(), ..Access::everywhere() };
        let guard = Guard::new("key", access).believing(Arc::new(Reader));
        let app =
            App::new(Role::Collection, Collection::routes().with_state(role), &Arc::new(Metrics::new()))
                .guard(guard);
        Self { app: Arc::new(app) }
    }

    fn collecting(house: &House) -> Self {
        Self::new(house, Some(Self::collector(house)))
    }

    fn collector(house: &House) -> Collector {
        let folder = house.folder.path();
        let vault = Vault::new(KeySource::find(folder, None, |_| None));
        let configured = [("fixed".parse().unwrap(), Definition::new(Kind::Upload))].into();
        let options = Options::new(house.engine().clone(), Medium::folder(folder), vault);
        Collector::open(Options { configured, ..options }).unwrap()
    }

    async fn answer(&self, method: &str, path: &str, body: Body, peer: Peer) -> (StatusCode, bytes::Bytes) {
        let request = http::Request::builder().method(method).uri(path).header(http::header::HOST, "a");
        let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body).unwrap();
        let response = self.app.answer(request, peer).await;
        (response.status(), response.into_body().read().await.unwrap())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::full(body.to_string()) };
        let (status, bytes) = self.answer(method, path, body, Peer::Local).await;
        (status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The run when it is over.
    async fn over(&self, begun: &Value) -> Value {
        let path = format!("/api/v1/collection/runs/{}", begun["run"].as_str().unwrap());
        for _ in 0..1_000 {
            let (_, run) = self.ask("GET", &path, Value::Null).await;
            if !run["ended"].is_null() {
                return run;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the run does not end");
    }
}

async fn ask(house: &House, path: &str) -> (StatusCode, Value) {
    let (status, answer) = Office::new(house, None).ask("GET", path, Value::Null).await;
    (StatusCode::from_u16(status).unwrap(), answer)
}

async fn house() -> House {
    let house = House::new();
    let detail = Detail {
        country: Country::new("KR"),
        threat: Some("c2".into()),
        detected: Some("2026-09-20".parse().unwrap()),
        ..Detail::default()
    };
    house.list("regtech", &[("20.0.0.9".parse().unwrap(), detail)], Scope::Whole).await;
    house.list("mine", &plain(&["20.0.0.9", "2a00::/32", "20.0.0.0/30"]), Scope::Part).await;
    house
}

#[tokio::test]
async fn sources_are_told_as_the_engine_has_them() {
    let house = house().await;
    let (_, list) = ask(&house, "/api/v1/collection/sources").await;
    assert_eq!(list["total"], 2);
    let (status, one) = ask(&house, "/api/v1/collection/sources/regtech").await;
    assert_eq!((status.as_u16(), &one), (200, &list["data"][1]), "by name");
    assert_eq!(
        one,
        json!({"name": "regtech", "mode": "append", "zone": "Asia/Seoul", "confidence": null, "expires_days": null,
            "licence": null, "too_broad": {"v4": 8, "v6": 19}, "listings": 1, "held": null, "kind": null,
            "enabled": false,
            "last_seen": "2026-09-22T03:00:00Z", "since": "2026-09-22T03:00:00Z"})
    );
    let (status, body) = ask(&house, "/api/v1/collection/sources/nobody").await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("unknown_source")));
}

#[tokio::test]
async fn both_status_paths_say_the_same_in_the_earlier_shape() {
    let house = house().await;
    let (_, status) = ask(&house, "/api/v1/status").await;
    let regtech = json!({"enabled": false, "last_run": "2026-09-22T03:00:00Z", "status": "completed"});
    let mine = json!({"enabled": false, "last_run": null, "status": "idle"});
    let data = json!({"regtech": regtech, "mine": mine});
    assert_eq!(status, json!({"status": "success", "data": data, "total_collected": 4}));
    assert_eq!(ask(&house, "/api/v1/collection/status").await.1, status);
}

#[tokio::test]
async fn the_earlier_systems_callers_switch_sources_and_undo_nothing_that_people_did() {
    let house = house().await;
    let office = Office::collecting(&house);
    let call = async |path: &str| {
        let peer = Peer::Tcp((EARLIER, 9).into());
        let (status, told) = office.answer("PUT", path, Body::empty(), peer).await;
        let told: Value = serde_json::from_slice(&told).unwrap();
        (status.as_u16(), told["code"].as_str().unwrap_or_default().to_owned())
    };
    let done = (200, String::new());
    for path in ["sources/feodo-tracker/disable", "sources/feodo-tracker/enable"] {
        assert_eq!(call(&format!("/api/v1/{path}")).await, done, "{path}");
    }
    assert_eq!(call("/api/v1/collection/sources/feodo-tracker/enable").await, done);
    let others = call("/api/v1/collection/sources/feodo-tracker/disable").await;
    assert_eq!(others, (401, "key_missing".to_owned()), "the earlier system had no such path");

    let source = "regtech".parse().unwrap();
    let change = house.engine().restoring(&source, 1).unwrap();
    let (id, actor, reason) = (uuid::Uuid::now_v7(), "kim".to_owned(), "poisoned".to_owned());
    let batch = Batch { id, actor, reason, cause: Cause::Rollback, change };
    house.engine().submit(batch).await.unwrap();
    for path in ["/api/v1/sources/regtech/enable", "/api/v1/collection/sources/regtech/enable"] {
        assert_eq!(call(path).await, (409, "source_held".to_owned()), "{path}");
    }
    assert!(house.engine().snapshot().source("regtech").unwrap().held.is_some());
    let (status, _) = office.ask("PUT", "/api/v1/collection/sources/regtech/enable", json!({})).await;
    assert_eq!(status, 200, "with a key it is released");
    assert!(house.engine().snapshot().source("regtech").unwrap().held.is_none());
}

#[tokio::test]
async fn collected_data_comes_in_the_order_of_addresses_up_to_the_limit() {
    let house = house().await;
    let (_, all) = ask(&house, "/api/v1/collected-data").await;
    let ips: Vec<&str> =
        all["data"].as_array().unwrap().iter().map(|row| row["ip"].as_str().unwrap()).collect();
    assert_eq!(ips, ["20.0.0.0/30", "20.0.0.9", "20.0.0.9", "2a00::/32"]);
    let (_, two) = ask(&house, "/api/v1/collected-data?limit=2").await;
    assert_eq!((two["data"].as_array().unwrap().len(), &two["total"]), (2, &json!(4)));
    assert_eq!(
        two["data"][1],
        json!({"ip": "20.0.0.9", "source": "regtech", "detection_date": "2026-09-20",
            "threat_type": "c2", "country": "KR"})
    );
    for limit in ["0", "10001", "many"] {
        let (status, body) = ask(&house, &format!("/api/v1/collected-data?limit={limit}")).await;
        assert_eq!((status.as_u16(), &body["code"]), (400, &json!("query")));
    }
}

#[tokio::test]
async fn a_source_is_defined_shown_switched_and_removed() {
    let house = House::new();
    let office = Office::collecting(&house);
    const SOURCES: &str = "/api/v1/collection/sources";
    let new = json!({"name": "mine", "kind": "feed", "url": "https://lists.example/a", "every": "1h"});
    let (status, made) = office.ask("POST", SOURCES, new.clone()).await;
    assert_eq!((status, &made["enabled"]), (201, &json!(true)), "{made}");
    assert_eq!(office.ask("POST", SOURCES, new).await.0, 409);
    let one = format!("{SOURCES}/mine");
    let (_, shown) = office.ask("GET", &one, Value::Null).await;
    assert_eq!(
        (&shown["kind"], &shown["mode"], &shown["origin"]),
        (&json!("feed"), &json!("snapshot"), &json!("api"))
    );
    for (document, code) in [
        (json!({"kind": "feed"}), "bad_definition"),
        (json!({"kind": "feed", "url": "https://a/b", "evry": "1h"}), "body_shape"),
        (json!({"kind": "feed", "url": "https://a/b", "every": "1s"}), "bad_definition"),
    ] {
        let (status, refusal) = office.ask("PUT", &one, document).await;
        assert_eq!((status, &refusal["code"]), (422, &json!(code)), "{refusal}");
    }
    let (status, off) = office.ask("PUT", "/api/v1/sources/mine/disable", json!({})).await;
    assert_eq!((status, &off["status"], &off["enabled"]), (200, &json!("success"), &json!(false)));
    assert_eq!(office.ask("DELETE", &one, Value::Null).await.0, 200);
    assert_eq!(office.ask("GET", &one, Value::Null).await.0, 404);
    let (_, audit) = office.ask("GET", "/api/v1/audit", Value::Null).await;
    assert_eq!((&audit["total"], &audit["data"][0]["action"]), (&json!(3), &json!("source.remove")));
}

#[tokio::test]
async fn what_cannot_begin_is_refused_at_once_with_its_code() {
    let house = House::new();
    let office = Office::collecting(&house);
    for (body, status, code) in [
        (json!({"source": "nobody"}), 404, "unknown_source"),
        (json!({"source": "regtech"}), 422, "credentials_missing"),
        (
            json!({"source": "regtech", "start_date": "2026-02-02", "end_date": "2026-02-01"}),
            422,
            "bad_period",
        ),
        (json!({"source": "regtech", "sauce": 1}), 422, "body_shape"),
    ] {
        let (given, refusal) = office.ask("POST", "/api/v1/collection/trigger", body.clone()).await;
        assert_eq!((given, &refusal["code"]), (status, &json!(code)), "{body}");
    }
    let earlier = office.ask("POST", "/api/v1/collect", json!({"source": "nobody", "user": "x"})).await;
    assert_eq!(earlier.0, 404);
    let unknown = "/api/v1/collection/runs/0190a000-0000-7000-8000-000000000000";
    assert_eq!(office.ask("GET", unknown, Value::Null).await.1["code"], "unknown_run");
    assert_eq!(office.ask("POST", &format!("{unknown}/cancel"), json!({})).await.1["code"], "unknown_run");
}

#[tokio::test]
async fn a_file_is_uploaded_followed_downloaded_and_read_again() {
    let house = House::new();
    let office = Office::collecting(&house);
    let new = json!({"name": "files", "kind": "upload"});
    assert_eq!(office.ask("POST", "/api/v1/collection/sources", new).await.0, 201);
    let list = Body::full("20.0.0.1\n20.0.0.2\nnonsense\n");
    let path = "/api/v1/collection/upload?source=files&name=a.txt";
    let (status, begun) = office.answer("POST", path, list, Peer::Local).await;
    assert_eq!(status, 202);
    let begun: Value = serde_json::from_slice(&begun).unwrap();
    let run = office.over(&begun).await;
    assert_eq!(
        (&run["state"], &run["counts"]["new"], &run["counts"]["rejected"]),
        (&json!("done"), &json!(2), &json!(1))
    );
    let id = run["id"].as_str().unwrap();
    let raw = format!("/api/v1/collection/runs/{id}/raw");
    let (_, bytes) = office.answer("GET", &raw, Body::empty(), Peer::Local).await;
    assert_eq!(bytes, "20.0.0.1\n20.0.0.2\nnonsense\n");
    let far = Peer::Tcp(([192, 0, 2, 1], 9).into());
    assert_eq!(office.answer("GET", &raw, Body::empty(), far).await.0, 401, "not for everybody");
    let (status, again) = office.ask("POST", &format!("/api/v1/collection/runs/{id}/again"), json!({})).await;
    assert_eq!(status, 202);
    assert_eq!(office.over(&again).await["counts"]["unchanged"], 2);
    let (_, runs) = office.ask("GET", "/api/v1/collection/runs?source=files&limit=1", Value::Null).await;
    assert_eq!((&runs["total"], &runs["data"][0]["trigger"]), (&json!(2), &json!("again")));
    let next = format!("/api/v1/collection/runs?source=files&cursor={}", runs["cursor"].as_str().unwrap());
    let (_, first) = office.ask("GET", &next, Value::Null).await;
    assert_eq!((&first["data"][0]["id"], &first["cursor"]), (&run["id"], &Value::Null));
    let (_, status) = office.ask("GET", "/api/v1/status", Value::Null).await;
    assert_eq!(status["data"]["files"]["status"], "completed");
}

#[tokio::test]
async fn a_file_may_come_in_a_form_within_the_same_limit() {
    let house = House::new();
    let office = Office::collecting(&house);
    let send = async |text: &str| {
        let disposition = "Content-Disposition: form-data; name=\"list\"; filename=\"bad.csv\"";
        let form = format!("--x\r\n{disposition}\r\n\r\n{text}\r\n--x--\r\n");
        let request =
            http::Request::post("/api/v1/collection/upload?source=fixed").header(http::header::HOST, "a");
        let request = request.header(http::header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        let response = office.app.answer(request.body(Body::full(form)).unwrap(), Peer::Local).await;
        let (status, body) = (response.status().as_u16(), response.into_body().read().await.unwrap());
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let (status, begun) = send("ip,reason\n20.0.0.1,scan\n").await;
    assert_eq!(status, 202, "{begun}");
    let run = office.over(&begun).await;
    assert_eq!(
        (&run["counts"]["new"], &run["documents"][0]["name"]),
        (&json!(1), &json!("bad.csv")),
        "{run}"
    );
    let (status, refusal) = send(&"x".repeat(3 << 20)).await;
    assert_eq!((status, &refusal["code"]), (413, &json!("body_too_large")));
}

#[tokio::test]
async fn a_run_that_is_over_is_one_event() {
    let house = House::new();
    let office = Office::collecting(&house);
    office.ask("POST", "/api/v1/collection/sources", json!({"name": "files", "kind": "upload"})).await;
    let path = "/api/v1/collection/upload?source=files";
    let (_, begun) = office.answer("POST", path, Body::full("20.0.0.1\n"), Peer::Local).await;
    let begun: Value = serde_json::from_slice(&begun).unwrap();
    office.over(&begun).await;
    let path = format!("/api/v1/collection/runs/{}", begun["run"].as_str().unwrap());
    let request = http::Request::builder().uri(&path).header(http::header::HOST, "a");
    let request = request.header(http::header::ACCEPT, "text/event-stream").body(Body::empty()).unwrap();
    let response = office.app.answer(request, Peer::Local).await;
    assert_eq!(response.headers()[http::header::CONTENT_TYPE], "text/event-stream");
    let text = response.into_body().read().await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.starts_with("event: run\ndata: {") && text.contains(r#""state":"done""#), "{text}");
}

#[tokio::test]
async fn credentials_go_in_and_never_come_out() {
    let house = House::new();
    let office = Office::collecting(&house);
    let path = "/api/v1/collection/sources/regtech/credentials";
    let (status, kept) = office.ask("PUT", path, json!({"username": "u", "password": "hush-hush"})).await;
    assert_eq!((status, &kept["status"]), (200, &json!("success")));
    let (_, wrong) = office.ask("PUT", path, json!({"username": "u", "passwort": "hush-hush"})).await;
    assert_eq!(wrong["code"], "bad_credentials");
    let (_, shown) = office.ask("GET", "/api/v1/collection/sources/regtech", Value::Null).await;
    assert_eq!((&shown["credentials"], &shown["enabled"]), (&json!(true), &json!(true)));
    for text in [kept.to_string(), wrong.to_string(), shown.to_string()] {
        assert!(!text.contains("hush"), "{text}");
    }
}

/// What a list answers: how many rows this page has, how many there are, and where the next begins.
fn page(list: &Value) -> (usize, u64, Option<&str>) {
    (list["data"].as_array().unwrap().len(), list["total"].as_u64().unwrap(), list["cursor"].as_str())
}

#[tokio::test]
async fn holds_and_the_audit_come_in_pages_of_which_the_last_has_no_cursor() {
    let house = House::new();
    let office = Office::collecting(&house);
    for name in ["a", "b", "c"] {
        office.ask("POST", "/api/v1/collection/sources", json!({"name": name, "kind": "upload"})).await;
        for text in ["20.0.0.1\n", "<!DOCTYPE html><html><body>no list</body></html>"] {
            let path = format!("/api/v1/collection/upload?source={name}");
            let (_, begun) = office.answer("POST", &path, Body::full(text), Peer::Local).await;
            office.over(&serde_json::from_slice(&begun).unwrap()).await;
        }
    }
    for (path, first) in [("/api/v1/holds", "a"), ("/api/v1/audit", "c")] {
        let (_, begin) = office.ask("GET", &format!("{path}?limit=1"), Value::Null).await;
        assert_eq!(begin["data"][0]["source"], first, "{begin}");
        let (rows, total, cursor) = page(&begin);
        assert_eq!((rows, total), (1, 3), "{path}");
        let next = format!("{path}?limit=2&cursor={}", cursor.unwrap());
        let (_, end) = office.ask("GET", &next, Value::Null).await;
        assert_eq!((page(&end), &end["data"][0]["source"]), ((2, 3, None), &json!("b")), "{path}");
        assert_eq!(office.ask("GET", &format!("{path}?limit=0"), Value::Null).await.0, 400);
    }
}

#[tokio::test]
async fn what_is_not_a_persons_is_not_removed_and_the_refusal_names_the_cure() {
    let house = House::new();
    let office = Office::collecting(&house);
    let credentials = "/api/v1/collection/sources/regtech/credentials";
    office.ask("PUT", credentials, json!({"username": "u", "password": "p"})).await;
    for (name, code, cure) in [
        ("regtech", "builtin", "ironlist source disable regtech"),
        ("fixed", "configured", "configuration file"),
    ] {
        let one = format!("/api/v1/collection/sources/{name}");
        let (status, refusal) = office.ask("DELETE", &one, Value::Null).await;
        assert_eq!((status, &refusal["code"]), (409, &json!(code)));
        assert!(refusal["detail"].as_str().unwrap().contains(cure), "{refusal}");
    }
    let (_, regtech) = office.ask("GET", "/api/v1/collection/sources/regtech", Value::Null).await;
    assert_eq!(regtech["credentials"], true, "nothing was forgotten");
}

#[tokio::test]
async fn without_a_ledger_reading_goes_on_and_collecting_says_why_not() {
    let house = house().await;
    let office = Office::new(&house, None);
    assert_eq!(office.ask("GET", "/api/v1/collection/sources", Value::Null).await.0, 200);
    let (status, refusal) =
        office.ask("POST", "/api/v1/collection/trigger", json!({"source": "regtech"})).await;
    assert_eq!((status, &refusal["code"]), (503, &json!("collection_unavailable")));
}

#[tokio::test]
async fn a_hold_is_watched_until_it_is_decided() {
    let house = House::new();
    let role = Office::collector(&house);
    let office = Office::new(&house, Some(role.clone()));
    office.ask("POST", "/api/v1/collection/sources", json!({"name": "files", "kind": "upload"})).await;
    for text in ["20.0.0.1\n", "<!DOCTYPE html><html><body>no list</body></html>"] {
        let path = "/api/v1/collection/upload?source=files";
        let (_, begun) = office.answer("POST", path, Body::full(text), Peer::Local).await;
        office.over(&serde_json::from_slice(&begun).unwrap()).await;
    }
    let watch = Watch::default();
    let look = async || {
        watch.look(house.engine(), &role).await;
        let mut troubles = Vec::new();
        watch.each(|name, trouble| {
            troubles.extend(trouble.map(|trouble| (name.to_string(), trouble)));
        });
        (watch.check(), troubles)
    };
    let (check, troubles) = look().await;
    assert_eq!((&*check.cure, troubles), ("ironlist hold list", vec![("files".to_owned(), Trouble::Held)]));
    let (_, holds) = office.ask("GET", "/api/v1/holds", Value::Null).await;
    let reject = format!("/api/v1/holds/{}/reject", holds["data"][0]["id"].as_str().unwrap());
    assert_eq!(office.ask("POST", &reject, json!({"reason": "a page"})).await.0, 200);
    let (check, troubles) = look().await;
    assert_eq!((&*check.detail, troubles), ("", Vec::new()));
}

#[tokio::test]
async fn credentials_are_tested_where_they_are_set_and_beside_it() {
    let house = House::new();
    let office = Office::collecting(&house);
    for path in ["credentials/test", "test"] {
        let path = format!("/api/v1/collection/sources/regtech/{path}");
        let (_, told) = office.ask("POST", &path, json!({})).await;
        assert_eq!(told["code"], "credentials_missing", "{path}: {told}");
    }
}

#[tokio::test]
async fn what_is_collected_from_where_is_for_administrators() {
    let house = House::new();
    let one = "/api/v1/collection/sources/mine";
    let office = Office::collecting(&house);
    let source = json!({"name": "mine", "kind": "feed", "url": "https://lists.example/a?key=k"});
    assert_eq!(office.ask("POST", "/api/v1/collection/sources", source).await.0, 201);
    let (_, whole) = office.ask("GET", one, Value::Null).await;
    assert_eq!(whole["definition"]["url"], "https://lists.example/a?key=k");
    let anybody = Peer::Tcp("203.0.113.9:1".parse().unwrap());
    for path in [one, "/api/v1/collection/sources"] {
        assert_eq!(office.answer("GET", path, Body::empty(), anybody).await.0, 401, "{path}: somebody's");
        let request = http::Request::get(path).header(http::header::HOST, "a").header("x-api-key", "reader");
        let response = office.app.answer(request.body(Body::empty()).unwrap(), anybody).await;
        let (status, told) = (response.status(), response.into_body().read().await.unwrap());
        let told = String::from_utf8(told.to_vec()).unwrap();
        assert!(status == 200 && told.contains("\"mine\"") && !told.contains("key=k"), "{path}: {told}");
    }
}
