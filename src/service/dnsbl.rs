//! The DNS port: questions over UDP and TCP, answered from one feed's released list. It must not know what a question is.
//!
//! Datagrams have threads of their own that share a socket and wait in the kernel: a question costs two system calls and a
//! look-up. They do not stand back for others, as those who make lists do.

use crate::engine::Engine;
use crate::model::OutputName;
use crate::publish::Feeds;
use crate::publish::dnsbl::{Channel, List, Outcome, Zone};
use crate::web::metrics::{Counter, Metrics};
use crate::web::shares::Shares;
use arc_swap::ArcSwapOption;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// So soon a new release is answered from, and the stop is seen.
const TICK: Duration = Duration::from_millis(250);
/// No question is longer, in bytes; what follows is cut off.
const LONGEST: usize = 1500;
/// Connections at once; more wait in the kernel.
const CONNECTIONS: usize = 64;
/// An address may have one in so many of them.
const SHARE: usize = 4;
/// After that no more is answered over a connection: others wait.
const LONGEST_TALK: Duration = Duration::from_secs(120);
/// How long a connection may be idle, or a reader take nothing (RFC 7766, 6.2.3).
const PATIENCE: Duration = Duration::from_secs(10);
/// After an error of a socket, so that a lasting one does not take a processor.
const PAUSE: Duration = Duration::from_millis(50);

/// The two sockets of the port.
#[derive(Debug)]
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Binds both to `address`; port 0 takes one that is free for both.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address)?;
        tcp.set_nonblocking(true)?;
        let udp = UdpSocket::bind(tcp.local_addr()?)?;
        udp.set_read_timeout(Some(TICK))?;
        Ok(Self { udp, tcp })
    }

    /// Where they listen.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }
}

/// Answers questions about one feed.
pub struct Dnsbl {
    engine: Engine,
    feeds: Arc<Feeds>,
    feed: OutputName,
    zone: Zone,
    list: ArcSwapOption<List>,
    counts: [Counter; 5],
}

impl Dnsbl {
    /// About the feed of that name, in `zone`.
    pub fn new(engine: Engine, feeds: Arc<Feeds>, feed: OutputName, zone: Zone, metrics: &Metrics) -> Self {
        // In the order of `Outcome`.
        let outcomes = ["listed", "clear", "refused", "failed", "malformed"];
        let counts = outcomes.map(|outcome| metrics.dnsbl_questions(outcome));
        Self { engine, feeds, feed, zone, list: ArcSwapOption::empty(), counts }
    }

    /// Serves until `stop` is done.
    pub async fn serve(self: Arc<Self>, sockets: Sockets, stop: impl Future<Output = ()>) {
        let stopped = Arc::new(AtomicBool::new(false));
        self.clone().follow().await;
        let threads = self.threads(&sockets.udp, &stopped);
        let connections = Arc::clone(&self).connections(sockets.tcp);
        let follow = async {
            loop {
                tokio::time::sleep(TICK).await;
                Arc::clone(&self).follow().await;
            }
        };
        tokio::select! {
            () = stop => {}
            () = follow => {}
            () = connections => {}
        }
        stopped.store(true, Ordering::Relaxed);
        let ended = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        // Each sees the stop within a tick.
        let _ = tokio::task::spawn_blocking(ended).await;
    }

    /// Makes the list of a new release, aside.
    async fn follow(self: Arc<Self>) {
        let released = self.feeds.get(self.feed.as_str()).and_then(|feed| feed.released());
        let before = self.list.load_full();
        let same = |list: &Arc<List>| released.as_ref().is_some_and(|new| Arc::ptr_eq(new, list.released()));
        if before.as_ref().is_some_and(same) {
            return;
        }
        let Some(released) = released else { return self.list.store(None) };
        let made = tokio::task::spawn_blocking(move || List::new(released, before.as_deref())).await;
        match made {
            Ok(list) => self.list.store(Some(Arc::new(list))),
            Err(error) => tracing::error!(%error, "the DNS list stays as it was"),
        }
    }

    fn threads(
        self: &Arc<Self>,
        socket: &UdpSocket,
        stopped: &Arc<AtomicBool>,
    ) -> Vec<std::thread::JoinHandle<()>> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let start = |_| {
            let (dnsbl, socket, stopped) = (Arc::clone(self), socket.try_clone()?, Arc::clone(stopped));
            let work = move || dnsbl.datagrams(&socket, &stopped);
            std::thread::Builder::new().name("dnsbl".into()).spawn(work)
        };
        let threads: io::Result<Vec<_>> = (0..count).map(start).collect();
        threads.unwrap_or_else(|error| {
            tracing::error!(%error, "nobody answers questions over UDP");
            Vec::new()
        })
    }

    fn datagrams(&self, socket: &UdpSocket, stopped: &AtomicBool) {
        let (mut packet, mut out) = ([0; LONGEST], Vec::with_capacity(LONGEST));
        while !stopped.load(Ordering::Relaxed) {
            match socket.recv_from(&mut packet) {
                Ok((length, from)) => {
                    self.answer(&packet[..length], (from.ip(), Channel::Udp), &mut out);
                    if !out.is_empty() {
                        // Who cannot be reached asks again.
                        let _ = socket.send_to(&out, from);
                    }
                }
                Err(error) if is_tick(&error) => {}
                Err(error) => {
                    tracing::debug!(%error, "a datagram could not be read");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// A panic over a stranger's bytes costs that question.
    fn answer(&self, packet: &[u8], from: (IpAddr, Channel), out: &mut Vec<u8>) -> Outcome {
        let list = self.list.load();
        let why = |address| self.why(address);
        let answer = || self.zone.answer(packet, from, list.as_deref(), why, out);
        let outcome = catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
            tracing::error!(bytes = packet.len(), "a DNS question panicked");
            out.clear();
            Outcome::Failed
        });
        self.counts[outcome as usize].inc();
        outcome
    }

    /// Who lists it, in words.
    fn why(&self, address: IpAddr) -> String {
        let snapshot = self.engine.snapshot();
        let sources: Vec<&str> =
            snapshot.check(address).sources.iter().map(|source| source.as_str()).collect();
        match sources.is_empty() {
            true => format!("{address} is in the feed {}", self.feed),
            false => format!("{address} is listed by {}; feed {}", sources.join(", "), self.feed),
        }
    }

    async fn connections(self: Arc<Self>, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "nobody answers questions over TCP");
                return std::future::pending().await;
            }
        };
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let shares = Shares::new(CONNECTIONS / SHARE);
        loop {
            // Nobody closes the semaphore.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, from)) => {
                    // Who has their share is hung up on.
                    let Some(share) = shares.take(from.ip()) else { continue };
                    let dnsbl = Arc::clone(&self);
                    tokio::spawn(async move {
                        // Whoever breaks off knows why.
                        let _ = stream.set_nodelay(true);
                        let _ = dnsbl.conversation(stream, from.ip()).await;
                        drop((share, slot));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a DNS connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Questions and answers, each after its length (RFC 1035, 4.2.2), until the asker has no more, or asks what is
    /// not for them.
    async fn conversation(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        from: IpAddr,
    ) -> io::Result<()> {
        let (mut packet, mut out) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while began.elapsed() < LONGEST_TALK {
            let length = timeout(PATIENCE, stream.read_u16()).await??;
            packet.resize(usize::from(length), 0);
            timeout(PATIENCE, stream.read_exact(&mut packet)).await??;
            let outcome = self.answer(&packet, (from, Channel::Tcp), &mut out);
            if out.is_empty() {
                return Ok(());
            }
            let head = (out.len() as u16).to_be_bytes();
            timeout(PATIENCE, stream.write_all(&[&head, &out[..]].concat())).await??;
            if matches!(outcome, Outcome::Refused | Outcome::Malformed) {
                break;
            }
        }
        stream.shutdown().await
    }
}

fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::disk::Medium;
    use crate::engine::Options;
    use crate::model::Profile;
    use tokio::net::TcpStream;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const REFUSED: u8 = 5;
    const FAILED: u8 = 2;
    const MALFORMED: u8 = 1;

    /// One that has no list, so that a question in its zone fails.
    fn dnsbl(folder: &tempfile::TempDir) -> Arc<Dnsbl> {
        let engine = Engine::open(Options::new(Medium::folder(folder.path()))).unwrap();
        let feeds = Feeds::open(folder.path(), Profile::fortigate(), engine.now()).unwrap();
        let networks = ["127.0.0.0/8".parse::<IpRange>().unwrap()].into_iter().collect();
        let zone = Zone::new("bl.test.", "ns.test", 300, networks).unwrap();
        Arc::new(Dnsbl::new(engine, Arc::new(feeds), OutputName::fortigate(), zone, &Metrics::new()))
    }

    /// A question for an address after its length.
    fn question(name: &str) -> Vec<u8> {
        let mut packet = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            packet.push(label.len() as u8);
            packet.extend_from_slice(label.as_bytes());
        }
        packet.extend_from_slice(&[0, 0, 1, 0, 1]);
        framed(packet)
    }

    fn framed(packet: Vec<u8>) -> Vec<u8> {
        [(packet.len() as u16).to_be_bytes().to_vec(), packet].concat()
    }

    /// The code of the answer; none: the connection is at its end.
    async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), packet: &[u8]) -> Option<u8> {
        stream.write_all(packet).await.ok()?;
        let length = stream.read_u16().await.ok()?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer[3] & 15)
    }

    #[tokio::test]
    async fn who_asks_what_is_not_theirs_is_answered_once() {
        let folder = tempfile::tempdir().unwrap();
        let dnsbl = dnsbl(&folder);
        for (packet, code) in [(question("a.example"), REFUSED), (framed(vec![0; 12]), MALFORMED)] {
            let (mut asker, stream) = tokio::io::duplex(1 << 12);
            let talk = Arc::clone(&dnsbl);
            let talk = tokio::spawn(async move { talk.conversation(stream, HERE).await });
            assert_eq!(ask(&mut asker, &question("1.0.0.20.bl.test")).await, Some(FAILED));
            assert_eq!(ask(&mut asker, &packet).await, Some(code), "and the connection went on until then");
            assert_eq!(ask(&mut asker, &packet).await, None);
            talk.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_talks_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let (dnsbl, (mut asker, stream)) = (dnsbl(&folder), tokio::io::duplex(1 << 12));
        let talk = tokio::spawn(async move { dnsbl.conversation(stream, HERE).await });
        let mut answers = 0;
        while ask(&mut asker, &question("1.0.0.20.bl.test")).await.is_some() {
            answers += 1;
            assert!(answers <= 25, "it goes on");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert!(answers > 20, "{answers}");
        talk.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_has_a_quarter_of_the_connections_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(dnsbl(&folder).connections(listener));
        let (mut open, packet) = (Vec::new(), question("1.0.0.20.bl.test"));
        for number in 0..CONNECTIONS / SHARE {
            open.push(TcpStream::connect(address).await.unwrap());
            assert_eq!(ask(&mut open[number], &packet).await, Some(FAILED), "{number}");
        }
        let mut more = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut more, &packet).await, None);
        open.pop();
        let again = async {
            while ask(&mut TcpStream::connect(address).await.unwrap(), &packet).await.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), again).await.expect("what is given back is there for others");
        server.abort();
    }
}
