//! Several instances of a role: whose turn it is, and what happens when one fails.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// An instance that says `name`, after `pause`, and counts what it is asked.
async fn named(name: &'static str, pause: Duration) -> (String, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let answer = move || {
        let counter = Arc::clone(&counter);
        async move {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            name
        }
    };
    let routes = Routes::new()
        .get(TARGET, Demand::Nothing, answer.clone(), "Says its name.")
        .post(TARGET, Demand::Nothing, answer.clone(), "Says its name.")
        .post("/api/v1/blacklist/check", Demand::Nothing, answer, "Says its name.")
        .merge(health::routes().with_state(Arc::new(Health::new("blacklist"))));
    (elsewhere(Arc::new(App::new(Role::Blacklist, routes, &Arc::new(Metrics::new())))).await, count)
}

fn several(urls: &[String], patience: Duration) -> Remote {
    Remote::new(urls, patience).unwrap()
}

const TARGET: &str = "/api/v1/blacklist/ips";
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn each_has_its_turn() {
    let ((a, at_a), (b, at_b)) = (named("a", Duration::ZERO).await, named("b", Duration::ZERO).await);
    let door = door(Upstream::remote(several(&[a, b], SECOND)));
    for _ in 0..10 {
        ask(&door, TARGET).await;
    }
    assert_eq!((at_a.load(Ordering::Relaxed), at_b.load(Ordering::Relaxed)), (5, 5));
}

#[tokio::test]
async fn changes_are_for_the_first_and_long_questions_for_all() {
    let ((a, at_a), (b, at_b)) = (named("a", Duration::ZERO).await, named("b", Duration::ZERO).await);
    let door = door(Upstream::remote(several(&[a, b], SECOND)));
    for (target, expected) in [(TARGET, (4, 0)), ("/api/v1/blacklist/check", (6, 2))] {
        for _ in 0..4 {
            let asked = request(Method::POST, target, Body::empty());
            door.answer(asked, Peer::Tcp(([198, 51, 100, 7], 4).into())).await;
        }
        assert_eq!((at_a.load(Ordering::Relaxed), at_b.load(Ordering::Relaxed)), expected);
    }
}

#[tokio::test]
async fn the_least_loaded_is_asked() {
    let ((a, at_a), (b, at_b)) = (named("a", SECOND / 2).await, named("b", Duration::ZERO).await);
    let door = door(Upstream::remote(several(&[a, b], SECOND * 3).balanced(Balance::LeastLoaded)));
    let slow = tokio::spawn({
        let door = Arc::clone(&door);
        async move { ask(&door, TARGET).await }
    });
    tokio::time::sleep(SECOND / 20).await;
    for _ in 0..10 {
        assert_eq!(ask(&door, TARGET).await.1, "b");
    }
    assert_eq!(slow.await.unwrap().1, "a");
    assert_eq!((at_a.load(Ordering::Relaxed), at_b.load(Ordering::Relaxed)), (1, 10));
}

#[tokio::test]
async fn questions_go_to_another_instance_and_changes_are_never_repeated() {
    for broken in [fake(b"", false).await, fake(b"", true).await, "http://127.0.0.1:1".to_owned()] {
        let (good, count) = named("good", Duration::ZERO).await;
        let door = door(Upstream::remote(several(&[broken.clone(), good], SECOND)));
        assert_eq!(ask(&door, TARGET).await.1, "good", "{broken}");
        assert_eq!(ask(&door, TARGET).await.1, "good", "the good one's own turn");
        let change = request(Method::POST, TARGET, Body::empty());
        let status = door.answer(change, Peer::Tcp(([198, 51, 100, 7], 4).into())).await.status().as_u16();
        assert!((502..=504).contains(&status), "{status}");
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn one_that_fails_is_left_out_and_nobody_notices() {
    let ((good, _), broken) = (named("good", Duration::ZERO).await, fake(b"SSH-2.0\r\n", false).await);
    let remote = several(&[broken, good], SECOND);
    let door = door(Upstream::remote(remote));
    for _ in 0..20 {
        assert_eq!(ask(&door, TARGET).await.1, "good");
    }
    let response = door.answer(request(Method::GET, "/admin/services", Body::empty()), Peer::Local).await;
    let document: Value = serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap();
    let instances = &document["services"]["blacklist"]["instances"];
    assert_eq!((&instances[0]["breaker"], &instances[1]["breaker"]), (&"open".into(), &"closed".into()));
    assert_eq!((&instances[0]["ready"], &instances[1]["ready"]), (&false.into(), &true.into()));
    let (_, text) = ask(&door, "/health").await;
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&health["status"], &health["services"]["blacklist"]["healthy"]),
        (&"degraded".into(), &true.into())
    );
}

/// An instance that closes whatever comes, and counts it.
async fn closing() -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, count) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, count)
}

#[tokio::test]
async fn retries_stop_when_their_budget_is_spent() {
    let ((a, at_a), (b, at_b)) = (closing().await, closing().await);
    let remote = several(&[a, b], SECOND);
    assert_eq!((0..100).filter(|_| remote.spend_retry()).count(), 10);
    let door = door(Upstream::remote(remote));
    assert_eq!(code(&door, TARGET).await, (502, "role_broke_off".to_owned()));
    assert_eq!(at_a.load(Ordering::Relaxed) + at_b.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_instance_is_told_how_long_it_is_waited_for() {
    let headers = async |headers: http::HeaderMap| {
        // What the guard of a role takes away before its handlers is here to be seen.
        headers.get("x-ironlist-deadline").map_or_else(String::new, |told| told.to_str().unwrap().to_owned())
    };
    let routes = Routes::new().get(TARGET, Demand::Nothing, headers, "Shows it.");
    let role = App::new(Role::Blacklist, routes, &Arc::new(Metrics::new()));
    let url = elsewhere(Arc::new(role.guard(guard()))).await;
    let with_key = |urls: &[String]| several(urls, SECOND * 3).with_key(HeaderValue::from_static("key"));
    let alone = door(Upstream::remote(with_key(std::slice::from_ref(&url))));
    assert_eq!(ask(&alone, TARGET).await.1, "3000");
    let (broken, _) = closing().await;
    let two = door(Upstream::remote(with_key(&[url.clone(), broken])));
    let told = [ask(&two, TARGET).await.1, ask(&two, TARGET).await.1];
    assert_eq!(told, ["1000", "2000"], "asked first, and after another");
    let spent = with_key(&[url.clone(), url]);
    while spent.spend_retry() {}
    assert_eq!(ask(&door(Upstream::remote(spent)), TARGET).await.1, "3000", "there is no second try");
}

#[tokio::test]
async fn a_retry_that_nothing_is_left_for_keeps_no_instance_from_coming_back() {
    let dead = async || {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    let (a, b) = (dead().await, dead().await);
    let remote = several(&[format!("http://{a}"), format!("http://{b}")], SECOND);
    let upstreams = Arc::new(Upstreams::from([(Role::Blacklist, Upstream::remote(remote))]));
    let door = ruled(Arc::clone(&upstreams), Rules::default());
    let Place::Remote(remote) = upstreams[&Role::Blacklist].place() else { unreachable!() };
    for _ in 0..6 {
        code(&door, TARGET).await;
    }
    while remote.spend_retry() {}
    tokio::time::sleep(breaker::PAUSE).await;
    // The one whose turn it is fails its trial, and nothing is left for the other's.
    assert_eq!(code(&door, TARGET).await, (503, "role_unreachable".to_owned()));
    let free = remote.instances().iter().filter_map(|instance| instance.admit(true)).count();
    assert_eq!(free, 1, "the one that was not asked may be");
}

#[tokio::test]
async fn one_that_is_not_ready_is_left_out_before_it_fails_anybody() {
    let latch = health::Latch::default();
    let health = Health::new("blacklist").latch("start", &latch);
    let routes = Routes::new().get(TARGET, Demand::Nothing, async || "unready", "Says its name.");
    let routes = routes.merge(health::routes().with_state(Arc::new(health)));
    let unready = elsewhere(Arc::new(App::new(Role::Blacklist, routes, &Arc::new(Metrics::new())))).await;
    let (ready, _) = named("ready", Duration::ZERO).await;
    let upstreams =
        Arc::new(Upstreams::from([(Role::Blacklist, Upstream::remote(several(&[unready, ready], SECOND)))]));
    let door = ruled(Arc::clone(&upstreams), Rules::default());
    let watching = tokio::spawn(async move { watch(&upstreams, SECOND / 20).await });
    tokio::time::sleep(SECOND / 2).await;
    for _ in 0..10 {
        assert_eq!(ask(&door, TARGET).await.1, "ready");
    }
    latch.open();
    tokio::time::sleep(SECOND / 4).await;
    let answers = [ask(&door, TARGET).await.1, ask(&door, TARGET).await.1];
    assert!(answers.contains(&"unready".to_owned()), "{answers:?}");
    watching.abort();
}
