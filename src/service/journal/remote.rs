//! The other end: the journal of the process that has the blacklist role, as seen from one that has not.

use super::{BATCHES, CHECKPOINT, CHUNK, ERROR, JOURNAL, PATIENCE, PREVIEW, records};
use crate::codec::{Writer, put_batch};
use crate::engine::EngineError;
use crate::journal::Sealed;
use crate::model::{Batch, Preview, Receipt};
use crate::web::claim::X_API_KEY;
use crate::web::tls::UpstreamTls;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue, InvalidHeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch is tried again while it does not arrive, for so long.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// So long a large batch may take to be sent, planned and made durable.
const ANSWER: Duration = Duration::from_secs(120);
/// The first pause before another try, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// An answer is at most one record longer than what the other side aims at; packed, ten million
/// listings with a text each are less than this.
const MOST: usize = CHUNK + (1 << 30);
/// So long the next bytes of an answer may take.
const STALL: Duration = Duration::from_secs(30);
/// A connection that is idle longer is not used again: well below what the other side closes at.
const IDLE: Duration = Duration::from_secs(5);

/// The writer in another process; cheap to clone.
#[derive(Clone)]
pub struct Remote {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Arc<str>,
    key: HeaderValue,
    persistence: Duration,
}

/// Why another process cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The key holds what no header can.
    #[error("the administrator's key: {0}")]
    Key(#[from] InvalidHeaderValue),
    /// Nothing says whom to believe there.
    #[error("{0}: set upstream.ca_file to the certificates that it is believed by")]
    Unbelieved(String),
}

/// Why there is no answer: the request may have arrived or not.
struct Unanswered(String);

impl Remote {
    /// The process at `url` (`http://host:port`, or `https://` where `tls` says whom to believe), with the
    /// administrator's `key`.
    ///
    /// # Errors
    /// The key holds what no header can, or nobody is believed there.
    pub fn new(url: &str, key: &str, tls: Option<&UpstreamTls>) -> Result<Self, RemoteError> {
        if tls.is_none() && url.starts_with("https:") {
            return Err(RemoteError::Unbelieved(url.to_owned()));
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector(tls));
        let mut key = HeaderValue::try_from(key)?;
        key.set_sensitive(true);
        Ok(Self { client, url: url.into(), key, persistence: PERSISTENCE })
    }

    /// Gives up sooner.
    #[cfg(test)]
    pub(super) fn persisting(self, persistence: Duration) -> Self {
        Self { persistence, ..self }
    }

    /// The records after generation `after`; none when there are none for a while.
    ///
    /// # Errors
    /// [`EngineError::Remote`]; it is not tried again here.
    pub async fn sealed(&self, after: u64) -> Result<Vec<Sealed>, EngineError> {
        let request = Request::get(format!("{}{JOURNAL}?after={after}", self.url));
        let answer = self.ask(request, Bytes::new(), PATIENCE * 2).await;
        let (status, body) = answer.map_err(|Unanswered(why)| EngineError::Remote(why))?;
        if !status.is_success() {
            return Err(failure(status, &body));
        }
        records(body).ok_or_else(|| EngineError::Remote("its answer was cut off".to_owned()))
    }

    /// What is to be begun with where records are gone.
    ///
    /// # Errors
    /// [`EngineError::Remote`]; it is not tried again here.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, EngineError> {
        let request = Request::get(format!("{}{CHECKPOINT}", self.url));
        let answer = self.ask(request, Bytes::new(), PATIENCE * 2).await;
        let (status, body) = answer.map_err(|Unanswered(why)| EngineError::Remote(why))?;
        if status.is_success() { Ok(body.into()) } else { Err(failure(status, &body)) }
    }

    /// Carries a batch out there. Whether one that got no answer has arrived is not known, so it is
    /// sent again for a minute: its id makes that harmless.
    ///
    /// # Errors
    /// What the engine there says, or [`EngineError::Remote`].
    pub async fn submit(&self, batch: Batch) -> Result<Receipt, EngineError> {
        self.post(BATCHES, batch).await
    }

    /// Says what a batch would do there.
    ///
    /// # Errors
    /// As [`Remote::submit`].
    pub async fn preview(&self, batch: Batch) -> Result<Preview, EngineError> {
        self.post(PREVIEW, batch).await
    }

    /// Sends a JSON document there, and takes one. It is not tried again.
    ///
    /// # Errors
    /// What is the matter, for people.
    pub(in crate::service) async fn tell<T: DeserializeOwned>(
        &self,
        path: &str,
        document: &impl Serialize,
        patience: Duration,
    ) -> Result<T, String> {
        let body = serde_json::to_vec(document).map_err(|error| error.to_string())?;
        let request = Request::post(format!("{}{path}", self.url)).header(CONTENT_TYPE, "application/json");
        let answer = self.ask(request, body.into(), patience).await;
        let (status, body) = answer.map_err(|Unanswered(why)| why)?;
        match status.is_success() {
            true => serde_json::from_slice(&body).map_err(|error| format!("its answer is unknown: {error}")),
            false => Err(failure(status, &body).to_string()),
        }
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, batch: Batch) -> Result<T, EngineError> {
        let mut writer = Writer::default();
        put_batch(&mut writer, &batch).map_err(|error| EngineError::Remote(error.to_string()))?;
        // Only the packed form is held while it is on its way.
        drop(batch);
        let (status, body) = self.insist(path, writer.into_bytes().into()).await?;
        if !status.is_success() {
            return Err(failure(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| EngineError::Remote(format!("its answer is unknown: {error}")))
    }

    async fn insist(&self, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), EngineError> {
        let (begin, mut pause) = (Instant::now(), PAUSES.0);
        loop {
            let request = Request::post(format!("{}{path}", self.url));
            match self.ask(request, body.clone(), ANSWER).await {
                Ok(answer) => return Ok(answer),
                Err(Unanswered(why)) if begin.elapsed() + pause > self.persistence => {
                    return Err(EngineError::Remote(why));
                }
                Err(Unanswered(why)) => tracing::warn!(why, url = &*self.url, path, "trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn ask(
        &self,
        request: http::request::Builder,
        body: Bytes,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), Unanswered> {
        let request = request.header(X_API_KEY, &self.key).body(Full::new(body));
        let request = request.map_err(|error| Unanswered(error.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| Unanswered(chain(&error)))?;
            Ok(answer)
        };
        let late = |_| Unanswered(format!("no answer within {} s", patience.as_secs()));
        let answer = tokio::time::timeout(patience, exchange).await.map_err(late)??;
        let status = answer.status();
        Ok((status, whole(Limited::new(answer.into_body(), MOST), STALL).await?))
    }
}

/// Makes connections, with TLS where the URL says so; without `tls` nobody is believed.
fn connector(tls: Option<&UpstreamTls>) -> HttpsConnector<HttpConnector> {
    let nobody =
        || ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let config = tls.map_or_else(nobody, |tls| ClientConfig::clone(&tls.config()));
    HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build()
}

/// Reads a body to its end, however long that takes, as long as it comes.
async fn whole<B>(mut body: B, stall: Duration) -> Result<Bytes, Unanswered>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut bytes = BytesMut::new();
    loop {
        match tokio::time::timeout(stall, body.frame()).await {
            Err(_) => return Err(Unanswered(format!("nothing more came within {} s", stall.as_secs()))),
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Err(error))) => return Err(Unanswered(error.to_string())),
            Ok(Some(Ok(frame))) => bytes.extend(frame.into_data().ok()),
        }
    }
}

/// The engine's own error if the problem names it, else what the answer says.
fn failure(status: StatusCode, body: &[u8]) -> EngineError {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let named = problem.get(ERROR).cloned().and_then(|error| serde_json::from_value(error).ok());
    let said = problem.get("detail").and_then(|detail| detail.as_str()).unwrap_or_default();
    let cure = match status {
        StatusCode::UNAUTHORIZED => " The administrator's key must be the same there and here.",
        _ => "",
    };
    named.unwrap_or_else(|| EngineError::Remote(format!("it answered {status}: {said}{cure}")))
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    const WHILE: Duration = Duration::from_millis(100);

    /// So many bytes, one each time a while is over, and then nothing, without end.
    struct Slow(Pin<Box<tokio::time::Sleep>>, u8);

    impl Body for Slow {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            std::task::ready!(self.0.as_mut().poll(cx));
            if self.1 == 0 {
                return Poll::Pending;
            }
            self.1 -= 1;
            self.0 = Box::pin(tokio::time::sleep(WHILE));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
        }
    }

    #[tokio::test]
    async fn an_answer_may_take_long_but_not_stand_still() {
        let begin = Instant::now();
        let slow = Slow(Box::pin(tokio::time::sleep(WHILE)), 4);
        assert!(whole(slow, WHILE * 3).await.is_err_and(|Unanswered(why)| why.starts_with("nothing more")));
        assert!(begin.elapsed() >= WHILE * 7, "it was read to where it stood still");
        assert!(whole(Full::new(Bytes::from_static(b"all")), WHILE).await.is_ok_and(|all| all == "all"));
    }
}
