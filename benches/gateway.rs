//! What the door costs: a look-up through the gateway against the blacklist's own port, and through a gateway in a
//! process of its own against nginx as a reverse proxy.
//!
//! Each server is a process of its own on one core; 64 kept-alive connections ask it from the other. Its CPU time
//! divided by the answers is the figure, rounds are interleaved and the median is printed. Limits and their headers are
//! on; nothing is logged, neither here nor by nginx.
//!
//! `cargo bench --bench gateway [-- [--smoke] [--only PART_OF_A_NAME]]`; to add a case, add a line to [`CASES`].

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends where it fails, and prints")]

#[path = "support/door.rs"]
mod door;

use door::{KEY, TARGET, run_server};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A question to a server, and what its cost is compared with.
struct Case {
    name: &'static str,
    server: &'static str,
    shown: Shown,
    against: usize,
    target: f64,
}

/// What is shown for somebody.
#[derive(Clone, Copy)]
enum Shown {
    Nothing,
    /// The installation's key.
    Own,
    /// The key of somebody who may check.
    Key,
    /// A user's access token.
    Token,
}

const fn case(name: &'static str, server: &'static str, shown: Shown, against: usize, target: f64) -> Case {
    Case { name, server, shown, against, target }
}

const CASES: &[Case] = &[
    case("blacklist's own port", "blacklist", Shown::Nothing, 0, 1.0),
    case("the same, with a key", "blacklist", Shown::Key, 0, 0.0),
    case("gateway in one process", "gateway", Shown::Nothing, 0, 1.15),
    case("the same, the installation's key", "gateway", Shown::Own, 0, 1.25),
    case("the same, with a key", "gateway", Shown::Key, 0, 1.25),
    case("the same, with a token", "gateway", Shown::Token, 0, 1.25),
    case("a refusal", "refusing", Shown::Nothing, 0, 0.0),
    case("nginx, proxy_pass", "nginx", Shown::Nothing, 7, 1.0),
    case("gateway to another process", "far", Shown::Nothing, 7, 2.0),
    case("the same, the installation's key", "far", Shown::Own, 7, 0.0),
];

const CONNECTIONS: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--server") {
        return run_server(&arguments[at + 1]);
    }
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let only =
        arguments.iter().skip_while(|argument| *argument != "--only").nth(1).map_or("", String::as_str);
    // Short rounds and many: what the machine does beside it changes within seconds, and so meets all cases alike.
    let (rounds, requests) = if smoke { (1, CONNECTIONS * 4) } else { (35, 8000) };
    let blacklist = Server::own("blacklist", "");
    let gateway = Server::own("gateway", "");
    let refusing = Server::own("refusing", "");
    let far = Server::own("far", &format!("http://127.0.0.1:{}", blacklist.port));
    let nginx = Server::nginx(blacklist.port);
    let servers: Vec<Server> = [blacklist, gateway, refusing, far].into_iter().chain(nginx).collect();
    let mut micros = vec![Vec::new(); CASES.len()];
    for _ in 0..rounds {
        for (case, micros) in CASES.iter().zip(&mut micros) {
            let is_asked = case.name.contains(only) || CASES[case.against].name == case.name;
            if let Some(server) = servers.iter().find(|server| server.name == case.server && is_asked) {
                micros.push(measure(server, case.shown, requests));
            }
        }
    }
    report(&mut micros);
}

fn report(micros: &mut [Vec<f64>]) {
    println!("{:28} {:>8} {:>8} {:>8}", "", "µs CPU", "ratio", "target");
    let medians: Vec<Option<f64>> = micros
        .iter_mut()
        .map(|micros| {
            micros.sort_by(f64::total_cmp);
            micros.get(micros.len() / 2).copied()
        })
        .collect();
    for (case, median) in CASES.iter().zip(&medians) {
        let (Some(median), Some(base)) = (median, medians[case.against]) else { continue };
        let target = if case.target > 0.0 { format!("{:.2}", case.target) } else { String::new() };
        println!("{:28} {median:8.2} {:8.2} {target:>8}", case.name, median / base);
    }
}

/// CPU time of the server for one answer, in microseconds.
fn measure(server: &Server, shown: Shown, requests: usize) -> f64 {
    let shown = match shown {
        Shown::Nothing => "",
        Shown::Own => KEY,
        Shown::Key => &server.key,
        Shown::Token => &server.token,
    };
    let key = if shown.is_empty() { String::new() } else { format!("Authorization: Bearer {shown}\r\n") };
    let request = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost:{}\r\n{key}\r\n", server.port);
    let mut streams: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    let mut buffer = vec![0; 4096];
    let mut turn = |status: &str| {
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            answered(stream, &mut buffer, status);
        }
    };
    // The first one may still be let in where the others are refused.
    turn("");
    let before = server.cpu();
    let turns = requests / CONNECTIONS;
    (0..turns).for_each(|_| turn(server.status));
    (server.cpu() - before).as_secs_f64() * 1e6 / (turns * CONNECTIONS) as f64
}

/// Reads one answer; its length differs with what is left of a limit.
fn answered(stream: &mut TcpStream, buffer: &mut [u8], status: &str) {
    let mut read = 0;
    loop {
        let more = stream.read(&mut buffer[read..]).unwrap();
        assert!(more > 0, "the server closed the connection");
        read += more;
        // The body is one JSON object, and nothing in the head ends so.
        if buffer[..read].ends_with(b"}") {
            assert!(
                buffer[9..].starts_with(status.as_bytes()),
                "{}",
                String::from_utf8_lossy(&buffer[..read])
            );
            return;
        }
    }
}

/// A server in a process of its own, on the first core.
struct Server {
    name: &'static str,
    port: u16,
    key: String,
    token: String,
    /// Of its answers.
    status: &'static str,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    fn own(name: &'static str, upstream: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut child = pinned(program.to_str().unwrap())
            .args(["--server", name])
            .env("IRONLIST_BENCH_FOLDER", folder.path())
            .env("IRONLIST_BENCH_UPSTREAM", upstream)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let [port, key, token] = words.try_into().unwrap();
        let status = if name == "refusing" { "429" } else { "200" };
        Self { name, port: port.parse().unwrap(), key, token, status, child, _folder: folder }
    }

    fn nginx(upstream: u16) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|path| std::fs::exists(path).unwrap())?;
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = folder.path().display().to_string();
        std::fs::write(folder.path().join("nginx.conf"), nginx_configuration(&root, port, upstream)).unwrap();
        let child = pinned(program)
            .args(["-p", &root, "-c", "nginx.conf", "-e", "stderr"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let [key, token] = [String::new(), String::new()];
        Some(Self { name: "nginx", port, key, token, status: "200", child, _folder: folder })
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

fn nginx_configuration(root: &str, port: u16, upstream: u16) -> String {
    format!(
        "daemon off; master_process off; pid {root}/pid; error_log stderr crit; events {{ worker_connections 512; }}
         http {{ access_log off; keepalive_requests 100000000;
           client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root}; uwsgi_temp_path {root}; scgi_temp_path {root};
           upstream blacklist {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
           server {{ listen 127.0.0.1:{port};
             location / {{ proxy_pass http://blacklist; proxy_http_version 1.1; proxy_set_header Connection \"\";
               proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-API-Key {KEY}; }} }} }}"
    )
}
