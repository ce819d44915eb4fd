//! How a gateway in a process of its own says for whom it asks, and is believed: who reads from where decides what they
//! are given, and all that a role sees of such a gateway is the gateway's own address.
//!
//! The word is made of the administrator's key, which both have and which cannot be told from it. It knows no path.

use super::caller::Peer;
use super::claim::{Key, Keys, key_wrong};
use super::problem::Problem;
pub use super::proxy::X_FORWARDED_FOR;
use super::tls::Secured;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;

/// The gateway's word.
pub const X_GATEWAY: HeaderName = HeaderName::from_static("x-ironlist-gateway");
/// For how many more milliseconds it waits for the answer's head.
pub const X_DEADLINE: HeaderName = HeaderName::from_static("x-ironlist-deadline");
/// What more it says of whom it asks for.
const X_CALLER: HeaderName = HeaderName::from_static("x-ironlist-caller");

/// The caller came through a proxy that nobody declared.
const BEHIND: &str = "behind";
/// The caller came over TLS.
const SECURED: &str = "secured";
/// The caller showed the certificate with this SHA-256.
const CERTIFICATE: &str = "certificate=";

/// The word of gateways that have this key, in hexadecimal.
pub fn word(key: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"ironlist gateway\0").chain_update(key).finalize();
    hexadecimal(&digest)
}

/// Says for whom is asked. Without a `word` it is as good as anybody's.
pub fn introduce(headers: &mut HeaderMap, peer: Peer, secured: Option<Secured>, word: Option<&HeaderValue>) {
    headers.remove(X_CALLER);
    let Ok(address) = HeaderValue::try_from(peer.address().to_string()) else { return };
    headers.insert(X_FORWARDED_FOR, address);
    let Some(word) = word else { return };
    headers.insert(X_GATEWAY, word.clone());
    let mut more = Vec::new();
    if matches!(peer, Peer::Behind(_)) {
        more.push(BEHIND.to_owned());
    }
    if let Some(secured) = secured {
        more.push(SECURED.to_owned());
        more.extend(secured.certificate.map(|digest| format!("{CERTIFICATE}{}", hexadecimal(&digest))));
    }
    if let Some(more) = Some(more.join(" ")).filter(|more| !more.is_empty())
        && let Ok(more) = HeaderValue::try_from(more)
    {
        headers.insert(X_CALLER, more);
    }
}

/// For whom a gateway asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vouched {
    pub(super) peer: Peer,
    /// How they came to the gateway.
    pub(super) secured: Option<Secured>,
}

/// The caller of a gateway that has one of the `words`; none where nobody says to be one. The word goes no further.
///
/// # Errors
/// 401 for a word that is wrong: whoever is behind such a gateway is not known, and must not pass for it.
pub(super) fn caller(headers: &mut HeaderMap, words: &Keys) -> Result<Option<Vouched>, Problem> {
    let Some(word) = headers.remove(X_GATEWAY) else { return Ok(None) };
    let (address, more) = (headers.remove(X_FORWARDED_FOR), headers.remove(X_CALLER));
    let is_right = word.to_str().is_ok_and(|word| words.has(Key::of(word)));
    let address = address.as_ref().and_then(address_of).filter(|_| is_right);
    let more = more.as_ref().map_or(Some(""), |more| more.to_str().ok());
    let (Some(address), Some(more)) = (address, more) else { return Err(key_wrong()) };
    let mut vouched = Vouched { peer: Peer::Tcp((address, 0).into()), secured: None };
    for said in more.split_ascii_whitespace() {
        match said.strip_prefix(CERTIFICATE) {
            Some(digits) => {
                let certificate = Some(digest(digits).ok_or_else(key_wrong)?);
                vouched.secured = Some(Secured { certificate });
            }
            None if said == BEHIND => vouched.peer = vouched.peer.behind(),
            None if said == SECURED => vouched.secured = Some(Secured { certificate: None }),
            None => return Err(key_wrong()),
        }
    }
    Ok(Some(vouched))
}

fn address_of(value: &HeaderValue) -> Option<IpAddr> {
    value.to_str().ok()?.parse().ok()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Keys {
        [&*word(b"sesame")].into_iter().collect()
    }

    #[test]
    fn a_gateway_with_the_key_is_believed_and_nobody_else() {
        let ask = |from: &'static str, word: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static(from))]);
            headers.extend(word.map(|word| (X_GATEWAY, word.parse().unwrap())));
            let caller = caller(&mut headers, &words()).map_err(|problem| problem.code());
            assert!(!headers.contains_key(X_GATEWAY));
            caller.map(|vouched| vouched.map(|vouched| vouched.peer))
        };
        assert_eq!(ask("192.0.2.7", None), Ok(None), "anybody can say that");
        let right = Ok(Some(Peer::Tcp(([192, 0, 2, 7], 0).into())));
        assert_eq!(ask("192.0.2.7", Some(&word(b"sesame"))), right);
        assert_eq!(ask("192.0.2.7", Some(&word(b"another"))), Err("key_wrong"));
        assert_eq!(ask("somewhere", Some(&word(b"sesame"))), Err("key_wrong"));
    }

    #[test]
    fn what_a_gateway_says_arrives_as_it_was() {
        let word: HeaderValue = word(b"sesame").parse().unwrap();
        let here = Peer::Tcp(([192, 0, 2, 7], 0).into());
        let certificate = Some(std::array::from_fn(|n| n as u8 * 7));
        for peer in [here, here.behind()] {
            for secured in [None, Some(Secured { certificate: None }), Some(Secured { certificate })] {
                let mut headers = HeaderMap::new();
                introduce(&mut headers, peer, secured, Some(&word));
                assert_eq!(caller(&mut headers, &words()).unwrap(), Some(Vouched { peer, secured }));
                assert!(headers.is_empty());
            }
        }
    }

    #[test]
    fn what_no_gateway_says_is_refused() {
        for more in ["certificate=00", "certificate=zz", "administrator", "secured,behind", &"0".repeat(64)] {
            let mut headers = HeaderMap::new();
            headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("192.0.2.7"));
            headers.insert(X_GATEWAY, word(b"sesame").parse().unwrap());
            headers.insert(X_CALLER, more.parse().unwrap());
            assert!(caller(&mut headers, &words()).is_err(), "{more}");
        }
    }
}
