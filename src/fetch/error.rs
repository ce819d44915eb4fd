//! Why nothing was fetched, by what can be done about it.

use super::resolve::{Unresolved, cause, chain};
use super::{Denied, Failure};
use std::error::Error;
use std::io;

/// A request that gave no whole answer. No text of it holds a query or a credential.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FetchError {
    /// What was asked for may not be reached.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The client cannot be made from its settings.
    #[error("fetching is set up wrongly: {0}")]
    Setup(String),
    /// The name has no address.
    #[error("{0}; check the name and this machine's name servers")]
    Name(String),
    /// No connection, or none in time.
    #[error("no connection to {host}: {why}; check that this machine may reach it, or set a proxy")]
    Connect {
        /// To which host.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The certificate or the handshake.
    #[error(
        "no secure connection to {host}: {why}; check this machine's clock and certificates, and set a CA file if the server has its own"
    )]
    Tls {
        /// To which host.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// No answer in time, or one that stopped coming.
    #[error("{0} did not answer in time; it is tried again, and a longer time limit may be set")]
    Timeout(String),
    /// The answer is larger than allowed; nothing of it was kept.
    #[error("{host} sends more than {limit} bytes; raise the size limit if the list is really that large")]
    TooLarge {
        /// Which host.
        host: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The connection ended in the midst of the answer, or what came cannot be unpacked.
    #[error("the answer of {host} broke off: {why}; it is tried again")]
    Truncated {
        /// Which host.
        host: String,
        /// What was noticed.
        why: String,
    },
    /// Not HTTP, or none that makes sense.
    #[error("{host} does not speak HTTP properly: {why}; check the URL's scheme and port")]
    Protocol {
        /// Which host.
        host: String,
        /// What was noticed.
        why: String,
    },
}

impl FetchError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Setup(_) => "fetch_setup",
            Self::Name(_) => "name_unresolved",
            Self::Connect { .. } => "connect_failed",
            Self::Tls { .. } => "tls_failed",
            Self::Timeout(_) => "fetch_timeout",
            Self::TooLarge { .. } => "answer_too_large",
            Self::Truncated { .. } => "answer_truncated",
            Self::Protocol { .. } => "http_broken",
        }
    }

    /// What the runner does about it.
    pub fn kind(&self) -> Failure {
        match self {
            // A file that cannot be read for a moment, or a name service that says nonsense for one.
            Self::Setup(_) | Self::Denied(Denied::Address { .. }) => Failure::Hindered,
            // What a server leads to is the server's to mend, the rest the operator's.
            Self::Denied(Denied::Downgrade | Denied::Redirects) => Failure::Broken,
            Self::Denied(_) => Failure::Attention,
            Self::Tls { .. } | Self::TooLarge { .. } | Self::Protocol { .. } => Failure::Broken,
            Self::Name(_) | Self::Connect { .. } | Self::Timeout(_) | Self::Truncated { .. } => {
                Failure::Transient { retry_after: None }
            }
        }
    }

    /// Whether it happened before anything of the request was sent, where nothing leads elsewhere.
    pub fn is_before_sending(&self) -> bool {
        matches!(
            self,
            Self::Denied(_) | Self::Setup(_) | Self::Name(_) | Self::Connect { .. } | Self::Tls { .. }
        )
    }
}

impl From<reqwest::Error> for FetchError {
    /// By the first cause that is known; the URL, which may hold a key, is left behind.
    fn from(error: reqwest::Error) -> Self {
        if let Some(denied) = cause::<Denied>(&error) {
            return denied.into();
        }
        if let Some(unresolved) = cause::<Unresolved>(&error) {
            return Self::Name(unresolved.to_string());
        }
        let host = error.url().and_then(|url| url.host_str()).unwrap_or("the server").to_owned();
        let error = error.without_url();
        let why = chain(&error).last().map(ToString::to_string).unwrap_or_default();
        // What breaks after the handshake may have been heard; what never connected, however it did not, was not.
        if is_tls(&error) && error.is_connect() {
            Self::Tls { host, why }
        } else if error.is_connect() {
            Self::Connect { host, why }
        } else if error.is_timeout() {
            Self::Timeout(host)
        } else if error.is_builder() {
            Self::Setup(why)
        } else if error.is_body() || error.is_decode() || is_cut(&error) {
            Self::Truncated { host, why }
        } else {
            Self::Protocol { host, why }
        }
    }
}

/// Whether TLS is the cause. Libraries hide it inside I/O errors, whose own cause is that of what
/// they hold, so what they hold has to be looked at.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = |error: &'_ (dyn Error + 'static)| {
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        held.is_some_and(|held| is_tls(held))
    };
    chain(error).any(|error| error.is::<rustls::Error>() || inner(error))
}

/// Whether the other side hung up before it had answered.
fn is_cut(error: &(dyn Error + 'static)) -> bool {
    let io = |error: &(dyn Error + 'static)| error.is::<io::Error>();
    let hyper = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
    };
    chain(error).any(|error| io(error) || hyper(error))
}
