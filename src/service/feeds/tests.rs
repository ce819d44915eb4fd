//! What firewalls get, by what they say they have.

use super::*;
use crate::publish::{Profile, Rendered};
use crate::web::metrics::Metrics;
use crate::web::{Peer, Role};
use http::header::{ACCEPT_ENCODING, ALLOW, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, RETRY_AFTER};
use std::path::Path;

const LIST: &[u8] = b"192.0.2.0/24\n198.51.100.7\n";
const DATE: &str = "Mon, 21 Sep 2026 14:13:20 GMT";

/// The data folder with a list in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("feeds")).unwrap();
    let rendered = Rendered { text: LIST.into(), entries: 2, addresses: 257 };
    let released = Released::new(rendered, 3, Time::from_unix(1_790_000_000));
    released.save(&folder.path().join("feeds/fortigate.feed"), &Profile::fortigate()).unwrap();
    folder
}

fn app(folder: &Path) -> Arc<App> {
    let feeds = Feeds::open(folder, vec![Profile::fortigate()], Time::default()).unwrap();
    let desk = Desk::new(&Arc::new(feeds));
    Arc::new(desk.fast(App::new(Role::Blacklist, desk.routes(), &Arc::new(Metrics::new()))))
}

async fn ask(app: &Arc<App>, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
    let mut request = http::Request::builder().method(method).uri(path).header(HOST, "a");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    app.answer(request.body(Body::empty()).unwrap(), Peer::Local).await
}

async fn get(app: &Arc<App>, headers: &[(HeaderName, &str)]) -> Response {
    ask(app, Method::GET, "/api/v1/blacklist/fortigate", headers).await
}

fn tag(response: &Response) -> String {
    response.headers()[ETAG].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_list_comes_with_everything_a_reader_needs_to_ask_again() {
    let folder = folder();
    let response = get(&app(folder.path()), &[]).await;
    let headers = response.headers().clone();
    assert_eq!(response.status(), 200);
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_LENGTH, "26"),
        (LAST_MODIFIED, DATE),
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept-encoding"),
        (X_TOTAL_IPS, "2"),
        (X_TOTAL_ADDRESSES, "257"),
        (X_GENERATED_AT, "2026-09-21T14:13:20Z"),
    ] {
        assert_eq!(headers[&name], value, "{name}");
    }
    assert!(tag(&response).starts_with('"') && tag(&response).len() == 34);
    assert_eq!(response.into_body().read().await.unwrap(), LIST);
}

#[tokio::test]
async fn every_path_of_the_feed_gives_the_same() {
    let folder = folder();
    let app = app(folder.path());
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
    let folder = folder();
    let app = app(folder.path());
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
async fn each_form_has_its_own_tag_and_only_that_one_counts() {
    let folder = folder();
    let app = app(folder.path());
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
    assert_eq!(get(&app, &[gzip.clone(), (IF_NONE_MATCH, &packed_tag)]).await.status(), 304);
    assert_eq!(get(&app, &[gzip, (IF_NONE_MATCH, &plain_tag)]).await.status(), 200);
    assert_eq!(get(&app, &[(IF_NONE_MATCH, &packed_tag)]).await.status(), 200);
}

#[tokio::test]
async fn head_is_the_same_answer_without_the_list() {
    let folder = folder();
    let app = app(folder.path());
    let whole = get(&app, &[]).await;
    let head = ask(&app, Method::HEAD, "/api/v1/blacklist/fortigate", &[]).await;
    assert_eq!((head.status(), tag(&head)), (whole.status(), tag(&whole)));
    assert_eq!(head.headers()[CONTENT_LENGTH], "26");
    assert!(head.into_body().read().await.unwrap().is_empty());
}

#[tokio::test]
async fn before_there_is_a_list_the_answer_is_503_and_never_an_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path());
    for path in ["/api/v1/blacklist/fortigate", "/feeds/fortigate.txt"] {
        let response = ask(&app, Method::GET, path, &[(IF_NONE_MATCH, "*")]).await;
        assert_eq!(
            (response.status().as_u16(), response.headers()[RETRY_AFTER].as_bytes()),
            (503, &b"10"[..])
        );
        let body = response.into_body().read().await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("\"code\":\"feed_not_ready\""));
    }
    assert_eq!(empty().code(), "feed_empty");
}

#[tokio::test]
async fn a_new_list_has_new_headers() {
    let folder = folder();
    let first = Feeds::open(folder.path(), vec![Profile::fortigate()], Time::default()).unwrap();
    let slot = ArcSwapOption::empty();
    let Offer::List(old) = &**first.iter().next().unwrap().offer() else { panic!("a list was kept") };
    let page = current(&slot, old);
    assert!(Arc::ptr_eq(&page, &current(&slot, old)));
    let new = Released::new(
        Rendered { text: b"192.0.2.1\n".to_vec(), entries: 1, addresses: 1 },
        4,
        old.modified.plus(1),
    );
    assert_eq!(current(&slot, &Arc::new(new)).text.whole[CONTENT_LENGTH], "10");
}
