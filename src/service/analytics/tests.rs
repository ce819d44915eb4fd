//! The role as its callers see it.

use super::*;
use crate::analyze::fixture::{House, plain};
use crate::model::Scope;
use crate::web::auth::{Access, Guard};
use crate::web::{App, Body, Peer, Role};
use http::StatusCode;
use serde_json::{Value, json};

async fn ask(house: &House, path: &str) -> (StatusCode, Value) {
    let metrics = Arc::new(Metrics::new());
    let role = Analytics { engine: house.engine().clone(), metrics: Arc::clone(&metrics) };
    let app = Arc::new(
        App::new(Role::Analytics, Analytics::routes().with_state(role), &metrics)
            .guard(Guard::new("key", Access::default())),
    );
    let request = http::Request::builder().uri(path).header(http::header::HOST, "a").body(Body::empty());
    let response = app.answer(request.unwrap(), Peer::Local).await;
    let status = response.status();
    (status, serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap())
}

async fn house() -> House {
    let house = House::new();
    house.list("a", &plain(&["20.0.0.1", "20.0.0.2"]), Scope::Whole).await;
    house
}

const FULL: [&str; 7] = ["summary", "realtime", "trends", "geographic", "threat-types", "sources", "report"];

#[tokio::test]
async fn every_question_is_answered_and_strange_parameters_are_refused() {
    let house = house().await;
    for name in FULL.iter().chain(&["performance"]) {
        let (status, body) = ask(&house, &format!("/api/v1/analytics/{name}")).await;
        assert_eq!(status, 200, "{name}: {body}");
        let (status, body) = ask(&house, &format!("/api/v1/analytics/{name}?periode=7d")).await;
        assert_eq!((status.as_u16(), &body["code"]), (400, &json!("query")), "{name}");
        assert!(body["detail"].as_str().unwrap().contains("periode"), "{body}");
    }
}

#[tokio::test]
async fn a_wrong_value_is_answered_with_the_right_ones() {
    let house = house().await;
    for path in ["/api/v1/analytics/trends", "/api/v1/trends"] {
        let (status, body) = ask(&house, &format!("{path}?period=8d")).await;
        let detail = body["detail"].as_str().unwrap();
        assert_eq!(status, 400);
        assert!(["7d", "30d", "90d", "365d"].iter().all(|good| detail.contains(good)), "{detail}");
        let (_, body) = ask(&house, &format!("{path}?granularity=yearly")).await;
        let detail = body["detail"].as_str().unwrap();
        assert!(
            ["hourly", "daily", "weekly", "monthly"].iter().all(|good| detail.contains(good)),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn the_earlier_paths_keep_their_shapes_and_pass_over_what_they_do_not_know() {
    let house = house().await;
    let (_, trends) = ask(&house, "/api/v1/trends?period=7d&granularity=daily&_=1").await;
    let last = &trends[6];
    assert_eq!(last["date"], "2026-09-22");
    assert_eq!((&last["count"], &last["source_breakdown"]), (&json!(2), &json!({"a": 2})));
    let (_, countries) = ask(&house, "/api/v1/geographic?_=1").await;
    assert_eq!(countries, json!([{"country": "unknown", "count": 2, "percentage": 100.0}]));
    let (_, threats) = ask(&house, "/api/v1/threat-types").await;
    assert_eq!(threats, json!([{"threat_type": "unknown", "count": 2, "percentage": 100.0}]));
    let (_, report) = ask(&house, "/api/v1/report?period=30d").await;
    assert_eq!(
        (&report["period"], &report["total_ips"], &report["generation"]),
        (&json!("30d"), &json!(2), &json!(1))
    );
    assert_eq!((&report["growth_rate"], &report["top_sources"]), (&Value::Null, &json!({"a": 2})));
    let (_, realtime) = ask(&house, "/api/v1/realtime").await;
    assert_eq!(realtime["data"]["hourly_activity"].as_array().unwrap().len(), 24);
    assert_eq!(
        (&realtime["data"]["active_ips"], &realtime["data"]["detection_rate"]),
        (&json!(2), &Value::Null)
    );
}

#[tokio::test]
async fn performance_is_measured_or_null() {
    let (_, body) = ask(&house().await, "/api/v1/performance").await;
    let data = &body["data"];
    assert!(data["memory_usage_mb"].as_f64().unwrap() > 1.0, "{data}");
    assert_eq!(
        (&data["cache_hit_rate"], &data["blacklist_service_response_time_ms"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_damaged_store_is_a_problem_and_never_a_number() {
    let mut house = House::new();
    let many: Vec<String> = (0..3000_u32).map(|i| format!("20.0.{}.{}", i / 250, i % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    house.list("a", &plain(&many), Scope::Part).await;
    house.damage();
    for name in FULL {
        let (status, body) = ask(&house, &format!("/api/v1/analytics/{name}")).await;
        assert_eq!((status.as_u16(), &body["code"]), (503, &json!("store_read_only")), "{name}");
        assert!(body["detail"].as_str().unwrap().contains("doctor --rebuild"), "{body}");
    }
}
