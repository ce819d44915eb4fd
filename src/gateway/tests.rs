//! The door in front of roles that answer, hang, break off and lie.

mod hostile;
mod kept;
mod limited;
mod secured;
mod several;

use super::*;
use crate::web::auth::Access;
use crate::web::caller::Peer;
use crate::web::extract::Whole;
use crate::web::health::{self, Check, Health};
use crate::web::listener::{Limits, Listener, serve};
use crate::web::openapi::Chapter;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn blacklist() -> Arc<App> {
    let health = Health::new("blacklist").check("store", || Check::degraded("read-only", "ironlist doctor"));
    let headers = async |headers: http::HeaderMap| {
        let line = |(name, value): (_, &HeaderValue)| format!("{name}: {}\n", value.to_str().unwrap());
        headers.iter().map(line).collect::<String>()
    };
    let routes = Routes::new()
        .post("/api/v1/blacklist/echo", Demand::Of(Right::Check), async |body: Whole| body.0, "Echoes.")
        .get("/api/v1/fortigate", Demand::Own, async || "192.0.2.1\n", "Lists.")
        .get("/api/v1/blacklist/fortigate", Demand::Own, async || "192.0.2.1\n", "Lists.")
        .get("/api/v1/blacklist/headers", Demand::Of(Right::Check), headers, "Shows headers.")
        .get("/api/v1/blacklist/secret", Demand::Of(Right::Admin), async || "secret", "Is closed.")
        .merge(health::routes().with_state(Arc::new(health)));
    let app = App::new(Role::Blacklist, routes, &Arc::new(Metrics::new()))
        .body_limit("/api/v1/blacklist/echo", 8 << 20)
        .fast("/api/v1/blacklist/check/{ip}", Demand::Of(Right::Check), |_, ip, _| {
            Some(Response::new(Body::full(ip.to_owned())))
        });
    Arc::new(app.guard(guard()))
}

fn guard() -> Guard {
    Guard::new("key", Access::everywhere())
}

/// The door in front of `upstreams`.
fn before(upstreams: Upstreams) -> Arc<App> {
    ruled(Arc::new(upstreams), Rules::default())
}

/// The same under these rules.
fn ruled(upstreams: Arc<Upstreams>, rules: Rules) -> Arc<App> {
    app(upstreams, guard(), rules, &Arc::new(Metrics::new()), Docs::new(Vec::new(), &[]))
}

/// Serves `app` on a port of its own and gives its URL.
async fn elsewhere(app: Arc<App>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Listener::Tcp(listener), app, Limits::default(), std::future::pending()));
    url
}

/// An upstream that reads a little, says `bytes`, and then hangs or closes.
async fn fake(bytes: &'static [u8], hangs: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                drop(stream.read(&mut [0; 1024]).await);
                drop(stream.write_all(bytes).await);
                if hangs {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    url
}

fn remote(url: &str) -> Upstream {
    Upstream::remote(Remote::new(&[url], Duration::from_millis(300)).unwrap())
}

fn door(upstream: Upstream) -> Arc<App> {
    before(Upstreams::from([(Role::Blacklist, upstream)]))
}

fn request(method: Method, target: &str, body: Body) -> Request {
    http::Request::builder().method(method).uri(target).header("host", "door").body(body).unwrap()
}

async fn ask(door: &Arc<App>, target: &str) -> (StatusCode, String) {
    ask_from(door, 7, target).await
}

async fn ask_from(door: &Arc<App>, last: u8, target: &str) -> (StatusCode, String) {
    let peer = Peer::Tcp(([198, 51, 100, last], 4).into());
    let response = door.answer(request(Method::GET, target, Body::empty()), peer).await;
    let status = response.status();
    let bytes = response.into_body().read().await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn code(door: &Arc<App>, target: &str) -> (u16, String) {
    code_from(door, 7, target).await
}

async fn code_from(door: &Arc<App>, last: u8, target: &str) -> (u16, String) {
    let (status, text) = ask_from(door, last, target).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    (status.as_u16(), document["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_role_answers_alike_near_and_far() {
    let url = elsewhere(blacklist()).await;
    for door in [door(Upstream::local(blacklist())), door(remote(&url))] {
        assert_eq!(ask(&door, "/api/v1/blacklist/check/192.0.2.9").await.1, "192.0.2.9");
        assert_eq!(ask(&door, "/api/fortigate").await.1, "192.0.2.1\n");
        assert_eq!(code(&door, "/api/v1/blacklist/nothing").await, (404, "unknown_path".into()));
        assert_eq!(code(&door, "/api/v1/collection/status").await, (503, "role_missing".into()));
        assert_eq!(code(&door, "/nowhere").await, (404, "unknown_path".into()));
    }
}

#[tokio::test]
async fn bodies_stream_both_ways_within_the_roles_limit() {
    let url = elsewhere(blacklist()).await;
    let front = elsewhere(door(remote(&url))).await;
    let body = "x".repeat(3 << 20);
    let mut stream = TcpStream::connect(front.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /api/v1/blacklist/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{}", &answer[..200.min(answer.len())]);
    assert!(answer.ends_with(&body));
}

#[tokio::test]
async fn a_login_that_is_long_goes_no_further_than_the_door() {
    let door = door(remote(&fake(b"", true).await));
    let asked = request(Method::POST, "/api/v1/auth/login", Body::full("x".repeat(17 << 10)));
    let answer = door.answer(asked, Peer::Tcp(([198, 51, 100, 7], 4).into())).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn headers_of_one_hop_stay_behind_and_the_request_keeps_its_name() {
    let door = door(remote(&elsewhere(blacklist()).await));
    let mut asked = request(Method::GET, "/api/v1/blacklist/headers", Body::empty());
    for (name, value) in [
        ("te", "trailers"),
        ("x-forwarded-for", "203.0.113.1"),
        ("x-request-id", "mine"),
        ("connection", "x-gone"),
        ("x-gone", "1"),
    ] {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    let response = door.answer(asked, Peer::Tcp(([198, 51, 100, 7], 4).into())).await;
    assert_eq!(response.headers()["x-request-id"], "mine");
    let seen = String::from_utf8(response.into_body().read().await.unwrap().to_vec()).unwrap();
    assert!(seen.contains("x-request-id: mine\n"), "{seen}");
    // The role has taken what was said of proxies for what it is, before its handlers see anything.
    assert!(!seen.contains("x-forwarded-for"), "{seen}");
    assert!(!seen.contains("te: ") && !seen.contains("x-gone"), "{seen}");
}

#[tokio::test]
async fn only_the_local_administrator_is_given_the_key_for_a_role_elsewhere() {
    let plain = Remote::new(&[elsewhere(blacklist()).await], Duration::from_secs(3)).unwrap();
    let door = door(Upstream::remote(plain.with_key(HeaderValue::from_static("key"))));
    for (peer, given) in [(Peer::Local, true), (Peer::Tcp(([127, 0, 0, 1], 4).into()), false)] {
        let response =
            door.answer(request(Method::GET, "/api/v1/blacklist/headers", Body::empty()), peer).await;
        let seen = response.into_body().read().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&seen).contains("x-api-key: key"), given, "{peer:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_503_worth_another_try() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let door = door(remote(&format!("http://{port}")));
    let asked = request(Method::GET, "/api/v1/blacklist/active", Body::empty());
    let response = door.answer(asked, Peer::Local).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"2".parse().unwrap())
    );
}

#[tokio::test]
async fn an_upstream_that_hangs_breaks_off_or_speaks_nonsense_is_named() {
    for (bytes, hangs, expected) in [
        (&b""[..], true, (504, "role_timeout")),
        (b"", false, (502, "role_broke_off")),
        (b"HTTP/1.1 200 OK\r\nConten", false, (502, "role_broke_off")),
        (b"SSH-2.0-OpenSSH_9.2\r\n", true, (502, "role_broke_off")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", true, (502, "role_broke_off")),
        (
            b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\nx",
            true,
            (502, "role_broke_off"),
        ),
    ] {
        let door = door(remote(&fake(bytes, hangs).await));
        let (status, name) = code(&door, "/api/v1/blacklist/active").await;
        assert_eq!((status, &*name), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_never_passed_off_as_whole() {
    let liar = fake(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n192.0.2.1\n", false).await;
    let front = elsewhere(door(remote(&liar))).await;
    let mut stream = TcpStream::connect(front.trim_start_matches("http://")).await.unwrap();
    stream
        .write_all(b"GET /api/v1/blacklist/fortigate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    let text = String::from_utf8_lossy(&answer).to_lowercase();
    let is_cut = text.contains("content-length: 100\r\n") && text.len() < 400;
    assert!(is_cut || text.starts_with("http/1.1 502"), "{text}");
}

#[tokio::test]
async fn health_shows_every_role_with_its_cause() {
    let hanging = fake(b"", true).await;
    let upstreams = Upstreams::from([
        (Role::Blacklist, Upstream::local(blacklist())),
        (Role::Analytics, remote(&hanging)),
    ]);
    let door = before(upstreams);
    let (status, text) = ask(&door, "/health").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status.as_u16(), &document["status"]), (200, &"degraded".into()));
    assert_eq!(document["checks"]["blacklist"]["cure"], "ironlist doctor");
    assert_eq!(document["checks"]["analytics"]["detail"], "role_timeout");
    assert_eq!(document["services"]["analytics"]["healthy"], false);
    assert_eq!(document["services"]["blacklist"]["healthy"], true);
    assert_eq!(ask(&door, "/ready").await.0, 200);
}

#[tokio::test]
async fn a_door_with_nothing_behind_it_is_not_ready() {
    let door = before(Upstreams::new());
    assert_eq!(ask(&door, "/ready").await.0, 503);
    assert_eq!(ask(&door, "/health").await.0, 503);
    assert!(ask(&door, "/metrics").await.1.contains("blacklist_up{role=\"gateway\"} 1\n"));
}

#[tokio::test]
async fn where_the_roles_are_is_for_administrators() {
    let upstreams = Upstreams::from([(Role::Blacklist, Upstream::local(blacklist()))]);
    let door = before(upstreams);
    assert_eq!(code(&door, "/admin/services").await, (401, "key_missing".into()));
    let response = door.answer(request(Method::GET, "/admin/services", Body::empty()), Peer::Local).await;
    let document: Value = serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap();
    assert_eq!(document["services"]["blacklist"]["url"], "in-process");
}

#[test]
fn a_url_of_another_form_is_refused() {
    for url in ["https://a:1", "http://a:1/path", "a:1", "http://u@a:1", "http://", ""] {
        assert!(Remote::new(&[url], Duration::from_secs(1)).is_err(), "{url}");
    }
}
