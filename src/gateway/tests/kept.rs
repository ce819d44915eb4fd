//! What the door keeps of answers, and for whom.

use super::*;
use crate::rights::{Identity, Rights};
use crate::web::claim::{Authority, Claim, Found, Key, Unproven};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const STATISTICS: &str = "/api/v1/blacklist/statistics";

/// A role that counts how often it is asked, and a door with a generation that the test sets.
struct House {
    door: Arc<App>,
    asked: Arc<AtomicU32>,
    generation: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

/// Knows two readers.
struct Readers;

impl Authority for Readers {
    fn at_once(&self, claim: Claim<'_>, _: IpAddr) -> Option<Found> {
        Some(match claim {
            Claim::Key(Key { text: name @ ("ann" | "bob" | "may"), .. }) => Ok(somebody(name)),
            Claim::Certificate([9, ..]) => Ok(somebody("may")),
            _ => Err(Unproven::Wrong),
        })
    }

    fn ask<'a>(&'a self, _: Claim<'a>, _: IpAddr) -> BoxFuture<'a, Found> {
        Box::pin(async { Err(Unproven::Wrong) })
    }
}

fn somebody(name: &str) -> Arc<Identity> {
    let rights = if name == "may" { Rights::ALL } else { Rights::USER };
    Arc::new(Identity { kind: crate::rights::Kind::Key, name: name.to_owned(), rights })
}

fn house(cache: u64) -> House {
    let (asked, generation) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(1)));
    let counter = Arc::clone(&asked);
    let count = move || {
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            count.to_string()
        }
    };
    let private = async || {
        let mut answer = Response::new(Body::full("mine"));
        answer.headers_mut().insert("cache-control", HeaderValue::from_static("private"));
        answer
    };
    let anybody = Demand::Nothing;
    let routes = Routes::new()
        .get(STATISTICS, anybody, count.clone(), "Counts.")
        .post(STATISTICS, anybody, count.clone(), "Counts.")
        .get("/api/v1/blacklist/active", anybody, count.clone(), "Counts.")
        .get("/api/v1/blacklist/active/private", Demand::Of(Right::Admin), private, "Is for one alone.")
        .get("/api/v1/audit", Demand::Of(Right::Admin), async || Json(json!({"data": [1]})), "Is a part.")
        .get("/api/v1/blacklist/ips", anybody, count, "Counts.");
    let role = App::new(Role::Blacklist, routes, &Arc::new(Metrics::new()));
    let role = Arc::new(role.guard(guard().believing(Arc::new(Readers))));
    let upstreams = Arc::new(Upstreams::from([(Role::Blacklist, Upstream::local(role))]));
    let (read, metrics) = (Arc::clone(&generation), Arc::new(Metrics::new()));
    let generation_of: Generation = Arc::new(move || read.load(Ordering::Relaxed));
    let rules = Rules { cache, generation: Some(generation_of), ..Rules::default() };
    let docs = Docs::new(Vec::new(), &[]);
    let door = app(upstreams, guard().believing(Arc::new(Readers)), rules, &metrics, docs);
    House { door, asked, generation, metrics }
}

impl House {
    async fn send(&self, method: Method, target: &str, who: &str) -> Response {
        let (name, address) = who.split_once('@').unwrap_or((who, "198.51.100.7"));
        let mut asked = request(method, target, Body::empty());
        if !name.is_empty() {
            asked.headers_mut().insert("x-api-key", name.parse().unwrap());
        }
        let address: IpAddr = address.parse().unwrap();
        self.door.answer(asked, Peer::Tcp((address, 4).into())).await
    }

    async fn get(&self, target: &str, who: &str) -> String {
        let bytes = self.send(Method::GET, target, who).await.into_body().read().await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_question_is_asked_once_and_a_new_generation_asks_again() {
    let house = house(1 << 20);
    assert_eq!(house.get(STATISTICS, "ann").await, "1");
    let kept = house.send(Method::GET, STATISTICS, "ann").await;
    assert_eq!(
        (&kept.headers()["cache-status"], &kept.headers()["age"]),
        (&"ironlist; hit".parse().unwrap(), &"0".parse().unwrap())
    );
    assert_eq!(house.get(&format!("{STATISTICS}?a=1"), "ann").await, "2", "another question");
    house.generation.store(2, Ordering::Relaxed);
    assert_eq!(house.get(STATISTICS, "ann").await, "3");
    assert!(house.metrics.render().contains("ironlist_gateway_cache_total{outcome=\"hit\"} 1\n"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shared_between_any_two() {
    let house = house(1 << 20);
    assert_eq!(house.get(STATISTICS, "ann").await, "1");
    assert_eq!(house.get(STATISTICS, "bob").await, "2", "the same rights, and somebody else");
    assert_eq!(house.get(STATISTICS, "may").await, "3");
    assert_eq!(house.get(STATISTICS, "@192.0.2.1").await, "4");
    assert_eq!(house.get(STATISTICS, "@192.0.2.1").await, "4");
    assert_eq!(house.get(STATISTICS, "@192.0.2.2").await, "5", "a role may let networks in");
}

#[tokio::test(start_paused = true)]
async fn who_asks_the_same_meanwhile_waits_for_the_one_answer() {
    let house = Arc::new(house(1 << 20));
    let all = (0..20).map(|_| {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.get(STATISTICS, "ann").await })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), "1");
    }
    assert_eq!(house.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn changes_parts_and_what_says_so_are_not_kept() {
    let house = house(1 << 20);
    for _ in 0..2 {
        assert_eq!(house.get("/api/v1/blacklist/active/private", "may").await, "mine");
    }
    assert!(house.metrics.render().contains("ironlist_gateway_cache_total{outcome=\"miss\"} 2\n"));
    assert_eq!((house.get("/api/v1/blacklist/ips", "ann").await, house.asked()), ("1".into(), 1));
    assert_eq!((house.get("/api/v1/blacklist/ips", "ann").await, house.asked()), ("2".into(), 2));
    assert_eq!(house.get(STATISTICS, "ann").await, "3");
    house.send(Method::POST, STATISTICS, "ann").await;
    assert_eq!(house.get(STATISTICS, "ann").await, "5", "a change came through this door");
}

#[tokio::test(start_paused = true)]
async fn administrators_clear_it_and_nothing_is_kept_without_room() {
    let (full, none) = (house(1 << 20), house(0));
    for expected in ["1", "1"] {
        assert_eq!(full.get(STATISTICS, "ann").await, expected);
    }
    assert_eq!(full.send(Method::POST, "/admin/cache/clear", "ann").await.status(), 403);
    assert_eq!(full.send(Method::POST, "/admin/cache/clear", "may").await.status(), 200);
    assert_eq!(full.get(STATISTICS, "ann").await, "2");
    for _ in 0..2 {
        none.get(STATISTICS, "ann").await;
    }
    assert_eq!(none.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_given_while_a_newer_one_is_asked_for() {
    let house = house(1 << 20);
    assert_eq!(house.get(STATISTICS, "ann").await, "1");
    tokio::time::sleep(Duration::from_secs(11)).await;
    for _ in 0..3 {
        assert_eq!(house.get(STATISTICS, "ann").await, "1");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((house.get(STATISTICS, "ann").await, house.asked()), ("2".into(), 2));
}

#[tokio::test]
async fn a_certificate_counts_for_those_who_wait_for_an_answer_and_for_each_part_of_a_list() {
    let house = Arc::new(house(1 << 20));
    let all = (0..20).map(|number| {
        let (house, target) =
            (Arc::clone(&house), ["/api/v1/blacklist/active/private", "/api/v1/audit"][number % 2]);
        tokio::spawn(async move {
            let mut asked = request(Method::GET, target, Body::empty());
            asked.extensions_mut().insert(Secured { certificate: Some([9; 32]) });
            let from = Peer::Tcp(([198, 51, 100, 7], 4).into());
            house.door.answer(asked, from).await.status().as_u16()
        })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), 200);
    }
}

#[test]
fn what_is_passed_on_does_not_carry_the_cache_about() {
    let (cache, upstreams) = (Arc::new(Cache::new(1 << 20, None, &Metrics::new())), Arc::default());
    let caller = Caller::local();
    let asked = request(Method::GET, "/api/v1/blacklist/check/192.0.2.1", Body::empty());
    let answer = cache.answer(&upstreams, Role::Blacklist, asked, &caller);
    // The cache's own future has 200 KB, and a move of it takes longer than all that the door does.
    assert!(size_of_val(&answer) < 8 << 10, "{} bytes", size_of_val(&answer));
}
