//! How a gateway in a process of its own says for whom it asks, and is believed: who reads from where decides what they
//! are given, and all that a role sees of such a gateway is the gateway's own address.
//!
//! The word is made of the administrator's key, which both have and which cannot be told from it. It knows no path.

use super::app::Peer;
use super::auth::{Keys, key_wrong};
use super::problem::Problem;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;

/// For whom a gateway asks.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The gateway's word for that.
pub const X_GATEWAY: HeaderName = HeaderName::from_static("x-ironlist-gateway");
/// For how many more milliseconds it waits for the answer's head.
pub const X_DEADLINE: HeaderName = HeaderName::from_static("x-ironlist-deadline");

/// The word of gateways that have this key, in hexadecimal.
pub fn word(key: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"ironlist gateway\0").chain_update(key).finalize();
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing into memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Who asks at the other end: `peer` itself, or the caller of a gateway that has one of the `words`. The word goes no
/// further.
///
/// # Errors
/// 401 for a word that is wrong: whoever is behind such a gateway is not known, and must not pass for it.
pub(super) fn caller(peer: Peer, headers: &mut HeaderMap, words: &Keys) -> Result<Peer, Problem> {
    let Some(word) = headers.remove(X_GATEWAY) else { return Ok(peer) };
    let address = headers.get(X_FORWARDED_FOR).and_then(address);
    match address.filter(|_| words.has(word.as_bytes())) {
        Some(address) => Ok(Peer::Tcp((address, 0).into())),
        None => Err(key_wrong()),
    }
}

fn address(value: &HeaderValue) -> Option<IpAddr> {
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_with_the_key_is_believed_and_everybody_else_is_who_they_are() {
        let words: Keys = [&*word(b"sesame")].into_iter().collect();
        let here = Peer::Tcp(([10, 0, 0, 1], 9).into());
        let ask = |from: &'static str, word: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static(from))]);
            headers.extend(word.map(|word| (X_GATEWAY, word.parse().unwrap())));
            let caller = caller(here, &mut headers, &words).map_err(|problem| problem.code());
            assert!(!headers.contains_key(X_GATEWAY));
            caller
        };
        assert_eq!(ask("192.0.2.7", None), Ok(here), "anybody can say that");
        assert_eq!(ask("192.0.2.7", Some(&word(b"sesame"))), Ok(Peer::Tcp(([192, 0, 2, 7], 0).into())));
        assert_eq!(ask("192.0.2.7", Some(&word(b"another"))), Err("key_wrong"));
        assert_eq!(ask("somewhere", Some(&word(b"sesame"))), Err("key_wrong"));
    }
}
