//! What everything that is sent out has in common: whom to believe, what keeps it from getting there, what is wrong and
//! since when, how long to wait. Knows neither firewalls nor webhooks.

use crate::disk::unhex;
use crate::fetch::{Denied, Exception, FetchError, FetchSettings, Reach, Trust, Url};
use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whom to believe that it is the receiver, where the system's certificates do not say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Who has a certificate of this authority (PEM).
    Ca(String),
    /// Who has the very certificate with this SHA-256, in hexadecimal digits, colons or not.
    Fingerprint(String),
}

impl Verify {
    /// The trust that this means, that of the system where nothing is said; none: it is no certificate or fingerprint.
    pub(super) fn trust(said: Option<&Self>) -> Option<Trust> {
        match said {
            None => Some(Trust::System),
            Some(Self::Ca(pem)) => {
                pem.contains("-----BEGIN CERTIFICATE-----").then(|| Trust::Pem(pem.clone()))
            }
            Some(Self::Fingerprint(text)) => {
                let digits: String = text.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect();
                unhex(&digits)?.try_into().ok().map(Trust::Fingerprint)
            }
        }
    }
}

/// Whom to believe by what was kept, which was checked when it came in. Should it be damaged, nobody is believed: no
/// certificate has this digest.
pub(super) fn kept_trust(said: Option<&Verify>) -> Trust {
    Verify::trust(said).unwrap_or(Trust::Fingerprint([0; 32]))
}

/// Whether nobody on the way can read what is sent there: https, or this very machine. None: it is another scheme.
pub(super) fn is_private(url: &Url) -> Option<bool> {
    match url.scheme() {
        "https" => Some(true),
        "http" => Some(is_here(url)),
        _ => None,
    }
}

/// Whether the URL stays on this machine, where nobody listens in.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// How a receiver is reached that may be inside, and answers shortly.
pub(super) fn settings(
    networks: &[Exception],
    ports: &[u16],
    trust: Trust,
    timeout: Duration,
    size_limit: u64,
) -> FetchSettings {
    let reach = Reach { ports: ports.to_vec(), exceptions: networks.to_vec(), ..Reach::default() };
    FetchSettings { reach, trust, timeout, idle_timeout: timeout, size_limit, ..FetchSettings::default() }
}

/// The pause after so many faults in a row: doubled each time up to `most`, and not the same for all.
pub(super) fn pause(first: Duration, most: Duration, faults: u32) -> Duration {
    let full = first.saturating_mul(1 << faults.saturating_sub(1).min(20)).min(most);
    full.mul_f64(0.75 + 0.25 * fastrand::f64())
}

/// Why nothing came back.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreached {
    /// The receiver is not public, and its network is not among the exceptions.
    #[error("{0} is at an address that is not public")]
    Inside(String),
    /// No answer.
    #[error(transparent)]
    Fetch(FetchError),
}

impl Unreached {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Inside(_) => "address_denied",
            Self::Fetch(error) => error.code(),
        }
    }

    /// What an operator can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Inside(_) => "add its network to push.networks in the configuration, and restart",
            Self::Fetch(FetchError::Tls { .. }) => {
                "set verify to the receiver's authority, or to the fingerprint of its certificate"
            }
            Self::Fetch(FetchError::Denied(Denied::Port(_))) => "add the port to push.ports, and restart",
            Self::Fetch(_) => {
                "it is tried again; see whether the receiver is up and may be reached from here"
            }
        }
    }
}

impl From<FetchError> for Unreached {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Denied(Denied::Address { host, .. }) => Self::Inside(host),
            error => Self::Fetch(error),
        }
    }
}

/// What is wrong with sending, and what can be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub what: String,
    /// What an operator can do about it.
    pub cure: String,
    /// Since when, without a success.
    pub since: Time,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether nothing is tried until a person has acted.
    pub stopped: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_differ() {
        let (first, most) = (Duration::from_secs(2), Duration::from_secs(300));
        for (faults, full) in [(1, 2), (2, 4), (5, 32), (9, 300), (u32::MAX, 300)] {
            let pauses: Vec<_> = (0..20).map(|_| pause(first, most, faults)).collect();
            let full = Duration::from_secs(full);
            assert!(pauses.iter().all(|pause| (full.mul_f64(0.75)..=full).contains(pause)), "{pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }

    #[test]
    fn only_https_and_this_machine_are_private() {
        let private = |url: &str| is_private(&url.parse().unwrap());
        for (url, is_so) in [
            ("https://a.example", Some(true)),
            ("http://127.0.0.1:80", Some(true)),
            ("http://[::1]", Some(true)),
            ("http://10.0.0.1", Some(false)),
            ("http://localhost.example", Some(false)),
            ("ftp://a.example", None),
        ] {
            assert_eq!(private(url), is_so, "{url}");
        }
    }
}
