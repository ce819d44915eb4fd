//! Traces of requests at a collector: what it is told, what it is not, and what it may not do to callers.

use super::fakes::collector::{self, Span, State};
use super::fakes::server::Portal;
use super::house::{House, Plan, until};
use std::path::Path;
use std::time::{Duration, Instant};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const PATH: &str = "/api/v1/generations";

fn told_to(collector: &Portal<State>, plan: Plan, share: &str) -> Plan {
    plan.set("IRONLIST_OTLP_ENDPOINT", collector.server.url()).set("IRONLIST_OTLP_SHARE", share)
}

/// A gateway in a process of its own before all other roles.
fn gateway(collector: &Portal<State>, first: &House, data: &Path) -> House {
    std::fs::create_dir(data).unwrap();
    std::fs::copy(first.data().join("admin.key"), data.join("admin.key")).unwrap();
    let url = format!("http://{}", first.address("blacklist"));
    let plan = Plan::new(data).roles("gateway").set("IRONLIST_UPSTREAM_BLACKLIST", &url);
    told_to(collector, plan, "0").start()
}

fn ask(house: &House, path: &str, flags: &str) {
    let parent = format!("00-{TRACE}-{CALLER}-{flags}");
    let headers = [("traceparent", parent.as_str()), ("x-api-key", &house.key())];
    house.ask("gateway", "GET", path, &headers, b"").unwrap();
}

/// The span of a role, once it was told.
fn span(collector: &Portal<State>, role: &str, name: &str) -> Span {
    until(name, || {
        let spans = collector.state().spans;
        spans.into_iter().find(|span| span.resource["ironlist.role"] == role && span.name == name)
    })
}

#[test]
fn a_request_is_told_by_every_process_under_the_names_of_the_log_and_without_a_secret() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), collector::start());
    let first = told_to(&collector, Plan::new(&folder.path().join("first")).roles("blacklist"), "0").start();
    let gateway = gateway(&collector, &first, &folder.path().join("gateway"));

    ask(&gateway, &format!("{PATH}?limit=1"), "01");
    let of_gateway = span(&collector, "gateway", "GET /api/v1/generations");
    assert_eq!((of_gateway.trace.as_str(), of_gateway.parent.as_str()), (TRACE, CALLER));
    let of_blacklist = span(&collector, "blacklist", "GET /api/v1/generations");
    assert_eq!((of_blacklist.trace.as_str(), &of_blacklist.parent), (TRACE, &of_gateway.id));
    for house in [&gateway, &first] {
        house.logged(&format!("\"trace_id\":\"{TRACE}\""));
    }
    let attribute = |name: &str| of_blacklist.attributes[name].as_str();
    assert_eq!(
        [attribute("http.request.method"), attribute("http.response.status_code"), attribute("url.path")],
        ["GET", "200", PATH]
    );
    let resource = |name: &str| of_blacklist.resource[name].as_str();
    assert_eq!(
        [resource("service.name"), resource("service.version")],
        ["ironlist", env!("CARGO_PKG_VERSION")]
    );

    // A look-up is kept when its caller wants it, a token is struck out, and what nobody wants is not told.
    ask(&gateway, "/api/v1/blacklist/check/192.0.2.1", "01");
    ask(&gateway, "/f/a-token-of-a-device/fortigate.txt?secret=in-the-query", "01");
    ask(&gateway, "/api/v1/holds", "00");
    gateway.get("gateway", "/api/v1/audit");
    let look_up = span(&collector, "blacklist", "GET /api/v1/blacklist/check/{ip}");
    assert_eq!(look_up.trace, TRACE);
    // What has not been told yet is told at the end.
    gateway.stop();
    let key = first.key();
    first.stop();
    let State { spans, raw, .. } = collector.state();
    let feed = spans.iter().find(|span| span.attributes["url.path"].starts_with("/f/")).unwrap();
    assert_eq!(feed.attributes["url.path"], "/f/***/fortigate.txt");
    let paths: Vec<&str> = spans.iter().map(|span| span.attributes["url.path"].as_str()).collect();
    assert!(!paths.contains(&"/api/v1/holds") && !paths.contains(&"/api/v1/audit"), "{paths:?}");
    let has = |secret: &str| raw.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(has(PATH) && !has(&key) && !has("a-token-of-a-device") && !has("in-the-query"));
}

#[test]
fn a_collector_that_is_stuck_holds_up_neither_requests_nor_the_end() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), collector::start());
    collector.set(|state| state.is_stuck = true);
    let house = told_to(&collector, Plan::new(&folder.path().join("data")), "1").start();
    let (key, asked) = (house.key(), Instant::now());
    for _ in 0..50 {
        let headers = [("x-api-key", key.as_str())];
        assert_eq!(house.ask("gateway", "GET", PATH, &headers, b"").unwrap().status, 200);
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    until("the collector is asked", || (collector.server.count("/v1/traces") > 0).then_some(()));
    let stopped = Instant::now();
    assert!(house.stop().success());
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
}
