//! Long answers that are made while they are sent, so that they are never in memory as a whole.

use crate::web::{Body, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue};
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::convert::Infallible;
use std::io::Write as _;

/// Compressed while it is sent; speed counts more than length.
const GZIP_LEVEL: u32 = 1;

/// Sends pieces while they are made: one at a time, when the reader has taken the one before.
pub(super) fn pieces(
    pieces: impl Iterator<Item = Vec<u8>> + Send + 'static,
    headers: &HeaderMap,
) -> Response {
    let frame = |piece: Vec<u8>| Ok::<_, Infallible>(Frame::data(Bytes::from(piece)));
    let accepts = headers.get(ACCEPT_ENCODING).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let zips = accepts.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("gzip"));
    let body = if zips {
        Body::stream(StreamBody::new(stream::iter(Zipped::new(pieces).map(frame))))
    } else {
        Body::stream(StreamBody::new(stream::iter(pieces.map(frame))))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if zips {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Pieces, compressed on their way.
struct Zipped<I> {
    pieces: I,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I> Zipped<I> {
    fn new(pieces: I) -> Self {
        Self { pieces, encoder: Some(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))) }
    }
}

impl<I: Iterator<Item = Vec<u8>>> Iterator for Zipped<I> {
    type Item = Vec<u8>;

    /// The encoder writes into memory, which does not fail; were it to, the answer would break off.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let encoder = self.encoder.as_mut()?;
            match self.pieces.next() {
                Some(piece) => {
                    encoder.write_all(&piece).ok()?;
                    let out = std::mem::take(encoder.get_mut());
                    if !out.is_empty() {
                        return Some(out);
                    }
                }
                None => return self.encoder.take()?.finish().ok(),
            }
        }
    }
}
