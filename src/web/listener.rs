//! The accept loop: hostile territory. It takes connections, bounds what each may cost, and drains them at the end.
//!
//! The socket and the stop are given from outside. It must not know what is served on them.

mod prelude;

pub use prelude::Prelude;

use super::app::{Answer, App};
use super::body::{Body, Pace, Request, Response, is_live};
use super::caller::Peer;
use super::entrance::Ends;
use super::shares::{Share, Shares, subscriber};
use super::stall::{AtWork, Guarded};
use super::tls::Secured;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use prelude::Opened;
use std::convert::Infallible;
use std::fs::Permissions;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's backlog.
    pub connections: usize,
    /// The time for a request's head; a kept-alive connection may be idle for twice as long.
    pub head: Duration,
    /// How slowly a body may come.
    pub pace: Pace,
    /// How long a reader may take nothing of its answer.
    pub stalled_reader: Duration,
    /// HTTP/2 requests at once on one connection.
    pub streams: u32,
    /// How long requests may take to end once the stop has come.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head: Duration::from_secs(15),
            pace: Pace::default(),
            stalled_reader: Duration::from_secs(30),
            streams: 128,
            drain: Duration::from_secs(20),
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A path in the file system; who may open it is the administrator.
    Unix(UnixListener),
}

/// Connections that may wait to be taken, as far as the system's `somaxconn` goes. One that finds no room tries again
/// after a second.
const BACKLOG: u32 = 4096;

/// Binds a port.
///
/// # Errors
/// It is taken, or the address is none of this machine.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the process before may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Listener {
    fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(_) => None,
        }
    }

    /// Binds a socket at `path` with the permissions `mode`, in place of one that a dead process left behind.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] when a live process listens there; else whatever the file system says.
    pub async fn unix(path: &Path, mode: u32) -> io::Result<Self> {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // Under another name first: at its own, nobody ever sees it with wider permissions.
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        remove_if_there(&fresh)?;
        let listener = UnixListener::bind(&fresh)?;
        std::fs::set_permissions(&fresh, Permissions::from_mode(mode))?;
        std::fs::rename(&fresh, path)?;
        Ok(Self::Unix(listener))
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Serves `app` on `listener` until `stop` is done; then takes no more connections, closes idle ones, and returns when
/// the requests in flight have been answered or [`Limits::drain`] is over.
pub async fn serve(listener: Listener, app: Arc<App>, limits: Limits, stop: impl Future<Output = ()>) {
    serve_after(Prelude::default(), listener, app, limits, stop).await;
}

/// The same with a `prelude` on each connection.
pub async fn serve_after(
    prelude: Prelude,
    listener: Listener,
    app: Arc<App>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let server = Server::new(app, limits, prelude, listener.port());
    match listener {
        Listener::Tcp(listener) => server.run(listener, stop).await,
        Listener::Unix(listener) => server.run(listener, stop).await,
    }
}

/// What connections come from.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection; losing the future loses none.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = self.accept().await?;
        // Without it an answer in two packets waits for the first one's acknowledgement: 40 ms.
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Tcp(address)))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Peer)> {
        Ok((self.accept().await?.0, Peer::Local))
    }
}

/// What every connection of a port needs.
struct Port {
    app: Arc<App>,
    limits: Limits,
    http: Builder<TokioExecutor>,
    prelude: Prelude,
    /// Its number, if it has one.
    number: Option<u16>,
}

/// No address has more than one in so many connections.
const SHARE: usize = 4;

/// An address has its share already.
struct TooMany;

struct Server {
    port: Arc<Port>,
    slots: Arc<Semaphore>,
    shares: Arc<Shares<IpAddr>>,
    /// Dropped when no more connections are taken: what has not come to HTTP by then never does, and what has ends with
    /// the answer that is in the making.
    closing: watch::Sender<()>,
    connections: JoinSet<()>,
}

impl Server {
    fn new(app: Arc<App>, limits: Limits, prelude: Prelude, number: Option<u16>) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limits.connections)),
            shares: Shares::new(limits.connections.div_ceil(SHARE)),
            closing: watch::Sender::new(()),
            connections: JoinSet::new(),
            port: Arc::new(Port { http: builder(&limits), app, limits, prelude, number }),
        }
    }

    async fn run(mut self, listener: impl Accept, stop: impl Future<Output = ()>) {
        let slots = Arc::clone(&self.slots);
        let mut stop = std::pin::pin!(stop);
        loop {
            let next = async {
                // Nobody closes the semaphore.
                let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
                listener.next().await.map(|(stream, peer)| (stream, peer, slot))
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.connections.join_next() => self.ended(ended),
                accepted = next => match accepted {
                    Ok((stream, peer, slot)) => self.spawn(stream, peer, slot),
                    Err(error) => self.accept_failed(&error).await,
                }
            }
        }
        // The port is free at once, for the next process.
        drop(listener);
        self.drain().await;
    }

    fn spawn<S>(&mut self, stream: S, peer: Peer, slot: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let share = match self.share(peer) {
            Ok(share) => share,
            // What is said to them would cost more than it helps.
            Err(TooMany) => return self.port.app.metrics.crowded.inc(),
        };
        let port = Arc::clone(&self.port);
        let open = port.app.metrics.connections.clone();
        open.inc();
        let done = move || {
            open.dec();
            drop((slot, share));
        };
        let closing = self.closing.subscribe();
        if port.prelude.is_nothing() {
            self.connections.spawn(async move {
                port.converse(stream, (port.ends(peer), None), closing).await;
                done();
            });
        } else {
            self.connections.spawn(async move {
                port.greet(stream, peer, closing).await;
                done();
            });
        }
    }

    /// A connection's part of what its address may have. The machine's own programs come over the socket, too, and a
    /// declared proxy for many.
    fn share(&self, peer: Peer) -> Result<Option<Share<IpAddr>>, TooMany> {
        if peer == Peer::Local || self.port.app.is_proxy(peer) {
            return Ok(None);
        }
        self.shares.take(subscriber(peer.address())).map(Some).ok_or(TooMany)
    }

    fn ended(&self, connection: Result<(), JoinError>) {
        if let Err(error) = connection
            && let Ok(panic) = error.try_into_panic()
        {
            self.port.app.metrics.connections.dec();
            self.port.app.metrics.panicked(&*panic);
        }
    }

    /// Out of file descriptors, or memory: what ends is not the service, and what helps is not to try at once again.
    async fn accept_failed(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        self.port.app.metrics.accept_errors.inc();
        tracing::warn!(error = error as &dyn std::error::Error, "cannot accept a connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    async fn drain(mut self) {
        drop(self.closing);
        let all = async { while self.connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.port.limits.drain, all).await.is_err() {
            tracing::warn!(
                seconds = self.port.limits.drain.as_secs(),
                "requests were cut off: they did not end in time"
            );
        }
    }
}

impl Port {
    /// Goes through the prelude, which has as long as a head has, and then to HTTP.
    async fn greet<S>(&self, stream: S, peer: Peer, mut closing: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let opened = tokio::select! {
            opened = tokio::time::timeout(self.limits.head, self.prelude.open(stream, peer)) => opened,
            // Nobody sends on it: it changes by being dropped.
            _ = closing.changed() => return,
        };
        match opened.map_err(io::Error::from).flatten() {
            Ok(Opened::Plain(stream, named)) => {
                let ends = Ends { peer: named, ..self.ends(peer) };
                self.converse(stream, (ends, None), closing).await;
            }
            Ok(Opened::Tls(stream, named, secured)) => {
                let ends = Ends { peer: named, ..self.ends(peer) };
                self.converse(*stream, (ends, Some(secured)), closing).await;
            }
            Err(error) => {
                self.app.metrics.preludes_failed.inc();
                tracing::debug!(%error, ?peer, "no connection");
            }
        }
    }

    /// The ends of a connection that nobody opened for another.
    fn ends(&self, peer: Peer) -> Ends {
        Ends { opener: peer, peer, port: self.number }
    }

    async fn converse<S>(
        &self,
        stream: S,
        (ends, secured): (Ends, Option<Secured>),
        mut closing: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let at_work = AtWork::default();
        let io = Guarded::new(stream, self.limits.head, self.limits.stalled_reader, at_work.clone());
        let (app, pace) = (Arc::clone(&self.app), self.limits.pace);
        let closed = closing.clone();
        let visitor = Visitor { app, ends, secured, pace, at_work, closing: closing.clone() };
        let mut connection = pin!(self.http.serve_connection(io, visitor));
        let mut closing = pin!(closing.changed());
        let (mut is_asked, mut is_told) = (false, false);
        let ended = poll_fn(|cx| {
            // To be woken it is asked once; to ask it at every turn would take its lock.
            if !is_told && (!is_asked || closed.has_changed().is_err()) {
                (is_asked, is_told) = (true, closing.as_mut().poll(cx).is_ready());
                if is_told {
                    connection.as_mut().graceful_shutdown();
                }
            }
            connection.as_mut().poll(cx)
        });
        if let Err(error) = ended.await {
            tracing::debug!(error, ?ends, "connection ended");
        }
    }
}

/// hyper with explicit limits. Heads of HTTP/1 are timed by [`Guarded`]; for HTTP/2 hyper needs a timer, without which
/// its timeouts do nothing.
fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    // The number of headers stays at hyper's 100: to set it costs an allocation a request. `pipeline_flush` would
    // make sixteen pipelined look-ups four times cheaper and a 10 MB feed nearly three times dearer, since it
    // copies bodies; nobody who fetches feeds or asks for verdicts was seen to pipeline.
    http.http1().header_read_timeout(None).max_buf_size(64 << 10);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head);
    http
}

/// One connection's way to the application.
struct Visitor {
    app: Arc<App>,
    ends: Ends,
    secured: Option<Secured>,
    pace: Pace,
    at_work: AtWork,
    /// Dropped at the other end when the port is about to close.
    closing: watch::Receiver<()>,
}

impl Service<http::Request<Incoming>> for Visitor {
    type Response = Response;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: http::Request<Incoming>) -> Reply {
        let mut request: Request = request.map(|body| Body::received(body, self.pace));
        if let Some(secured) = self.secured {
            request.extensions_mut().insert(secured);
        }
        let answer = self.app.receive(request, self.ends);
        let late = matches!(answer, Answer::Later(_)).then(|| (self.at_work.clone(), self.closing.clone()));
        Reply { answer, late }
    }
}

/// An answer on its way; one that takes time keeps the connection from being idle, until its body ends. One that goes on
/// for ever ends with the port.
struct Reply {
    answer: Answer,
    late: Option<(AtWork, watch::Receiver<()>)>,
}

impl Future for Reply {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.answer).poll(cx));
        let Some((at_work, mut closing)) = self.late.take() else { return Poll::Ready(Ok(response)) };
        let is_live = is_live(response.headers());
        let response = response.map(|body| body.holding(at_work));
        // Nobody sends on it: it changes by being dropped.
        let closed = async move { _ = closing.changed().await };
        Poll::Ready(Ok(if is_live { response.map(|body| body.until(closed)) } else { response }))
    }
}

#[cfg(test)]
mod tests;
