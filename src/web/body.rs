//! One body type for requests and answers, whether they come from a socket, from a handler or from
//! another role in the same process.
//!
//! It must not know what the bytes mean, which routes take how many of them, nor how a fault is told.

use axum::BoxError;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::poll_fn;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, BodyStream, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A request as the applications see it.
pub type Request = http::Request<Body>;
/// An answer as the applications give it.
pub type Response = http::Response<Body>;

/// A body that whoever has shown nothing yet may send to a route that is open to all, in bytes: at the slowest pace it
/// takes four seconds more than its beginning.
pub const SHORT: u64 = 16 << 10;

/// Memory taken for a body on the word of its announced length, in bytes.
const BELIEVED: u64 = 1 << 18;

/// Whether an answer with these headers waits by nature, so that a pause in it is no stall and its end no loss.
pub fn is_live(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Leaves the body of an answer to HEAD out, whoever has made one, and tells of its length: over HTTP/2 nobody further down
/// does, and the answer would be an error of the protocol (RFC 9110, 9.3.2; RFC 9113, 8.1.1).
pub fn leave_out(response: &mut Response) {
    if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    *response.body_mut() = Body::empty();
}

/// The bytes of a request or an answer.
///
/// A full body is held as it is: making and sending one neither boxes nor copies.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Received(Box<Paced<Incoming>>),
    Stream(axum::body::Body),
}

/// Why the body of a request could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than its route takes.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The most that the route takes, in bytes.
        limit: u64,
    },
    /// It came more slowly than [`Pace`] allows.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection broke, or the framing was wrong.
    #[error("the body broke off: {0}")]
    Broken(#[from] hyper::Error),
}

/// Why a body was not read to its end; what lies behind it may be a [`BodyError`].
#[derive(Debug, thiserror::Error)]
#[error("the body could not be read")]
pub struct ReadError(#[source] BoxError);

/// How slowly a body may come: the time spent waiting for it may not exceed `grace` plus what its
/// length takes at `bytes_per_second`.
///
/// A limit on the pause between two packets alone would let one byte a pause hold a connection for ever.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What every body may take, however short.
    pub grace: Duration,
    /// The slowest rate beyond that.
    pub bytes_per_second: u32,
}

impl Default for Pace {
    /// 20 seconds and 4 KiB a second: a million lines over a slow line still pass.
    fn default() -> Self {
        Self { grace: Duration::from_secs(20), bytes_per_second: 4096 }
    }
}

impl Pace {
    fn allows(self, received: u64) -> Duration {
        self.grace + Duration::from_secs_f64(received as f64 / f64::from(self.bytes_per_second.max(1)))
    }
}

impl Body {
    /// A body without bytes.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is in memory already.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }

    /// A body that is made while it is sent; costs one box.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Stream(axum::body::Body::new(body)))
    }

    /// Keeps `held` until the body has been sent, if that takes its time.
    pub(crate) fn holding(self, held: impl Send + 'static) -> Self {
        match self.0 {
            // Whatever the closure owns lasts as long as the stream.
            Kind::Stream(body) => Self::stream(body.map_err(move |error| {
                let _held = &held;
                error
            })),
            _ => self,
        }
    }

    /// Ends the body when `stop` is done, be it at its end or not.
    pub(crate) fn until(self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::stream(StreamBody::new(BodyStream::new(self).take_until(stop)))
    }

    /// A body that a connection is receiving.
    pub(crate) fn received(incoming: Incoming, pace: Pace) -> Self {
        if incoming.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Received(Box::new(Paced::new(incoming, pace))))
    }

    /// A body that somebody else sends while it is passed on.
    pub(crate) fn paced<B>(body: B, pace: Pace) -> Self
    where
        B: HttpBody<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
    {
        Self::stream(Paced::new(body, pace))
    }

    /// Lets at most `limit` bytes through from now on, also of what another role passes on.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] at once when the announced length is longer already.
    pub fn limit_to(&mut self, limit: u64) -> Result<(), BodyError> {
        if self.size_hint().lower() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        match &mut self.0 {
            Kind::Empty | Kind::Full(_) => {}
            Kind::Received(received) => received.limit = received.limit.min(limit),
            Kind::Stream(stream) => {
                let most = usize::try_from(limit).unwrap_or(usize::MAX);
                let limited = Limited::new(std::mem::take(stream), most);
                *stream = axum::body::Body::new(limited.map_err(move |error| too_large(error, limit)));
            }
        }
        Ok(())
    }

    /// The whole body in memory.
    ///
    /// # Errors
    /// A fault of the caller's (too large, too slow, broken off) or of whoever streams it.
    pub async fn read(mut self) -> Result<Bytes, ReadError> {
        if let Kind::Full(bytes) = self.0 {
            return Ok(bytes);
        }
        // A length is only a promise: so much is believed of it at once.
        let room = self.size_hint().lower().min(BELIEVED);
        let mut whole = BytesMut::with_capacity(usize::try_from(room).unwrap_or(0));
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
            if let Ok(data) = frame.map_err(ReadError)?.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.freeze())
    }
}

/// The limit's own error in our words, and any other as it is.
fn too_large(error: BoxError, limit: u64) -> BoxError {
    if error.is::<LengthLimitError>() { BodyError::TooLarge { limit }.into() } else { error }
}

/// The first error of type `E` in the chain of causes that begins with `error`.
pub(crate) fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Received(received) => received.poll(cx).map(|frame| frame.map(|f| f.map_err(Into::into))),
            Kind::Stream(stream) => {
                Pin::new(stream).poll_frame(cx).map(|frame| frame.map(|f| f.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Received(received) => received.incoming.is_end_stream(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Received(received) => received.incoming.size_hint(),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

impl From<axum::body::Body> for Body {
    fn from(body: axum::body::Body) -> Self {
        if body.is_end_stream() { Self::empty() } else { Self(Kind::Stream(body)) }
    }
}

impl From<Body> for axum::body::Body {
    fn from(body: Body) -> Self {
        match body.0 {
            Kind::Stream(stream) => stream,
            other => Self::new(Body(other)),
        }
    }
}

/// A body on its way in, with what it may still cost.
#[derive(Debug)]
struct Paced<B> {
    incoming: B,
    limit: u64,
    count: u64,
    pace: Pace,
    waited: Duration,
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B: HttpBody<Data = Bytes, Error = hyper::Error> + Unpin> Paced<B> {
    fn new(incoming: B, pace: Pace) -> Self {
        Self { incoming, limit: u64::MAX, count: 0, pace, waited: Duration::ZERO, wait: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.poll_wait(cx);
        };
        if let Some((since, _)) = self.wait.take() {
            self.waited += since.elapsed();
        }
        Poll::Ready(frame.map(|frame| self.count(frame?)))
    }

    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        self.count += frame.data_ref().map_or(0, Bytes::len) as u64;
        if self.count > self.limit { Err(BodyError::TooLarge { limit: self.limit }) } else { Ok(frame) }
    }

    /// Only the time spent waiting counts: a handler that takes long between two reads is no fault of the sender.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let left = self.pace.allows(self.count).saturating_sub(self.waited);
        let (_, sleep) =
            self.wait.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::TooSlow)))
    }
}

impl<B: HttpBody<Data = Bytes, Error = hyper::Error> + Unpin> HttpBody for Paced<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;

    #[tokio::test]
    async fn a_full_body_says_its_length_and_is_read_without_a_copy() {
        let bytes = Bytes::from_static(b"192.0.2.1\n");
        let body = Body::full(bytes.clone());
        assert_eq!(body.size_hint().exact(), Some(10));
        assert_eq!(body.read().await.unwrap().as_ptr(), bytes.as_ptr());
        assert!(Body::full(Bytes::new()).is_end_stream());
    }

    #[tokio::test]
    async fn a_streamed_body_is_gathered_and_its_error_is_kept() {
        let good = stream::iter(["a", "b"].map(|part| Ok::<_, BodyError>(Frame::data(Bytes::from(part)))));
        assert_eq!(&Body::stream(StreamBody::new(good)).read().await.unwrap()[..], b"ab");
        let bad = stream::iter([Err::<Frame<Bytes>, _>(BodyError::TooSlow)]);
        let error = Body::stream(StreamBody::new(bad)).read().await.unwrap_err();
        assert!(matches!(cause(&error), Some(BodyError::TooSlow)));
    }

    #[tokio::test]
    async fn a_streamed_body_is_cut_off_at_its_limit() {
        let parts =
            || stream::iter(["ab", "cd"].map(|part| Ok::<_, BodyError>(Frame::data(Bytes::from(part)))));
        let mut body = Body::stream(StreamBody::new(parts()));
        body.limit_to(4).unwrap();
        assert_eq!(&body.read().await.unwrap()[..], b"abcd");
        let mut body = Body::stream(StreamBody::new(parts()));
        body.limit_to(3).unwrap();
        let error = body.read().await.unwrap_err();
        assert!(matches!(cause(&error), Some(BodyError::TooLarge { limit: 3 })));
    }

    #[test]
    fn the_pace_gives_long_bodies_more_time() {
        let pace = Pace { grace: Duration::from_secs(2), bytes_per_second: 100 };
        assert_eq!(pace.allows(0), Duration::from_secs(2));
        assert_eq!(pace.allows(1000), Duration::from_secs(12));
    }
}
