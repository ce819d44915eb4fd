//! Names to addresses, once for each connection, and only to addresses that may be reached.

use super::Reach;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// The system's name service.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A name service whose answers are checked. The client connects to the very addresses that it
/// gives, so there is no second answer that could differ.
pub(super) struct Checked {
    pub(super) inner: Arc<dyn Resolve>,
    pub(super) reach: Arc<Reach>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, reach) = (name.as_str().to_owned(), self.reach.clone());
        let asked = self.inner.resolve(name);
        Box::pin(async move {
            let found = asked.await.map_err(|error| Unresolved::new(&host, error.as_ref()))?;
            let open = reach.checked(&host, found.map(|address| address.ip()))?;
            if open.is_empty() {
                return Err(Unresolved { host, why: "it has no address".to_owned() }.into());
            }
            // Port 0 is the URL's port, which has been checked.
            Ok(Box::new(open.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The name service gave no address.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the name {host} cannot be resolved: {why}")]
pub(super) struct Unresolved {
    pub(super) host: String,
    pub(super) why: String,
}

impl Unresolved {
    fn new(host: &str, error: &(dyn Error + 'static)) -> Self {
        let why = error.downcast_ref::<io::Error>().map_or_else(|| error.to_string(), ToString::to_string);
        Self { host: host.to_owned(), why }
    }
}

/// The cause of this type in the chain of `error`, if there is one.
pub(super) fn cause<T: Error + Clone + 'static>(error: &(dyn Error + 'static)) -> Option<T> {
    chain(error).find_map(|error| error.downcast_ref::<T>()).cloned()
}

/// An error and what caused it, down to the first cause.
pub(super) fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}
