//! Five times more than can be done: a gateway that may have a fifth of a core, and an open loop of look-ups.
//!
//! The server's control group has a quota of a fifth of its period (`--period MICROSECONDS`, 5,000 where none is said;
//! the 100,000 of containers are worth a look, too). Its capacity is measured first, with 64 connections that ask again
//! as soon as they are answered. Then come rounds: little load (a tenth), five times the capacity, and little again.
//!
//! The loop is open: a request is due at a moment that does not depend on any answer. It goes out on a connection that
//! waits for nothing, or on a new one while there are fewer than `--connections` (128); else it is counted as kept out,
//! since a client that has all its connections waiting is what holding answers back is for. Times run from the moment a
//! request was due. On connections of their own `/health`, and the feed of a million lines as firewalls ask for it that
//! have it already, are asked twenty times a second, and the whole feed (14 MB) once a second.
//!
//! `cargo bench --bench overload [-- [--smoke] [--period N] [--connections N] [--times N]]`, as root, with the older
//! interface of control groups at `/sys/fs/cgroup/cpu` or the newer one at `/sys/fs/cgroup`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends where it fails, and prints")]

#[path = "support/door.rs"]
mod door;

use door::{TARGET, run_server};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEED: &str = "/api/v1/blacklist/fortigate";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--server") {
        return run_server(&arguments[at + 1]);
    }
    let number = |name: &str, usual: usize| {
        let given = arguments.iter().skip_while(|argument| *argument != name).nth(1);
        given.map_or(usual, |given| given.parse().unwrap())
    };
    let (period, connections, times) =
        (number("--period", 5000), number("--connections", 128), number("--times", 5));
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let (rounds, long) = if smoke { (1, Duration::from_millis(300)) } else { (3, Duration::from_secs(4)) };
    let Some(group) = Group::make(period) else { return println!("no control group can be made here") };
    // The blacklist's own port turns nobody away.
    let capacity = capacity(&Server::start(&group, "blacklist"), long);
    let server = Server::start(&group, "shedding");
    println!("a fifth of a core in periods of {period} µs; capacity {capacity:.0} look-ups a second");
    println!(
        "{:22} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>7} {:>7} {:>5}",
        "",
        "offered/s",
        "200/s",
        "p50 ms",
        "p99 ms",
        "503/s",
        "p50 ms",
        "p99 ms",
        "kept out",
        "others",
        "failed",
        "cpu %"
    );
    for _ in 0..rounds {
        for (name, load) in
            [("little", 0.1), ("too much", times as f64), ("at once after", 0.1), ("little", 0.1)]
        {
            let long = if name == "at once after" { long / 8 } else { long };
            let load = Load::new(&server, capacity * load, connections).run(long);
            println!("{:22} {}", name, load.line(long));
        }
    }
}

/// A control group with a fifth of a core, gone when it is dropped.
struct Group(PathBuf);

impl Group {
    fn make(period: usize) -> Option<Self> {
        let (old, new) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let name = format!("ironlist-bench-{}", std::process::id());
        let group = Self(if old.exists() { old } else { new }.join(name));
        std::fs::create_dir(&group.0).ok()?;
        let write = |file: &str, text: String| std::fs::write(group.0.join(file), text).is_ok();
        let is_set = if old.exists() {
            write("cpu.cfs_period_us", period.to_string())
                && write("cpu.cfs_quota_us", (period / 5).to_string())
        } else {
            write("cpu.max", format!("{} {period}", period / 5))
        };
        is_set.then_some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The server is gone a moment after it was told to end.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Server {
    port: u16,
    child: Child,
    /// The question of a firewall that has the feed.
    known_feed: Vec<u8>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// In the group from its first instruction, so that it knows its quota; it loads its list within that, too.
    fn start(group: &Group, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let join = format!("echo $$ > {}/cgroup.procs && exec \"$0\" --server {name}", group.0.display());
        let mut child = Command::new("sh")
            .args(["-c", &join, std::env::current_exe().unwrap().to_str().unwrap()])
            .env("IRONLIST_BENCH_FOLDER", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(' ').next().unwrap().parse().unwrap();
        let mut server = Self { port, child, known_feed: Vec::new(), _folder: folder };
        server.known_feed = server.known_feed();
        server
    }

    fn known_feed(&self) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(format!("HEAD {FEED} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
        let mut head = [0; 4096];
        let read = stream.read(&mut head).unwrap();
        let head = std::str::from_utf8(&head[..read]).unwrap();
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        format!("GET {FEED} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n").into_bytes()
    }

    /// Processor time of all its threads so far, in seconds.
    fn cpu(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().unwrap().parse::<f64>().unwrap_or(0.0)
        };
        tasks.map(nanos).sum::<f64>() / 1e9
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn request(server: &Server, target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", server.port).into_bytes()
}

/// Look-ups a second that are answered when every connection asks as soon as it can. What is turned away is
/// not answered.
fn capacity(server: &Server, long: Duration) -> f64 {
    let mut lines: Vec<Line> = (0..64).map(|_| Line::new(server)).collect();
    let (begun, request) = (Instant::now(), request(server, TARGET));
    let mut answered = 0;
    while begun.elapsed() < long {
        for line in &mut lines {
            match line.poll() {
                Some(status) => answered += u32::from(status == 200),
                None if line.due.is_some() => continue,
                None => {}
            }
            line.send(&request, Instant::now());
        }
    }
    f64::from(answered) / begun.elapsed().as_secs_f64()
}

/// One connection of the loop.
struct Line {
    stream: TcpStream,
    /// When the request was due whose answer is waited for.
    due: Option<Instant>,
    buffer: Vec<u8>,
}

impl Line {
    fn new(server: &Server) -> Self {
        let stream = server.connect();
        stream.set_nonblocking(true).unwrap();
        Self { stream, due: None, buffer: Vec::new() }
    }

    fn send(&mut self, request: &[u8], due: Instant) {
        self.stream.write_all(request).unwrap();
        self.due = Some(due);
    }

    /// The status of the answer, once it is whole; 0 for a connection that was closed.
    fn poll(&mut self) -> Option<u16> {
        self.due?;
        let mut bytes = [0; 1 << 16];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Some(0),
            Ok(read) => self.buffer.extend_from_slice(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(_) => return Some(0),
        }
        let status = whole(&self.buffer)?;
        self.buffer.clear();
        self.due = None;
        Some(status)
    }
}

/// What must be answered whatever the load is.
struct Watched {
    request: Vec<u8>,
    line: Line,
    every: Duration,
    next: Instant,
}

impl Watched {
    fn new(server: &Server, request: Vec<u8>, every: Duration) -> Self {
        Self { request, line: Line::new(server), every, next: Instant::now() }
    }

    fn ask(&mut self, now: Instant) {
        if now >= self.next && self.line.due.is_none() {
            self.next += self.every;
            self.line.send(&self.request, now);
        }
    }
}

/// The status of a whole answer.
fn whole(bytes: &[u8]) -> Option<u16> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    (bytes.len() >= end + length).then(|| head[9..12].parse().unwrap())
}

/// An open loop, and what came of it.
struct Load<'s> {
    server: &'s Server,
    rate: f64,
    most: usize,
    free: Vec<Line>,
    busy: VecDeque<Line>,
    good: Vec<f64>,
    refused: Vec<f64>,
    kept_out: usize,
    offered: usize,
    failed: usize,
    others: Vec<f64>,
    /// Processor seconds that the server took.
    cpu: f64,
}

impl<'s> Load<'s> {
    fn new(server: &'s Server, rate: f64, most: usize) -> Self {
        let (free, busy) = (Vec::new(), VecDeque::new());
        let (good, refused, others) = (Vec::new(), Vec::new(), Vec::new());
        let (kept_out, offered, failed, cpu) = (0, 0, 0, 0.0);
        Self { server, rate, most, free, busy, good, refused, kept_out, offered, failed, others, cpu }
    }

    fn run(mut self, long: Duration) -> Self {
        let (begun, look_up) = (Instant::now(), request(self.server, TARGET));
        let mut watched = [
            Watched::new(self.server, request(self.server, "/health"), Duration::from_millis(50)),
            Watched::new(self.server, self.server.known_feed.clone(), Duration::from_millis(50)),
            Watched::new(self.server, request(self.server, FEED), Duration::from_secs(1)),
        ];
        let before = self.server.cpu();
        loop {
            let now = Instant::now();
            if now - begun >= long {
                break;
            }
            while (self.offered as f64) < (now - begun).as_secs_f64() * self.rate {
                let due = begun + Duration::from_secs_f64(self.offered as f64 / self.rate);
                self.offered += 1;
                self.send(&look_up, due);
            }
            for one in &mut watched {
                one.ask(now);
                self.watch(one);
            }
            self.collect();
        }
        self.cpu = self.server.cpu() - before;
        self.settle(watched);
        self
    }

    fn send(&mut self, request: &[u8], due: Instant) {
        let line = match self.free.pop() {
            Some(line) => Some(line),
            None if self.busy.len() < self.most => Some(Line::new(self.server)),
            None => None,
        };
        match line {
            Some(mut line) => {
                line.send(request, due);
                self.busy.push_back(line);
            }
            None => self.kept_out += 1,
        }
    }

    fn collect(&mut self) {
        for _ in 0..self.busy.len() {
            let Some(mut line) = self.busy.pop_front() else { return };
            let due = line.due;
            match (line.poll(), due) {
                (None, _) => self.busy.push_back(line),
                (Some(status), Some(due)) => {
                    let millis = due.elapsed().as_secs_f64() * 1e3;
                    match status {
                        200 => self.good.push(millis),
                        429 | 503 => self.refused.push(millis),
                        _ => self.failed += 1,
                    }
                    if status != 0 {
                        self.free.push(line);
                    }
                }
                (Some(_), None) => {}
            }
        }
    }

    /// Health and feeds. How long 14 MB take is of less interest than whether they come.
    fn watch(&mut self, one: &mut Watched) {
        let due = one.line.due;
        match (one.line.poll(), due) {
            (Some(200 | 304), Some(due)) if one.every < Duration::from_secs(1) => {
                self.others.push(due.elapsed().as_secs_f64() * 1e3);
            }
            (Some(200) | None, _) => {}
            (Some(_), _) => self.failed += 1,
        }
    }

    /// Takes what still comes within a second; what does not has failed.
    fn settle(&mut self, mut watched: [Watched; 3]) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1)
            && !(self.busy.is_empty() && watched.iter().all(|one| one.line.due.is_none()))
        {
            self.collect();
            watched.iter_mut().for_each(|one| self.watch(one));
        }
        self.failed += self.busy.len() + watched.iter().filter(|one| one.line.due.is_some()).count();
    }

    fn line(mut self, long: Duration) -> String {
        let seconds = long.as_secs_f64();
        let [g50, g99] = [0.5, 0.99].map(|part| quantile(&mut self.good, part));
        let [r50, r99] = [0.5, 0.99].map(|part| quantile(&mut self.refused, part));
        format!(
            "{:9.0} {:8.0} {g50:8.2} {g99:8.2} {:8.0} {r50:8.2} {r99:8.2} {:9.0} {:7.2} {:7} {:5.0}",
            self.rate,
            self.good.len() as f64 / seconds,
            self.refused.len() as f64 / seconds,
            self.kept_out as f64 / seconds,
            quantile(&mut self.others, 0.99),
            self.failed,
            self.cpu / seconds / 0.2 * 100.0
        )
    }
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * part) as usize).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(0.0)
}
