//! The role as its callers see it.

use super::*;
use crate::analyze::fixture::{House, plain};
use crate::model::Scope;
use crate::web::metrics::Metrics;
use crate::web::{App, Body, Peer, Role};
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

async fn ask(house: &House, path: &str) -> (StatusCode, Value) {
    let metrics = Arc::new(Metrics::new());
    let role = Collection { engine: house.engine().clone() };
    let app = Arc::new(App::new(Role::Collection, role.router(), &metrics));
    let request = http::Request::builder().uri(path).header(http::header::HOST, "a").body(Body::empty());
    let response = app.answer(request.unwrap(), Peer::Local).await;
    let status = response.status();
    (status, serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap())
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
    assert_eq!((status.as_u16(), &one), (200, &list["data"][0]));
    assert_eq!(
        one,
        json!({"name": "regtech", "mode": "append", "zone": "Asia/Seoul", "confidence": null, "expires_days": null,
            "licence": null, "too_broad": {"v4": 8, "v6": 19}, "listings": 1,
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
