//! What firewalls get, by what they say they have.

use super::super::fixture::{House, from};
use super::*;
use crate::model::{Change, Format, Output, Profile, Time};
use crate::web::metrics::Metrics;
use crate::web::{Body, Role};
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HOST, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE, RETRY_AFTER, VARY,
};
use http::{HeaderValue, Method};

mod parts;

const LIST: &[u8] = b"20.0.0.0/24\n30.0.0.7\n";
const DATE: &str = "Mon, 21 Sep 2026 14:13:20 GMT";

fn house() -> House {
    House::new(|publisher| {
        let desk = Desk::new(publisher);
        let routes = Desk::routes().with_state(Arc::clone(&desk));
        desk.fast(App::new(Role::Blacklist, routes, &Arc::new(Metrics::new())))
    })
}

async fn listed() -> House {
    let house = house();
    house.list(&["20.0.0.0/24", "30.0.0.7"]).await;
    house
}

async fn publish(house: &House, name: &str, format: Format, parts: u16) {
    let profile = Profile { format, parts, ..Profile::new(name.parse().unwrap()) };
    house.change(Change::Publish(Output::Feed(profile))).await;
}

async fn ask(app: &Arc<App>, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
    let mut request = http::Request::builder().method(method).uri(path).header(HOST, "a");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    app.answer(request.body(Body::empty()).unwrap(), from([127, 0, 0, 1])).await
}

async fn get(app: &Arc<App>, headers: &[(HeaderName, &str)]) -> Response {
    ask(app, Method::GET, "/api/v1/blacklist/fortigate", headers).await
}

fn tag(response: &Response) -> String {
    response.headers()[ETAG].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_list_comes_with_everything_a_reader_needs_to_ask_again() {
    let house = listed().await;
    let response = get(&house.app, &[]).await;
    let headers = response.headers().clone();
    assert_eq!(response.status(), 200);
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_LENGTH, "21"),
        (LAST_MODIFIED, DATE),
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept-encoding"),
        (HeaderName::from_static("x-total-ips"), "2"),
        (HeaderName::from_static("x-total-addresses"), "257"),
        (HeaderName::from_static("x-generated-at"), "2026-09-21T14:13:20Z"),
    ] {
        assert_eq!(headers[&name], value, "{name}");
    }
    assert!(tag(&response).starts_with('"') && tag(&response).len() == 34);
    assert_eq!(response.into_body().read().await.unwrap(), LIST);
}

#[tokio::test]
async fn every_path_of_the_feed_gives_the_same() {
    let house = listed().await;
    let app = Arc::clone(&house.app);
    let expected = tag(&get(&app, &[]).await);
    for path in ["/api/v1/fortigate", "/feeds/fortigate", "/feeds/fortigate.txt"] {
        let response = ask(&app, Method::GET, path, &[]).await;
        assert_eq!((response.status().as_u16(), tag(&response)), (200, expected.clone()), "{path}");
    }
    for path in
        ["/feeds/other", "/feeds/fortigate.txt.txt", "/api/v1/fortigates", "/feeds/fortigate/x", "/feeds/"]
    {
        assert_eq!(ask(&app, Method::GET, path, &[]).await.status(), 404, "{path}");
    }
    let wrong = ask(&app, Method::POST, "/feeds/fortigate", &[]).await;
    assert_eq!(
        (wrong.status().as_u16(), &wrong.headers()[ALLOW]),
        (405, &HeaderValue::from_static("GET,HEAD"))
    );
}

#[tokio::test]
async fn what_the_reader_has_already_is_not_sent_again() {
    let house = listed().await;
    let app = Arc::clone(&house.app);
    let whole = get(&app, &[]).await;
    let etag = tag(&whole);
    for conditions in [
        vec![(IF_NONE_MATCH, etag.as_str())],
        vec![(IF_MODIFIED_SINCE, DATE)],
        vec![(IF_NONE_MATCH, &etag), (IF_MODIFIED_SINCE, "Mon, 21 Sep 2020 14:13:20 GMT")],
    ] {
        for method in [Method::GET, Method::HEAD] {
            let response = ask(&app, method, "/feeds/fortigate", &conditions).await;
            assert_eq!(response.status(), 304, "{conditions:?}");
            for name in [ETAG, CACHE_CONTROL, VARY] {
                assert_eq!(response.headers()[&name], whole.headers()[&name], "{name}");
            }
            assert!(!response.headers().contains_key(CONTENT_LENGTH));
            assert!(!response.headers().contains_key(LAST_MODIFIED), "it describes what the reader has");
            assert!(response.into_body().read().await.unwrap().is_empty());
        }
    }
    for conditions in
        [vec![(IF_NONE_MATCH, "\"other\"")], vec![(IF_NONE_MATCH, "\"other\""), (IF_MODIFIED_SINCE, DATE)]]
    {
        assert_eq!(get(&app, &conditions).await.status(), 200, "{conditions:?}");
    }
}

#[tokio::test]
async fn each_form_has_its_own_tag_and_any_that_can_be_read_says_that_nothing_has_changed() {
    let house = listed().await;
    let app = Arc::clone(&house.app);
    let gzip = (ACCEPT_ENCODING, "gzip, deflate");
    let plain_tag = tag(&get(&app, &[(ACCEPT_ENCODING, "gzip;q=0")]).await);
    let packed = get(&app, std::slice::from_ref(&gzip)).await;
    let packed_tag = tag(&packed);
    assert_ne!(plain_tag, packed_tag);
    assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
    let length: usize = packed.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    let body = packed.into_body().read().await.unwrap();
    assert_eq!(body.len(), length);
    let mut text = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(&body[..]), &mut text).unwrap();
    assert_eq!(text, LIST);
    let zstd = (ACCEPT_ENCODING, "zstd");
    let ask = async |coding: &[(HeaderName, &str)], held: &str| {
        let response = get(&app, &[coding, &[(IF_NONE_MATCH, held)]].concat()).await;
        (response.status().as_u16(), tag(&response))
    };
    // Right after a change the bytes go out plain, and the same reader asks for compressed ones next.
    let one = std::slice::from_ref;
    for coding in [&[][..], one(&gzip), one(&zstd)] {
        assert_eq!(ask(coding, &plain_tag).await, (304, plain_tag.clone()));
    }
    assert_eq!(ask(&[gzip], &packed_tag).await, (304, packed_tag.clone()));
    for coding in [&[][..], &[zstd]] {
        assert_eq!(
            ask(coding, &packed_tag).await.0,
            200,
            "it may be asked for somebody who cannot read gzip"
        );
    }
}

#[tokio::test]
async fn the_same_addresses_in_another_form_are_no_old_bytes() {
    let house = listed().await;
    publish(&house, "p", Format::Plain, 1).await;
    let fetch =
        async |headers: &[(HeaderName, &str)]| ask(&house.app, Method::GET, "/feeds/p", headers).await;
    let before = fetch(&[]).await;
    let modified = before.headers()[LAST_MODIFIED].to_str().unwrap().to_owned();
    assert_eq!(fetch(&[(IF_MODIFIED_SINCE, &modified)]).await.status(), 304);
    let lines = Some(crate::model::Lines::Addresses);
    let profile = Profile { lines, ..Profile::new("p".parse().unwrap()) };
    house.change(Change::Publish(Output::Feed(profile.clone()))).await;
    house.later(60);
    let after = fetch(&[(IF_MODIFIED_SINCE, &modified)]).await;
    assert_eq!(after.status(), 200);
    let later = after.headers()[LAST_MODIFIED].to_str().unwrap().to_owned();
    assert_ne!(later, modified);
    let gate = crate::model::GateLimits { few: 7, ..profile.gate };
    house.change(Change::Publish(Output::Feed(Profile { gate, ..profile }))).await;
    assert_eq!(fetch(&[(IF_MODIFIED_SINCE, &later)]).await.status(), 304, "its bytes are the same");
}

#[tokio::test]
async fn a_feed_for_those_who_cannot_read_compressed_bytes_sends_none() {
    let house = listed().await;
    let profile = Profile { compress: false, ..Profile::fortigate() };
    house.change(Change::Publish(Output::Feed(profile))).await;
    for coding in ["gzip", "zstd", "gzip, identity;q=0", "*"] {
        let plain = get(&house.app, &[(ACCEPT_ENCODING, coding)]).await;
        assert!(!plain.headers().contains_key(CONTENT_ENCODING), "{coding}");
        let tag = tag(&plain);
        assert_eq!(plain.into_body().read().await.unwrap(), LIST);
        let known = [(ACCEPT_ENCODING, coding), (IF_NONE_MATCH, &*tag)];
        assert_eq!(get(&house.app, &known).await.status(), 304);
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_time_to_come_and_no_change_is_missed_for_that() {
    let house = listed().await;
    house.later(-86_400);
    let yesterday = "Sun, 20 Sep 2026 14:13:20 GMT";
    let fetch = async |since: Option<&str>| {
        get(&house.app, &Vec::from_iter(since.map(|s| (IF_MODIFIED_SINCE, s)))).await
    };
    let response = fetch(None).await;
    assert_eq!(response.headers()[LAST_MODIFIED], yesterday, "the clock was a day ahead when it was listed");
    assert_eq!(fetch(Some(yesterday)).await.status(), 200, "another list may have had that second");
    assert_eq!(fetch(Some(DATE)).await.status(), 304, "whoever was told so while the clock was ahead has it");
    house.list(&["20.0.0.0/24", "30.0.0.7", "40.0.0.1"]).await;
    for told in [yesterday, DATE] {
        let changed = fetch(Some(told)).await;
        assert_eq!(
            (changed.status().as_u16(), &changed.headers()[LAST_MODIFIED]),
            (200, &HeaderValue::from_static(yesterday))
        );
    }
    house.later(2 * 86_400);
    let later = fetch(None).await.headers()[LAST_MODIFIED].to_str().unwrap().to_owned();
    assert_eq!(later, "Mon, 21 Sep 2026 14:13:21 GMT", "it rises once the clock is right again");
    assert_eq!(fetch(Some(&later)).await.status(), 304);
}

#[tokio::test]
async fn head_is_the_same_answer_without_the_list() {
    let house = listed().await;
    let app = Arc::clone(&house.app);
    let whole = get(&app, &[]).await;
    let head = ask(&app, Method::HEAD, "/api/v1/blacklist/fortigate", &[]).await;
    assert_eq!((head.status(), tag(&head)), (whole.status(), tag(&whole)));
    assert_eq!(head.headers()[CONTENT_LENGTH], "21");
    assert!(head.into_body().read().await.unwrap().is_empty());
}

#[tokio::test]
async fn before_there_is_a_list_the_answer_is_503_and_never_an_empty_list() {
    let house = house();
    let app = Arc::clone(&house.app);
    for path in ["/api/v1/blacklist/fortigate", "/feeds/fortigate.txt"] {
        let response = ask(&app, Method::GET, path, &[(IF_NONE_MATCH, "*")]).await;
        assert_eq!(
            (response.status().as_u16(), response.headers()[RETRY_AFTER].as_bytes()),
            (503, &b"10"[..])
        );
        let body = response.into_body().read().await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("\"code\":\"feed_not_ready\""));
    }
    house.list(&["20.0.0.1"]).await;
    house.list(&[]).await;
    let response = get(&app, &[]).await;
    assert_eq!((response.status().as_u16(), response.headers()[RETRY_AFTER].as_bytes()), (503, &b"60"[..]));
}

#[tokio::test]
async fn a_new_list_has_new_headers_and_the_old_ones_are_forgotten() {
    let house = house();
    for last in 1..=3 {
        house.list(&[&format!("20.0.0.{last}")]).await;
        let response = get(&house.app, &[]).await;
        assert_eq!(response.headers()["x-generation"], last.to_string());
    }
    let desk = Desk::new(&house.publisher);
    let list = || house.publisher.feeds().get(DEFAULT).unwrap().released().unwrap();
    for last in 4..=6 {
        house.list(&[&format!("20.0.0.{last}")]).await;
        let released = list();
        desk.page(&released, released.list().unwrap(), crate::model::Document::List(Format::Fortigate));
    }
    assert!(desk.pages.load().len() <= 2, "one that is offered, and at most one that nobody else holds");
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on() {
    let house = listed().await;
    let whole = get(&house.app, &[]).await;
    let etag = tag(&whole);
    let rest = get(&house.app, &[(RANGE, "bytes=12-"), (http::header::IF_RANGE, &etag)]).await;
    assert_eq!(
        (rest.status().as_u16(), &rest.headers()[CONTENT_RANGE]),
        (206, &HeaderValue::from_static("bytes 12-20/21"))
    );
    assert_eq!(rest.into_body().read().await.unwrap(), LIST[12..]);
    let beyond = get(&house.app, &[(RANGE, "bytes=21-")]).await;
    assert_eq!(
        (beyond.status().as_u16(), &beyond.headers()[CONTENT_RANGE]),
        (416, &HeaderValue::from_static("bytes */21"))
    );
    let other = get(&house.app, &[(RANGE, "bytes=12-"), (http::header::IF_RANGE, "\"other\"")]).await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn zstd_goes_to_those_who_take_it() {
    let house = listed().await;
    let response = get(&house.app, &[(ACCEPT_ENCODING, "gzip, zstd")]).await;
    assert_eq!(response.headers()[CONTENT_ENCODING], "zstd");
    let body = response.into_body().read().await.unwrap();
    assert_eq!(zstd::decode_all(&body[..]).unwrap(), LIST);
}

#[tokio::test]
async fn every_document_of_a_feed_has_its_name() {
    let house = listed().await;
    publish(&house, "c", Format::Cisco, 1).await;
    publish(&house, "m", Format::Misp, 1).await;
    publish(&house, "d.o.t", Format::Json, 1).await;
    for (path, kind) in [
        ("/feeds/c", "text/plain; charset=utf-8"),
        ("/feeds/c.txt", "text/plain; charset=utf-8"),
        ("/feeds/c.md5", "text/plain; charset=utf-8"),
        ("/feeds/m/manifest.json", "application/json"),
        ("/feeds/m/hashes.csv", "text/csv; charset=utf-8"),
        ("/feeds/d.o.t", "application/json"),
        ("/feeds/d.o.t.json", "application/json"),
    ] {
        let response = ask(&house.app, Method::GET, path, &[]).await;
        assert_eq!(
            (response.status().as_u16(), response.headers()[CONTENT_TYPE].to_str().unwrap()),
            (200, kind),
            "{path}"
        );
        assert!(!response.into_body().read().await.unwrap().is_empty(), "{path}");
    }
    for path in
        ["/feeds/c.csv", "/feeds/m.md5", "/feeds/c/hashes.csv", "/feeds/d.o", "/feeds/c/2", "/feeds/c.txt/1"]
    {
        assert_eq!(ask(&house.app, Method::GET, path, &[]).await.status(), 404, "{path}");
    }
}

/// The same from somewhere else, with a claim.
async fn ask_from(house: &House, from: [u8; 4], path: &str, claim: Option<&str>) -> (u16, String) {
    let mut request = http::Request::builder().uri(path).header(HOST, "a");
    if let Some(claim) = claim {
        request = request.header(http::header::AUTHORIZATION, claim);
    }
    let peer = Peer::Tcp((from, 9).into());
    let response = house.app.answer(request.body(Body::empty()).unwrap(), peer).await;
    let status = response.status().as_u16();
    (status, String::from_utf8_lossy(&response.into_body().read().await.unwrap()).into_owned())
}

fn device(name: &str, networks: &[&str]) -> Change {
    Change::Publish(Output::Device(crate::model::Device {
        name: name.parse().unwrap(),
        model: String::new(),
        feeds: vec!["fortigate".parse().unwrap()],
        budget: crate::model::Budget::default(),
        each: crate::model::Budget::default(),
        networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        certificates: Vec::new(),
        silent_minutes: 60,
    }))
}

#[tokio::test]
async fn a_device_shows_its_key_or_asks_from_its_network_and_every_pull_is_noted() {
    let house = listed().await;
    house.change(device("edge", &["10.0.0.0/24"])).await;
    house.change(device("core", &[])).await;
    let audit = crate::publish::Audit {
        at: Time::default(),
        actor: "me".into(),
        action: "device.keys".into(),
        subject: "core".into(),
        reason: "new".into(),
        detail: String::new(),
    };
    let keys = house.publisher.make_keys(&"core".parse().unwrap(), &audit).unwrap();
    let basic = |word: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("core:{word}")))
    };
    let far = [9, 9, 9, 9];
    assert_eq!(ask_from(&house, far, "/feeds/fortigate", None).await.0, 401);
    assert_eq!(ask_from(&house, [10, 0, 0, 9], "/feeds/fortigate.txt", None).await.0, 200);
    assert_eq!(ask_from(&house, far, &format!("/f/{}/fortigate.txt", keys.token), None).await.0, 200);
    assert_eq!(ask_from(&house, far, "/feeds/fortigate", Some(&basic(&keys.password))).await.0, 200);
    let wrong = ask_from(&house, [127, 0, 0, 1], "/feeds/fortigate", Some(&basic("x"))).await;
    assert_eq!(wrong.0, 401, "a wrong key is never a silent anonymous");
    assert!(wrong.1.contains("key_wrong"));
    assert_eq!(ask_from(&house, far, "/f/nonsense/fortigate", None).await.0, 401);
    publish(&house, "other", Format::Plain, 1).await;
    assert_eq!(ask_from(&house, [10, 0, 0, 9], "/feeds/other", None).await.0, 403);
    let pulls = house.publisher.pulls().all();
    let noted: Vec<_> =
        pulls.iter().map(|((reader, what), pull)| (&reader[..], &what[..], pull.sent)).collect();
    assert_eq!(noted, [("core", "fortigate", 2), ("edge", "fortigate", 1)]);
    assert_eq!(
        (pulls[1].1.from.to_string(), pulls[1].1.status, pulls[1].1.bytes),
        ("10.0.0.9".to_owned(), 200, 21)
    );
}

#[tokio::test]
async fn an_unchanged_list_is_a_pull_too() {
    let house = listed().await;
    let etag = tag(&get(&house.app, &[]).await);
    get(&house.app, &[(IF_NONE_MATCH, &etag)]).await;
    let (_, pull) = house.publisher.pulls().all().remove(0);
    assert_eq!((pull.sent, pull.unchanged, pull.status, pull.generation), (1, 1, 304, 1));
}

#[tokio::test]
async fn a_head_and_a_piece_prove_nothing_and_the_end_of_it_does() {
    let house = listed().await;
    let noted = async |method: Method, headers: &[(HeaderName, &str)]| {
        let response = ask(&house.app, method, "/api/v1/blacklist/fortigate", headers).await;
        let (_, pull) = house.publisher.pulls().all().remove(0);
        assert_eq!(pull.status, response.status().as_u16());
        (pull.status, pull.bytes, pull.sent, pull.unchanged)
    };
    let whole = LIST.len() as u64;
    assert_eq!(noted(Method::HEAD, &[]).await, (200, 0, 0, 0));
    assert_eq!(noted(Method::GET, &[(RANGE, "bytes=0-2")]).await, (206, 3, 0, 0));
    assert_eq!(noted(Method::GET, &[(RANGE, "bytes=900-")]).await, (416, 0, 0, 0));
    assert_eq!(noted(Method::GET, &[(IF_NONE_MATCH, "*")]).await, (304, 0, 0, 0));
    assert_eq!(noted(Method::GET, &[(RANGE, "bytes=-3")]).await, (206, 3, 1, 0));
    assert_eq!(noted(Method::GET, &[]).await, (200, whole, 2, 0));
    let etag = tag(&get(&house.app, &[]).await);
    assert_eq!(noted(Method::HEAD, &[(IF_NONE_MATCH, &etag)]).await, (304, 0, 3, 0));
    assert_eq!(noted(Method::GET, &[(IF_NONE_MATCH, &etag)]).await, (304, 0, 3, 1));
}

#[tokio::test]
async fn a_withdrawn_key_opens_nothing_more_at_once() {
    let house = listed().await;
    house.change(device("core", &[])).await;
    let audit = |action: &str| crate::publish::Audit {
        at: Time::default(),
        actor: "me".into(),
        action: action.into(),
        subject: "core".into(),
        reason: "lost".into(),
        detail: String::new(),
    };
    let core = "core".parse().unwrap();
    let first = house.publisher.make_keys(&core, &audit("a")).unwrap();
    let second = house.publisher.make_keys(&core, &audit("b")).unwrap();
    let status =
        async |token: &str| ask_from(&house, [9, 9, 9, 9], &format!("/f/{token}/fortigate"), None).await.0;
    assert_eq!((status(&first.token).await, status(&second.token).await), (401, 200));
    house.publisher.drop_keys(&core, &audit("c")).unwrap();
    assert_eq!(status(&second.token).await, 401);
    let (entries, total) = house.publisher.book().unwrap().audits(None, 9).unwrap();
    assert_eq!((entries[0].1.action.as_str(), total), ("c", 3));
}
