//! Downloads from a server that behaves in every way that lists' servers do.

use super::*;
use crate::fake_feed::{Answer, FeedServer, gzip, zip};
use crate::fetch::Failure;
use crate::fetch::{FetchSettings, Reach};
use std::time::Duration;

const LIST: &str = "# Last updated: 2026-11-22 10:00:00 UTC\n192.0.2.1\n";

fn fetcher(server: &FeedServer) -> Fetcher {
    let reach = Reach {
        ports: vec![server.port()],
        exceptions: vec!["127.0.0.1".parse().unwrap()],
        ..Reach::default()
    };
    Fetcher::new(FetchSettings { reach, ..FetchSettings::default() }).unwrap()
}

async fn ask(
    server: &FeedServer,
    path: &str,
    credentials: Option<&Credentials>,
    memory: &Memory,
) -> Result<Download, FeedError> {
    download(&fetcher(server), &server.url(path).parse().unwrap(), credentials, memory).await
}

#[track_caller]
fn fetched(download: Result<Download, FeedError>) -> (Bytes, Memory) {
    match download.unwrap() {
        Download::Fetched { bytes, memory } => (bytes, memory),
        Download::Unchanged(_) => panic!("unchanged"),
    }
}

#[tokio::test]
async fn a_list_is_sent_once_until_it_changes() {
    let server = FeedServer::start();
    server.serve("/list", Answer::list(LIST).header("ETag", "\"1\"").gzipped());
    let (bytes, memory) = fetched(ask(&server, "/list", None, &Memory::default()).await);
    assert_eq!(bytes, LIST);
    assert_eq!(memory.dated.unwrap().to_string(), "2026-11-22T10:00:00Z");

    let again = ask(&server, "/list", None, &memory).await.unwrap();
    assert_eq!(again, Download::Unchanged(memory.clone()));
    assert_eq!(server.requests()[1].header("if-none-match").unwrap(), "\"1\"");

    // The same bytes under a new tag: nothing new, but the tag is remembered.
    server.serve("/list", Answer::list(LIST).header("ETag", "\"2\""));
    let Download::Unchanged(memory) = ask(&server, "/list", None, &memory).await.unwrap() else {
        panic!("fetched");
    };
    assert_eq!(memory.etag.as_deref(), Some("\"2\""));

    server.serve("/list", Answer::list("192.0.2.2\n").header("ETag", "\"3\""));
    assert_eq!(fetched(ask(&server, "/list", None, &memory).await).0, "192.0.2.2\n");
}

#[tokio::test]
async fn a_server_without_tags_is_asked_by_date() {
    let server = FeedServer::start();
    let date = "Sun, 22 Nov 2026 10:00:00 GMT";
    server.serve("/list", Answer::list("192.0.2.1\n").header("Last-Modified", date));
    let (_, memory) = fetched(ask(&server, "/list", None, &Memory::default()).await);
    assert_eq!(memory.dated.unwrap().to_string(), "2026-11-22T10:00:00Z");
    assert_eq!(ask(&server, "/list", None, &memory).await.unwrap(), Download::Unchanged(memory.clone()));
    // Whose list is gone from the memory gets it again.
    let forgotten = Memory { digest: None, ..memory };
    fetched(ask(&server, "/list", None, &forgotten).await);
}

#[tokio::test]
async fn packed_foreign_and_strange_bodies_come_as_they_are() {
    let server = FeedServer::start();
    let (korean, _, _) = encoding_rs::EUC_KR.encode("192.0.2.1,스캔\n");
    for (path, body) in [
        ("/list.gz", gzip(LIST.as_bytes())),
        ("/korean.csv", korean.into_owned()),
        ("/empty", Vec::new()),
        ("/list.zip", zip("list.txt", LIST.as_bytes())),
    ] {
        server.serve(path, Answer::list(body.clone()));
        assert_eq!(fetched(ask(&server, path, None, &Memory::default()).await).0, body, "{path}");
    }
    server.serve("/page", Answer::page());
    let (page, _) = fetched(ask(&server, "/page", None, &Memory::default()).await);
    assert!(page.trim_ascii_start().starts_with(b"<!DOCTYPE"));
}

#[tokio::test]
async fn every_failure_has_its_name_and_what_to_do() {
    let server = FeedServer::start();
    let key = Credentials::Header { name: "Key".to_owned(), value: "hidden".to_owned() };
    let transient =
        |seconds: Option<u64>| Failure::Transient { retry_after: seconds.map(Duration::from_secs) };
    let patient = |status| Answer::status(status).header("Retry-After", "120");
    for (answer, credentials, code, kind) in [
        (patient(429), None, "feed_busy", transient(Some(120))),
        (patient(503), Some(&key), "feed_busy", transient(Some(120))),
        (Answer::status(503), None, "feed_busy", transient(None)),
        (Answer::status(500), None, "feed_server_error", transient(None)),
        (Answer::status(502), None, "feed_server_error", transient(None)),
        (Answer::status(401), None, "feed_wants_credentials", Failure::Credentials),
        (Answer::status(401), Some(&key), "feed_unauthorized", Failure::Credentials),
        (Answer::status(403), Some(&key), "feed_unauthorized", Failure::Credentials),
        (Answer::status(403), None, "feed_forbidden", Failure::Blocked),
        (Answer::status(404), None, "feed_missing", Failure::Broken),
        (Answer::status(410), None, "feed_missing", Failure::Broken),
        (Answer::status(418), None, "feed_unexpected_status", Failure::Broken),
        (Answer::status(304), None, "feed_unexpected_status", Failure::Broken),
        (Answer::status(302), None, "feed_unexpected_status", Failure::Broken),
        (Answer::redirect("/list"), None, "too_many_redirects", Failure::Broken),
        (Answer::list(LIST).short_by(9), None, "answer_truncated", transient(None)),
        (Answer::list(LIST).cut_between_chunks(), None, "answer_truncated", transient(None)),
    ] {
        server.serve("/list", answer);
        let error = ask(&server, "/list", credentials, &Memory::default()).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, kind), "{error}");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
    }
}

#[tokio::test]
async fn credentials_are_sent_as_the_server_wants_them_and_shown_to_nobody() {
    let server = FeedServer::start();
    server.serve("/list", Answer::list(LIST));
    let text = str::to_owned;
    for (credentials, header, expected) in [
        (Credentials::Header { name: text("Key"), value: text("hidden") }, "key", "hidden"),
        (
            Credentials::Basic { user: text("Aladdin"), password: text("open sesame") },
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
    ] {
        assert!(
            !format!("{credentials:?}").contains("hidden") && !format!("{credentials:?}").contains("sesame")
        );
        fetched(ask(&server, "/list", Some(&credentials), &Memory::default()).await);
        assert_eq!(server.requests().last().unwrap().header(header).unwrap(), expected);
    }
    let query = Credentials::Query { name: text("token"), value: text("a&b") };
    fetched(ask(&server, "/list?limit=5", Some(&query), &Memory::default()).await);
    assert_eq!(server.requests().last().unwrap().target, "/list?limit=5&token=a%26b");
    for bad in [
        Credentials::Header { name: text("a b"), value: text("x") },
        Credentials::Header { name: text("Key"), value: text("line\nend") },
        Credentials::Basic { user: text("a:b"), password: text("x") },
    ] {
        let error = ask(&server, "/list", Some(&bad), &Memory::default()).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("bad_credentials", Failure::Credentials));
    }
}
