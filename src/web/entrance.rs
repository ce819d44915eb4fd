//! What stands between callers and a port, and so who they are and what their browsers may do.
//!
//! It must not know what is asked.

use super::body::Request;
use super::browser::Pages;
use super::caller::Peer;
use super::edge::Signs;
use super::proxy::{self, Proxies};
use http::header::HOST;
use http::{HeaderValue, Version};
use std::net::IpAddr;

/// The entrance of ports: nothing but callers stands before it, unless it is said.
#[derive(Clone, Debug, Default)]
pub struct Entrance {
    /// The proxies before the ports.
    pub proxies: Proxies,
    /// Whether callers reach those over TLS.
    pub is_secured: bool,
    /// The pages of elsewhere that may use the API.
    pub pages: Pages,
}

impl Entrance {
    /// Who asks. What was said of proxies is gone then: whoever is asked next is told by us.
    pub(super) fn caller(&self, peer: Peer, request: &mut Request, signs: Signs) -> Peer {
        let caller = self.proxies.caller(peer, request.headers(), signs.forwarded);
        if signs.forwarded {
            proxy::forget(request.headers_mut());
        }
        match caller {
            Peer::Tcp(address) if address.ip().to_canonical().is_loopback() && !is_from_here(request) => {
                caller.behind()
            }
            _ => caller,
        }
    }
}

/// Whether a request that comes from this machine may have begun here. A proxy that says nothing of itself asks in
/// HTTP/1.0 or by the name that its own callers used; and a page of elsewhere, whose name was made to mean this
/// machine, knows no other name.
fn is_from_here(request: &Request) -> bool {
    request.version() != Version::HTTP_10 && request.headers().get(HOST).is_none_or(names_this_machine)
}

fn names_this_machine(host: &HeaderValue) -> bool {
    let host = host.to_str().unwrap_or_default();
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.contains(']');
    }
    let name = host.split(':').next().unwrap_or(host);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Body;

    fn asks(host: Option<&str>, version: Version, from: [u8; 4]) -> bool {
        let mut request = http::Request::builder().version(version);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let peer = Peer::Tcp((from, 9).into());
        Entrance::default().caller(peer, &mut request, Signs::default()) == peer
    }

    #[test]
    fn who_comes_from_this_machine_under_another_name_may_come_from_anywhere() {
        let here = [127, 0, 0, 1];
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "0.0.0.0:1",
            "[::1]:8080",
            "a.localhost",
            "10.0.0.1",
        ] {
            assert!(asks(Some(host), Version::HTTP_11, here), "{host}");
        }
        for host in [
            "ironlist.example.com",
            "evil.example:8080",
            "backend",
            "127.0.0.1.evil.example",
            "localhost.evil",
        ] {
            assert!(!asks(Some(host), Version::HTTP_11, here), "{host}");
            assert!(asks(Some(host), Version::HTTP_11, [192, 0, 2, 1]), "{host}");
        }
        assert!(!asks(None, Version::HTTP_10, here) && !asks(Some("127.0.0.1"), Version::HTTP_10, here));
    }
}
