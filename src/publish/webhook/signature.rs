//! How a receiver knows that a delivery is ours: an HMAC-SHA256 (RFC 2104) over the time and the body.

use crate::disk::hex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write as _;

/// `t=TIME,v1=DIGITS`, with the digits once for each secret: while a new secret takes over, the old one signs, too.
pub(super) fn signature<'a>(
    secrets: impl Iterator<Item = &'a [u8]>,
    unix_seconds: i64,
    body: &[u8],
) -> String {
    let mut text = format!("t={unix_seconds}");
    for secret in secrets {
        // Writing to memory does not fail.
        let _ = write!(text, ",v1={}", mac(secret, unix_seconds, body));
    }
    text
}

fn mac(secret: &[u8], unix_seconds: i64, body: &[u8]) -> String {
    let keyed = Hmac::<Sha256>::new_from_slice(secret);
    let mut mac = keyed.unwrap_or_else(|_| unreachable!("a key of any length is one"));
    mac.update(format!("{unix_seconds}.").as_bytes());
    mac.update(body);
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with another program: `printf '1790000000.{}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn it_is_what_others_make_of_the_same() {
        let signed = signature([b"secret".as_slice()].into_iter(), 1_790_000_000, b"{}");
        assert_eq!(
            signed,
            "t=1790000000,v1=d0cadd434460d4af55e7ab90d79c1802591d7001a77c9e06471d0e3ec8cc85ae"
        );
    }

    #[test]
    fn each_secret_signs_and_time_and_body_are_both_signed() {
        let sign = |secrets: &[&[u8]], at, body: &[u8]| signature(secrets.iter().copied(), at, body);
        let both = sign(&[b"new", b"old"], 7, b"x");
        let [new, old] = [sign(&[b"new"], 7, b"x"), sign(&[b"old"], 7, b"x")];
        assert_eq!(both, format!("{new},{}", old.trim_start_matches("t=7,")));
        assert_ne!(new[3..], sign(&[b"new"], 8, b"x")[3..]);
        assert_ne!(new, sign(&[b"new"], 7, b"y"));
    }
}
