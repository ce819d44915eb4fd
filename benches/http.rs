//! What an answer costs the server, against a bare hyper server (and nginx, where it is installed).
//!
//! Each server is a process of its own on one core; 64 kept-alive connections ask it from the other. Its
//! CPU time divided by the answers is the figure that holds still; requests a second are not. Rounds are
//! interleaved and the median is printed, with its ratio to the bare server's fixed answer.
//!
//! `cargo bench --bench http [-- --smoke]`; to add a case, add a line to [`CASES`].

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends where it fails, and prints")]

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use ironlist::web::listener::{Limits, Listener, serve};
use ironlist::web::metrics::Metrics;
use ironlist::web::{App, Body, Response, Role};
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

/// A request to a server, `pipelined` times in one packet.
struct Case {
    name: &'static str,
    server: &'static str,
    path: &'static str,
    pipelined: usize,
    requests: usize,
}

const fn case(name: &'static str, server: &'static str, path: &'static str) -> Case {
    Case { name, server, path, pipelined: 1, requests: 40_000 }
}

const fn pipelined(name: &'static str, server: &'static str) -> Case {
    Case { name, server, path: "/fixed", pipelined: 16, requests: 160_000 }
}

const fn feed(name: &'static str, server: &'static str) -> Case {
    Case { name, server, path: "/feed", pipelined: 1, requests: 192 }
}

/// The first case is what all others are compared with.
const CASES: &[Case] = &[
    case("bare hyper, fixed", "bare", "/fixed"),
    case("ironlist, fixed", "ironlist", "/fixed"),
    case("ironlist, routed", "ironlist", "/routed"),
    case("nginx, return 200", "nginx", "/fixed"),
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
    let (rounds, divisor) = if smoke { (1, 100) } else { (7, 1) };
    let mut servers: Vec<Server> =
        ["bare", "ironlist", "nginx"].into_iter().filter_map(Server::start).collect();
    let mut micros = vec![Vec::new(); CASES.len()];
    for _ in 0..rounds {
        for (case, micros) in CASES.iter().zip(&mut micros) {
            if let Some(server) = servers.iter_mut().find(|server| server.name == case.server) {
                micros.push(measure(server, case, (case.requests / divisor).max(CONNECTIONS)));
            }
        }
    }
    report(&mut micros);
}

fn report(micros: &mut [Vec<f64>]) {
    let mut base = None;
    println!("{:34} {:>12} {:>8}", "", "µs CPU", "ratio");
    for (case, micros) in CASES.iter().zip(micros) {
        micros.sort_by(f64::total_cmp);
        let Some(median) = micros.get(micros.len() / 2) else { continue };
        println!("{:34} {median:12.2} {:8.2}", case.name, median / *base.get_or_insert(*median));
    }
}

/// CPU time of the server for one answer, in microseconds.
fn measure(server: &Server, case: &Case, requests: usize) -> f64 {
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", case.path).repeat(case.pipelined);
    let mut streams: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    let mut buffer = vec![0; 1 << 18];
    streams[0].write_all(request.as_bytes()).unwrap();
    let length = answer_length(&mut streams[0], case.pipelined, &mut buffer);
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

/// Reads the first answers whole; those that follow are as long.
fn answer_length(stream: &mut TcpStream, pipelined: usize, buffer: &mut [u8]) -> usize {
    let mut head = stream.read(buffer).unwrap();
    let end = loop {
        match buffer[..head].windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => head += stream.read(&mut buffer[head..]).unwrap(),
        }
    };
    let text = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{text}");
    let length = text.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
    let whole = (end + length.parse::<usize>().unwrap()) * pipelined;
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
    child: Child,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    fn start(name: &'static str) -> Option<Self> {
        if name == "nginx" { Self::nginx() } else { Some(Self::own(name)) }
    }

    fn own(name: &'static str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = pinned(program.to_str().unwrap())
            .args(["--server", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { name, port: line.trim().parse().unwrap(), child, _folder: None }
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
        Some(Self { name: "nginx", port, child, _folder: Some(folder) })
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

/// Serves until standard input ends, with the port as the first line of output.
fn run_server(name: &str) {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        // On a worker as in the program, not on the thread that blocks here.
        let served = match name {
            "bare" => tokio::spawn(bare(listener)),
            _ => tokio::spawn(serve(
                Listener::Tcp(listener),
                application(),
                Limits::default(),
                std::future::pending(),
            )),
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
            let body = if request.uri().path() == "/feed" { FEED.clone() } else { Bytes::from_static(FIXED) };
            Ok::<_, Infallible>(hyper::Response::new(Full::new(body)))
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
        );
    }
}

/// The same answers through everything that every request passes.
fn application() -> Arc<App> {
    let metrics = Arc::new(Metrics::new());
    let routed = axum::routing::get(async || Response::new(Body::full(Bytes::from_static(FIXED))));
    let app = App::new(Role::Blacklist, axum::Router::new().route("/routed", routed), &metrics)
        .fast("/fixed", |_, _| Some(Response::new(Body::full(Bytes::from_static(FIXED)))))
        .fast("/feed", |_, _| Some(Response::new(Body::full(FEED.clone()))));
    Arc::new(app)
}
