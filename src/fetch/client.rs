//! One client for one source: requests out, bodies in, within the settings.

use super::reach::is_same_host;
use super::resolve::{Checked, System};
use super::{Denied, FetchError, Reach, Trust, Url, tls};
use crate::fetch::budget::{Budget, SMALL};
use bytes::{Bytes, BytesMut};
use reqwest::dns::Resolve;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
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
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The memory that the bodies of all fetches may take at once.
    pub memory: Budget,
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
            trust: Trust::System,
            memory: Budget::default(),
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

/// Fetches within its settings. Cheap to clone; keeps its connections for a while.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    abroad: Client,
    strangers: Arc<Reach>,
    settings: Arc<FetchSettings>,
}

impl Fetcher {
    /// A client with these settings.
    ///
    /// # Errors
    /// The CA file or the proxy cannot be used.
    pub fn new(settings: FetchSettings) -> Result<Self, FetchError> {
        Self::with_names(settings, Arc::new(System))
    }

    /// A client whose names come from `names`; their addresses are checked all the same.
    pub(super) fn with_names(settings: FetchSettings, names: Arc<dyn Resolve>) -> Result<Self, FetchError> {
        let (reach, strangers) =
            (Arc::new(settings.reach.clone()), Arc::new(settings.reach.without_exceptions()));
        let client = client(&settings, &names, &reach)?;
        let abroad =
            if reach == strangers { client.clone() } else { self::client(&settings, &names, &strangers)? };
        Ok(Self { client, abroad, strangers, settings: Arc::new(settings) })
    }

    /// The client for a session with a portal, which keeps its cookies itself and for which a
    /// redirect is an answer like any other.
    ///
    /// It cannot check an address that stands in a URL in place of a name: ask [`Self::check`] about
    /// the base URL first.
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

    /// Asks, and follows where the answer leads; any status is an answer. The exceptions are for the host that the
    /// operator has named: who is led to another host is led by a stranger, and is not let in where only he may go.
    ///
    /// # Errors
    /// There is no answer, or it leads where nobody may go.
    pub async fn get(&self, outgoing: Outgoing) -> Result<Response, FetchError> {
        let Outgoing { mut url, headers, mut secrets } = outgoing;
        let deadline = Instant::now() + self.settings.timeout;
        self.check(&url)?;
        let (mut client, mut reach) = (&self.client, &self.settings.reach);
        for _ in 0..=REDIRECTS {
            let request = client.get(url.clone()).headers(headers.clone()).headers(secrets.clone());
            let left = deadline.saturating_duration_since(Instant::now());
            let response = request.timeout(left).send().await?;
            let Some(next) = leads_to(&response) else { return Ok(response) };
            if url.host_str() != next.host_str() {
                (client, reach) = (&self.abroad, &self.strangers);
            }
            reach.check_redirect(&url, &next)?;
            if !is_same_host(&url, &next) {
                secrets.clear();
            }
            url = next;
        }
        Err(Denied::Redirects.into())
    }

    /// The whole body, unpacked as the transfer was packed. One that is large waits for its room in memory.
    ///
    /// # Errors
    /// It breaks off, stops coming, or is larger than the limit; at most the limit is held.
    pub async fn read(&self, response: Response) -> Result<Bytes, FetchError> {
        self.read_at_most(response, u64::MAX).await
    }

    /// The same, where the body is none that may be as large as the settings allow.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_at_most(&self, mut response: Response, limit: u64) -> Result<Bytes, FetchError> {
        let limit = limit.min(self.settings.size_limit);
        let host = response.url().host_str().unwrap_or_default().to_owned();
        let announced = response.content_length().unwrap_or_default();
        if announced > limit {
            return Err(FetchError::TooLarge { host, limit });
        }
        let mut body = BytesMut::with_capacity(announced.min(FIRST) as usize);
        let mut room = None;
        while let Some(chunk) = response.chunk().await? {
            let size = (body.len() + chunk.len()) as u64;
            if size > limit {
                return Err(FetchError::TooLarge { host, limit });
            }
            if size > SMALL && room.is_none() {
                let most = if announced > 0 { announced } else { limit };
                room = Some(self.settings.memory.take(most).await);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(room.unwrap_or_default().hold(body))
    }
}

fn client(
    settings: &FetchSettings,
    names: &Arc<dyn Resolve>,
    reach: &Arc<Reach>,
) -> Result<Client, FetchError> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls::client(&settings.trust)?)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .read_timeout(settings.idle_timeout)
        .user_agent(settings.user_agent())
        // A page's URL may hold a key, and is nobody else's business.
        .referer(false)
        // Whoever follows must know what is secret: see `get`.
        .redirect(Policy::none())
        .dns_resolver(Checked { inner: Arc::clone(names), reach: Arc::clone(reach) })
        // The environment's proxy would go round the check of addresses.
        .no_proxy();
    if let Some(proxy) = &reach.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.url.clone())?);
    }
    Ok(builder.build()?)
}

/// Where a redirect leads.
fn leads_to(response: &Response) -> Option<Url> {
    let follows = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| follows)?;
    response.url().join(location.to_str().ok()?).ok()
}
