//! Look-ups while 200 sources are fetched at once, 20 at a time: what the one does to the other.
//!
//! `cargo bench --bench runs`; `-- --smoke` for a few. The service has one core, the lists' server and who asks have the
//! other, so that the load does not take what is measured.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark ends where it fails, and prints"
)]
#![allow(dead_code, reason = "of what tests share a part is used")]

#[path = "../tests/fakes/feed.rs"]
mod feed;
#[path = "../tests/process/house.rs"]
mod house;
#[path = "../tests/process/http.rs"]
mod http;

use feed::{Answer, FeedServer};
use house::{House, Plan};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOURCES: usize = 200;
const LINES: u32 = 5_000;
/// Between two look-ups.
const PACE: Duration = Duration::from_micros(500);

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    let (sources, quiet) =
        if smoke { (5, Duration::from_millis(200)) } else { (SOURCES, Duration::from_secs(5)) };
    let server = FeedServer::start();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ironlist.toml");
    std::fs::write(&config, configuration(&server, sources)).unwrap();
    pin("0");
    let house = Plan::new(&folder.path().join("data")).argument("--config").argument(&config).start();
    pin("1");
    let idle = ask_until(&house, |since| since > quiet);
    let begin = Instant::now();
    let over = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        scope.spawn(|| {
            run_all(&house, sources);
            over.store(true, Ordering::Relaxed);
        });
        ask_until(&house, |_| over.load(Ordering::Relaxed))
    });
    let took = begin.elapsed();
    println!("{sources} sources of {LINES} lines each fetched in {:.1} s", took.as_secs_f64());
    println!("look-ups, p99: idle {} µs, meanwhile {} µs", idle.as_micros(), busy.as_micros());
    println!("target: at most {} µs (twice, and 5 ms)", (idle * 2 + Duration::from_millis(5)).as_micros());
}

/// Sources that are fetched when somebody asks for it.
fn configuration(server: &FeedServer, sources: usize) -> String {
    let mut text = format!("[fetch]\nexceptions = [\"127.0.0.0/8\"]\nports = [{}]\n", server.port());
    for n in 0..sources {
        let first = (20 << 24) + n as u32 * LINES * 3;
        let list: String =
            (0..LINES).map(|at| format!("{}\n", std::net::Ipv4Addr::from_bits(first + at * 3))).collect();
        server.serve(&format!("/{n}"), Answer::list(list));
        let url = server.url(&format!("/{n}"));
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "[source.list-{n}]\nkind = \"feed\"\nurl = \"{url}\"\nenabled = false\npolicy = {{ mode = \"snapshot\" }}\n"
        );
    }
    text
}

/// Starts all runs, and waits until they are over.
fn run_all(house: &House, sources: usize) {
    for n in 0..sources {
        let body = json!({"source": format!("list-{n}")}).to_string();
        let answer = house.post("gateway", "/api/v1/collection/trigger", "application/json", body);
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    house::until("all runs end", || {
        std::thread::sleep(Duration::from_millis(200));
        let status =
            house.look("collection", &format!("/api/v1/collection/runs?limit={sources}")).ok().json();
        let runs = status["data"].as_array()?;
        (runs.iter().filter(|run| run["state"] == "done").count() == sources).then_some(())
    });
}

/// The 99th percentile of look-ups, one after the other on one connection, until it is time.
fn ask_until(house: &House, is_time: impl Fn(Duration) -> bool) -> Duration {
    let mut stream = TcpStream::connect(house.address("blacklist")).unwrap();
    stream.set_nodelay(true).unwrap();
    let (begin, mut times, mut buffer) = (Instant::now(), Vec::new(), [0; 1024]);
    while !is_time(begin.elapsed()) {
        let asked = Instant::now();
        stream
            .write_all(b"GET /api/v1/blacklist/check/20.0.0.9 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        assert!(stream.read(&mut buffer).unwrap() > 0, "the service closed the connection");
        times.push(asked.elapsed());
        std::thread::sleep(PACE);
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Binds this thread, and what it starts from now on, to a core, where that can be chosen.
fn pin(core: &str) {
    let id = std::process::id().to_string();
    let quiet = Command::new("taskset").args(["-p", "-c", core, &id]).stdout(Stdio::null()).status();
    if !quiet.is_ok_and(|status| status.success()) {
        println!("cores cannot be chosen here: both sides share them");
    }
}
