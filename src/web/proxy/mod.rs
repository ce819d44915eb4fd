//! Proxies before a port: which are believed, and for whom they ask.
//!
//! Whoever only says to be a proxy is one that nobody has declared: it may be anybody, and what it passes on may come from
//! anywhere. It must not know what is asked.

mod protocol;

use super::app::Peer;
use std::io;
use std::net::IpAddr;
use tokio::io::AsyncRead;

/// Ranges of addresses, both ends included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<(IpAddr, IpAddr)>);

impl Networks {
    /// Whether one of them has the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&address))
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

    /// Who a connection is for, by the header with which each of a declared proxy begins.
    ///
    /// # Errors
    /// Something else came, or the connection broke.
    pub(super) async fn introduced<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        peer: Peer,
    ) -> io::Result<Peer> {
        match peer {
            Peer::Tcp(address) if self.trusted.contains(address.ip()) => {
                Ok(protocol::read(stream).await?.map_or(peer, Peer::Tcp))
            }
            _ => Ok(peer),
        }
    }
}
