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
use tokio::time::Sleep;

/// What an HTTP/2 client sends first (RFC 9113, 3.4); until the bytes differ from it, nobody's timer runs but this one.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that fails with [`io::ErrorKind::TimedOut`] where it would hang.
pub(super) struct Guarded<S> {
    stream: TokioIo<S>,
    opening: Option<Opening>,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

struct Opening {
    matched: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Guarded<S> {
    /// The protocol must be known within `opening`, and the reader take something every `patience`.
    pub(super) fn new(stream: S, opening: Duration, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(opening));
        Self {
            stream: TokioIo::new(stream),
            opening: Some(Opening { matched: 0, deadline }),
            patience,
            stalled: None,
        }
    }

    fn poll_stalled<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
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
