//! A connection that does not wait for ever: neither for the first bytes, nor for a reader that stopped reading.
//!
//! hyper's own timers watch over the rest; it must not know what protocol is spoken.

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

/// What an HTTP/2 client sends first (RFC 9113, 3.4); until the bytes differ from it, nobody's timer runs but this one.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A reader that takes fewer bytes a second uses its patience up: it would hold a connection for ever with a byte
/// now and then.
const SLOWEST: f64 = 4096.0;

/// A stream that fails with [`io::ErrorKind::TimedOut`] where it would hang.
pub(super) struct Guarded<S> {
    stream: TokioIo<S>,
    opening: Option<Opening>,
    patience: Duration,
    /// What is left of it: waiting takes from it, and what the reader takes gives back.
    left: Duration,
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
}

struct Opening {
    matched: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Guarded<S> {
    /// The protocol must be known within `opening`, and the reader keep the answer waiting for `patience` at most,
    /// and as long again for each `patience` that its bytes take at the slowest pace.
    pub(super) fn new(stream: S, opening: Duration, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(opening));
        Self {
            stream: TokioIo::new(stream),
            opening: Some(Opening { matched: 0, deadline }),
            patience,
            left: patience,
            stalled: None,
        }
    }

    fn poll_stalled(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if let Some((since, _)) = self.stalled.take() {
                let earned = Duration::from_secs_f64(*written.as_ref().unwrap_or(&0) as f64 / SLOWEST);
                self.left = (self.left.saturating_sub(since.elapsed()) + earned).min(self.patience);
            }
            return Poll::Ready(written);
        }
        let left = self.left;
        let begin = || (Instant::now(), Box::pin(tokio::time::sleep(left)));
        let (_, stalled) = self.stalled.get_or_insert_with(begin);
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads into a small buffer of its own to see what comes; a few bytes, once a connection.
    fn poll_open(&mut self, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let Some(opening) = &mut self.opening else {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        };
        let mut bytes = [0; PREFACE.len()];
        let room = buf.remaining().min(PREFACE.len() - opening.matched);
        let mut read = tokio::io::ReadBuf::new(&mut bytes[..room]);
        if Pin::new(self.stream.inner_mut()).poll_read(cx, &mut read)?.is_pending() {
            ready!(opening.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let came = read.filled();
        let expected = &PREFACE[opening.matched..opening.matched + came.len()];
        opening.matched += came.len();
        if came != expected || opening.matched == PREFACE.len() {
            self.opening = None;
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
        if self.opening.is_some() {
            return self.poll_open(cx, buf);
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Write for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.poll_stalled(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.poll_stalled(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
        let mut stream = Guarded::new(here, PATIENCE, PATIENCE);
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
