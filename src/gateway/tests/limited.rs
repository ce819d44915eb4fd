//! What a caller may ask how often, through the whole door.

use super::*;
use crate::rights::Identity;
use crate::web::claim::{Authority, Claim, Found, Key, Unproven};
use futures_util::future::BoxFuture;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// A device that has a password is given its list.
async fn feed(headers: http::HeaderMap) -> Result<&'static str, Problem> {
    let shown = headers.get(http::header::AUTHORIZATION);
    let is_right = shown.is_none_or(|shown| shown.as_bytes().starts_with(b"Basic"));
    if is_right { Ok("192.0.2.1\n") } else { Err(Problem::unauthorized("key_wrong", "Basic")) }
}

fn limited(rate: &str) -> Arc<App> {
    let routes = Routes::new()
        .get("/feeds/edge", Demand::Own, feed, "A feed.")
        .merge(health::routes().with_state(Arc::new(Health::new("blacklist"))));
    let rows = routes.rows().to_vec();
    let role = App::new(Role::Blacklist, routes, &Arc::new(Metrics::new()))
        .fast("/api/v1/blacklist/check/{ip}", Demand::Of(Right::Check), |_, ip, _| {
            Some(Response::new(Body::full(ip.to_owned())))
        })
        .guard(guard());
    let upstreams = Arc::new(Upstreams::from([(Role::Blacklist, Upstream::local(Arc::new(role)))]));
    let rules = Rules { rates: [Some(rate.parse().unwrap()); 6], ..Rules::default() };
    let docs = Docs::new(vec![Chapter { role: Role::Blacklist, rows }], &[]);
    app(upstreams, guard(), rules, &Arc::new(Metrics::new()), docs)
}

async fn send(door: &Arc<App>, target: &str, key: Option<&'static str>) -> Response {
    let mut asked = request(Method::GET, target, Body::empty());
    asked.headers_mut().extend(key.map(|key| (http::header::AUTHORIZATION, HeaderValue::from_static(key))));
    door.answer(asked, Peer::Tcp(([198, 51, 100, 7], 4).into())).await
}

#[tokio::test]
async fn an_answer_says_what_is_left_and_a_refusal_when_to_come_back() {
    let door = limited("2/h");
    let first = send(&door, "/api/v1/blacklist/check/192.0.2.9", None).await;
    assert_eq!(
        (first.status(), &first.headers()["ratelimit"]),
        (StatusCode::OK, &"\"check\";r=1;t=1800".parse().unwrap())
    );
    assert_eq!(first.headers()["ratelimit-policy"], "\"check\";q=2;w=3600");
    send(&door, "/api/v1/blacklist/check/192.0.2.9", None).await;
    let refused = send(&door, "/api/v1/blacklist/check/192.0.2.9", None).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"1800".parse().unwrap())
    );
    assert_eq!(refused.headers()["ratelimit"], "\"check\";r=0;t=1800");
    let text = refused.into_body().read().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap()["code"], "too_many_requests");
    let routed = send(&door, "/api/v1/blacklist/nothing", None).await;
    assert_eq!(
        (routed.status().as_u16(), &routed.headers()["ratelimit"]),
        (404, &"\"read\";r=1;t=1800".parse().unwrap())
    );
}

#[tokio::test]
async fn an_identity_has_a_bucket_of_its_own() {
    let door = limited("1/h");
    for key in [None, Some("Bearer key")] {
        for expected in [200, 429] {
            let status = send(&door, "/api/v1/blacklist/check/192.0.2.9", key).await.status();
            assert_eq!(status.as_u16(), expected, "{key:?}");
        }
    }
}

#[tokio::test]
async fn feeds_with_a_key_health_and_the_socket_are_never_limited() {
    let door = limited("1/h");
    assert_eq!(send(&door, "/feeds/edge", Some("Basic aHE6eA==")).await.status(), 200);
    for _ in 0..5 {
        let feed = send(&door, "/feeds/edge", Some("Basic aHE6eA==")).await;
        assert_eq!((feed.status().as_u16(), feed.headers().get("ratelimit")), (200, None));
        assert_eq!(send(&door, "/health", None).await.status(), 200);
        assert_eq!(send(&door, "/ready", None).await.status(), 200);
        let local = request(Method::GET, "/api/v1/blacklist/check/192.0.2.9", Body::empty());
        assert_eq!(door.answer(local, Peer::Local).await.status(), 200);
    }
    assert_eq!(send(&door, "/feeds/edge", None).await.status(), 429);
}

#[tokio::test]
async fn a_wrong_key_is_paid_for_as_a_login_and_a_right_one_is_not_held_up_by_it() {
    let door = limited("2/h");
    for expected in [401, 401, 429] {
        let answer = send(&door, "/api/v1/blacklist/check/192.0.2.9", Some("Bearer wrong")).await;
        assert_eq!(answer.status().as_u16(), expected);
    }
    let right = send(&door, "/api/v1/blacklist/check/192.0.2.9", Some("Bearer key")).await;
    assert_eq!(right.status(), 200);
}

#[tokio::test]
async fn whoever_shows_just_anything_for_a_feed_is_limited_until_a_list_was_given() {
    let door = limited("2/h");
    for expected in [401, 401, 429] {
        assert_eq!(send(&door, "/feeds/edge", Some("Digest x")).await.status().as_u16(), expected);
    }
    let device = async |last: u8| {
        let mut asked = request(Method::GET, "/feeds/edge", Body::empty());
        asked.headers_mut().insert(http::header::AUTHORIZATION, HeaderValue::from_static("Basic aHE6eA=="));
        door.answer(asked, Peer::Tcp(([198, 51, 100, last], 4).into())).await.status().as_u16()
    };
    for _ in 0..5 {
        assert_eq!(device(8).await, 200);
    }
}

#[tokio::test]
async fn a_device_that_is_known_by_its_certificate_or_network_is_not_limited_either() {
    let door = limited("2/h");
    let secured = Secured { certificate: Some([7; 32]) };
    for shown in [Some(secured), None] {
        for _ in 0..5 {
            let mut asked = request(Method::GET, "/feeds/edge", Body::empty());
            if let Some(shown) = shown {
                asked.extensions_mut().insert(shown);
            }
            let answer = door.answer(asked, Peer::Tcp(([198, 51, 100, 7], 4).into())).await;
            assert_eq!(answer.status(), 200, "{shown:?}");
        }
    }
    for expected in [401, 429] {
        let guessed = send(&door, "/feeds/edge", Some("Digest x")).await.status().as_u16();
        assert_eq!(guessed, expected, "a list without a key opens nothing to keys that are guessed");
    }
}

/// Must be asked about every key, and counts how often it is; `ann` was somebody's of late.
#[derive(Default)]
struct Far(AtomicU32);

impl Authority for Far {
    fn at_once(&self, _: Claim<'_>, _: IpAddr) -> Option<Found> {
        None
    }

    fn ask<'a>(&'a self, claim: Claim<'a>, from: IpAddr) -> BoxFuture<'a, Found> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let found = if self.is_known(claim, from) {
            Ok(Arc::new(Identity::installation()))
        } else {
            Err(Unproven::Wrong)
        };
        Box::pin(async { found })
    }

    fn is_known(&self, claim: Claim<'_>, _: IpAddr) -> bool {
        matches!(claim, Claim::Key(Key { text: "ann", .. }))
    }
}

#[tokio::test]
async fn nobody_is_asked_about_the_keys_of_whoever_has_shown_too_many_wrong_ones() {
    let far = Arc::new(Far::default());
    let upstreams = Arc::new(Upstreams::from([(Role::Blacklist, Upstream::local(blacklist()))]));
    let rules = Rules { rates: [Some("2/h".parse().unwrap()); 6], ..Rules::default() };
    let guard = guard().believing(Arc::clone(&far) as Arc<dyn Authority>);
    let door = app(upstreams, guard, rules, &Arc::new(Metrics::new()), Docs::new(Vec::new(), &[]));
    let status =
        async |key| send(&door, "/api/v1/blacklist/check/192.0.2.9", Some(key)).await.status().as_u16();
    for (expected, asked) in [(401, 1), (401, 2), (429, 2), (429, 2)] {
        assert_eq!((status("Bearer made-up").await, far.0.load(Ordering::Relaxed)), (expected, asked));
    }
    assert_eq!(
        (status("Bearer ann").await, far.0.load(Ordering::Relaxed)),
        (200, 3),
        "who was known still is"
    );
}
