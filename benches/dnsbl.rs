//! Questions a second to the DNS list and to rbldnsd, each with one core to itself and the same data: half of what is
//! asked is listed. The load has the other core, in a process of its own.
//!
//! `cargo bench --bench dnsbl` for 1,000,000 entries; `-- --smoke` for a few. It needs Debian's rbldnsd, and taskset.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

mod support;

use ironlist::addr::{IpSet, Range, RangeSet};
use ironlist::model::{Document, Format, Lines, Time};
use ironlist::publish::formats::{Sheet, write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Questions that wait for their answers at once.
const UNDER_WAY: usize = 64;
const TARGET: f64 = 0.8;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--load") {
        return load(&arguments[at + 1], &arguments[at + 2], &arguments[at + 3]);
    }
    let smoke = arguments.iter().any(|argument| argument == "--smoke" || argument == "--test");
    let (entries, rounds, millis) = if smoke { (2_000, 1, 200) } else { (1_000_000, 7, 2_000) };
    let folder = tempfile::tempdir().expect("a folder for the data");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("its owner");
    fill(folder.path(), entries);
    let servers = [("ironlist", ironlist(folder.path())), ("rbldnsd", rbldnsd(folder.path()))];
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for ((_, server), rates) in servers.iter().zip(&mut rates) {
            rates.push(server.rate(folder.path(), millis));
        }
    }
    let [ours, theirs] = rates.map(support::median);
    println!("{entries} entries, questions a second, medians of {rounds}:");
    println!("  ironlist {ours:9.0}\n  rbldnsd  {theirs:9.0}");
    println!("  ratio    {:9.2}   target {TARGET}", ours / theirs);
}

/// The same list for both, and addresses to ask for: half of them inside.
fn fill(folder: &Path, entries: usize) {
    let prefixes = support::clustered4(entries, 7).into_iter().map(|(range, _)| range);
    // Broader ones would be held until a person consents.
    let ranges: Vec<Range<u32>> = prefixes.filter(|range| range.size() <= 256).collect();
    let mut random = fastrand::Rng::with_seed(8);
    let mut ask = Vec::new();
    for _ in 0..100_000 {
        let inside = support::inside4(ranges[random.usize(..ranges.len())], &mut random);
        ask.extend([inside, random.u32(1 << 24..0xe000_0000)]);
    }
    let bytes: Vec<u8> = ask.iter().flat_map(|address| address.to_be_bytes()).collect();
    std::fs::write(folder.join("ask"), bytes).expect("room for the addresses");
    let text: String = ranges.iter().map(|range| format!("{range}\n")).collect();
    std::fs::write(folder.join("list.txt"), text).expect("room for the list");
    let selection = IpSet { v4: ranges.into_iter().collect(), v6: RangeSet::EMPTY };
    let (time, lines) = (Time::from_unix(1_790_000_000), Lines::Cidrs);
    let sheet = Sheet { feed: "bench", generation: 1, time, lines, selection: &selection, entries: None };
    let mut zone = std::fs::File::create(folder.join("zone")).expect("room for the zone");
    write(Document::List(Format::Rbldnsd), &sheet, &mut zone).expect("a zone");
}

/// A server on the first core.
struct Server {
    child: Child,
    address: SocketAddr,
}

fn on_core(core: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core, program]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn free() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.local_addr().expect("a port")
}

fn ironlist(folder: &Path) -> Server {
    let address = free();
    let mut command = on_core("0", env!("CARGO_BIN_EXE_ironlist"));
    command.arg("serve").arg("--import").arg(folder.join("list.txt"));
    command.env("IRONLIST_DATA", folder.join("data")).env("IRONLIST_DNSBL_LISTEN", address.to_string());
    command.env("IRONLIST_DNSBL_ZONE", "bl.test");
    for role in ["COLLECTION", "BLACKLIST", "ANALYTICS", "GATEWAY"] {
        command.env(format!("IRONLIST_LISTEN_{role}"), "127.0.0.1:0");
    }
    Server::start(command, address)
}

fn rbldnsd(folder: &Path) -> Server {
    let address = free();
    let mut command = on_core("0", "rbldnsd");
    command.arg("-n").arg("-b").arg(format!("{}/{}", address.ip(), address.port())).arg("-w").arg(folder);
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    command.arg("bl.test:combined:zone");
    Server::start(command, address)
}

impl Server {
    fn start(mut command: Command, address: SocketAddr) -> Self {
        let child = command.spawn().expect("taskset and the server are installed");
        let server = Self { child, address };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
        let begin = Instant::now();
        let (question, mut answer) = (question(Ipv4Addr::new(127, 0, 0, 2)), [0; 512]);
        while begin.elapsed() < Duration::from_secs(120) {
            let _ = socket.send_to(&question, address);
            if socket.recv(&mut answer).is_ok() && answer[7] == 1 {
                return server;
            }
        }
        panic!("{address} does not answer");
    }

    /// Questions a second that it answers to a load on the other core.
    fn rate(&self, folder: &Path, millis: u64) -> f64 {
        let this = std::env::current_exe().expect("a path");
        let mut load = on_core("1", &this.display().to_string());
        load.args(["--load", &self.address.to_string()]).arg(folder.join("ask")).arg(millis.to_string());
        let output = load.stdout(Stdio::piped()).output().expect("a load");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a rate")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for some time, and prints how many answers came a second. A question that is lost is made up for.
fn load(server: &str, file: &str, millis: &str) {
    let bytes = std::fs::read(file).expect("addresses");
    let addresses = bytes.as_chunks::<4>().0.iter().map(|bytes| Ipv4Addr::from(*bytes));
    let questions: Vec<Vec<u8>> = addresses.map(question).collect();
    let mut questions = questions.iter().cycle();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.connect(server).expect("an address");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
    let mut send = |count: usize| {
        questions.by_ref().take(count).for_each(|question| drop(socket.send(question)));
    };
    let time = Duration::from_millis(millis.parse().expect("a number"));
    let (begin, mut answers, mut answer) = (Instant::now(), 0_u64, [0; 512]);
    send(UNDER_WAY);
    while begin.elapsed() < time {
        match socket.recv(&mut answer) {
            Ok(_) => {
                answers += 1;
                send(1);
            }
            Err(_) => send(UNDER_WAY),
        }
    }
    println!("{}", answers as f64 / begin.elapsed().as_secs_f64());
}

/// The question for the A record of an address in the zone `bl.test`.
fn question(address: Ipv4Addr) -> Vec<u8> {
    let mut question = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let octets = address.octets().map(|octet| octet.to_string());
    for label in octets.iter().rev().map(String::as_str).chain(["bl", "test"]) {
        question.push(label.len() as u8);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    question
}
