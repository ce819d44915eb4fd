//! A connection that does not wait for ever: neither for a request, nor for a reader that stopped reading.
//!
//! hyper could time heads itself, with a timer that is made, registered and dropped for every request: a tenth of what
//! a look-up costs. One timer a connection, looked at when it goes off, costs nothing. It must not know what is asked.

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

/// What an HTTP/2 client sends first (RFC 9113, 3.4). From there on pings tell who is still there.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A reader that takes fewer bytes a second uses its patience up: it would hold a connection for ever with a byte
/// now and then.
const SLOWEST: f64 = 4096.0;

/// Held while an answer is in the making or its body streams: a connection with one is not idle.
#[derive(Clone, Debug, Default)]
pub(super) struct AtWork(Arc<()>);

impl AtWork {
    /// Whether any is held but the two that a connection begins with.
    fn is_busy(&self) -> bool {
        Arc::strong_count(&self.0) > 2
    }
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] where it would hang.
pub(super) struct Guarded<S> {
    stream: TokioIo<S>,
    /// What is known of the protocol; none once it is.
    opening: Option<usize>,
    idle: Option<Idle>,
    patience: Duration,
    /// What is left of it: waiting takes from it, and what the reader takes gives back.
    left: Duration,
    /// Bytes written since the reader was last waited for. TLS takes some before they go.
    taken: usize,
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// Watches over an HTTP/1 connection on which nothing is answered.
struct Idle {
    most: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer knows whom to wake.
    is_set: bool,
    /// Whether something was written since the timer was set.
    wrote: bool,
    at_work: AtWork,
}

impl Idle {
    fn new(most: Duration, at_work: AtWork) -> Self {
        Self { most, timer: Box::pin(tokio::time::sleep(most)), is_set: false, wrote: false, at_work }
    }

    /// Ready when nothing was asked for `most` to twice `most`.
    fn poll(&mut self, cx: &mut Context<'_>, is_stalled: bool) -> Poll<()> {
        self.is_set = true;
        ready!(self.timer.as_mut().poll(cx));
        if !(self.wrote || is_stalled || self.at_work.is_busy()) {
            return Poll::Ready(());
        }
        self.wrote = false;
        self.timer.as_mut().reset(Instant::now() + self.most);
        self.timer.as_mut().poll(cx)
    }

    fn wants_a_look(&self) -> bool {
        !self.is_set || self.timer.is_elapsed()
    }
}

impl<S> Guarded<S> {
    /// A request must be whole within `head`, and a kept connection be idle for no longer than twice that, unless
    /// somebody holds `at_work`; and the reader may keep the answer waiting for `patience` at most, and as long again
    /// for each `patience` that its bytes take at the slowest pace.
    pub(super) fn new(stream: S, head: Duration, patience: Duration, at_work: AtWork) -> Self {
        Self {
            stream: TokioIo::new(stream),
            opening: Some(0),
            idle: Some(Idle::new(head, at_work)),
            patience,
            left: patience,
            taken: 0,
            stalled: None,
        }
    }

    fn poll_idle<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let is_stalled = self.stalled.is_some();
        let Some(idle) = &mut self.idle else { return Poll::Pending };
        ready!(idle.poll(cx, is_stalled));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_stalled<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            if let Some(idle) = &mut self.idle {
                idle.wrote = true;
            }
            if let Some((since, _)) = self.stalled.take() {
                let earned = Duration::from_secs_f64(std::mem::take(&mut self.taken) as f64 / SLOWEST);
                self.left = (self.left.saturating_sub(since.elapsed()) + earned).min(self.patience);
            }
            return done;
        }
        let left = self.left;
        let begin = || (Instant::now(), Box::pin(tokio::time::sleep(left)));
        let (_, stalled) = self.stalled.get_or_insert_with(begin);
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_written(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.taken = self.taken.saturating_add(*bytes);
        }
        self.poll_stalled(written, cx)
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads into a small buffer of its own to see what comes; a few bytes, once a connection.
    fn poll_open(
        &mut self,
        matched: usize,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; PREFACE.len()];
        let room = buf.remaining().min(PREFACE.len() - matched);
        let mut read = tokio::io::ReadBuf::new(&mut bytes[..room]);
        if Pin::new(self.stream.inner_mut()).poll_read(cx, &mut read)?.is_pending() {
            return self.poll_idle(cx);
        }
        let came = read.filled();
        let is_preface = came == &PREFACE[matched..matched + came.len()];
        let matched = matched + came.len();
        self.opening = (is_preface && matched < PREFACE.len()).then_some(matched);
        if is_preface && matched == PREFACE.len() {
            self.idle = None;
        }
        buf.put_slice(came);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Read for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(matched) = self.opening {
            return self.poll_open(matched, cx, buf);
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() && self.idle.as_ref().is_some_and(Idle::wants_a_look) {
            return self.poll_idle(cx);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Write for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.poll_written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.poll_written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() && self.stalled.is_none() { flushed } else { self.poll_stalled(flushed, cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_stalled(shut, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::poll_fn;
    use tokio::io::AsyncReadExt as _;

    const PATIENCE: Duration = Duration::from_millis(300);

    /// Writes to a reader that takes `bytes` every 50 milliseconds; says how many it had taken when it was given
    /// up, if it was.
    async fn taken(bytes: usize, length: usize) -> Option<usize> {
        let (here, mut there) = tokio::io::duplex(bytes);
        let mut stream = Guarded::new(here, PATIENCE, PATIENCE, AtWork::default());
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; bytes];
            while there.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(PATIENCE / 6).await;
            }
        });
        let (mut sent, text) = (0, vec![b'x'; bytes]);
        while sent < length {
            match poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, &text)).await {
                Ok(written) => sent += written,
                Err(_) => break,
            }
        }
        reader.abort();
        (sent < length).then_some(sent)
    }

    #[tokio::test]
    async fn a_byte_now_and_then_does_not_hold_a_connection() {
        assert!(taken(1, 60).await.is_some_and(|sent| sent < 30));
    }

    #[tokio::test]
    async fn a_slow_reader_that_reads_is_waited_for() {
        assert_eq!(taken(1024, 40 * 1024).await, None);
    }
}
