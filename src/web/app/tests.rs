//! A port, asked without a connection.

use super::*;
use crate::rights::Right;
use crate::web::auth::Access;
use crate::web::claim::{Authority, Claim, Found, Refused, Unproven};
use crate::web::entrance::Ends;
use crate::web::request_id::{self, X_REQUEST_ID};
use crate::web::vouch::{X_DEADLINE, X_GATEWAY};
use crate::web::{Body, Json, Peer};
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CONTENT_LENGTH, HOST};
use std::net::IpAddr;
use std::sync::Mutex;

fn app() -> (Arc<App>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let length = async |body: crate::web::extract::Whole| body.0.len().to_string();
    let who = async |caller: axum::Extension<Caller>| Json(caller.rights.has(Right::Admin));
    let routes = Routes::new()
        .get("/slow/{name}", Demand::Open(Right::Read), async || "routed", "Waits.")
        .get("/read", Demand::Of(Right::Read), async || "read", "Is for somebody.")
        .get("/between", Demand::Installation, async || "us", "Is for our processes.")
        .post("/who", Demand::Of(Right::Write), who, "Says who asks.")
        .post("/length", Demand::Of(Right::Check), length, "Measures.")
        .post("/earlier", Demand::Earlier(Right::Write), async || "as ever", "Is old.")
        .get("/own", Demand::Own, async || "its own", "Has keys of its own.")
        .get("/panic", Demand::Nothing, async || -> &str { panic!("a bug") }, "Panics.");
    let app = App::new(Role::Blacklist, routes, &metrics)
        .fast("/fast/{ip}", Demand::Of(Right::Check), |_, ip, _| match ip {
            "panic" => panic!("a quick bug"),
            "" => None,
            ip => Some(Response::new(Body::full(ip.to_owned()))),
        })
        .guard(Guard::new("key", access()));
    (Arc::new(app), metrics)
}

/// Open is what begins with 192, earlier callers are at 192.0.2.9.
fn access() -> Access {
    let network = |first: [u8; 4], last: [u8; 4]| [(first.into(), last.into())].into_iter().collect();
    Access {
        open: network([192, 0, 0, 0], [192, 255, 255, 255]),
        earlier: network([192, 0, 2, 9], [192, 0, 2, 9]),
    }
}

fn from(address: [u8; 4]) -> Peer {
    Peer::Tcp((address, 9).into())
}

fn request(method: Method, path: &str) -> Request {
    http::Request::builder().method(method).uri(path).header(HOST, "a").body(Body::empty()).unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().read().await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_fast_path_answers_before_the_router_and_is_named_and_counted() {
    let (app, metrics) = app();
    let mut asked = request(Method::GET, "/fast/192.0.2.1");
    asked.headers_mut().insert(X_REQUEST_ID, HeaderValue::from_static("mine"));
    let answer = app.answer(asked, Peer::Local);
    assert!(matches!(answer, Answer::Ready(_)));
    let response = answer.await;
    assert_eq!(response.headers()[X_REQUEST_ID], "mine");
    assert_eq!(text(response).await, "192.0.2.1");
    let series = "{method=\"GET\",role=\"blacklist\",route=\"/fast/{ip}\",status=\"200\"} 1\n";
    assert!(metrics.render().contains(series));
}

#[tokio::test]
async fn a_head_is_answered_without_a_body_by_whoever_it_is() {
    let (app, metrics) = app();
    let pass = |_, _| -> Passed { Box::pin(async { Ok(Response::new(Body::full("elsewhere"))) }) };
    let passing = App::new(Role::Gateway, Routes::new(), &metrics);
    let passing = Arc::new(passing.passing(|_| Some("/{any}"), pass).guard(Guard::new("key", access())));
    for (app, path, length) in
        [(&app, "/fast/192.0.2.1", 9), (&app, "/slow/x", 6), (&passing, "/elsewhere", 9)]
    {
        let response = app.answer(request(Method::HEAD, path), Peer::Local).await;
        assert_eq!(response.headers()[CONTENT_LENGTH], length.to_string(), "{path}");
        assert_eq!(text(response).await, "", "{path}");
    }
    for path in ["/nowhere", "/slow", "/fast/panic", "/panic"] {
        let response = app.answer(request(Method::HEAD, path), Peer::Local).await;
        assert!(response.status().as_u16() >= 400 && response.headers()[CONTENT_LENGTH] != "0", "{path}");
        assert_eq!(text(response).await, "", "{path}");
    }
}

#[tokio::test]
async fn what_the_fast_path_leaves_goes_to_the_router() {
    let (app, metrics) = app();
    assert_eq!(app.answer(request(Method::GET, "/fast/"), Peer::Local).await.status(), 404);
    let response = app.answer(request(Method::GET, "/slow/x"), Peer::Local).await;
    assert!(response.headers().contains_key(X_REQUEST_ID));
    assert_eq!(text(response).await, "routed");
    assert!(metrics.render().contains("route=\"/slow/{name}\",status=\"200\"} 1\n"));
}

#[tokio::test]
async fn wrong_methods_and_unknown_paths_are_problems() {
    let (app, _) = app();
    let wrong = app.answer(request(Method::PUT, "/slow/x"), Peer::Local).await;
    assert_eq!(
        (wrong.status().as_u16(), &wrong.headers()[ALLOW]),
        (405, &HeaderValue::from_static("GET,HEAD"))
    );
    let id = wrong.headers()[X_REQUEST_ID].clone();
    assert!(text(wrong).await.contains(request_id::as_text(&id)));
    let unknown = app.answer(request(Method::GET, "/nothing"), Peer::Local).await;
    assert_eq!(unknown.status(), 404);
    assert!(text(unknown).await.contains("unknown_path"));
}

#[tokio::test]
async fn panics_become_problems_and_are_counted() {
    let (app, metrics) = app();
    for path in ["/panic", "/fast/panic"] {
        let response = app.answer(request(Method::GET, path), Peer::Local).await;
        assert_eq!(response.status(), 500);
        assert!(!text(response).await.contains("bug"));
    }
    assert!(metrics.render().contains("ironlist_http_panics_total{role=\"blacklist\"} 2\n"));
}

#[tokio::test(start_paused = true)]
async fn nobody_works_on_for_a_gateway_that_has_gone() {
    let long = async || tokio::time::sleep(Duration::MAX).await;
    let routes = Routes::new().get("/long", Demand::Nothing, long, "Takes its time.");
    let app = Arc::new(App::new(Role::Blacklist, routes, &Arc::new(Metrics::new())));
    let mut asked = request(Method::GET, "/long");
    asked.headers_mut().insert(X_DEADLINE, HeaderValue::from_static("250"));
    let begun = tokio::time::Instant::now();
    let response = app.answer(asked, Peer::Local).await;
    assert_eq!((response.status().as_u16(), begun.elapsed().as_millis()), (504, 250));
    assert!(text(response).await.contains("deadline_passed"));
}

#[tokio::test(start_paused = true)]
async fn the_door_adds_to_answers_and_holds_refusals_back() {
    let routes = Routes::new().get("/open", Demand::Nothing, async || "in", "Lets in.");
    let app = App::new(Role::Gateway, routes, &Arc::new(Metrics::new())).door(
        |request, _| match request.uri().path() {
            "/shut" => Entry::Shut(Problem::unavailable("overloaded", 1), Duration::from_millis(40)),
            _ => {
                let told = |name| (HeaderName::from_static(name), HeaderValue::from_static("1"));
                Entry::Open(Some([told("x-a"), told("x-b")]))
            }
        },
        |_| Entry::Shut(Problem::unavailable("overloaded", 1), Duration::ZERO),
        |_| Entry::Open(None),
    );
    let (app, begun) = (Arc::new(app), tokio::time::Instant::now());
    let open = app.answer(request(Method::GET, "/open"), Peer::Local).await;
    assert!(open.headers().contains_key("x-a") && open.headers().contains_key("x-b"));
    let shut = app.answer(request(Method::GET, "/shut"), Peer::Local).await;
    assert_eq!((shut.status().as_u16(), begun.elapsed().as_millis()), (503, 40));
    assert!(shut.headers().contains_key(http::header::RETRY_AFTER));
}

#[tokio::test]
async fn each_route_asks_for_its_right() {
    let (app, _) = app();
    let status = async |method, path, peer| app.answer(request(method, path), peer).await.status().as_u16();
    let (open, earlier, far) = (from([192, 0, 2, 1]), from([192, 0, 2, 9]), from([198, 51, 100, 1]));
    for (method, path, expected) in [
        (Method::GET, "/fast/192.0.2.1", [200, 200, 404]),
        (Method::GET, "/slow/x", [200, 200, 401]),
        (Method::HEAD, "/slow/x", [200, 200, 401]),
        (Method::GET, "/read", [401, 401, 401]),
        (Method::GET, "/between", [401, 401, 401]),
        (Method::POST, "/length", [200, 200, 401]),
        (Method::POST, "/who", [401, 401, 401]),
        (Method::POST, "/earlier", [401, 200, 401]),
        (Method::GET, "/own", [200, 200, 200]),
        (Method::GET, "/nothing", [404, 404, 404]),
        (Method::DELETE, "/who", [405, 405, 405]),
    ] {
        let mut found = [0; 3];
        for (found, peer) in found.iter_mut().zip([open, earlier, far]) {
            *found = status(method.clone(), path, peer).await;
        }
        assert_eq!(found, expected, "{method} {path}");
        if path != "/nothing" && path != "/fast/192.0.2.1" && method != Method::DELETE {
            assert_eq!(status(method, path, Peer::Local).await, 200, "{path}");
        }
    }
    let refused = app.answer(request(Method::POST, "/who"), open).await;
    assert!(refused.headers().contains_key(http::header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn a_key_is_wrong_everywhere_but_where_routes_have_their_own() {
    let (app, _) = app();
    for (path, expected) in [("/own", 200), ("/slow/x", 401), ("/panic", 401), ("/nothing", 401)] {
        let mut asked = request(Method::GET, path);
        asked.headers_mut().insert("x-api-key", HeaderValue::from_static("a device's"));
        assert_eq!(app.answer(asked, Peer::Local).await.status(), expected, "{path}");
    }
}

#[tokio::test]
async fn without_a_guard_nobody_may_do_anything() {
    let routes = Routes::new().get("/x", Demand::Of(Right::Check), async || "x", "Is closed.");
    let app = Arc::new(App::new(Role::Blacklist, routes, &Arc::new(Metrics::new())));
    assert_eq!(app.answer(request(Method::GET, "/x"), Peer::Local).await.status(), 401);
}

/// Hears of refusals.
#[derive(Default)]
struct Listening(Mutex<Vec<(&'static str, IpAddr, String)>>);

impl Authority for Listening {
    fn at_once(&self, _: Claim<'_>, _: IpAddr) -> Option<Found> {
        Some(Err(Unproven::Wrong))
    }

    fn ask<'a>(&'a self, _: Claim<'a>, _: IpAddr) -> BoxFuture<'a, Found> {
        Box::pin(async { Err(Unproven::Wrong) })
    }

    fn refused(&self, refused: Refused<'_>) {
        self.0.lock().unwrap().push((refused.why, refused.from, refused.what.to_owned()));
    }
}

#[tokio::test]
async fn whoever_is_refused_before_anybody_knows_them_is_noted_and_a_guessed_word_is_paid_for() {
    let (heard, paid) = (Arc::new(Listening::default()), Arc::new(AtomicU64::new(0)));
    let routes = Routes::new().post("/x/{name}", Demand::Nothing, async || "x", "Is open.");
    let guard = Guard::new("key", access()).believing(Arc::clone(&heard) as Arc<dyn Authority>);
    let pays = Arc::clone(&paid);
    let deny = move |_: &Caller| {
        pays.fetch_add(1, Ordering::Relaxed);
        Entry::Open(None)
    };
    let app = App::new(Role::Gateway, routes, &Arc::new(Metrics::new())).guard(guard);
    let app = Arc::new(app.door(|_, _| Entry::Open(None), deny, |_| Entry::Open(None)));
    let peer = from([192, 0, 2, 7]);
    let ends = Ends { opener: peer, peer, port: Some(80) };
    let mut page = request(Method::POST, "/x/1");
    page.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    assert_eq!(app.receive(page, ends).await.status(), 403);
    assert_eq!(paid.load(Ordering::Relaxed), 0);
    let mut forged = request(Method::POST, "/x/1");
    forged.headers_mut().insert(X_GATEWAY, HeaderValue::from_static("a guess"));
    assert_eq!(app.receive(forged, ends).await.status(), 401);
    assert_eq!(paid.load(Ordering::Relaxed), 1);
    let what = |why| (why, IpAddr::from([192, 0, 2, 7]), "POST /x/{name}".to_owned());
    assert_eq!(*heard.0.lock().unwrap(), [what("cross_site"), what("key_wrong")]);
    let empty = request(Method::GET, "/x/1/../2");
    assert_eq!(app.receive(empty, ends).await.status(), 400);
    assert_eq!(heard.0.lock().unwrap().len(), 2, "what is malformed is refused to nobody in particular");
}

#[tokio::test]
async fn the_door_hears_of_wrong_keys_before_they_are_refused() {
    let routes = Routes::new().get("/x", Demand::Of(Right::Check), async || "x", "Is closed.");
    let app =
        App::new(Role::Gateway, routes, &Arc::new(Metrics::new())).guard(Guard::new("key", access())).door(
            |_, _| Entry::Open(None),
            |caller| match caller.peer == from([192, 0, 2, 7]) && caller.who.is_none() {
                true => Entry::Shut(Problem::unavailable("too_many", 1), Duration::ZERO),
                false => Entry::Open(None),
            },
            |_| Entry::Open(None),
        );
    let app = Arc::new(app);
    for (last, key, expected) in [(7, "wrong", 503), (8, "wrong", 401), (7, "key", 200)] {
        let mut asked = request(Method::GET, "/x");
        asked.headers_mut().insert("x-api-key", HeaderValue::from_static(key));
        assert_eq!(app.answer(asked, from([192, 0, 2, last])).await.status(), expected, "{last} {key}");
    }
}
