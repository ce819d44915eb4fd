//! Requests that two programs could read differently, sent to the real gateway before a role that keeps to the letter:
//! each is refused, or arrives exactly once and as one request, and nobody gets the answer to another's.

use super::house::{House, Plan};
use super::http::connect;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the role behind the gateway has read.
#[derive(Clone, Default)]
pub(crate) struct Echo(Arc<Mutex<Vec<Seen>>>);

/// A request as a reader sees it that takes nothing but what RFC 9112 lets one send.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    target: String,
    pub(crate) body: Vec<u8>,
}

impl Echo {
    pub(crate) fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, echo) = (listener.local_addr().unwrap(), Self::default());
        let answering = echo.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let echo = answering.clone();
                std::thread::spawn(move || echo.answer(stream));
            }
        });
        (echo, address)
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        loop {
            match strict(&bytes) {
                Ok(Some((method, seen, length))) => {
                    bytes.drain(..length);
                    let body = document(&seen);
                    self.0.lock().unwrap().push(seen);
                    let body_sent = if method == "HEAD" { "" } else { &body };
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body_sent}", body.len());
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
                Ok(None) => {
                    let mut more = [0; 4096];
                    match stream.read(&mut more) {
                        // Half a request at the end of a connection is one that was given up.
                        Ok(0) | Err(_) => return,
                        Ok(read) => bytes.extend_from_slice(&more[..read]),
                    }
                }
                Err(why) => {
                    let target = format!("not a request: {why}: {:?}", String::from_utf8_lossy(&bytes));
                    self.0.lock().unwrap().push(Seen { target, body: Vec::new() });
                    return;
                }
            }
        }
    }

    /// What has arrived of a case.
    pub(crate) fn of(&self, case: &str) -> Vec<Seen> {
        let seen = self.0.lock().unwrap();
        seen.iter().filter(|seen| seen.target.contains(case)).cloned().collect()
    }
}

/// Health for whoever looks after it, and for all others what was asked.
fn document(seen: &Seen) -> String {
    match seen.target.as_str() {
        "/health" | "/ready" => concat!(
            r#"{"status":"healthy","service":"blacklist","timestamp":"2026-01-01T00:00:00Z","#,
            r#""version":"0","checks":{}}"#
        )
        .to_owned(),
        target => format!("<<{target} {}>>", String::from_utf8_lossy(&seen.body)),
    }
}

/// Method, request and length of the first request in `bytes`; none: it is not whole.
fn strict(bytes: &[u8]) -> Result<Option<(String, Seen, usize)>, &'static str> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > 100_000 { Err("a head without end") } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text")?;
    if head.replace("\r\n", "").contains(|c: char| c.is_control()) {
        return Err("a control character");
    }
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return Err("a request line") };
    let (mut length, mut chunked, mut hosts) = (None, false, 0);
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("a header")?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err("a header's name");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" if length.is_none() => {
                length = Some(value.parse::<usize>().map_err(|_| "a length")?);
            }
            "content-length" => return Err("two lengths"),
            "transfer-encoding" if value == "chunked" && !chunked => chunked = true,
            "transfer-encoding" => return Err("a transfer coding"),
            _ => {}
        }
    }
    if hosts != 1 || (chunked && length.is_some()) {
        return Err("hosts, or two framings");
    }
    let (body, used) = match (chunked, &bytes[end + 4..]) {
        (true, rest) => match chunks(rest)? {
            Some(whole) => whole,
            None => return Ok(None),
        },
        (false, rest) => match rest.get(..length.unwrap_or(0)) {
            Some(body) => (body.to_vec(), body.len()),
            None => return Ok(None),
        },
    };
    let seen = Seen { target: target.to_owned(), body };
    Ok(Some((method.to_owned(), seen, end + 4 + used)))
}

fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&bytes[at..at + end]).map_err(|_| "a chunk's size")?;
        if size.is_empty() || !size.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err("a chunk's size");
        }
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk's size")?;
        at += end + 2;
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk's end");
        }
        if size == 0 {
            return Ok(Some((body, at + 2)));
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

/// What must become of a case.
#[derive(Clone, Debug)]
enum Fate {
    /// Nothing of it arrives.
    Refused,
    /// It arrives with this body.
    Arrives(&'static str),
}
use Fate::{Arrives, Refused};

/// What stands where one reader sees a body and another the next request.
const HIDDEN: &str = "GET /api/v1/blacklist/hidden-CASE HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A POST with these headers and this body; CASE stands for the number of the case, HIDDEN for what is hidden.
fn post(headers: &str, body: &str) -> String {
    format!("POST /api/v1/blacklist/search?case-CASE HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}")
}

/// A body that ends at once for who reads chunks, and hides a request for who reads a length.
fn ends_at_once() -> String {
    format!("0\r\n\r\n{HIDDEN}")
}

/// Headers that frame a body in two ways, or in none that is known.
const FRAMINGS: &[&str] = &[
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    " Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: \0chunked",
    "Transfer-Encoding\n: chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: , chunked",
    "Transfer-Encoding: chunked chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: chunked\r\n\tx",
    "Transfer-Encoding:",
    "Content-Length: 5, 5",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5\r\nContent-Length: 0",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 0x5",
    "Content-Length: 5x",
    "Content-Length: 5;",
    "Content-Length: 5.0",
    "Content-Length: 5 5",
    "Content-Length:",
    "Content-Length: \u{b}5",
    "Content-Length: 99999999999999999999",
    "Content-Length : 5",
    " Content-Length: 5",
    "Content-Length: 5\r\n 5",
    "Content-Length\0: 5",
    "Content-Length: 5\r\nX\r: y",
    "Content-Length: 5\r\nX: a\rb",
    "Content-Length: 5\r\nX: a\0b",
    "Content-Length: 5\r\nno colon",
    "Content-Length: 5\r\n: no name",
    "Content-Length: 5\r\nConnection: content-length",
    "Transfer-Encoding: chunked\r\nConnection: transfer-encoding",
    "Content-Length: 5\r\nHost: other",
];

/// Bodies in chunks that are none.
const CHUNKS: &[&str] = &[
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "5 5\r\nhello\r\n0\r\n\r\n",
    "g\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5\rX\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\n\r\n",
    "5\r\nhello\r\n0\r\nX\0: y\r\n\r\n",
];

/// Beginnings that are none of a request.
const BEGINNINGS: &[&str] = &[
    "GET  /api/v1/blacklist/x-CASE HTTP/1.1",
    "GET /api/v1/blacklist/x-CASE  HTTP/1.1",
    "GET /api/v1/blacklist/x-CASE y HTTP/1.1",
    "GET\t/api/v1/blacklist/x-CASE HTTP/1.1",
    "GET /api/v1/blacklist/x-CASE\tHTTP/1.1",
    "GET /api/v1/blacklist/x-CASE HTTP/1.1\rX: y",
    "GET /api/v1/blacklist/x-CASE HTTP/1.2",
    "GET /api/v1/blacklist/x-CASE HTTP/2.0",
    "GET /api/v1/blacklist/x-CASE HTTP/01.1",
    "GET /api/v1/blacklist/x-CASE http/1.1",
    "GET /api/v1/blacklist/x-CASE HTTP/1.1 ",
    "GET /api/v1/blacklist/x-CASE",
    "G:T /api/v1/blacklist/x-CASE HTTP/1.1",
    "GET /api/v1/blacklist/../x-CASE HTTP/1.1",
    "GET /api/v1/blacklist/%2e%2e/x-CASE HTTP/1.1",
    "GET /api/v1/blacklist/..\\x-CASE HTTP/1.1",
    "GET /api/v1/blacklist/x-CASE%0d%0aX:y HTTP/1.1",
    "GET /api/v1/blacklist/x-CASE\0 HTTP/1.1",
    "GET http://other/api/v1/blacklist/x-CASE HTTP/1.1",
    "CONNECT localhost:80 HTTP/1.1",
    "TRACE /api/v1/blacklist/x-CASE HTTP/1.1",
];

fn cases() -> Vec<(String, Fate)> {
    let two = |first: &str, second: &str| format!("{first}\r\n{second}\r\n");
    let mut cases: Vec<(String, Fate)> = FRAMINGS
        .iter()
        .map(|headers| (post(&format!("{headers}\r\n"), &format!("hello{}", ends_at_once())), Refused))
        .chain(FRAMINGS[..23].iter().map(|headers| {
            // The same beside a length, which somebody might read instead.
            (post(&two("Content-Length: 5", headers), &ends_at_once()), Refused)
        }))
        .collect();
    let chunked = "Transfer-Encoding: chunked\r\n";
    // What has begun may have arrived by half, which is no request.
    cases.extend(CHUNKS.iter().map(|body| (post(chunked, &format!("{body}{HIDDEN}")), Refused)));
    cases.extend(BEGINNINGS.iter().map(|line| {
        (format!("{line}\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len()), Refused)
    }));
    let length = |body: &str| format!("Content-Length: {}", body.len());
    let cl_te = two(&length(&ends_at_once()), "Transfer-Encoding: chunked");
    let te_cl = two("Transfer-Encoding: chunked", &length(&ends_at_once()));
    let hidden_chunk = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    cases.extend([
        // RFC 9112, 6.3: chunked counts, and the connection ends there.
        (post(&cl_te, &ends_at_once()), Arrives("")),
        (post(&te_cl, &ends_at_once()), Arrives("")),
        (post(&two("Content-Length: 4", "Transfer-Encoding: chunked"), &hidden_chunk), Arrives(HIDDEN)),
        // What is good is passed on as what it is.
        (post("Content-Length: 5\r\n", "hello"), Arrives("hello")),
        (post("Content-Length: 05\r\n", "hello"), Arrives("hello")),
        (post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), Arrives("hello")),
        (post(&format!("{}\r\n", length(HIDDEN)), HIDDEN), Arrives(HIDDEN)),
        (post("Transfer-Encoding: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"), Arrives("hello")),
        (post("Transfer-Encoding:\tchunked \r\n", "5\r\nhello\r\n0\r\n\r\n"), Arrives("hello")),
        (post(chunked, "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"), Arrives("hello")),
        (post(chunked, "00005\r\nhello\r\n000\r\n\r\n"), Arrives("hello")),
        (post(chunked, "5\r\nhello\r\n0\r\nContent-Length: 9\r\nX: y\r\n\r\n"), Arrives("hello")),
        (post("Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"), Arrives("hello")),
        (post("Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n", "hello"), Arrives("hello")),
        (post("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", "hello"), Arrives("hello")),
        (post("Content-Length: 5\r\n", "hello").replace("\r\n", "\n"), Arrives("hello")),
        (format!("\r\n{}", post("Content-Length: 5\r\n", "hello")), Arrives("hello")),
        (post(&format!("{}\r\n", length(HIDDEN)), HIDDEN).replacen("POST", "GET", 1), Arrives(HIDDEN)),
        (post("", "").replacen("POST", "HEAD", 1), Arrives("")),
        (post("", "").replacen("/api", "http://localhost/api", 1), Arrives("")),
    ]);
    cases
}

/// All that comes until the other side closes, or says nothing for a while.
fn all(mut stream: TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    let (mut text, mut bytes) = (Vec::new(), [0; 8192]);
    loop {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(read) => text.extend_from_slice(&bytes[..read]),
        }
    }
}

/// Sends a case with a request of its own behind it, and says what is wrong with what arrived and was answered.
fn run(house: &House, echo: &Echo, number: usize, raw: &str, fate: &Fate) -> Option<String> {
    // As long as the word it stands for.
    let case = format!("{number:04}");
    let raw = raw.replace("CASE", &case);
    let next = format!("/api/v1/blacklist/next-{case}");
    let mut stream = connect(house.address("gateway")).unwrap();
    // What is refused may be refused before all of it is sent.
    let _ = write!(stream, "{raw}GET {next} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answers = all(stream).unwrap();
    let arrived = echo.of(&format!("-{case}"));
    let is_odd = |seen: &Seen| seen.target.contains("not a request") || seen.target.contains("hidden");
    let own: Vec<&Seen> = arrived.iter().filter(|seen| seen.target != next).collect();
    let is_as_meant = match fate {
        Refused => own.is_empty(),
        Arrives(body) => own.len() == 1 && own[0].body == body.replace("CASE", &case).as_bytes(),
    };
    // Each answer is one to a request that has arrived, in their order.
    let answered: Vec<&str> =
        answers.split("<<").skip(1).map(|answer| answer.split(' ').next().unwrap()).collect();
    let expected = arrived.iter().map(|seen| seen.target.as_str());
    let without_body = usize::from(raw.starts_with("HEAD"));
    let is_answered = answered == expected.skip(without_body).collect::<Vec<_>>();
    // Whoever comes next, over whatever connection lies ready behind the door, gets their own answer.
    let path = format!("/api/v1/blacklist/victim-{number}");
    let victim = house.ask("gateway", "GET", &path, &[], b"").unwrap().ok();
    let is_well = victim.text() == format!("<<{path} >>");
    let is_good = is_as_meant && is_answered && is_well && !arrived.iter().any(is_odd);
    (!is_good).then(|| format!("{fate:?}: {raw:?}\n    arrived: {arrived:?}\n    answered: {answers:?}\n"))
}

#[test]
fn requests_that_can_be_read_in_two_ways_are_refused_or_arrive_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let (echo, address) = Echo::start();
    let house = Plan::new(&folder.path().join("data"))
        .roles("gateway")
        .set("IRONLIST_UPSTREAM_BLACKLIST", &format!("http://{address}"))
        .start();
    let cases: Vec<(usize, (String, Fate))> = cases().into_iter().enumerate().collect();
    assert!(cases.len() > 100, "{}", cases.len());
    let (house, echo) = (&house, &echo);
    let faults: Vec<String> = std::thread::scope(|scope| {
        let workers = cases.chunks(cases.len().div_ceil(8)).map(|part| {
            let run =
                move |(number, (raw, fate)): &(usize, (String, Fate))| run(house, echo, *number, raw, fate);
            scope.spawn(move || part.iter().filter_map(run).collect::<Vec<_>>())
        });
        let workers: Vec<_> = workers.collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}
