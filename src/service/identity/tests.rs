//! Logins, people and keys as their callers see them.

use super::super::fixture::{House as Published, from};
use super::*;
use crate::disk::Medium;
use crate::identity::{ADMIN_PASSWORD, Clock, Cost, Options};
use crate::model::Time;
use crate::vault::{KeySource, Vault};
use crate::web::auth::{Access, Guard};
use crate::web::metrics::Metrics;
use crate::web::{App, Body, Peer, Role};
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const PASSWORD: &str = "correct horse battery";
const FAR: [u8; 4] = [192, 0, 2, 1];

/// A process with the blacklist role, and how its clock is set.
struct House {
    published: Published,
    keeper: Arc<Keeper>,
    metrics: Arc<Metrics>,
    clock: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(1_790_000_000));
        let (wall, steady) = (Arc::clone(&clock), Arc::clone(&clock));
        let metrics = Arc::new(Metrics::new());
        let told = Arc::clone(&metrics);
        let options = Options {
            cost: Cost { memory: 8, passes: 1 },
            clock: Clock {
                wall: Arc::new(move || Time::from_unix(wall.load(Ordering::Relaxed))),
                steady: Arc::new(move || Duration::from_secs(steady.load(Ordering::Relaxed).unsigned_abs())),
            },
            observe: Arc::new(move |event| match event {
                crate::identity::Told::Refused(why, count) => told.auth_refusals(why).inc_by(count),
                crate::identity::Told::Issued(how) => told.auth_tokens(how).inc(),
            }),
            ..Options::new(
                Medium::folder(folder.path()),
                Arc::new(Vault::new(KeySource::Made(folder.path().join("vault.key")))),
            )
        };
        let keeper = Arc::new(Keeper::open(options).unwrap().0);
        let published = Published::new(|publisher| {
            let publishing = Publishing(Arc::clone(publisher));
            let routes = Publishing::routes().with_state(publishing.clone());
            let people = People { keeper: Some(Arc::clone(&keeper)), publishing };
            let guard = Guard::new("the installation's key", Access::everywhere());
            let guard = guard.believing(Arc::new(Local(Some(Arc::clone(&keeper)))));
            App::new(Role::Blacklist, routes.merge(People::routes().with_state(people)), &metrics)
                .guard(guard)
        });
        Self { published, keeper, metrics, clock, folder }
    }

    fn later(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn send(&self, peer: Peer, key: &str, call: &str, body: Value) -> crate::web::Response {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(path);
        request = request.header(HOST, "test").header(CONTENT_TYPE, "application/json");
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::full(body.to_string()) };
        self.published.app.answer(request.body(body).unwrap(), peer).await
    }

    /// What is answered to somebody on the network.
    async fn ask(&self, key: &str, call: &str, body: Value) -> (u16, Value) {
        let response = self.send(from(FAR), key, call, body).await;
        let status = response.status().as_u16();
        let text = response.into_body().read().await.unwrap();
        (status, serde_json::from_slice(&text).unwrap_or_default())
    }

    async fn code(&self, key: &str, call: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.ask(key, call, body).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    }

    async fn login(&self, username: &str, password: &str) -> (u16, Value) {
        let body = json!({"username": username, "password": password});
        self.ask("", "POST /api/v1/auth/login", body).await
    }

    /// The first administrator, with a password of their own.
    async fn admin(&self) -> String {
        let first = std::fs::read_to_string(self.folder.path().join(ADMIN_PASSWORD)).unwrap();
        let (status, session) = self.login("admin", first.trim()).await;
        assert_eq!((status, &session["must_change_password"]), (200, &json!(true)), "{session}");
        let token = session["access_token"].as_str().unwrap();
        let (_, me) = self.ask(token, "GET /api/v1/auth/me", Value::Null).await;
        assert_eq!((&me["must_change_password"], &me["rights"]), (&json!(true), &json!([])));
        let refused = self.code(token, "GET /api/v1/auth/users", Value::Null).await;
        assert_eq!(refused, (403, "right_missing".to_owned()));
        let body = json!({"new_password": PASSWORD});
        let (status, session) = self.ask(token, "PUT /api/v1/auth/me/password", body).await;
        assert_eq!(status, 200, "{session}");
        session["access_token"].as_str().unwrap().to_owned()
    }

    /// A user with [`PASSWORD`], logged in.
    async fn user(&self, admin: &str, name: &str) -> Value {
        let body = json!({"name": name, "reason": "test"});
        let (status, made) = self.ask(admin, "POST /api/v1/auth/users", body).await;
        assert_eq!(status, 200, "{made}");
        let (_, session) = self.login(name, made["one_time_password"].as_str().unwrap()).await;
        let token = session["access_token"].as_str().unwrap();
        let body = json!({"new_password": PASSWORD});
        self.ask(token, "PUT /api/v1/auth/me/password", body).await.1
    }
}

fn token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

#[tokio::test]
async fn an_administrator_comes_in_by_the_first_password_and_makes_others_known() {
    let house = House::new();
    let admin = house.admin().await;
    let kim = house.user(&admin, "kim").await;
    assert_eq!((&kim["token_type"], &kim["expires_in"]), (&json!("Bearer"), &json!(900)));
    let (_, me) = house.ask(token(&kim), "GET /api/v1/auth/me", Value::Null).await;
    assert_eq!(
        me,
        json!({"name": "kim", "kind": "user", "rights": ["check", "read", "feeds", "metrics", "write"],
            "until": "2026-09-21T14:28:20Z", "must_change_password": false})
    );
    let (_, users) = house.ask(&admin, "GET /api/v1/auth/users?limit=1", Value::Null).await;
    assert_eq!((&users["total"], &users["data"][0]["name"]), (&json!(2), &json!("admin")));
    let body = json!({"role": "admin", "reason": "test"});
    let (_, changed) = house.ask(&admin, "PUT /api/v1/auth/users/kim", body).await;
    assert_eq!(changed["changed"], true);
    assert_eq!(house.code(token(&kim), "GET /api/v1/auth/me", Value::Null).await.0, 401, "sessions end");
    for (name, call, body, expected) in [
        ("again", "POST /api/v1/auth/users", json!({"name": "KIM", "reason": "x"}), (409, "name_exists")),
        ("why", "POST /api/v1/auth/users", json!({"name": "lee", "reason": " "}), (422, "reason_missing")),
        ("who", "GET /api/v1/auth/users/lee", Value::Null, (404, "unknown_name")),
        ("typo", "POST /api/v1/auth/users", json!({"nam": "lee"}), (422, "body_shape")),
        (
            "role",
            "POST /api/v1/auth/users",
            json!({"name": "x", "role": "root", "reason": "x"}),
            (422, "body_shape"),
        ),
    ] {
        let found = house.code(&admin, call, body).await;
        assert_eq!((found.0, found.1.as_str()), expected, "{name}");
    }
    let (_, audit) = house.ask(&admin, "GET /api/v1/audit", Value::Null).await;
    let rows: Vec<(&str, &str, &str)> = audit["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            (text("action"), text("subject"), text("actor"))
        })
        .collect();
    let of_admin = "admin (192.0.2.1)";
    assert_eq!(
        rows,
        [
            ("user.set", "kim", of_admin),
            ("user.password", "kim", "kim (192.0.2.1)"),
            ("user.add", "kim", of_admin),
            ("user.password", "admin", of_admin),
        ]
    );
}

#[tokio::test]
async fn people_without_the_right_see_and_change_nobody() {
    let house = House::new();
    let admin = house.admin().await;
    let kim = house.user(&admin, "kim").await;
    let why = json!({"reason": "x"});
    for call in [
        "GET /api/v1/auth/users",
        "GET /api/v1/auth/users/admin",
        "PUT /api/v1/auth/users/kim",
        "DELETE /api/v1/auth/users/admin?reason=x",
        "POST /api/v1/auth/users/admin/password",
        "POST /api/v1/auth/users/admin/logout",
        "GET /api/v1/auth/keys",
        "GET /api/v1/auth/keys/x",
        "DELETE /api/v1/auth/keys/x?reason=x",
        "POST /api/v1/auth/keys/x/rotate",
        "POST /api/v1/auth/signing/rotate",
        "GET /api/v1/auth/refusals",
    ] {
        let body = if call.starts_with("GET") { Value::Null } else { why.clone() };
        assert_eq!(
            house.code(token(&kim), call, body.clone()).await,
            (403, "right_missing".into()),
            "{call}"
        );
        assert_eq!(house.code("", call, body).await, (401, "key_missing".into()), "{call}");
    }
    for (key, expected) in [
        (token(&kim), (403, "right_missing")),
        (&admin, (403, "installation_only")),
        ("", (401, "key_missing")),
    ] {
        let body = json!({"key": "x", "from": "192.0.2.1"});
        let found = house.code(key, "POST /internal/v1/identity", body).await;
        assert_eq!((found.0, found.1.as_str()), expected);
    }
}

#[tokio::test]
async fn a_session_goes_on_by_its_refresh_token_and_ends_when_it_is_told() {
    let house = House::new();
    let admin = house.admin().await;
    let kim = house.user(&admin, "kim").await;
    house.later(901 + 5);
    assert_eq!(house.code(token(&kim), "GET /api/v1/audit", Value::Null).await, (401, "key_expired".into()));
    let refresh = async |session: &Value| {
        let body = json!({"refresh_token": session["refresh_token"]});
        // What is over does not stand in the way of what is not.
        house.ask(token(session), "POST /api/v1/auth/refresh", body).await
    };
    let (status, second) = refresh(&kim).await;
    assert_eq!(status, 200, "{second}");
    let (status, reused) = refresh(&kim).await;
    assert_eq!((status, &reused["code"]), (401, &json!("refresh_reused")));
    assert_eq!(refresh(&second).await.1["code"], "refresh_wrong");
    let sessions = [house.login("kim", PASSWORD).await.1, house.login("kim", PASSWORD).await.1];
    let logout = "POST /api/v1/auth/logout";
    assert_eq!(house.ask(token(&sessions[0]), logout, Value::Null).await.0, 200);
    let me = async |session: &Value| house.code(token(session), "GET /api/v1/auth/me", Value::Null).await.0;
    assert_eq!((me(&sessions[0]).await, me(&sessions[1]).await), (401, 200));
    assert_eq!(house.ask(token(&sessions[1]), logout, json!({"all": true})).await.0, 200);
    assert_eq!(me(&sessions[1]).await, 401);
    let third = house.login("kim", PASSWORD).await.1;
    let body = json!({"refresh_token": third["refresh_token"]});
    assert_eq!(house.ask("", logout, body).await.0, 200, "also without an access token");
    assert_eq!(me(&third).await, 401);
    assert_eq!(house.code("", logout, Value::Null).await, (401, "key_missing".into()));
    assert_eq!(house.code("the installation's key", logout, Value::Null).await.0, 409);
}

#[tokio::test]
async fn a_key_is_shown_once_and_does_what_it_may() {
    let house = House::new();
    let admin = house.admin().await;
    let wish = json!({"reason": "test", "key": {"name": "siem", "rights": ["check", "admin"],
        "networks": ["192.0.2.0/24"], "expires": "2026-12-01T00:00:00Z"}});
    let response = house.send(from(FAR), &admin, "POST /api/v1/auth/keys", wish).await;
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let made: Value = serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap();
    let key = made["secret"].as_str().unwrap();
    let (_, me) = house.ask(key, "GET /api/v1/auth/me", Value::Null).await;
    assert_eq!((&me["name"], &me["kind"]), (&json!("siem"), &json!("key")));
    let (_, row) = house.ask(key, "GET /api/v1/auth/keys/siem", Value::Null).await;
    assert!(row["secret"].is_null() && key.starts_with(row["begins"].as_str().unwrap()), "{row}");
    assert_eq!(row["last_use"]["from"], "192.0.2.1");
    assert!(!row.to_string().contains(&key[12..]));
    let far = from([198, 51, 100, 1]);
    assert_eq!(house.send(far, key, "GET /api/v1/audit", Value::Null).await.status(), 403);
    let body = json!({"reason": "test", "overlap_seconds": 0});
    let (_, next) = house.ask(&admin, "POST /api/v1/auth/keys/siem/rotate", body).await;
    assert_eq!(house.code(key, "GET /api/v1/audit", Value::Null).await, (401, "key_wrong".into()));
    let key = next["secret"].as_str().unwrap();
    assert_eq!(house.ask(key, "GET /api/v1/audit", Value::Null).await.0, 200);
    assert_eq!(house.ask(&admin, "DELETE /api/v1/auth/keys/siem?reason=test", Value::Null).await.0, 200);
    assert_eq!(house.ask(key, "GET /api/v1/audit", Value::Null).await.0, 401);
    for wrong in [json!({"name": "x", "rights": []}), json!({"name": "x", "rights": ["all"]})] {
        let body = json!({"reason": "test", "key": wrong});
        assert_eq!(house.ask(&admin, "POST /api/v1/auth/keys", body).await.0, 422);
    }
}

#[tokio::test]
async fn wrong_passwords_are_all_answered_alike_and_make_wait() {
    let house = House::new();
    let admin = house.admin().await;
    house.user(&admin, "kim").await;
    let elsewhere = from([203, 0, 113, 9]);
    let mut delayed = None;
    for _ in 0..8 {
        let body = json!({"username": "kim", "password": "guessed"});
        let response = house.send(elsewhere, "", "POST /api/v1/auth/login", body).await;
        delayed = response.headers().get(RETRY_AFTER).cloned();
        assert_eq!(response.status().as_u16(), if delayed.is_some() { 429 } else { 401 });
    }
    assert!(delayed.is_some());
    assert_eq!(house.login("kim", PASSWORD).await.0, 200, "not where kim has been before");
    let answers = [house.login("kim", "guessed").await, house.login("nobody", "guessed").await].map(
        |(status, mut answer)| {
            answer["request_id"].take();
            (status, answer)
        },
    );
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn every_refusal_is_kept_and_counted_with_no_secret_in_it() {
    let house = House::new();
    let admin = house.admin().await;
    let kim = house.user(&admin, "kim").await;
    house.login("kim", "hunter2 is wrong").await;
    house.login("kim", "hunter2 is wrong").await;
    house.login("hunter2 is secret", "x").await;
    house.ask(token(&kim), "GET /api/v1/audit", Value::Null).await;
    house.ask("hunter2", "GET /api/v1/devices", Value::Null).await;
    house.ask("", "GET /api/v1/auth/keys", Value::Null).await;
    let (_, kept) = house.ask(&admin, "GET /api/v1/auth/refusals", Value::Null).await;
    let mut rows: Vec<(&str, &str, &str, u64)> = kept["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            assert_eq!(text("from"), "192.0.2.1");
            (text("claimed"), text("why"), text("what"), row["count"].as_u64().unwrap())
        })
        .collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            ("a key", "key_wrong", "GET /api/v1/devices", 1),
            ("admin", "right_missing", "GET /api/v1/auth/users", 1),
            ("anonymous", "key_missing", "GET /api/v1/auth/keys", 1),
            ("hu… (17)", "login_wrong", "POST /api/v1/auth/login", 1),
            ("kim", "login_wrong", "POST /api/v1/auth/login", 2),
            ("kim", "right_missing", "GET /api/v1/audit", 1),
        ]
    );
    assert!(!kept.to_string().contains("hunter2"));
    let metrics = house.metrics.render();
    for line in [
        "ironlist_auth_refusals_total{reason=\"login_wrong\"} 3\n",
        "ironlist_auth_refusals_total{reason=\"right_missing\"} 2\n",
        "ironlist_auth_tokens_issued_total{how=\"one_time\"} 2\n",
        "ironlist_auth_tokens_issued_total{how=\"password\"} 2\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let (_, page) = house.ask(&admin, "GET /api/v1/auth/refusals?limit=4", Value::Null).await;
    let next = format!("GET /api/v1/auth/refusals?limit=4&cursor={}", page["cursor"].as_str().unwrap());
    let (_, rest) = house.ask(&admin, &next, Value::Null).await;
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["cursor"]), (2, &Value::Null));
    drop(house.keeper);
}

#[tokio::test]
async fn without_its_book_nobody_is_known_and_nobody_is_called_wrong() {
    let published = Published::new(|publisher| {
        let publishing = Publishing(Arc::clone(publisher));
        let people = People { keeper: None, publishing };
        let guard =
            Guard::new("the installation's key", Access::everywhere()).believing(Arc::new(Local(None)));
        App::new(Role::Blacklist, People::routes().with_state(people), &Arc::new(Metrics::new())).guard(guard)
    });
    let ask = async |method: &str, path: &str, key: &str| {
        let request =
            http::Request::builder().method(method).uri(path).header(HOST, "a").header("x-api-key", key);
        let request = request.header(CONTENT_TYPE, "application/json");
        let body = Body::full(r#"{"username":"a","password":"b"}"#);
        published.app.answer(request.body(body).unwrap(), from(FAR)).await.status().as_u16()
    };
    assert_eq!(ask("GET", "/api/v1/devices", "il_x").await, 503);
    assert_eq!(ask("POST", "/api/v1/auth/login", "").await, 503);
    assert_eq!(ask("GET", "/api/v1/auth/me", "the installation's key").await, 200);
}
