//! What an answer costs the server, against a bare hyper server (and nginx, where it is installed).
//!
//! Each server is a process of its own on one core; 64 kept-alive connections ask it from the other. Its
//! CPU time divided by the answers is the figure that holds still; requests a second are not. Rounds are
//! interleaved and the median is printed, with its ratio to the bare server's fixed answer.
//!
//! `cargo bench --bench http [-- [--smoke] [--only PART_OF_A_NAME]]`; to add a case, add a line to [`CASES`].

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends where it fails, and prints")]

use base64::Engine as _;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use ironlist::addr::{IpRange, Range};
use ironlist::disk::Medium;
use ironlist::engine::{Engine, Options};
use ironlist::model::Profile;
use ironlist::model::{Batch, Cause, Change, Detail, Device, Output, RowsBuilder, Scope};
use ironlist::publish::{Audit, Publisher, Secrets};
use ironlist::rights::Right;
use ironlist::service::blacklist::{Blacklist, CHECK, answer_check};
use ironlist::service::feeds::Desk;
use ironlist::web::auth::{Access, Guard};
use ironlist::web::listener::{Limits, Listener, serve};
use ironlist::web::metrics::Metrics;
use ironlist::web::{App, Body, Demand, Response, Role};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::net::TcpListener;

/// The program's allocator, for both servers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Get,
    /// With the ETag that the server gave before: answered 304.
    Again,
    /// The same, with the name and the password of a device.
    AgainBasic,
    /// 10,000 addresses, a fifth of them listed, as lines.
    Lines,
    /// The same as JSON.
    Json,
}

/// A request to a server, `pipelined` times in one packet.
struct Case {
    name: &'static str,
    server: &'static str,
    path: &'static str,
    ask: Ask,
    pipelined: usize,
    requests: usize,
}

const fn case(name: &'static str, server: &'static str, path: &'static str) -> Case {
    Case { name, server, path, ask: Ask::Get, pipelined: 1, requests: 40_000 }
}

const fn pipelined(name: &'static str, server: &'static str) -> Case {
    Case { pipelined: 16, requests: 160_000, ..case(name, server, "/fixed") }
}

const fn feed(name: &'static str, server: &'static str) -> Case {
    Case { requests: 192, ..case(name, server, "/feed") }
}

const fn again(name: &'static str, server: &'static str, path: &'static str) -> Case {
    Case { ask: Ask::Again, ..case(name, server, path) }
}

const fn bulk(name: &'static str, ask: Ask) -> Case {
    Case { ask, requests: 512, ..case(name, "ironlist", "/api/v1/blacklist/check") }
}

/// The first case is what all others are compared with, and polls with the first poll, too: the same bytes come and go.
const CASES: &[Case] = &[
    case("bare hyper, fixed", "bare", "/fixed"),
    case("ironlist, fixed", "ironlist", "/fixed"),
    case("ironlist, routed", "ironlist", "/routed"),
    case("nginx, return 200", "nginx", "/fixed"),
    case("ironlist, look-up", "ironlist", "/api/v1/blacklist/check/203.0.114.7"),
    again("bare hyper, unchanged (304)", "bare", "/unchanged"),
    again("ironlist, feed unchanged (304)", "ironlist", "/api/v1/blacklist/fortigate"),
    again("the same, a device's token", "ironlist", "/f/TOKEN/fortigate"),
    Case {
        ask: Ask::AgainBasic,
        ..case("the same, its password", "ironlist", "/api/v1/blacklist/fortigate")
    },
    again("nginx, file unchanged (304)", "nginx", "/feed"),
    bulk("ironlist, 10,000 as text", Ask::Lines),
    bulk("ironlist, 10,000 as JSON", Ask::Json),
    pipelined("bare hyper, fixed, 16 pipelined", "bare"),
    pipelined("ironlist, fixed, 16 pipelined", "ironlist"),
    feed("bare hyper, 10 MB", "bare"),
    feed("ironlist, 10 MB", "ironlist"),
    feed("nginx, 10 MB, sendfile", "nginx"),
];

const CONNECTIONS: usize = 64;
const FIXED: &[u8] =
    b"{\"ip\":\"192.0.2.1\",\"listed\":false,\"sources\":[],\"exempt\":null,\"generation\":1}";
static FEED: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(b"203.0.113.128/25\n".repeat(600_000)));

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--server") {
        return run_server(&arguments[at + 1]);
    }
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let only =
        arguments.iter().skip_while(|argument| *argument != "--only").nth(1).map_or("", String::as_str);
    let is_asked = |case: &Case| case.name.contains(only) || case.name == CASES[0].name;
    // Short rounds and many: what the machine does beside it changes within seconds, and so meets all cases alike.
    let (rounds, divisor) = if smoke { (1, 100) } else { (35, 5) };
    let mut servers: Vec<Server> =
        ["bare", "ironlist", "nginx"].into_iter().filter_map(Server::start).collect();
    let mut micros = vec![Vec::new(); CASES.len()];
    for _ in 0..rounds {
        for (case, micros) in CASES.iter().zip(&mut micros).filter(|(case, _)| is_asked(case)) {
            if let Some(server) = servers.iter_mut().find(|server| server.name == case.server) {
                micros.push(measure(server, case, (case.requests / divisor).max(CONNECTIONS)));
            }
        }
    }
    report(&mut micros);
}

fn report(micros: &mut [Vec<f64>]) {
    let (mut base, mut poll) = (None, None);
    println!("{:34} {:>12} {:>8} {:>10}", "", "µs CPU", "ratio", "of a poll");
    for (case, micros) in CASES.iter().zip(micros) {
        micros.sort_by(f64::total_cmp);
        let Some(median) = micros.get(micros.len() / 2) else { continue };
        let of_poll = match case.ask {
            Ask::Again | Ask::AgainBasic => format!("{:10.2}", median / *poll.get_or_insert(*median)),
            Ask::Get | Ask::Lines | Ask::Json => String::new(),
        };
        println!("{:34} {median:12.2} {:8.2} {of_poll}", case.name, median / *base.get_or_insert(*median));
    }
}

/// CPU time of the server for one answer, in microseconds.
fn measure(server: &Server, case: &Case, requests: usize) -> f64 {
    let request = request(server, case).repeat(case.pipelined);
    let mut streams: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    let mut buffer = vec![0; 1 << 18];
    streams[0].write_all(request.as_bytes()).unwrap();
    let status = if matches!(case.ask, Ask::Again | Ask::AgainBasic) { 304 } else { 200 };
    let length = answer_length(&mut streams[0], case.pipelined, status, &mut buffer);
    let before = server.cpu();
    let turns = requests / CONNECTIONS / case.pipelined;
    for _ in 0..turns.max(1) {
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            read_exactly(stream, length, &mut buffer);
        }
    }
    let answers = turns.max(1) * CONNECTIONS * case.pipelined;
    (server.cpu() - before).as_secs_f64() * 1e6 / answers as f64
}

fn request(server: &Server, case: &Case) -> String {
    let path = case.path.replace("TOKEN", &server.token);
    let (method, kind, body) = match case.ask {
        Ask::Get => ("GET", String::new(), ""),
        Ask::Again => ("GET", format!("If-None-Match: {}\r\n", etag(server, &path)), ""),
        Ask::AgainBasic => {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("edge:{}", server.password));
            let etag = etag(server, &path);
            ("GET", format!("If-None-Match: {etag}\r\nAuthorization: Basic {pair}\r\n"), "")
        }
        Ask::Lines => ("POST", "Content-Type: text/plain\r\n".to_owned(), LINES.as_str()),
        Ask::Json => ("POST", "Content-Type: application/json\r\n".to_owned(), JSON.as_str()),
    };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let host = format!("localhost:{}", server.port);
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{kind}{length}\r\n{body}")
}

/// What the server says now of a path.
fn etag(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let host = format!("localhost:{}", server.port);
    write!(stream, "HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    let line = head.lines().find(|line| line.to_lowercase().starts_with("etag:")).unwrap();
    line["etag:".len()..].trim().to_owned()
}

/// Listed addresses of the real look-ups.
fn listed() -> impl Iterator<Item = std::net::Ipv4Addr> {
    (0..1_000_000_u32).map(|at| std::net::Ipv4Addr::from_bits(0xcb00_7200_u32.wrapping_add(at * 7)))
}

static LINES: LazyLock<String> = LazyLock::new(|| {
    let mut rng = fastrand::Rng::with_seed(1);
    let address = |_| match rng.u32(..5) {
        0 => std::net::Ipv4Addr::from_bits(0xcb00_7200 + rng.u32(..1_000_000) * 7),
        _ => std::net::Ipv4Addr::from_bits(rng.u32(..)),
    };
    (0..10_000).map(address).map(|address| format!("{address}\n")).collect()
});

static JSON: LazyLock<String> = LazyLock::new(|| {
    let quoted: Vec<String> = LINES.lines().map(|line| format!("\"{line}\"")).collect();
    format!("{{\"ips\":[{}]}}", quoted.join(","))
});

/// Reads the first answers whole; those that follow are as long.
fn answer_length(stream: &mut TcpStream, pipelined: usize, status: u16, buffer: &mut [u8]) -> usize {
    let mut head = stream.read(buffer).unwrap();
    let end = loop {
        match buffer[..head].windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => head += stream.read(&mut buffer[head..]).unwrap(),
        }
    };
    let text = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
    assert!(text.starts_with(&format!("http/1.1 {status}")), "{text}");
    // A 304 has no body, whatever length it tells of.
    let told = text.split("content-length: ").nth(1).filter(|_| status == 200);
    let length = told.map_or(0, |told| told.split('\r').next().unwrap().parse::<usize>().unwrap());
    let whole = (end + length) * pipelined;
    read_exactly(stream, whole - head, buffer);
    whole
}

fn read_exactly(stream: &mut TcpStream, mut length: usize, buffer: &mut [u8]) {
    while length > 0 {
        let room = length.min(buffer.len());
        let read = stream.read(&mut buffer[..room]).unwrap();
        assert!(read > 0, "the server closed the connection");
        length -= read;
    }
}

/// A server in a process of its own, on the first core.
struct Server {
    name: &'static str,
    port: u16,
    /// A device's.
    token: String,
    password: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(name: &'static str) -> Option<Self> {
        if name == "nginx" { Self::nginx() } else { Some(Self::own(name)) }
    }

    fn own(name: &'static str) -> Self {
        let program = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut child = pinned(program.to_str().unwrap())
            .args(["--server", name])
            .env("IRONLIST_BENCH_FOLDER", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.split_whitespace().map(str::to_owned);
        let port = words.next().unwrap().parse().unwrap();
        let (token, password) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self { name, port, token, password, child, _folder: folder }
    }

    fn nginx() -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|path| std::fs::exists(path).unwrap())?;
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = folder.path().display();
        std::fs::write(folder.path().join("feed"), &*FEED).unwrap();
        std::fs::write(folder.path().join("nginx.conf"), nginx_configuration(&root.to_string(), port))
            .unwrap();
        let child = pinned(program)
            .args(["-p", &root.to_string(), "-c", "nginx.conf", "-e", "stderr"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (token, password) = (String::new(), String::new());
        Some(Self { name: "nginx", port, token, password, child, _folder: folder })
    }

    /// CPU time of all its threads so far.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().unwrap().parse::<u64>().unwrap_or(0)
        };
        Duration::from_nanos(tasks.map(nanos).sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// On the first core, when that can be chosen; this process keeps the other by being busy there.
fn pinned(program: &str) -> Command {
    let available = Command::new("taskset").arg("-V").stdout(Stdio::null()).status().is_ok();
    let mut command = Command::new(if available { "taskset" } else { program });
    if available {
        command.args(["-c", "0", program]);
    }
    command
}

fn nginx_configuration(root: &str, port: u16) -> String {
    let fixed = String::from_utf8_lossy(FIXED);
    format!(
        "daemon off; master_process off; pid {root}/pid; error_log stderr crit; events {{ worker_connections 256; }}
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type text/plain;
           client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root}; uwsgi_temp_path {root}; scgi_temp_path {root};
           server {{ listen 127.0.0.1:{port}; root {root};
             location = /fixed {{ default_type application/json; return 200 '{fixed}'; }} }} }}"
    )
}

/// Serves until standard input ends. The first line of output is the port and a device's token and password.
fn run_server(name: &str) {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // On a worker as in the program, not on the thread that blocks here.
        let served = if name == "bare" {
            println!("{port}");
            tokio::spawn(bare(listener))
        } else {
            let (app, Secrets { token, password }) = application().await;
            println!("{port} {token} {password}");
            tokio::spawn(serve(Listener::Tcp(listener), app, Limits::default(), std::future::pending()))
        };
        served.await.unwrap();
    });
}

/// The least that hyper can do.
async fn bare(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answer = hyper::service::service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
            Ok::<_, Infallible>(match request.uri().path() {
                "/unchanged" => unchanged(request.headers()),
                "/feed" => hyper::Response::new(Full::new(FEED.clone())),
                _ => hyper::Response::new(Full::new(Bytes::from_static(FIXED))),
            })
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
        );
    }
}

/// As long as a feed's.
const TAG: HeaderValue = HeaderValue::from_static("\"0123456789abcdef0123456789abcdef\"");

/// What a feed's poll is told, by whoever compares the tag and does nothing else.
fn unchanged(headers: &HeaderMap) -> hyper::Response<Full<Bytes>> {
    let mut answer = hyper::Response::new(Full::default());
    if headers.get(IF_NONE_MATCH) == Some(&TAG) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    answer.headers_mut().insert(ETAG, TAG);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    answer
}

/// The same answers through everything that every request passes.
async fn application() -> (Arc<App>, Secrets) {
    let metrics = Arc::new(Metrics::new());
    let engine = blacklist().await;
    // The folder of the feed's file goes away with the process that started this one.
    let open = ["127.0.0.0/8".parse::<ironlist::addr::IpRange>().unwrap()].into_iter().collect();
    let publisher = Publisher::open(engine.clone(), Profile::fortigate(), open).unwrap();
    publisher.refresh();
    let device: Device = serde_json::from_str(r#"{"name": "edge", "feeds": ["fortigate"]}"#).unwrap();
    let word = || "bench".to_owned();
    let (actor, action, subject) = (word(), word(), word());
    let audit = Audit { at: engine.now(), actor, action, subject, reason: word(), detail: String::new() };
    let secrets = publisher.make_keys(&device.name, &audit).unwrap();
    submit(&engine, Cause::Manual, Change::Publish(Output::Device(device))).await;
    let desk = Desk::new(&publisher);
    let routed = async || Response::new(Body::full(Bytes::from_static(FIXED)));
    let (anybody, checks) = (Demand::Nothing, Demand::Of(Right::Check));
    let routes = Blacklist::routes().with_state(Blacklist::new(engine.clone()));
    let routes = routes.get("/routed", checks, routed, "What the router costs.");
    let app = App::new(Role::Blacklist, routes.merge(Desk::routes().with_state(Arc::clone(&desk))), &metrics)
        .fast(CHECK, checks, move |request, ip, _| answer_check(&engine, request, ip))
        .fast("/fixed", anybody, |_, _, _| Some(Response::new(Body::full(Bytes::from_static(FIXED)))))
        .fast("/feed", anybody, |_, _, _| Some(Response::new(Body::full(FEED.clone()))));
    let loopback = [([127, 0, 0, 1].into(), [127, 0, 0, 1].into())].into_iter().collect();
    let guard = Guard::new("bench", Access { open: loopback, ..Access::default() });
    (Arc::new(desk.fast(app).guard(guard)), secrets)
}

/// A million listed addresses.
async fn blacklist() -> Engine {
    let folder = std::env::var_os("IRONLIST_BENCH_FOLDER").unwrap();
    let engine = Engine::open(Options::new(Medium::folder(folder))).unwrap();
    let mut rows = RowsBuilder::default();
    let detail = Detail::default();
    listed().for_each(|address| rows.push(IpRange::V4(Range::single(address.to_bits())), &detail));
    let change =
        Change::List { source: "bench".parse().unwrap(), rows: rows.finish().0, scope: Scope::Whole };
    submit(&engine, Cause::Import, change).await;
    engine
}

async fn submit(engine: &Engine, cause: Cause, change: Change) {
    let (actor, reason) = ("bench".to_owned(), String::new());
    engine.submit(Batch { id: uuid::Uuid::now_v7(), actor, reason, cause, change }).await.unwrap();
}
