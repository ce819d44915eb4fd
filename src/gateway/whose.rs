//! Whose account a request goes to: what one caller may have is counted for them.
//!
//! It must not know what is counted.

use crate::web::{Caller, Peer};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// Names for callers that nobody outside can choose or foresee.
#[derive(Debug, Default)]
pub(super) struct Whose(RandomState);

impl Whose {
    /// A name for whoever asks: themselves, or the address of those who are nobody. Of IPv6 it is the network that one
    /// subscriber has. The holder of the installation who asks through its socket has none: nothing is counted for them.
    pub(super) fn of(&self, caller: &Caller) -> Option<u64> {
        if caller.peer == Peer::Local {
            return None;
        }
        Some(match (&caller.who, caller.peer.address()) {
            (Some(who), _) => self.0.hash_one((who.kind, &*who.name)),
            (None, IpAddr::V4(address)) => self.0.hash_one(address.to_bits()),
            (None, IpAddr::V6(address)) => self.0.hash_one((address.to_bits() >> 64) as u64),
        })
    }
}
