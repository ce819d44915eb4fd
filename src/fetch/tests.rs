//! The client against servers that mislead it, and name services that do.

use super::*;
use crate::fake_feed::{Answer, FeedServer};
use crate::fetch::Failure;
use crate::fetch::budget::Budget;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderValue};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The settings with which the fake servers, which are neither public nor at a usual port, are reached.
fn settings(servers: &[&FeedServer]) -> FetchSettings {
    let reach = Reach {
        ports: servers.iter().map(|server| server.port()).collect(),
        exceptions: vec!["127.0.0.1".parse().unwrap()],
        ..Reach::default()
    };
    FetchSettings { reach, ..FetchSettings::default() }
}

fn fetcher(servers: &[&FeedServer]) -> Fetcher {
    Fetcher::new(settings(servers)).unwrap()
}

fn outgoing(url: &str) -> Outgoing {
    Outgoing { url: url.parse().unwrap(), headers: HeaderMap::new(), secrets: HeaderMap::new() }
}

async fn body(fetcher: &Fetcher, url: &str) -> Result<String, FetchError> {
    let response = fetcher.get(outgoing(url)).await?;
    let bytes = fetcher.read(response).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn code(fetcher: &Fetcher, url: &str) -> &'static str {
    body(fetcher, url).await.map_or_else(|error| error.code(), |_| "fetched")
}

/// A name service that gives each name's addresses one after the other, the last one for ever.
struct Names {
    answers: Vec<&'static str>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { answers: answers.to_vec(), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[asked.min(self.answers.len() - 1)];
        let found: Vec<SocketAddr> =
            answer.split(' ').filter_map(|ip| Some(SocketAddr::new(ip.parse().ok()?, 0))).collect();
        Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
    }
}

#[test]
fn what_may_be_a_bad_moment_of_this_machine_stops_nothing() {
    let address = Denied::Address { host: "feed.example".to_owned(), address: "10.0.0.1".parse().unwrap() };
    let gone = FetchSettings { trust: Trust::File("/no/such/file".into()), ..FetchSettings::default() };
    for error in [address.into(), Fetcher::new(gone).unwrap_err()] {
        assert_eq!(error.kind(), Failure::Hindered, "{error}");
    }
    assert_eq!(
        FetchError::from(Denied::Port(81)).kind(),
        Failure::Attention,
        "this is what somebody has said"
    );
}

#[tokio::test]
async fn an_exception_is_for_the_host_that_was_named_and_for_nobody_who_is_led_there() {
    let (one, two) = (FeedServer::start(), FeedServer::start());
    one.serve("/list", Answer::redirect(&two.url("/inside")));
    one.serve("/same", Answer::redirect("/list.txt"));
    one.serve("/list.txt", Answer::list("192.0.2.1\n"));
    two.serve("/inside", Answer::list("192.0.2.2\n"));
    let fetcher = Fetcher::with_names(settings(&[&one, &two]), Names::new(&["127.0.0.1"])).unwrap();
    let named = |path: &str| format!("http://feed.example:{}{path}", one.port());
    assert_eq!(code(&fetcher, &named("/same")).await, "fetched");
    assert_eq!(code(&fetcher, &named("/list")).await, "address_denied");
    assert_eq!(two.requests().len(), 0);
}

#[tokio::test]
async fn a_list_comes_as_it_is_and_says_who_asks() {
    let server = FeedServer::start();
    server.serve("/list", Answer::list("192.0.2.1\n"));
    let settings = FetchSettings { contact: Some("noc@example.org".to_owned()), ..settings(&[&server]) };
    let fetcher = Fetcher::new(settings).unwrap();
    assert_eq!(body(&fetcher, &server.url("/list")).await.unwrap(), "192.0.2.1\n");
    let request = server.requests().remove(0);
    let agent = request.header("user-agent").unwrap();
    assert!(agent.starts_with("ironlist/") && agent.ends_with(" (noc@example.org)"), "{agent}");
}

#[tokio::test]
async fn an_address_in_a_url_is_checked_however_it_is_written() {
    let fetcher = Fetcher::new(FetchSettings::default()).unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "127.0.0.1.", "[::1]", "[::ffff:7f00:1]"] {
        assert_eq!(code(&fetcher, &format!("http://{host}/")).await, "address_denied", "{host}");
    }
    assert_eq!(code(&fetcher, "http://localhost/").await, "address_denied");
    assert_eq!(code(&fetcher, "ftp://192.0.2.1/").await, "scheme_denied");
    assert_eq!(code(&fetcher, "https://example.org:22/").await, "port_denied");
    assert_eq!(code(&fetcher, "https://user:secret@example.org/").await, "url_credentials");
}

#[tokio::test]
async fn a_name_leads_only_to_addresses_that_were_checked() {
    let server = FeedServer::start();
    server.serve("/list", Answer::list("192.0.2.1\n"));
    let reach = Reach { ports: vec![server.port()], ..Reach::default() };
    let settings = FetchSettings { reach: reach.clone(), ..FetchSettings::default() };
    let by = |names: Arc<Names>| Fetcher::with_names(settings.clone(), names).unwrap();
    let url = server.url_by_name("feed.example", "/list");

    assert_eq!(code(&by(Names::new(&["127.0.0.1"])), &url).await, "address_denied");
    assert_eq!(code(&by(Names::new(&["::ffff:127.0.0.1 10.0.0.1"])), &url).await, "address_denied");
    assert_eq!(code(&by(Names::new(&[""])), &url).await, "name_unresolved");
    assert!(server.requests().is_empty());

    // By its name it may be wherever it is.
    let settings = FetchSettings {
        reach: Reach { exceptions: vec!["feed.example".parse().unwrap()], ..reach },
        ..FetchSettings::default()
    };
    let named = Fetcher::with_names(settings, Names::new(&["127.0.0.1"])).unwrap();
    assert_eq!(code(&named, &url).await, "fetched");
}

#[tokio::test]
async fn a_name_that_changes_its_address_after_the_check_changes_nothing() {
    let server = FeedServer::start();
    server.serve("/list", Answer::list("192.0.2.1\n"));
    let names = Names::new(&["127.0.0.1", "127.0.0.2", "10.0.0.1"]);
    let fetcher = Fetcher::with_names(settings(&[&server]), names.clone()).unwrap();
    let url = server.url_by_name("feed.example", "/list");
    assert_eq!(code(&fetcher, &url).await, "fetched");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "one connection asks once");
    // The next connection asks again, and that answer is judged anew.
    assert_eq!(code(&fetcher, &url).await, "address_denied");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_each_is_checked() {
    let server = FeedServer::start();
    let fetcher = fetcher(&[&server]);
    for hop in 0..7 {
        server.serve(&format!("/{hop}"), Answer::redirect(&format!("/{}", hop + 1)));
    }
    server.serve("/7", Answer::list("192.0.2.1\n"));
    assert_eq!(code(&fetcher, &server.url("/2")).await, "fetched");
    assert_eq!(code(&fetcher, &server.url("/1")).await, "too_many_redirects");
    for (path, location, expected) in [
        ("/loop", "/loop".to_owned(), "too_many_redirects"),
        ("/private", format!("http://127.0.0.2:{}/7", server.port()), "address_denied"),
        ("/metadata", "http://169.254.169.254/latest/meta-data/".to_owned(), "port_denied"),
        ("/name", format!("http://localhost.example:{}/", server.port()), "name_unresolved"),
        ("/port", "http://127.0.0.1:22/".to_owned(), "port_denied"),
        ("/file", "file:///etc/passwd".to_owned(), "scheme_denied"),
        ("/user", format!("http://a:b@127.0.0.1:{}/7", server.port()), "url_credentials"),
    ] {
        server.serve(path, Answer::redirect(&location));
        assert_eq!(code(&fetcher, &server.url(path)).await, expected, "{path}");
    }
}

#[test]
fn nothing_leads_from_https_to_http() {
    let url = |text: &str| text.parse::<Url>().unwrap();
    let reach = Reach::default();
    let (secure, open) = (url("https://example.org/"), url("http://example.org/"));
    assert_eq!(reach.check_redirect(&secure, &open), Err(Denied::Downgrade));
    assert_eq!(reach.check_redirect(&open, &secure), Ok(()));
    assert!(reach::is_same_host(&open, &secure));
    assert!(!reach::is_same_host(&secure, &url("https://example.org:8443/")));
    assert!(!reach::is_same_host(&secure, &url("https://example.com/")));
}

#[tokio::test]
async fn credentials_stay_with_their_host_and_other_headers_do_not() {
    let (one, two) = (FeedServer::start(), FeedServer::start());
    one.serve("/list", Answer::redirect("/moved"));
    one.serve("/moved", Answer::redirect(&two.url("/list")));
    two.serve("/list", Answer::list("192.0.2.1\n"));
    let mut outgoing = outgoing(&one.url("/list?token=hidden"));
    outgoing.headers.insert("if-none-match", HeaderValue::from_static("\"1\""));
    outgoing.secrets.insert("key", HeaderValue::from_static("hidden"));
    outgoing.secrets.insert("authorization", HeaderValue::from_static("Basic hidden"));
    let response = fetcher(&[&one, &two]).get(outgoing).await.unwrap();
    assert_eq!(response.status(), 200);
    for request in one.requests() {
        assert_eq!(request.header("key").map(String::as_str), Some("hidden"), "{request:?}");
    }
    let request = two.requests().remove(0);
    assert_eq!(request.header("if-none-match").map(String::as_str), Some("\"1\""));
    assert!(!format!("{request:?}").contains("hidden"), "{request:?}");
}

#[tokio::test]
async fn a_session_is_led_nowhere() {
    let (one, two) = (FeedServer::start(), FeedServer::start());
    one.serve("/login", Answer::redirect(&two.url("/trap")));
    let fetcher = fetcher(&[&one, &two]);
    let response = fetcher.client().get(one.url("/login")).send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn answers_that_break_off_or_never_end_are_told_apart() {
    let server = FeedServer::start();
    let settings = FetchSettings {
        size_limit: 10_000,
        timeout: Duration::from_millis(900),
        idle_timeout: Duration::from_millis(300),
        ..settings(&[&server])
    };
    let fetcher = Fetcher::new(settings).unwrap();
    let list = "192.0.2.1\n".repeat(300);
    for (path, answer, expected) in [
        ("/chunks", Answer::list(list.clone()).chunked(), "fetched"),
        ("/gzip", Answer::list(list.clone()).gzipped(), "fetched"),
        ("/short", Answer::list(list.clone()).short_by(1), "answer_truncated"),
        ("/cut", Answer::list(list.clone()).cut_between_chunks(), "answer_truncated"),
        ("/cut-gzip", Answer::list(list.clone()).gzipped().cut_by(9), "answer_truncated"),
        ("/silence", Answer::silence(), "answer_truncated"),
        ("/dripping", Answer::list(list.clone()).dripping(Duration::from_millis(20)), "fetch_timeout"),
        ("/stalled", Answer::list("12").dripping(Duration::from_secs(2)), "fetch_timeout"),
        ("/announced", Answer::list("x".repeat(10_001)), "answer_too_large"),
        ("/endless", Answer::list(list.clone()).endless(), "answer_too_large"),
        ("/bomb", Answer::list("0".repeat(1 << 20)).gzipped(), "answer_too_large"),
    ] {
        server.serve(path, answer);
        assert_eq!(code(&fetcher, &server.url(path)).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again_and_its_url_stays_secret() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reach =
        Reach { ports: vec![port], exceptions: vec!["127.0.0.0/8".parse().unwrap()], ..Reach::default() };
    let fetcher = Fetcher::new(FetchSettings { reach, ..FetchSettings::default() }).unwrap();
    let error = body(&fetcher, &format!("http://127.0.0.1:{port}/list?key=hidden")).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("connect_failed", Failure::Transient { retry_after: None }));
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
    let error = body(&fetcher, &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(error.code(), "connect_failed");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_away() {
    let server = FeedServer::start();
    let url = server.url("/").replace("http:", "https:");
    let error = body(&fetcher(&[&server]), &url).await.unwrap_err();
    assert_eq!(error.code(), "tls_failed", "{error}");
}

#[tokio::test]
async fn through_a_proxy_only_the_listed_hosts_are_asked_and_it_resolves_their_names() {
    let proxy = FeedServer::start();
    proxy.serve("http://feed.example/list", Answer::list("192.0.2.1\n"));
    proxy.serve("http://feed.example/away", Answer::redirect("http://10.0.0.1/list"));
    proxy.serve("feed.example:443", Answer::status(502));
    let url = proxy.url("/").parse().unwrap();
    let hosts = vec!["*.example".parse().unwrap()];
    let reach = Reach { proxy: Some(Proxy { url, hosts }), ..Reach::default() };
    let fetcher = Fetcher::new(FetchSettings { reach, ..FetchSettings::default() }).unwrap();

    assert_eq!(body(&fetcher, "http://feed.example/list").await.unwrap(), "192.0.2.1\n");
    assert_eq!(code(&fetcher, "http://other.test/list").await, "host_denied");
    assert_eq!(code(&fetcher, "http://127.0.0.1/list").await, "host_denied");
    assert_eq!(code(&fetcher, "http://feed.example/away").await, "host_denied");
    assert_eq!(code(&fetcher, "http://feed.example:22/list").await, "port_denied");
    // By https it is asked for a tunnel, which it may refuse.
    assert_eq!(code(&fetcher, "https://feed.example/list").await, "connect_failed");
    let targets: Vec<_> = proxy.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["http://feed.example/list", "http://feed.example/away", "feed.example:443"]);
}

#[test]
fn a_proxy_keeps_its_password_to_itself() {
    let url: Url = "http://user:hidden@proxy.example:3128".parse().unwrap();
    let proxy = Proxy { url, hosts: Vec::new() };
    assert!(!format!("{proxy:?}").contains("hidden"), "{proxy:?}");
}

#[test]
fn hosts_and_networks_are_written_as_people_write_them() {
    for (pattern, host, expected) in [
        ("feed.example", "feed.example", true),
        ("feed.example", "FEED.example.", true),
        ("feed.example", "a.feed.example", false),
        ("*.example", "feed.example", true),
        ("*.example", "a.b.example", true),
        ("*.example", "example", false),
        ("*.example", "badexample", false),
    ] {
        assert_eq!(pattern.parse::<HostPattern>().unwrap().matches(host), expected, "{pattern} {host}");
    }
    for (text, network) in
        [("10.1.0.0/16", true), ("fd00::/8", true), ("10.0.0.1", true), ("intranet", false)]
    {
        let exception: Exception = text.parse().unwrap();
        assert_eq!(matches!(exception, Exception::Network(_)), network, "{text}");
        assert_eq!(exception.to_string(), text);
    }
    for text in ["", "*.", "a b", "10.0.0.0/99", "http://feed.example"] {
        assert!(text.parse::<Exception>().is_err(), "{text}");
    }
}

/// A server by TLS that answers every request with `answer`, and the file of its own authority.
async fn secure(names: &[&str], answer: &'static str) -> (u16, tempfile::NamedTempFile) {
    use std::io::Write;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    crate::handshake::install_provider();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(made.cert.pem().as_bytes()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, file)
}

#[tokio::test]
async fn a_server_of_ones_own_authority_is_trusted_by_its_file_alone() {
    let (port, file) = secure(&["feed.example"], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let by = |trust| {
        let exceptions = vec!["127.0.0.1".parse().unwrap()];
        let reach = Reach { ports: vec![port], exceptions, ..Reach::default() };
        let settings = FetchSettings { reach, trust, ..FetchSettings::default() };
        Fetcher::with_names(settings, Names::new(&["127.0.0.1"])).unwrap()
    };
    let trusting = by(Trust::File(file.path().to_owned()));
    assert_eq!(body(&trusting, &format!("https://feed.example:{port}/")).await.unwrap(), "ok");
    assert_eq!(code(&trusting, &format!("https://other.example:{port}/")).await, "tls_failed");
    assert_eq!(code(&by(Trust::System), &format!("https://feed.example:{port}/")).await, "tls_failed");
}

#[tokio::test]
async fn a_pinned_certificate_is_believed_whatever_it_says_and_no_other_one() {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let (port, file) = secure(&["firewall"], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let shown = CertificateDer::from_pem_file(file.path()).unwrap();
    let by = |fingerprint| {
        let exceptions = vec!["127.0.0.1".parse().unwrap()];
        let reach = Reach { ports: vec![port], exceptions, ..Reach::default() };
        let trust = Trust::Fingerprint(fingerprint);
        Fetcher::new(FetchSettings { reach, trust, ..FetchSettings::default() }).unwrap()
    };
    let url = format!("https://127.0.0.1:{port}/");
    assert_eq!(body(&by(crate::disk::digest(&[&shown])), &url).await.unwrap(), "ok");
    assert_eq!(code(&by([7; 32]), &url).await, "tls_failed");
}

#[tokio::test]
async fn a_secure_server_cannot_lead_to_an_open_one() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://feed.example/\r\nContent-Length: 0\r\n\r\n";
    let (port, file) = secure(&["feed.example"], answer).await;
    let exceptions = vec!["127.0.0.1".parse().unwrap()];
    let reach = Reach { ports: vec![port, 80], exceptions, ..Reach::default() };
    let settings =
        FetchSettings { reach, trust: Trust::File(file.path().to_owned()), ..FetchSettings::default() };
    let fetcher = Fetcher::with_names(settings, Names::new(&["127.0.0.1"])).unwrap();
    assert_eq!(code(&fetcher, &format!("https://feed.example:{port}/")).await, "redirect_to_http");
}

#[tokio::test]
async fn bodies_that_are_large_take_turns_in_memory() {
    let server = FeedServer::start();
    let memory = Budget::new(8 << 20);
    let fetcher =
        Fetcher::new(FetchSettings { memory, size_limit: 8 << 20, ..settings(&[&server]) }).unwrap();
    for (path, answer) in [
        ("/announced", Answer::list("x".repeat(6 << 20))),
        ("/chunks", Answer::list("x".repeat(6 << 20)).chunked()),
    ] {
        server.serve(path, answer);
    }
    server.serve("/small", Answer::list("x"));
    let get = async |path: &str| {
        let response = fetcher.get(outgoing(&server.url(path))).await.unwrap();
        fetcher.read(response).await.unwrap()
    };
    let first = get("/announced").await;
    let waits = tokio::time::timeout(Duration::from_millis(300), get("/chunks")).await;
    assert!(waits.is_err(), "there is no room for both");
    assert_eq!(get("/small").await.len(), 1);
    drop(first);
    assert_eq!(get("/chunks").await.len(), 6 << 20);
}
