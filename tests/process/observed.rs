//! What operators see of each request: a line in the log and numbers by role and route.

use super::house::{House, Plan};
use serde_json::Value;

const PATH: &str = "/api/v1/generations";

/// The line that a role wrote about the request of that name.
fn line(house: &House, role: &str, id: &str) -> Value {
    house.event(|event| event["message"] == "request" && event["role"] == role && event["request_id"] == id)
}

#[test]
fn every_answer_is_a_line_of_json_and_a_number_by_role_and_route() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let key = house.key();
    let ask = |method: &str, path: &str, id: &str, key: Option<&str>| {
        let mut headers = vec![("x-request-id", id)];
        headers.extend(key.map(|key| ("x-api-key", key)));
        house.ask("gateway", method, path, &headers, b"{}").unwrap().status
    };
    assert_eq!(ask("GET", &format!("{PATH}?limit=1"), "seen-1", Some(&key)), 200);
    assert_eq!(ask("POST", "/api/v1/blacklist/ips", "seen-2", None), 401);

    let (door, role) = (line(&house, "gateway", "seen-1"), line(&house, "blacklist", "seen-1"));
    for seen in [&door, &role] {
        let texts = ["level", "method", "path", "route", "who"].map(|name| seen[name].as_str().unwrap());
        assert_eq!(texts, ["INFO", "GET", PATH, PATH, "administrator"], "{seen}");
        assert_eq!(seen["status"], 200);
        assert!(seen["micros"].is_u64() && seen["bytes"].as_u64().is_some_and(|bytes| bytes > 2), "{seen}");
        assert!(chrono::DateTime::parse_from_rfc3339(seen["timestamp"].as_str().unwrap()).is_ok());
    }
    let trace = door["trace_id"].as_str().unwrap();
    assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{door}");
    assert_eq!(role["trace_id"], trace, "both belong together");
    assert_eq!(line(&house, "blacklist", "seen-2")["code"], "key_missing");
    assert!(!house.has_logged(&key) && !house.has_logged("limit=1"));

    let metrics = house.get("gateway", "/metrics").ok();
    let has = |line: &str| assert!(metrics.text().lines().any(|found| found == line), "{line}");
    for role in ["gateway", "blacklist"] {
        has(&format!(
            "ironlist_http_requests_total{{method=\"GET\",role=\"{role}\",route=\"{PATH}\",status=\"200\"}} 1"
        ));
        has(&format!("ironlist_http_request_duration_seconds_count{{role=\"{role}\",route=\"{PATH}\"}} 1"));
    }
    // Look-ups are counted by their template, too, and so is what is not known of a role's path by its beginning.
    house.get("gateway", "/api/v1/blacklist/check/192.0.2.1").ok();
    house.get("gateway", "/api/v1/blacklist/unknown");
    let metrics = house.get("gateway", "/metrics").ok();
    let has = |line: &str| assert!(metrics.text().lines().any(|found| found == line), "{line}");
    for (role, method, route, status) in [
        ("gateway", "POST", "/api/v1/blacklist/ips", 401),
        ("blacklist", "POST", "/api/v1/blacklist/ips", 401),
        ("gateway", "GET", "/api/v1/blacklist/check/{ip}", 200),
        ("gateway", "GET", "/api/v1/blacklist", 404),
        ("blacklist", "GET", "(none)", 404),
    ] {
        let labels = format!("method=\"{method}\",role=\"{role}\",route=\"{route}\",status=\"{status}\"");
        has(&format!("ironlist_http_requests_total{{{labels}}} 1"));
    }
    has(&format!("ironlist_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")));
}
