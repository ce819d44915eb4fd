//! The service as a whole: from its start to `/ready`, after an orderly stop and after kill -9, and the memory it
//! holds.
//!
//! `cargo bench --bench start` for 1,000,000 entries; `-- 10000000` for another count; `-- --smoke` for a few.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

mod support;

use ironlist::addr::Range;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time after which the writer has settled and the allocator has given back what it does not need.
const QUIET: Duration = Duration::from_secs(4);
const ROLES: [&str; 4] = ["COLLECTION", "BLACKLIST", "ANALYTICS", "GATEWAY"];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let smoke = arguments.iter().any(|a| a == "--smoke" || a == "--test");
    let entries =
        arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(if smoke { 5_000 } else { 1_000_000 });
    let (rounds, quiet) = if smoke { (1, Duration::from_millis(100)) } else { (5, QUIET) };
    let folder = tempfile::tempdir().expect("a folder for the data");
    fill(folder.path(), entries);
    let (mut orderly, mut killed, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    // The first start after an import finds everything written down; the rounds after it come in pairs.
    Service::start(folder.path()).0.stop();
    for _ in 0..rounds {
        let (service, ready) = Service::start(folder.path());
        orderly.push(ready.as_millis());
        std::thread::sleep(quiet);
        resident.push(service.resident() >> 20);
        service.kill();
        let (service, ready) = Service::start(folder.path());
        killed.push(ready.as_millis());
        service.stop();
    }
    println!("{entries} entries, medians of {rounds}:");
    println!("  start to /ready after a stop     {:5} ms", median(orderly));
    println!("  start to /ready after kill -9    {:5} ms", median(killed));
    println!("  resident                         {:5} MB", median(resident));
}

/// The generator's prefixes in no order, imported.
fn fill(folder: &Path, entries: usize) {
    let mut ranges: Vec<Range<u32>> =
        support::clustered4(entries, 7).into_iter().map(|(range, _)| range).collect();
    fastrand::Rng::with_seed(8).shuffle(&mut ranges);
    let mut text = String::new();
    for range in ranges {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{range}");
    }
    let list = folder.join("list.txt");
    std::fs::write(&list, text).expect("room for the list");
    let status =
        ironlist(folder).args(["import", "--source", "bench"]).arg(&list).stdout(Stdio::null()).status();
    assert!(status.expect("the program runs").success(), "the import");
}

fn ironlist(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ironlist"));
    command.env("IRONLIST_DATA", folder.join("data")).stderr(Stdio::null());
    command
}

struct Service(Child);

impl Service {
    /// Starts the service, and says how long it took until all roles were ready.
    fn start(folder: &Path) -> (Self, Duration) {
        let addresses = ROLES.map(|_| free());
        let mut command = ironlist(folder);
        command.arg("serve").stdout(Stdio::null());
        for (role, address) in ROLES.iter().zip(&addresses) {
            command.env(format!("IRONLIST_LISTEN_{role}"), address.to_string());
        }
        let begin = Instant::now();
        let service = Self(command.spawn().expect("the program runs"));
        while !addresses.iter().all(is_ready) {
            assert!(begin.elapsed() < Duration::from_secs(60), "the service is not ready within a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
        (service, begin.elapsed())
    }

    /// Resident bytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0 kB");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) << 10
    }

    fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }

    fn stop(mut self) {
        let id = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().expect("a program that signals");
        self.0.wait().expect("it ends");
    }
}

/// A port that nobody listens on just now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

fn is_ready(address: &SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}
