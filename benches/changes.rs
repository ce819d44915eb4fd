//! Changes of 1,000 entries to a million, one after the other, in the real program: how soon a FortiGate finds each in
//! its feed, and what that does to look-ups meanwhile.
//!
//! `cargo bench --bench changes`; `-- --smoke` for a small one. The feeds are the default one with IPv4, and one with
//! IPv6. The service has one core with all that it does, which is the hardest case for its look-ups.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark ends where it fails, and prints"
)]
#![allow(dead_code, reason = "of what tests share a part is used")]

#[path = "../tests/process/house.rs"]
mod house;
#[path = "../tests/process/http.rs"]
mod http;
#[path = "support/lookups.rs"]
mod lookups;

use house::{House, Plan};
use lookups::{compare, p99, pin};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds from a durable change to its line in the feed.
const TARGET: u128 = 500;

fn main() {
    let smoke = std::env::args().any(|a| a == "--smoke" || a == "--test");
    let (entries, rounds, quiet) = if smoke { (10_000, 2, 1) } else { (1_000_000, 15, 5) };
    let folder = tempfile::tempdir().unwrap();
    let (list, config) = (folder.path().join("list.txt"), folder.path().join("ironlist.toml"));
    std::fs::write(&list, lines(entries)).unwrap();
    std::fs::write(
        &config,
        "[feeds.fortigate]\nformat = \"fortigate\"\nfamilies = \"v4\"\n\
        [feeds.six]\nformat = \"fortigate\"\nfamilies = \"v6\"\n",
    )
    .unwrap();
    pin("0");
    let plan = Plan::new(&folder.path().join("data")).argument("--config").argument(&config);
    let house = plan.argument("--import").argument(&list).start();
    pin("1");
    let idle = p99(house.address("blacklist"), "20.0.0.9", |since| since > Duration::from_secs(quiet));
    let over = AtomicBool::new(false);
    let (mut millis, busy) = std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            let millis: Vec<u128> = (0..rounds).map(|round| change(&house, round)).collect();
            over.store(true, Ordering::Relaxed);
            millis
        });
        let busy = p99(house.address("blacklist"), "20.0.0.9", |_| over.load(Ordering::Relaxed));
        (changes.join().unwrap(), busy)
    });
    millis.sort_unstable();
    println!(
        "1,000 changes to {entries} entries: in the feed after {} ms, median of {rounds}, at most {} ms",
        millis[millis.len() / 2],
        millis[millis.len() - 1]
    );
    println!("target: at most {TARGET} ms");
    compare(idle, busy);
}

/// Addresses of both families that do not join; every hundredth is one of IPv6.
fn lines(count: u32) -> String {
    let mut text = String::new();
    for at in 0..count {
        // Writing to a string does not fail.
        let _ = match at % 100 {
            99 => writeln!(text, "2a00:1::{:x}:{:x}", at >> 16, at & 0xffff),
            _ => writeln!(text, "{}", Ipv4Addr::from_bits((20 << 24) + at * 9)),
        };
    }
    text
}

/// Adds 1,000 addresses, and waits until the feed has the last of them: milliseconds from the answer, which is given when
/// they are durable.
fn change(house: &House, round: u32) -> u128 {
    let first = (50 << 24) + round * 4096;
    let list: String = (0..1000).map(|at| format!("{}\n", Ipv4Addr::from_bits(first + at * 3))).collect();
    let answer = house.post("blacklist", "/api/v1/blacklist/ips/bulk?source=more", "text/plain", list);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let generation = answer.json()["generation"].as_u64().unwrap();
    let durable = Instant::now();
    loop {
        let feed = house.look("blacklist", "/api/v1/feeds/fortigate").ok().json();
        if feed["released"]["generation"].as_u64() >= Some(generation) {
            return durable.elapsed().as_millis();
        }
        assert!(durable.elapsed() < Duration::from_secs(60), "the feed does not follow: {feed}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
