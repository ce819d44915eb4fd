//! What stands between callers and a port, and so who they are and what their browsers may do.
//!
//! It must not know what is asked.

use super::body::Request;
use super::browser::Pages;
use super::caller::Peer;
use super::claim::X_API_KEY;
use super::edge::Signs;
use super::problem::Problem;
use super::proxy::{self, Proxies};
use super::tls::Secured;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Version};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The entrance of ports: nothing but callers stands before it, unless it is said.
#[derive(Clone, Debug, Default)]
pub struct Entrance {
    /// The proxies before the ports.
    pub proxies: Proxies,
    /// Whether callers reach those over TLS.
    pub is_secured: bool,
    /// Whether whoever reaches a port past them is taken without TLS: the network itself is protected.
    pub is_open: bool,
    /// The pages of elsewhere that may use the API.
    pub pages: Pages,
    /// The names of this machine, in small letters, by which people ask.
    pub names: Vec<String>,
    /// Whether somebody was told that a proxy is not declared.
    pub told: Arc<AtomicBool>,
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who opened it.
    pub opener: Peer,
    /// For whom, where a declared proxy's PROXY header has said so; else the same.
    pub peer: Peer,
    /// The port at our end; of a socket in a folder there is none.
    pub port: Option<u16>,
}

impl Entrance {
    /// Whether the caller at the other end came over TLS, as far as the proxy that is there.
    pub(super) fn is_secured(&self, ends: Ends, request: &Request) -> bool {
        is_encrypted(request) || (self.is_secured && self.proxies.has(ends.opener))
    }

    /// Refuses whoever comes in the clear past the proxies that encrypt, over a network: a key that is shown so is
    /// everybody's.
    ///
    /// # Errors
    /// 403, before anything is read of who asks.
    pub(super) fn refuse_clear(&self, ends: Ends, request: &Request) -> Result<(), Problem> {
        let is_near = ends.opener.address().is_loopback() || self.proxies.has(ends.opener);
        if !self.is_secured || self.is_open || is_near || is_encrypted(request) {
            return Ok(());
        }
        Err(Problem::forbidden("not_encrypted")
            .detail("Ask by the proxy that speaks TLS; this is in the clear."))
    }

    /// Who asks. What was said of proxies is gone then: whoever is asked next is told by us.
    pub(super) fn caller(&self, ends: Ends, request: &mut Request, signs: Signs) -> Peer {
        let is_lured = signs.browser && self.is_lured(ends, request);
        let caller = self.proxies.caller(ends.peer, request.headers(), signs.forwarded);
        if signs.forwarded {
            proxy::forget(request.headers_mut());
        }
        match caller {
            Peer::Tcp(address) if address.ip().to_canonical().is_loopback() => {
                if is_from_here(request, ends.port) { caller } else { self.doubt(caller) }
            }
            Peer::Tcp(_) if is_lured => caller.behind(),
            Peer::Behind(address) if address.ip().to_canonical().is_loopback() => self.doubt(caller),
            _ => caller,
        }
    }

    /// Whether a browser may have been led here by a name that is not ours, to be let in by its network: a page of that
    /// name may then read and write what it likes, since to the browser it is at home. Over TLS a wrong name does not get so
    /// far, a key is not the network's, and a page that is named says of itself where it is from.
    fn is_lured(&self, ends: Ends, request: &Request) -> bool {
        let headers = request.headers();
        !headers.contains_key(AUTHORIZATION)
            && !headers.contains_key(X_API_KEY)
            && self.pages.named(headers).is_none()
            && !self.is_secured(ends, request)
            && !host(headers).is_some_and(|(name, _)| self.knows(name))
    }

    /// No page has an address for its name, but the one that is there.
    fn knows(&self, name: &str) -> bool {
        name.parse::<IpAddr>().is_ok()
            || is_localhost(name)
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Somebody behind whatever is on this machine. It is told once where nobody has declared a proxy here: who has one
    /// may think that its callers have nothing to do with this machine.
    fn doubt(&self, caller: Peer) -> Peer {
        if !self.proxies.has(caller) && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a request came from this machine through something that is not declared, or by another name: \
                 without a key nothing is open to it; if a proxy runs here, name it under proxy.trusted"
            );
        }
        caller.behind()
    }
}

fn is_encrypted(request: &Request) -> bool {
    request.extensions().get::<Secured>().is_some()
}

/// Whether a request that comes from this machine may have begun here. A proxy that says nothing of itself asks in
/// HTTP/1.0, or by the name, address or port that its own callers used; and a page of elsewhere, whose name was made to
/// mean this machine, knows no other name. A connection from this machine to another address of its own comes from there.
fn is_from_here(request: &Request, port: Option<u16>) -> bool {
    let usual = if is_encrypted(request) { 443 } else { 80 };
    let is_ours = |(name, named): (&str, Option<u16>)| {
        let is_here = || name.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback());
        port.is_none_or(|port| named.unwrap_or(usual) == port) && (is_localhost(name) || is_here())
    };
    request.version() != Version::HTTP_10 && host(request.headers()).is_some_and(is_ours)
}

/// `localhost` and the names in it (RFC 6761, 6.3), in any case.
fn is_localhost(name: &str) -> bool {
    const LOCALHOST: &str = "localhost";
    let at = name.len().checked_sub(LOCALHOST.len());
    let is_one = |(before, last): (&str, &str)| {
        last.eq_ignore_ascii_case(LOCALHOST) && (before.is_empty() || before.ends_with('.'))
    };
    at.and_then(|at| name.split_at_checked(at)).is_some_and(is_one)
}

/// The name or address of the Host, and its port. One that is neither is no name of anybody's.
fn host(headers: &HeaderMap) -> Option<(&str, Option<u16>)> {
    let host = headers.get(HOST)?.to_str().ok()?;
    // From its end: every request of this machine comes by here, and digits are soon read.
    let digits = host.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (rest, port) = host.split_at(host.len() - digits);
    let (name, port) = match rest.strip_suffix(':') {
        Some(name) if port.is_empty() => (name, None),
        Some(name) => (name, Some(port.parse().ok()?)),
        None => (host, None),
    };
    match name.strip_prefix('[') {
        Some(bracketed) => {
            let address = bracketed.strip_suffix(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            Some((address, port))
        }
        // An address of IPv6 has brackets.
        None => (!name.contains(':')).then_some((name, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Body;
    use http::HeaderName;

    const HERE: [u8; 4] = [127, 0, 0, 1];
    const THERE: [u8; 4] = [192, 0, 2, 1];

    fn entrance() -> Entrance {
        let proxies = Proxies::new([([10, 0, 0, 1].into(), [10, 0, 0, 9].into())].into_iter().collect());
        let pages = ["https://soc.example.com"].into_iter().collect();
        Entrance { proxies, pages, names: vec!["ironlist.corp".to_owned()], ..Entrance::default() }
    }

    /// Who asks from there with these headers at port 8001.
    fn asks(from: [u8; 4], version: Version, pairs: &[(&str, &str)]) -> Peer {
        let request = http::Request::builder().version(version).body(Body::empty());
        let mut request = request.unwrap();
        for (name, value) in pairs {
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let peer = Peer::Tcp((from, 9).into());
        let signs = super::super::edge::admit(&mut request).unwrap();
        entrance().caller(Ends { opener: peer, peer, port: Some(8001) }, &mut request, signs)
    }

    fn is_believed(from: [u8; 4], host: &str, more: &[(&str, &str)]) -> bool {
        let caller = asks(from, Version::HTTP_11, &[&[("host", host)], more].concat());
        matches!(caller, Peer::Tcp(_))
    }

    #[test]
    fn who_comes_from_this_machine_under_another_name_may_come_from_anywhere() {
        for host in [
            "localhost:8001",
            "LOCALHOST:8001",
            "127.0.0.1:8001",
            "127.9.9.9:8001",
            "[::1]:8001",
            "a.Localhost:8001",
        ] {
            assert!(is_believed(HERE, host, &[]), "{host}");
        }
        for host in [
            "ironlist.example.com:8001",
            "backend",
            "127.0.0.1.evil.example:8001",
            "localhost.evil:8001",
            "notlocalhost:8001",
            "10.0.0.1:8001",
            "203.0.113.9:8001",
            "0.0.0.0:8001",
            "[2001:db8::1]:8001",
            "[evil]:8001",
            "[::1]8001",
            "[::1",
            "127.0.0.1:8001:8001",
            "127.0.0.1:8001x",
            "::1",
        ] {
            assert!(!is_believed(HERE, host, &[]), "{host}");
            assert!(is_believed(THERE, host, &[]), "{host}: what comes from elsewhere is from there");
        }
    }

    #[test]
    fn who_names_another_port_has_come_by_another_port() {
        for host in ["localhost", "127.0.0.1", "[::1]", "localhost:", "127.0.0.1:80", "127.0.0.1:38001"] {
            assert!(!is_believed(HERE, host, &[]), "{host}");
        }
        let mut usual = http::Request::builder().header(HOST, "localhost").body(Body::empty()).unwrap();
        assert!(is_from_here(&usual, Some(80)) && !is_from_here(&usual, Some(443)));
        usual.extensions_mut().insert(Secured { certificate: None });
        assert!(is_from_here(&usual, Some(443)) && !is_from_here(&usual, Some(80)));
        assert!(is_from_here(&usual, None));
    }

    #[test]
    fn an_old_request_from_this_machine_may_be_a_proxys() {
        for host in [&[("host", "127.0.0.1:8001")][..], &[]] {
            let caller = asks(HERE, Version::HTTP_10, host);
            assert_eq!(caller, Peer::Behind((HERE, 9).into()));
        }
    }

    #[test]
    fn a_proxy_that_says_it_asks_for_this_machine_asks_for_somebody_unknown() {
        let forwarded = |from: &str| {
            let pairs = [("host", "127.0.0.1:8001"), ("x-forwarded-for", from)];
            asks([10, 0, 0, 2], Version::HTTP_11, &pairs)
        };
        assert_eq!(forwarded("203.0.113.5"), Peer::Tcp(([203, 0, 113, 5], 0).into()));
        for from in ["127.0.0.1", "127.0.0.1, 10.0.0.3", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
            assert_eq!(forwarded(from), Peer::Behind(([10, 0, 0, 2], 9).into()), "{from}");
        }
    }

    #[test]
    fn a_browser_is_let_in_by_its_network_only_if_it_names_us() {
        let page = ("origin", "http://evil.example:8001");
        for sign in [page, ("sec-fetch-site", "same-origin"), ("accept-language", "ko")] {
            assert!(!is_believed(THERE, "evil.example:8001", &[sign]), "{sign:?}");
            for host in ["ironlist.corp:8001", "IRONLIST.corp", "192.0.2.7:8001", "[2001:db8::1]:8001"] {
                assert!(is_believed(THERE, host, &[sign]), "{sign:?} {host}");
            }
        }
        assert!(is_believed(THERE, "evil.example:8001", &[]), "a program is not led astray");
        assert!(is_believed(THERE, "evil.example:8001", &[page, ("x-api-key", "il_x")]), "a key is judged");
        let named = [("origin", "https://soc.example.com")];
        assert!(is_believed(THERE, "elsewhere.example:8001", &named), "a page that is named");
    }

    #[test]
    fn who_comes_past_the_proxies_that_encrypt_is_refused() {
        let refused = |from: [u8; 4], entrance: &Entrance, secured: bool| {
            let mut request = http::Request::new(Body::empty());
            if secured {
                request.extensions_mut().insert(Secured { certificate: None });
            }
            let opener = Peer::Tcp((from, 9).into());
            entrance.refuse_clear(Ends { opener, peer: opener.behind(), port: None }, &request).is_err()
        };
        let behind = Entrance { is_secured: true, ..entrance() };
        assert!(refused(THERE, &behind, false));
        assert!(!refused(THERE, &behind, true), "it speaks TLS itself");
        assert!(!refused(HERE, &behind, false) && !refused([10, 0, 0, 2], &behind, false));
        assert!(!refused(THERE, &Entrance { is_open: true, ..behind }, false));
        assert!(!refused(THERE, &entrance(), false), "nobody has said that a proxy encrypts");
    }
}
