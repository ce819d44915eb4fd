//! The outgoing HTTP client: reaches only what it may reach, and takes only as much as it was told.
//!
//! Every URL is checked before it is asked, and again at each redirect; every name is resolved once,
//! by a resolver that lets through only checked addresses, and the connection goes to one of those.
//! So a name that changes its address between check and use changes nothing. Knows nothing of lists,
//! portals, runs or firewalls.

mod address;
pub mod budget;
mod client;
mod error;
mod failure;
mod reach;
mod resolve;
mod tls;

#[cfg(test)]
mod tests;

pub use address::is_public;
pub use client::{FetchSettings, Fetcher, Outgoing};
pub use error::FetchError;
pub use failure::Failure;
pub use reach::{Denied, Exception, HostPattern, Proxy, Reach};
pub use tls::Trust;

/// The HTTP client underneath, for those who speak to a portal through [`Fetcher::client`].
pub use reqwest;
pub use url::Url;
