//! The name of a request, on its answer and on every line of the log about it.
//!
//! It must not be taken for a secret: it is short, and one can guess the next.

use super::body::Request;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The header that carries it, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives names to requests that come without one: a prefix of the process and a counter, so that a
/// name costs one small allocation and no randomness.
#[derive(Debug)]
pub struct RequestIds {
    prefix: [u8; 9],
    next: AtomicU64,
}

impl RequestIds {
    /// A new series; series of processes and of restarts differ.
    pub fn new() -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let seed =
            (nanos ^ u64::from(std::process::id()).rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut prefix = [b'-'; 9];
        write_hex(seed >> 32, &mut prefix[..8]);
        Self { prefix, next: AtomicU64::new(1) }
    }

    /// The request's own name when it is sane, or else a new one.
    pub fn of(&self, request: &Request) -> HeaderValue {
        // To go over the few headers there are costs less than to look for one.
        match request.headers().iter().find(|(name, _)| **name == X_REQUEST_ID) {
            Some((_, given)) if is_sane(given.as_bytes()) => given.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let digits = (16 - count.leading_zeros() as usize / 4).max(6);
        let mut text = vec![0; 9 + digits];
        text[..9].copy_from_slice(&self.prefix);
        write_hex(count, &mut text[9..]);
        // Hexadecimal digits and a hyphen are always a valid value.
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

/// Headers that are made once for many answers, with a place for the name of each: a copy need not grow for it.
pub fn with_place(mut headers: HeaderMap) -> HeaderMap {
    headers.insert(X_REQUEST_ID, HeaderValue::from_static(""));
    headers
}

/// A name in a form that can be put into logs and shells: 1 to 64 of `[A-Za-z0-9._-]`.
fn is_sane(name: &[u8]) -> bool {
    matches!(name.len(), 1..=64)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Fills `out` with the last digits of a number, in small letters.
pub(super) fn write_hex(mut number: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// A request id as text; ours and sane ones are ASCII.
pub fn as_text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Body;

    fn named(name: &str) -> Request {
        http::Request::builder().header(X_REQUEST_ID, name).body(Body::empty()).unwrap()
    }

    #[test]
    fn a_sane_name_is_kept_and_another_replaced() {
        let ids = RequestIds::new();
        assert_eq!(ids.of(&named("A-z_0.9")), "A-z_0.9");
        for odd in ["", "a b", "a;b", "a\"b", &"x".repeat(65)] {
            assert_ne!(ids.of(&named(odd)), odd);
        }
    }

    #[test]
    fn made_names_are_sane_and_differ_also_past_six_digits() {
        let ids = RequestIds::new();
        let (first, second) = (ids.make(), ids.make());
        assert!(is_sane(first.as_bytes()) && first != second);
        assert_eq!(first.len(), 15);
        ids.next.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(&as_text(&ids.make())[9..], "ffffffffffffffff");
    }

    #[test]
    fn a_count_is_written_with_all_its_digits() {
        let ids = RequestIds::new();
        ids.next.store(0x0123_4567, Ordering::Relaxed);
        assert_eq!(&as_text(&ids.make())[9..], "1234567");
    }
}
