//! A server of lists that behaves as told: well, or in one of the ways real ones do not.
//!
//! Real HTTP over a socket of the loopback, written byte by byte so that every lie can be told. It
//! runs in threads of its own, so both blocking tests and those of an async runtime can use it.

#![allow(dead_code, reason = "each test binary that includes it uses its part")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The bytes in gzip.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// The bytes as the only file of a zip archive.
pub(crate) fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut packer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    packer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap().into_inner()
}

/// What a path answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    manner: Manner,
}

/// How the body is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// Whole, with its length.
    Whole,
    /// Whole, in chunks without a length.
    Chunked,
    /// This many bytes more are announced than sent.
    Short(usize),
    /// In chunks, the last of which never comes.
    CutChunks,
    /// A byte at a time with this pause between.
    Dripping(Duration),
    /// Again and again for as long as anybody takes it.
    Endless,
    /// Nothing at all, not even a status.
    Silent,
}

impl Answer {
    /// A list with status 200.
    pub(crate) fn list(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), manner: Manner::Whole }
    }

    /// An empty body with this status.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::list("") }
    }

    /// A redirect.
    pub(crate) fn redirect(location: &str) -> Self {
        Self::status(302).header("Location", location)
    }

    /// The web page that servers send in place of a list, with status 200.
    pub(crate) fn page() -> Self {
        Self::list("\n<!DOCTYPE html>\n<html><body>Please log in. 192.0.2.1</body></html>\n")
            .header("Content-Type", "text/html; charset=utf-8")
    }

    /// One more header. `ETag` and `Last-Modified` also make the server answer 304 to who has it.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Packed for the transfer.
    pub(crate) fn gzipped(self) -> Self {
        let body = gzip(&self.body);
        Self { body, ..self }.header("Content-Encoding", "gzip")
    }

    /// Without the last `count` bytes of its body, and nothing else tells.
    pub(crate) fn cut_by(mut self, count: usize) -> Self {
        self.body.truncate(self.body.len() - count);
        self
    }

    /// Without a length, in chunks.
    pub(crate) fn chunked(self) -> Self {
        Self { manner: Manner::Chunked, ..self }
    }

    /// Announces `more` bytes than it sends.
    pub(crate) fn short_by(self, more: usize) -> Self {
        Self { manner: Manner::Short(more), ..self }
    }

    /// Hangs up between two chunks.
    pub(crate) fn cut_between_chunks(self) -> Self {
        Self { manner: Manner::CutChunks, ..self }
    }

    /// A byte at a time.
    pub(crate) fn dripping(self, pause: Duration) -> Self {
        Self { manner: Manner::Dripping(pause), ..self }
    }

    /// Never ends.
    pub(crate) fn endless(self) -> Self {
        Self { manner: Manner::Endless, ..self }
    }

    /// Takes the request and hangs up.
    pub(crate) fn silence() -> Self {
        Self { manner: Manner::Silent, ..Self::status(200) }
    }

    fn head(&self, length: Option<usize>) -> String {
        let mut head = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match length {
            Some(length) => head + &format!("Content-Length: {length}\r\n\r\n"),
            None => head + "Transfer-Encoding: chunked\r\n\r\n",
        }
    }

    fn is_known_to(&self, request: &Request) -> bool {
        let same = |mine: &str, theirs: &str| {
            let own = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(mine));
            own.is_some_and(|(_, value)| request.header(theirs) == Some(value))
        };
        match request.header("if-none-match") {
            Some(_) => same("etag", "if-none-match"),
            None => same("last-modified", "if-modified-since"),
        }
    }

    fn send(&self, to: &mut TcpStream) -> std::io::Result<()> {
        let (body, length) = (&self.body, self.body.len());
        match self.manner {
            Manner::Silent => Ok(()),
            Manner::Whole => to.write_all(&[self.head(Some(length)).as_bytes(), body].concat()),
            Manner::Short(more) => to.write_all(&[self.head(Some(length + more)).as_bytes(), body].concat()),
            Manner::Chunked | Manner::CutChunks => {
                to.write_all(self.head(None).as_bytes())?;
                for chunk in body.chunks(1000) {
                    write!(to, "{:x}\r\n", chunk.len())?;
                    to.write_all(&[chunk, b"\r\n"].concat())?;
                }
                if self.manner == Manner::Chunked { to.write_all(b"0\r\n\r\n") } else { Ok(()) }
            }
            Manner::Dripping(pause) => {
                to.write_all(self.head(Some(length)).as_bytes())?;
                body.iter().try_for_each(|byte| {
                    thread::sleep(pause);
                    to.write_all(&[*byte])
                })
            }
            Manner::Endless => {
                to.write_all(self.head(None).as_bytes())?;
                loop {
                    write!(to, "{length:x}\r\n")?;
                    to.write_all(&[body, &b"\r\n"[..]].concat())?;
                }
            }
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The target: path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&String> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.take(64 << 10)).lines().map_while(Result::ok);
        let target = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect();
        Some(Self { target, headers })
    }
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, Answer>,
    requests: Vec<Request>,
}

/// A running server; it ends with the test's process.
#[derive(Clone)]
pub(crate) struct FeedServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FeedServer {
    /// A server at a free port of the loopback that knows no path yet.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = server.state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                thread::spawn(move || converse(stream, &state));
            }
        });
        server
    }

    /// What `path` answers from now on.
    pub(crate) fn serve(&self, path: &str, answer: Answer) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// The URL of a path, by the server's address.
    pub(crate) fn url(&self, path: &str) -> String {
        self.url_by_name("127.0.0.1", path)
    }

    /// The URL of a path, by a name that leads to the server.
    pub(crate) fn url_by_name(&self, name: &str, path: &str) -> String {
        format!("http://{name}:{}{path}", self.port())
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }
}

fn converse(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(request) = Request::read(&stream) else {
        // The beginning of TLS, mostly.
        let _ = Answer::status(400).send(&mut stream);
        return;
    };
    let path = request.target.split('?').next().unwrap_or_default().to_owned();
    let mut known = state.lock().unwrap();
    let answer = known.answers.get(&path).cloned().unwrap_or(Answer::status(404));
    let answer = match answer.is_known_to(&request) {
        true => Answer { status: 304, body: Vec::new(), manner: Manner::Whole, ..answer },
        false => answer,
    };
    known.requests.push(request);
    drop(known);
    // Whoever has had enough hangs up.
    let _ = answer.send(&mut stream);
}
