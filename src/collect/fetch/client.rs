//! One client for one source: requests out, bodies in, within the settings.

use super::reach::is_same_host;
use super::resolve::{Checked, System};
use super::{Denied, FetchError, Reach, Url, tls};
use bytes::{Bytes, BytesMut};
use reqwest::dns::Resolve;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Redirects that are followed for one request.
const REDIRECTS: usize = 5;
/// A first allocation: an announced length is not believed beyond it.
const FIRST: u64 = 1 << 20;

/// How a source is fetched.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// What may be reached, and through what.
    pub reach: Reach,
    /// To a connection, name service and TLS included.
    pub connect_timeout: Duration,
    /// From the first byte sent to the last received, redirects included.
    pub timeout: Duration,
    /// Without a byte received.
    pub idle_timeout: Duration,
    /// Bytes of a body, as it comes and unpacked.
    pub size_limit: u64,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What the program calls itself.
    pub user_agent: String,
    /// Where the owners of lists can reach the operator, told with every request: an address or a URL.
    pub contact: Option<String>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            reach: Reach::default(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(60),
            size_limit: 256 << 20,
            ca_file: None,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            contact: None,
        }
    }
}

impl FetchSettings {
    fn user_agent(&self) -> String {
        match &self.contact {
            Some(contact) => format!("{} ({contact})", self.user_agent),
            None => self.user_agent.clone(),
        }
    }
}

/// A request that may be led from host to host.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// What is asked for.
    pub url: Url,
    /// What any host may know.
    pub headers: HeaderMap,
    /// What only the host of `url` may know.
    pub secrets: HeaderMap,
}

/// Fetches within its settings. Cheap to clone; keeps connections, and cookies for as long as it lives.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    settings: Arc<FetchSettings>,
}

impl Fetcher {
    /// A client that has no cookies yet.
    ///
    /// # Errors
    /// The CA file or the proxy cannot be used.
    pub fn new(settings: FetchSettings) -> Result<Self, FetchError> {
        Self::with_names(Arc::new(settings), Arc::new(System))
    }

    /// A client whose names come from `names`; their addresses are checked all the same.
    pub(super) fn with_names(
        settings: Arc<FetchSettings>,
        names: Arc<dyn Resolve>,
    ) -> Result<Self, FetchError> {
        let builder = Self::builder(&settings, names)?.cookie_store(true);
        let client = builder.redirect(redirects(Arc::new(settings.reach.clone()))).build()?;
        Ok(Self { client, settings })
    }

    /// A client for a session with one portal, which keeps the cookies itself and for which a redirect is
    /// an answer: [`Self::client`] follows none.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_session(settings: FetchSettings) -> Result<Self, FetchError> {
        let client = Self::builder(&settings, Arc::new(System))?.redirect(Policy::none()).build()?;
        Ok(Self { client, settings: Arc::new(settings) })
    }

    fn builder(settings: &FetchSettings, names: Arc<dyn Resolve>) -> Result<ClientBuilder, FetchError> {
        let reach = Arc::new(settings.reach.clone());
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls::client(settings.ca_file.as_deref())?)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .read_timeout(settings.idle_timeout)
            .user_agent(settings.user_agent())
            // A page's URL may hold a key, and is nobody else's business.
            .referer(false)
            .dns_resolver(Checked { inner: names, reach: reach.clone() })
            // The environment's proxy would go round the check of addresses.
            .no_proxy();
        if let Some(proxy) = &reach.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.url.clone())?);
        }
        Ok(builder)
    }

    /// The client for sessions: it resolves, connects and follows redirects as this module says.
    ///
    /// It cannot check an address that stands in a URL in place of a name: ask [`Self::check`] about
    /// the base URL first. A redirect to another host is not followed but given back, so that nothing
    /// of a session leaves its host.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether `url` may be asked.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url) -> Result<(), FetchError> {
        Ok(self.settings.reach.check(url)?)
    }

    /// Asks, and follows where the answer leads; any status is an answer.
    ///
    /// # Errors
    /// There is no answer, or it leads where nobody may go.
    pub async fn get(&self, outgoing: Outgoing) -> Result<Response, FetchError> {
        let Outgoing { mut url, headers, mut secrets } = outgoing;
        let deadline = Instant::now() + self.settings.timeout;
        for _ in 0..=REDIRECTS {
            self.check(&url)?;
            let request = self.client.get(url).headers(headers.clone()).headers(secrets);
            let left = deadline.saturating_duration_since(Instant::now());
            let response = request.timeout(left).send().await?;
            let Some(elsewhere) = leads_to(&response) else { return Ok(response) };
            url = elsewhere;
            secrets = HeaderMap::new();
        }
        Err(Denied::Redirects.into())
    }

    /// The whole body, unpacked as the transfer was packed.
    ///
    /// # Errors
    /// It breaks off, stops coming, or is larger than the limit; at most the limit is held.
    pub async fn read(&self, mut response: Response) -> Result<Bytes, FetchError> {
        let limit = self.settings.size_limit;
        let host = response.url().host_str().unwrap_or_default().to_owned();
        let announced = response.content_length().unwrap_or_default();
        if announced > limit {
            return Err(FetchError::TooLarge { host, limit });
        }
        let mut body = BytesMut::with_capacity(announced.min(FIRST) as usize);
        while let Some(chunk) = response.chunk().await? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(FetchError::TooLarge { host, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Follows on the same host; what leads to another is given back to whoever knows what is secret.
fn redirects(reach: Arc<Reach>) -> Policy {
    Policy::custom(move |attempt| {
        // The first of the previous is what was asked for.
        let (Some(previous), count) = (attempt.previous().last(), attempt.previous().len()) else {
            return attempt.stop();
        };
        match reach.check_redirect(previous, attempt.url()) {
            Err(denied) => attempt.error(denied),
            Ok(()) if count > REDIRECTS => attempt.error(Denied::Redirects),
            Ok(()) if is_same_host(previous, attempt.url()) => attempt.follow(),
            Ok(()) => attempt.stop(),
        }
    })
}

/// Where a redirect leads that was not followed.
fn leads_to(response: &Response) -> Option<Url> {
    let follows = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| follows)?;
    response.url().join(location.to_str().ok()?).ok()
}
