//! What may be reached: schemes, ports, hosts and addresses, as pure questions.
//!
//! Knows URLs and addresses; asks no name server and opens nothing.

use super::{Url, is_public};
use crate::addr::IpRange;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Why something is not asked. The text names the setting that would allow it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// No URL at all, or one without a host.
    #[error("this is no URL of a host")]
    NoHost,
    /// A user name or password in the URL, where it would end up in logs.
    #[error("the URL holds a user name or password; give them as the source's credentials instead")]
    UserInfo,
    /// A scheme that is not on the list.
    #[error("{0} is not fetched; write https or add it to the allowed schemes")]
    Scheme(String),
    /// A port that is not on the list.
    #[error("port {0} is not fetched from; add it to the allowed ports if it is meant")]
    Port(u16),
    /// All addresses of the host are private, local or otherwise special.
    #[error(
        "{host} is at {address}, which is not public; add the host or its network to the exceptions if it is meant"
    )]
    Address {
        /// As the URL names it.
        host: String,
        /// The first of its addresses.
        address: IpAddr,
    },
    /// Behind a proxy: a host that is not on the proxy's list.
    #[error("{0} is not on the list of hosts to fetch through the proxy; add it if it is meant")]
    Host(String),
    /// A redirect from https to http.
    #[error(
        "the server leads from https to http, which is not followed; ask the list's owner for its right address"
    )]
    Downgrade,
    /// More redirects than anything has reason for.
    #[error("the server leads on and on; ask the list's owner for its right address")]
    Redirects,
}

impl Denied {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost => "bad_url",
            Self::UserInfo => "url_credentials",
            Self::Scheme(_) => "scheme_denied",
            Self::Port(_) => "port_denied",
            Self::Address { .. } => "address_denied",
            Self::Host(_) => "host_denied",
            Self::Downgrade => "redirect_to_http",
            Self::Redirects => "too_many_redirects",
        }
    }
}

/// What may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reach {
    /// Schemes; only `https` and `http` mean anything.
    pub schemes: Vec<String>,
    /// Ports.
    pub ports: Vec<u16>,
    /// Hosts and networks that may be reached although they are not public, by URLs that the operator gives; whoever
    /// is redirected to another host is not let in.
    pub exceptions: Vec<Exception>,
    /// The way out. Then the names are resolved beyond it, so its list of hosts takes the place of
    /// the check of addresses.
    pub proxy: Option<Proxy>,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            schemes: ["https", "http"].map(str::to_owned).to_vec(),
            ports: vec![80, 443, 8080, 8443],
            exceptions: Vec::new(),
            proxy: None,
        }
    }
}

impl Reach {
    /// What may be reached of what nobody has made an exception for.
    pub(super) fn without_exceptions(&self) -> Self {
        Self { exceptions: Vec::new(), ..self.clone() }
    }

    /// Whether `url` may be asked, as far as it shows itself: a name's addresses show later.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url) -> Result<(), Denied> {
        if !self.schemes.iter().any(|scheme| scheme == url.scheme()) {
            return Err(Denied::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Denied::UserInfo);
        }
        let host = url.host_str().ok_or(Denied::NoHost)?;
        let port = url.port_or_known_default().ok_or(Denied::NoHost)?;
        if !self.ports.contains(&port) {
            return Err(Denied::Port(port));
        }
        match (&self.proxy, literal(host)) {
            (Some(proxy), _) if proxy.hosts.iter().any(|pattern| pattern.matches(host)) => Ok(()),
            (Some(_), _) => Err(Denied::Host(host.to_owned())),
            (None, Some(address)) => self.checked(host, [address]).map(drop),
            (None, None) => Ok(()),
        }
    }

    /// Whether a redirect from `previous` to `next` may be followed at all.
    ///
    /// # Errors
    /// Why not.
    pub fn check_redirect(&self, previous: &Url, next: &Url) -> Result<(), Denied> {
        match (previous.scheme(), next.scheme()) {
            ("https", "http") => Err(Denied::Downgrade),
            _ => self.check(next),
        }
    }

    /// The addresses of `host` to which a connection may go.
    ///
    /// # Errors
    /// There are addresses, and all are closed.
    pub fn checked(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Vec<IpAddr>, Denied> {
        let by_name = self.is_proxy(host) || self.exceptions.iter().any(|exception| exception.names(host));
        let (open, closed): (Vec<_>, Vec<_>) = addresses
            .into_iter()
            .partition(|address| by_name || is_public(*address) || self.is_exempt(address.to_canonical()));
        match closed.first() {
            Some(address) if open.is_empty() => {
                Err(Denied::Address { host: host.to_owned(), address: *address })
            }
            _ => Ok(open),
        }
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        self.exceptions.iter().any(|exception| exception.holds(address))
    }

    /// The proxy is where the operator says, and nothing that a URL or a server says changes that.
    fn is_proxy(&self, host: &str) -> bool {
        self.proxy.as_ref().and_then(|proxy| proxy.url.host_str()).is_some_and(|proxy| proxy == host)
    }
}

/// Whether what was said to the host of `previous` may be said to that of `next`: the same host and
/// port, or the same host by https instead of http.
pub(super) fn is_same_host(previous: &Url, next: &Url) -> bool {
    let upgrade = (previous.scheme(), next.scheme()) == ("http", "https");
    let same_port = previous.port_or_known_default() == next.port_or_known_default();
    previous.host_str() == next.host_str() && (upgrade || same_port)
}

/// The address, if the host is written as one. URLs are parsed so that every way of writing an IPv4
/// address (`0x7f.1`, `2130706433`) has become the usual one.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// A host, or a network, that may be reached although it is not public.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Exception {
    /// By its name.
    Host(HostPattern),
    /// By its addresses.
    Network(IpRange),
}

impl Exception {
    fn names(&self, host: &str) -> bool {
        matches!(self, Self::Host(pattern) if pattern.matches(host))
    }

    fn holds(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(range) if range.contains(address))
    }
}

impl FromStr for Exception {
    type Err = BadPattern;

    /// An address, prefix or range, else a host.
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        text.parse().map(Self::Network).or_else(|_| text.parse().map(Self::Host))
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(pattern) => pattern.fmt(f),
            Self::Network(range) => range.fmt(f),
        }
    }
}

/// The text names no host and no network.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a network nor a host; write 10.1.0.0/16, feeds.example or *.example")]
pub struct BadPattern(String);

/// A host's name, or `*.` and a name: every host below it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern(String);

impl HostPattern {
    /// Whether it means `host`.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match self.0.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.to_ascii_lowercase().ends_with(suffix),
            None => host.eq_ignore_ascii_case(&self.0),
        }
    }
}

impl FromStr for HostPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        if name.is_empty() || !name.bytes().all(good) {
            return Err(BadPattern(text.to_owned()));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! text_form {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = BadPattern;
            fn try_from(text: String) -> Result<Self, BadPattern> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(pattern: $type) -> Self {
                pattern.to_string()
            }
        }
    )*};
}

text_form!(Exception, HostPattern);

/// A proxy on the way out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Where it is: `http://` or `https://`, perhaps with user name and password.
    pub url: Url,
    /// The hosts that are fetched through it; no other is.
    pub hosts: Vec<HostPattern>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        let host = self.url.host_str().unwrap_or_default();
        f.debug_struct("Proxy").field("host", &host).field("hosts", &self.hosts).finish()
    }
}
