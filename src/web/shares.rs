//! How much of something each of many holds, and that none of them takes all of it.
//!
//! It must not know what is held, nor who holds it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whoever is at an address, as a holder: of IPv6, the network that one subscriber has.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// What each holder has; those who have nothing are not in it, so that it is never larger than what is held.
#[derive(Debug)]
pub struct Shares<K: Hash + Eq> {
    most: usize,
    held: Mutex<HashMap<K, usize>>,
}

impl<K: Hash + Eq + Clone> Shares<K> {
    /// Nothing is held yet, and nobody may ever hold more than `most`.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// One more for `holder`, if they may have it; given back when it is dropped.
    pub fn take(self: &Arc<Self>, holder: K) -> Option<Share<K>> {
        let mut held = self.held();
        let count = held.get(&holder).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        held.insert(holder.clone(), count + 1);
        Some(Share { shares: Arc::clone(self), holder })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        // It is whole between any two lines of this file.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of what a holder has.
#[derive(Debug)]
pub struct Share<K: Hash + Eq + Clone> {
    shares: Arc<Shares<K>>,
    holder: K,
}

impl<K: Hash + Eq + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        if let Some(count) = held.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holds_so_many_and_what_is_given_back_can_be_taken_again() {
        let shares = Shares::new(2);
        let mut held: Vec<_> = [1, 1, 2].into_iter().map(|holder| shares.take(holder).unwrap()).collect();
        assert!(shares.take(1).is_none());
        held.swap_remove(0);
        held.push(shares.take(1).unwrap());
        assert!(shares.take(1).is_none());
        held.clear();
        assert!(shares.held().is_empty());
    }

    #[test]
    fn who_may_have_nothing_is_not_remembered() {
        let shares = Shares::new(0);
        assert!(shares.take(1).is_none() && shares.held().is_empty());
    }
}
