//! Proxies before a port: which are believed, and for whom they ask.
//!
//! Whoever only says to be a proxy is one that nobody has declared: it may be anybody, and what it passes on may come from
//! anywhere. It must not know what is asked.

mod protocol;

use super::caller::Peer;
use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::{fmt, io};
use tokio::io::AsyncRead;

/// For whom a proxy asks, the nearest last.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Ranges of addresses, both ends included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<(IpAddr, IpAddr)>);

impl Networks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them has this machine's own addresses.
    pub fn has_loopback(&self) -> bool {
        let own = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        own.into_iter().any(|address| self.contains(address))
    }

    /// Whether one of them has more addresses than a few machines have: a /28, or a /64 of IPv6.
    pub fn is_broad(&self) -> bool {
        self.0.iter().any(|range| match range {
            (IpAddr::V4(first), IpAddr::V4(last)) => last.to_bits() - first.to_bits() >= 16,
            (IpAddr::V6(first), IpAddr::V6(last)) => last.to_bits() - first.to_bits() >= 1 << 64,
            _ => true,
        })
    }

    /// Whether one of them has the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&address))
    }
}

/// Each as its first and last address, with commas between.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl FromIterator<(IpAddr, IpAddr)> for Networks {
    fn from_iter<I: IntoIterator<Item = (IpAddr, IpAddr)>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

/// The proxies that stand before the ports.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Networks,
}

impl Proxies {
    /// Those of these networks.
    pub fn new(trusted: Networks) -> Self {
        Self { trusted }
    }

    /// Whether `peer` is one of them.
    pub(super) fn has(&self, peer: Peer) -> bool {
        matches!(peer, Peer::Tcp(address) if self.trusted.contains(address.ip()))
    }

    /// Who a connection is for, by the header with which each of a declared proxy begins.
    ///
    /// # Errors
    /// Something else came, or the connection broke.
    pub(super) async fn introduced<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        peer: Peer,
    ) -> io::Result<Peer> {
        if !self.has(peer) {
            return Ok(peer);
        }
        Ok(match protocol::read(stream).await? {
            protocol::For::Itself => peer,
            protocol::For::Somebody(address) if is_somewhere(address.ip()) => Peer::Tcp(address),
            protocol::For::Somebody(_) | protocol::For::Unknown => peer.behind(),
        })
    }

    /// Who asks through `peer`, by the headers of a request in which something is said of it (`told`). A declared proxy
    /// always says; what it leaves out or says in two ways is nobody's word.
    pub(super) fn caller(&self, peer: Peer, headers: &HeaderMap, told: bool) -> Peer {
        if !self.has(peer) {
            return if told { peer.behind() } else { peer };
        }
        let named = (self.nearest(x_forwarded(headers)), self.nearest(forwarded(headers)));
        match named {
            (Said::For(one), Said::For(other)) if one != other => peer.behind(),
            (Said::Unreadable, _) | (_, Said::Unreadable) | (Said::Nothing, Said::Nothing) => peer.behind(),
            (Said::For(address), _) | (_, Said::For(address)) if is_somewhere(address) => {
                Peer::Tcp(SocketAddr::new(address, 0))
            }
            _ => peer.behind(),
        }
    }

    /// The last of a chain that is no proxy of ours: what stands before it, it may have invented. A chain of nothing but
    /// ours begins with who asks.
    fn nearest<'h>(&self, chain: impl DoubleEndedIterator<Item = Option<&'h str>>) -> Said {
        let mut said = Said::Nothing;
        for hop in chain.rev() {
            let Some(address) = hop.and_then(address) else { return Said::Unreadable };
            said = Said::For(address);
            if !self.trusted.contains(address) {
                break;
            }
        }
        said
    }
}

/// Whether an address says to anybody else where its owner is: one of the proxy's own machine is no place here.
fn is_somewhere(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !address.is_loopback() && !address.is_unspecified()
}

/// For whom a header says that it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    Nothing,
    For(IpAddr),
    Unreadable,
}

/// The hops of all `X-Forwarded-For`, the nearest last; none: no text.
fn x_forwarded(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = Option<&str>> {
    lists(headers, &X_FORWARDED_FOR)
}

/// The same of all `Forwarded` (RFC 7239), whose elements are pairs; one without `for` says nothing readable.
fn forwarded(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = Option<&str>> {
    lists(headers, &FORWARDED).map(|element| {
        let pairs = element?.split(';').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        let (_, value) = named.next()?;
        if named.next().is_some() { None } else { Some(value.trim().trim_matches('"')) }
    })
}

/// A quoted comma would be cut in two, and then be no address: nobody has one in theirs.
fn lists<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = Option<&'h str>> + use<'h> {
    headers.get_all(name).iter().collect::<Vec<_>>().into_iter().flat_map(|value| {
        let text = value.to_str().ok();
        let hops: Vec<Option<&str>> =
            text.map_or_else(|| vec![None], |text| text.split(',').map(|hop| Some(hop.trim())).collect());
        hops
    })
}

/// An address, in brackets or with a port or neither.
fn address(hop: &str) -> Option<IpAddr> {
    let bracketed = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let alone = bracketed.unwrap_or(hop).parse::<IpAddr>();
    let with_port = || hop.parse().map(|address: SocketAddr| address.ip());
    alone.or_else(|_| with_port()).ok().map(|address| address.to_canonical())
}

/// Whether a header of this name, which no standard knows, says that a request came through a proxy.
pub(super) fn is_told_by(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => {
            name.starts_with("x-forwarded")
                || name.starts_with("x-original-f")
                || name.starts_with("x-envoy-")
                || matches!(
                    name,
                    "x-real-ip" | "x-client-ip" | "x-cluster-client-ip" | "x-varnish" | "x-amzn-trace-id"
                )
        }
        Some(b'c') => matches!(name, "cf-connecting-ip" | "cf-connecting-ipv6" | "client-ip" | "cdn-loop"),
        Some(b't') => name == "true-client-ip",
        Some(b'f') => matches!(name, "fastly-client-ip" | "fly-client-ip"),
        _ => false,
    }
}

/// Takes away all that is said of proxies: whoever comes next is told by us.
pub(super) fn forget(headers: &mut HeaderMap) {
    let told: Vec<HeaderName> = headers
        .keys()
        .filter(|name| matches!(**name, FORWARDED | VIA) || is_told_by(name.as_str()))
        .cloned()
        .collect();
    for name in told {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies() -> Proxies {
        let network = |first: &str, last: &str| (first.parse().unwrap(), last.parse().unwrap());
        Proxies::new([network("10.0.0.0", "10.0.0.255"), network("::1", "::1")].into_iter().collect())
    }

    fn peer(address: &str) -> Peer {
        Peer::Tcp(SocketAddr::new(address.parse().unwrap(), 9))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    /// Who asks through the proxy at 10.0.0.1.
    fn through(pairs: &[(&'static str, &str)]) -> String {
        match proxies().caller(peer("10.0.0.1"), &headers(pairs), !pairs.is_empty()) {
            Peer::Tcp(address) => address.ip().to_string(),
            other => format!("{other:?}"),
        }
    }

    const UNKNOWN: &str = "Behind(10.0.0.1:9)";

    #[test]
    fn a_declared_proxy_is_believed_from_the_right() {
        for (value, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("1.2.3.4, 203.0.113.9", "203.0.113.9"),
            ("127.0.0.1, 203.0.113.9, 10.0.0.7,10.0.0.8", "203.0.113.9"),
            ("nonsense, 203.0.113.9", "203.0.113.9"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("2001:db8::7, ::1", "2001:db8::7"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:1234", "203.0.113.9"),
            ("10.0.0.3, 10.0.0.4", "10.0.0.3"),
            ("127.0.0.1", UNKNOWN),
            ("::1, 10.0.0.4", UNKNOWN),
            ("0.0.0.0", UNKNOWN),
            ("203.0.113.9, unknown", UNKNOWN),
            ("203.0.113.9,", UNKNOWN),
            ("", UNKNOWN),
            ("203.0.113.09", UNKNOWN),
        ] {
            assert_eq!(through(&[("x-forwarded-for", value)]), expected, "{value}");
        }
        let lines = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9, 10.0.0.5")];
        assert_eq!(through(&lines), "203.0.113.9", "several lines are one list");
    }

    #[test]
    fn networks_say_what_they_are_and_how_broad() {
        let networks = |pairs: &[(&str, &str)]| {
            let ends = pairs.iter().map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap()));
            ends.collect::<Networks>()
        };
        let few = networks(&[("10.0.0.0", "10.0.0.15"), ("::1", "::1")]);
        assert_eq!(few.to_string(), "10.0.0.0-10.0.0.15, ::1");
        assert!(few.has_loopback() && !few.is_broad() && !few.is_empty());
        assert!(networks(&[("10.0.0.0", "10.0.0.16")]).is_broad() && networks(&[]).is_empty());
        assert!(networks(&[("2001:db8::", "2001:db8:0:1::")]).is_broad());
        assert!(!networks(&[("192.0.2.0", "192.0.2.1")]).has_loopback());
    }

    #[test]
    fn the_standard_header_is_read_as_well() {
        for (value, expected) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("for=1.2.3.4, For=\"203.0.113.9:99\";proto=https;by=10.0.0.1", "203.0.113.9"),
            ("for=\"[2001:db8::7]:80\", for=10.0.0.4", "2001:db8::7"),
            ("for=_hidden", UNKNOWN),
            ("proto=https", UNKNOWN),
            ("for=203.0.113.9;for=127.0.0.1", UNKNOWN),
            ("for=\"127.0.0.1, for=203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(through(&[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn a_proxy_that_says_nothing_or_two_things_asks_for_nobody() {
        assert_eq!(through(&[]), UNKNOWN);
        assert_eq!(through(&[("x-real-ip", "127.0.0.1")]), UNKNOWN);
        let two = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=127.0.0.1")];
        assert_eq!(through(&two), UNKNOWN);
        let same = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
        assert_eq!(through(&same), "203.0.113.9");
    }

    #[test]
    fn what_came_through_a_proxy_that_nobody_declared_is_from_no_network() {
        let here = peer("127.0.0.1");
        for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip", "true-client-ip", "x-forwarded-host"]
        {
            let headers = headers(&[(name, "127.0.0.1")]);
            assert!(name == "forwarded" || name == "via" || is_told_by(name), "{name}");
            let caller = proxies().caller(here, &headers, true);
            assert_eq!(caller, Peer::Behind(([127, 0, 0, 1], 9).into()), "{name}");
            assert!(caller.network().is_unspecified() && caller.address().is_loopback());
        }
        assert_eq!(proxies().caller(here, &HeaderMap::new(), false), here);
        assert_eq!(proxies().caller(Peer::Local, &HeaderMap::new(), true), Peer::Local);
    }

    #[test]
    fn all_that_is_said_of_proxies_is_forgotten() {
        let mut said = headers(&[
            ("x-forwarded-for", "1"),
            ("x-forwarded-for", "2"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=1"),
            ("via", "1.1 a"),
            ("x-real-ip", "1"),
            ("x-request-id", "kept"),
            ("accept", "kept"),
        ]);
        forget(&mut said);
        assert_eq!(said.len(), 2, "{said:?}");
    }

    proptest! {
        /// Whatever a caller puts in front, who it is stays: the address that the proxy saw.
        #[test]
        fn nobody_changes_who_they_are_by_what_they_say(said in "[ -~]{0,80}") {
            let value = format!("{said}, 203.0.113.9");
            prop_assert_eq!(through(&[("x-forwarded-for", &value)]), "203.0.113.9");
        }
    }
}
