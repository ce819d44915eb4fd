//! Who is at the other end: of a connection, and of a request.
//!
//! Plain data. It must not know how somebody proves who they are, nor what stands before a port.

use super::claim;
use super::problem::Problem;
use crate::rights::{Identity, Right, Rights};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A program on some network.
    Tcp(SocketAddr),
    /// Somebody unknown, behind a proxy there that nobody has declared.
    Behind(SocketAddr),
    /// A program that may open the socket in the data folder.
    Local,
}

impl Peer {
    /// Whom limits and books are kept for: the nearest that is known. Through the socket, it is this machine.
    pub fn address(self) -> IpAddr {
        match self {
            Self::Tcp(from) | Self::Behind(from) => from.ip().to_canonical(),
            Self::Local => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Whence somebody asks, for whoever opens something to a network: of those that are unknown it is `::`, which is
    /// in none.
    pub fn network(self) -> IpAddr {
        match self {
            Self::Behind(_) => Ipv6Addr::UNSPECIFIED.into(),
            Self::Tcp(_) | Self::Local => self.address(),
        }
    }

    /// Somebody behind it.
    pub(super) fn behind(self) -> Self {
        match self {
            Self::Tcp(address) => Self::Behind(address),
            other => other,
        }
    }
}

/// Who asks, for handlers: an extension of every routed request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The other end of the connection.
    pub peer: Peer,
    /// Who the caller proved to be, if anybody.
    pub who: Option<Arc<Identity>>,
    /// What the caller may do, be it as nobody.
    pub rights: Rights,
    /// Nobody in particular, from where everybody may read what is open.
    pub is_open: bool,
    /// Nobody in particular, from where the earlier system's callers are.
    pub is_earlier: bool,
}

impl Caller {
    /// Whoever holds the installation, through the socket in its folder.
    pub fn local() -> Self {
        let who = Some(Arc::new(Identity::installation()));
        Self { peer: Peer::Local, who, rights: Rights::ALL, is_open: false, is_earlier: false }
    }

    /// Whether the caller proved to be somebody who has `right`.
    pub fn is_somebody_with(&self, right: Right) -> bool {
        self.who.as_ref().is_some_and(|who| who.rights.has(right))
    }

    /// Passes those who have `right`.
    ///
    /// # Errors
    /// 401 for nobody in particular, 403 for somebody without it.
    pub fn demand(&self, right: Right) -> Result<(), Problem> {
        if self.rights.has(right) { Ok(()) } else { Err(claim::lacking(&self.who, right)) }
    }
}
