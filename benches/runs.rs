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
#[path = "support/lookups.rs"]
mod lookups;

use feed::{Answer, FeedServer};
use house::{House, Plan};
use lookups::{compare, p99, pin};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOURCES: usize = 200;
const LINES: u32 = 5_000;

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
    let address = house.address("blacklist");
    let idle = p99(address, "20.0.0.9", |since| since > quiet);
    let begin = Instant::now();
    let over = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        scope.spawn(|| {
            run_all(&house, sources);
            over.store(true, Ordering::Relaxed);
        });
        p99(address, "20.0.0.9", |_| over.load(Ordering::Relaxed))
    });
    let took = begin.elapsed();
    println!("{sources} sources of {LINES} lines each fetched in {:.1} s", took.as_secs_f64());
    compare(idle, busy);
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
