//! The way to the HTTP API: through the socket of a running service, or, where none runs, to the
//! same application in this process, over the store itself.
//!
//! There is no second way of doing anything: a command is a client of the API and knows nothing of
//! the engine.

use super::folder::{self, SOCKET};
use super::settings::Settings;
use crate::disk::DiskError;
use crate::engine::Engine;
use crate::web::{App, Body, Peer, Request, Response};
use anyhow::{Context, bail};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;

/// Makes, over an engine, the application that a running service has behind its socket.
pub type BuildApp = fn(&Engine, &Settings) -> anyhow::Result<Arc<App>>;

/// What the API answered instead of what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{detail} ({code})")]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) detail: String,
}

/// A way to the API, as the administrator.
pub(super) struct Door(Way);

enum Way {
    Service(PathBuf),
    Here { app: Arc<App>, engine: Engine },
}

impl Door {
    /// Finds the running service of the data folder, or opens its store.
    ///
    /// # Errors
    /// When there is no data folder, or it can be neither reached nor opened.
    pub(super) async fn open(settings: &Settings, build: BuildApp) -> anyhow::Result<Self> {
        if let Some(door) = Self::to_service(&settings.data).await? {
            return Ok(door);
        }
        let folder = settings.data.display();
        if !settings.data.is_dir() {
            bail!("there is no data folder {folder}: `ironlist serve` makes it, or name another with --data");
        }
        let options = folder::options(settings);
        let engine = match tokio::task::spawn_blocking(|| Engine::open(options)).await? {
            Err(error @ DiskError::InUse(_)) => {
                return Err(error).context("a service has it, and its socket does not answer");
            }
            opened => opened?,
        };
        Ok(Self(Way::Here { app: build(&engine, settings)?, engine }))
    }

    /// The running service of a data folder, if one runs.
    ///
    /// # Errors
    /// When there is one that may not be spoken to.
    pub(super) async fn to_service(data: &Path) -> anyhow::Result<Option<Self>> {
        let socket = data.join(SOCKET);
        match UnixStream::connect(&socket).await {
            Ok(_) => Ok(Some(Self(Way::Service(socket)))),
            // No file, a file that a dead process left, or a path too long for any socket.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| {
                format!("a service runs, but its socket {} cannot be opened by this user", socket.display())
            }),
        }
    }

    /// Sends a request as it is; the answer may be of any status.
    pub(super) async fn send(&self, mut request: Request) -> anyhow::Result<Response> {
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        match &self.0 {
            Way::Here { app, .. } => Ok(app.answer(request, Peer::Local).await),
            Way::Service(socket) => over_socket(socket, request).await.context("the service does not answer"),
        }
    }

    /// Sends `body` of type `kind`; an answer that is no success is a [`Refusal`].
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &'static str,
        body: Body,
    ) -> anyhow::Result<Response> {
        let request = http::Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind);
        let response = self.send(request.body(body)?).await?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await.into()) }
    }

    /// Asks for a JSON document.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        json(self.ask(Method::GET, path, "application/json", Body::empty()).await?).await
    }

    /// Sends a JSON document and takes one.
    pub(super) async fn post(&self, path: &str, document: &Value) -> anyhow::Result<Value> {
        let body = Body::full(document.to_string());
        json(self.ask(Method::POST, path, "application/json", body).await?).await
    }

    /// Removes what is at a path.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        json(self.ask(Method::DELETE, path, "application/json", Body::empty()).await?).await
    }

    /// The same, with the reason for it.
    pub(super) async fn remove(&self, path: &str, reason: &str) -> anyhow::Result<Value> {
        self.delete(&with_query(path, &[("reason", Some(reason))])).await
    }
}

/// A store that was opened here is written down before the process ends.
impl Drop for Door {
    fn drop(&mut self) {
        if let Way::Here { engine, .. } = &self.0 {
            engine.stop();
        }
    }
}

async fn over_socket(socket: &Path, request: Request) -> anyhow::Result<Response> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.map(Body::stream))
}

/// The answer's body as JSON.
pub(super) async fn json<T: for<'d> Deserialize<'d>>(response: Response) -> anyhow::Result<T> {
    let bytes = read(response).await?;
    serde_json::from_slice(&exact(&bytes)).context("the answer is not the JSON that was expected")
}

/// The same JSON with every integer that no machine word holds as a text, so that it is shown as it was said: an IPv6
/// prefix has more addresses than that, and a parser would round them.
fn exact(json: &[u8]) -> Vec<u8> {
    let (mut told, mut rest) = (Vec::with_capacity(json.len()), json);
    let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => text_length(rest),
            b'0'..=b'9' | b'-' => rest.iter().take_while(|byte| is_of_number(byte)).count(),
            _ => 1,
        };
        let (token, after) = rest.split_at(length);
        let digits = token.strip_prefix(b"-").unwrap_or(token);
        let is_huge = digits.len() >= 20 && digits.iter().all(u8::is_ascii_digit);
        match is_huge {
            true => told.extend([b"\"", token, b"\""].concat()),
            false => told.extend(token),
        }
        rest = after;
    }
    told
}

/// The length of the text with which `json` begins, its quotes included.
fn text_length(json: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = json.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

async fn read(response: Response) -> anyhow::Result<bytes::Bytes> {
    let whole = response.into_body().read().await;
    whole.map_err(|_| anyhow::anyhow!("the answer broke off"))
}

async fn refusal(response: Response) -> Refusal {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Document {
        code: String,
        detail: String,
    }
    let status = response.status();
    let document: Document = json(response).await.unwrap_or_default();
    let or_status = |text: String| if text.is_empty() { status.to_string() } else { text };
    Refusal { status, code: or_status(document.code), detail: or_status(document.detail) }
}

/// A path segment or a value of a query, percent-encoded (RFC 3986, 2.3: only the unreserved stay).
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// `path` with those of the `parameters` that have a value.
pub(super) fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode((*value)?))));
    let given: Vec<String> = given.collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_number_is_rounded_and_nothing_else_is_touched() {
        let told = br#"{"a":79228162514264337593543950336,"b":[-1.5e300,7,18446744073709551615],"c":"1\\\"79228162514264337593543950336\\","d":123456789012345678901.5}"#;
        let value: Value = serde_json::from_slice(&exact(told)).unwrap();
        assert_eq!(value["a"], "79228162514264337593543950336");
        assert_eq!(value["b"], json!([-1.5e300, 7, "18446744073709551615"]));
        assert_eq!(value["c"], "1\\\"79228162514264337593543950336\\");
        assert!(value["d"].is_f64());
    }
}
