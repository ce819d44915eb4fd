//! Kept-alive connections to one instance of a role.
//!
//! A connection is driven by whoever uses it, request and answer in one task: no hand-over between tasks, which
//! would cost as much as the proxying itself. It must not know what is asked.

use super::tls::Io;
use crate::web::Body;
use crate::web::body::Pace;
use crate::web::tls::UpstreamTls;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A connection that is idle longer than this is not used again: well below what the other side closes at.
const IDLE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
/// More than so many idle connections are not kept.
const KEPT: usize = 256;
/// An answer up to this length is taken off the connection at once, which is free for the next request then.
const SHORT: u64 = 16 << 10;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// No connection could be made: nothing was asked.
    #[error("no connection: {0}")]
    Unreachable(io::Error),
    /// It broke off, or is none that HTTP knows.
    #[error("{0}")]
    Broken(hyper::Error),
}

/// The way to one instance.
#[derive(Debug)]
pub(super) struct Wire {
    host: String,
    port: u16,
    tls: Option<UpstreamTls>,
    pace: Pace,
    idle: Mutex<Vec<Link>>,
}

/// One connection.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Body>,
    /// None once it is over: whoever waits for something on it is told so by its end.
    connection: Option<Connection<TokioIo<Io>, Body>>,
    since: Instant,
}

impl Wire {
    pub(super) fn new(host: String, port: u16, tls: Option<UpstreamTls>, pace: Pace) -> Self {
        Self { host, port, tls, pace, idle: Mutex::default() }
    }

    /// Asks, on a connection that is kept or a new one, and waits for the answer's head; `waits` are the answers
    /// whose body may pause for as long as it likes.
    pub(super) async fn ask(
        self: &Arc<Self>,
        mut request: Request<Body>,
        waits: impl Fn(&http::HeaderMap) -> bool,
    ) -> Result<Response<Body>, WireError> {
        while let Some(link) = self.kept() {
            match link.ask(request).await {
                Ok((answer, link)) => return self.hand_on(answer, link, waits),
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(WireError::Broken(error)),
            }
        }
        let link = self.connect().await?;
        match link.ask(request).await {
            Ok((answer, link)) => self.hand_on(answer, link, waits),
            Err((error, _)) => Err(WireError::Broken(error)),
        }
    }

    async fn connect(&self) -> Result<Link, WireError> {
        let stream = tokio::time::timeout(CONNECT, self.open()).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = stream.map_err(WireError::Unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(WireError::Broken)?;
        Ok(Link { sender, connection: Some(connection), since: Instant::now() })
    }

    async fn open(&self) -> io::Result<Io> {
        let stream = TcpStream::connect((self.host.trim_matches(['[', ']']), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Io::Plain(stream)),
            Some(tls) => Io::secured(tls, &self.host, stream).await,
        }
    }

    /// The connection that was used last, if it is still one.
    fn kept(&self) -> Option<Link> {
        loop {
            let mut link = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if link.since.elapsed() < IDLE && link.is_free() {
                return Some(link);
            }
        }
    }

    fn keep(&self, mut link: Link) {
        if link.is_free() {
            link.since = Instant::now();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < KEPT {
                idle.push(link);
            }
        }
    }

    fn hand_on(
        self: &Arc<Self>,
        answer: Response<Incoming>,
        link: Link,
        waits: impl Fn(&http::HeaderMap) -> bool,
    ) -> Result<Response<Body>, WireError> {
        let (parts, incoming) = answer.into_parts();
        let mut passing = Passing { incoming, first: None, link: Some(link), wire: Arc::clone(self) };
        if let Some(bytes) = passing.short().map_err(WireError::Broken)? {
            return Ok(Response::from_parts(parts, Body::full(bytes)));
        }
        let body =
            if waits(&parts.headers) { Body::stream(passing) } else { Body::paced(passing, self.pace) };
        Ok(Response::from_parts(parts, body))
    }
}

impl Link {
    /// Sends a request and waits for the answer's head; a request that was not sent comes back.
    async fn ask(
        mut self,
        request: Request<Body>,
    ) -> Result<(Response<Incoming>, Self), (hyper::Error, Option<Request<Body>>)> {
        let answer = self.sender.try_send_request(request);
        let mut answer = pin!(answer);
        let answered = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        });
        match answered.await {
            Ok(answer) => Ok((answer, self)),
            Err(mut error) => {
                let unsent = error.take_message();
                Err((error.into_error(), unsent))
            }
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    /// Whether it could take a request now. A connection that was closed meanwhile, or on which something came
    /// that nobody asked for, is over.
    fn is_free(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// The body of an answer on its way, with the connection that it comes on.
#[derive(Debug)]
struct Passing {
    incoming: Incoming,
    /// What was read already.
    first: Option<Bytes>,
    link: Option<Link>,
    wire: Arc<Wire>,
}

impl Passing {
    /// The whole body, where it is short and has come with the head.
    ///
    /// # Errors
    /// It broke off already.
    fn short(&mut self) -> hyper::Result<Option<Bytes>> {
        let Some(length) = self.incoming.size_hint().exact().filter(|length| *length <= SHORT) else {
            return Ok(None);
        };
        let (mut whole, mut count) = (Bytes::new(), 0);
        while count < length {
            let Poll::Ready(Some(frame)) = self.poll_next(&mut Context::from_waker(Waker::noop())) else {
                self.first = Some(whole).filter(|whole| !whole.is_empty());
                return Ok(None);
            };
            let Ok(bytes) = frame?.into_data() else { continue };
            count += bytes.len() as u64;
            whole = if whole.is_empty() { bytes } else { [whole, bytes].concat().into() };
        }
        self.give_back();
        Ok(Some(whole))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut frame = Pin::new(&mut self.incoming).poll_frame(cx);
        if frame.is_pending()
            && let Some(link) = &mut self.link
        {
            link.drive(cx);
            frame = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match &frame {
            Poll::Ready(Some(Err(_))) => self.link = None,
            Poll::Ready(None) => self.give_back(),
            Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => self.give_back(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn give_back(&mut self) {
        if let Some(link) = self.link.take() {
            self.wire.keep(link);
        }
    }
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => self.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.first.as_ref().map_or(0, Bytes::len) as u64;
        let rest = self.incoming.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + read);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + read);
        }
        hint
    }
}
