//! The line before the hashes of passwords: bounded, so that a flood of logins takes neither the processors nor the memory
//! from those who ask for addresses, and with a part of its own for people who were let in from there before, so that it
//! does not keep them out either. It must not know names or passwords.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Passwords that are checked at once, of anybody and of known people alone; each takes a processor and 19 MiB.
const HASHES: usize = 1;
/// Those that wait for it beside them.
const WAITING: usize = 4;
/// Places that strangers of one network have at most.
const OF_ONE_NETWORK: usize = 2;
/// So long a password waits to be checked.
const PATIENCE: Duration = Duration::from_secs(5);

/// A /24, or a /48 of IPv6.
pub(super) type Network = [u8; 17];

/// Places for some, and hashes for fewer of them.
#[derive(Debug)]
struct Part {
    places: Arc<Semaphore>,
    hashes: Arc<Semaphore>,
}

impl Part {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(HASHES + WAITING)), hashes: Arc::new(Semaphore::new(HASHES)) }
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    async fn hash(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.hashes).acquire_owned().await.ok()
    }
}

/// Everybody who waits.
#[derive(Debug)]
pub(super) struct Line {
    anybody: Part,
    known: Part,
    networks: Arc<Mutex<HashMap<Network, usize>>>,
}

/// A turn to have a password checked. It goes with the work, and ends with it, whether or not anybody still waits.
#[derive(Debug)]
pub struct Turn {
    _hash: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    _network: Option<OfNetwork>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { anybody: Part::new(), known: Part::new(), networks: Arc::default() }
    }

    /// A turn for a stranger from there, once it comes; none where too many wait, or where it takes too long.
    pub(super) async fn stranger(&self, network: Network) -> Option<Turn> {
        let place = self.anybody.place()?;
        let network = OfNetwork::enter(&self.networks, network)?;
        let hash = tokio::time::timeout(PATIENCE, self.anybody.hash()).await.ok()??;
        Some(Turn { _hash: hash, _place: place, _network: Some(network) })
    }

    /// The same for somebody who was let in from there before, who waits for whichever hash is free first.
    pub(super) async fn known(&self) -> Option<Turn> {
        let place = self.known.place().or_else(|| self.anybody.place())?;
        let hash = async {
            tokio::select! {
                biased;
                hash = self.known.hash() => hash,
                hash = self.anybody.hash() => hash,
            }
        };
        let hash = tokio::time::timeout(PATIENCE, hash).await.ok()??;
        Some(Turn { _hash: hash, _place: place, _network: None })
    }
}

/// One of a network's strangers in the line. There are no more than there are places.
#[derive(Debug)]
struct OfNetwork {
    networks: Arc<Mutex<HashMap<Network, usize>>>,
    network: Network,
}

fn locked(networks: &Mutex<HashMap<Network, usize>>) -> MutexGuard<'_, HashMap<Network, usize>> {
    networks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OfNetwork {
    fn enter(networks: &Arc<Mutex<HashMap<Network, usize>>>, network: Network) -> Option<Self> {
        let mut all = locked(networks);
        let many = all.entry(network).or_default();
        if *many == OF_ONE_NETWORK {
            return None;
        }
        *many += 1;
        Some(Self { networks: Arc::clone(networks), network })
    }
}

impl Drop for OfNetwork {
    fn drop(&mut self) {
        let mut all = locked(&self.networks);
        let many = all.get(&self.network).copied().unwrap_or(0);
        if many > 1 {
            all.insert(self.network, many - 1);
        } else {
            all.remove(&self.network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn network(n: u8) -> Network {
        [n; 17]
    }

    #[tokio::test]
    async fn strangers_take_nothing_from_those_who_are_known() {
        let line = Line::new();
        let working = line.stranger(network(0)).await.unwrap();
        let mut waiting: Vec<_> = (1..=4).map(|n| Box::pin(line.stranger(network(n)))).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()), "four wait");
        for n in 0..100 {
            assert!(line.stranger(network(100 + n)).now_or_never().unwrap().is_none(), "and no fifth");
        }
        let home = line.known().now_or_never().unwrap();
        assert!(home.is_some(), "whoever is known does not wait for strangers");
        let mut others: Vec<_> = (0..4).map(|_| Box::pin(line.known())).collect();
        assert!(others.iter_mut().all(|one| one.now_or_never().is_none()));
        assert!(line.known().now_or_never().unwrap().is_none(), "nor are known ones many");
        drop(home);
        assert!(others[0].as_mut().await.is_some());
        drop((working, waiting));
        assert!(locked(&line.networks).is_empty());
    }

    #[tokio::test]
    async fn one_network_is_not_the_whole_line() {
        let line = Line::new();
        let _working = line.stranger(network(1)).await.unwrap();
        let mut second = Box::pin(line.stranger(network(1)));
        assert!((&mut second).now_or_never().is_none());
        assert!(line.stranger(network(1)).now_or_never().unwrap().is_none(), "a third does not get in");
        let mut other = Box::pin(line.stranger(network(2)));
        assert!((&mut other).now_or_never().is_none(), "another network's waits");
        drop(second);
        assert!(
            Box::pin(line.stranger(network(1))).as_mut().now_or_never().is_none(),
            "who went away makes room"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let line = Line::new();
        let _working = line.stranger(network(1)).await.unwrap();
        assert!(line.stranger(network(2)).await.is_none());
    }
}
