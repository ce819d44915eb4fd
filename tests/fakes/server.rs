//! An HTTP server in a thread of its own, so that neither a blocked test nor a paused clock stops it.
//! It remembers every request and when it came.

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Query and form alike.
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get("cookie")?.to_str().ok()?;
        cookies.split("; ").filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

/// How the body of an answer comes.
#[derive(Clone, Copy, Default)]
pub(crate) enum Manner {
    #[default]
    Whole,
    /// Half of it, and then the connection breaks.
    CutOff,
    /// A piece of so many bytes each so often.
    Drip(usize, Duration),
    /// Again and again.
    Endless,
}

/// An answer.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    manner: Manner,
    after: Duration,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), ..Self::default() }
    }

    /// Bytes without a content type, as the portals give their workbooks.
    pub(crate) fn bytes(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    pub(crate) fn html(text: impl Into<Bytes>) -> Self {
        Self::bytes(text).header(CONTENT_TYPE.as_str(), "text/html;charset=UTF-8")
    }

    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::bytes(value.to_string()).header(CONTENT_TYPE.as_str(), "application/json")
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::status(302).header(LOCATION.as_str(), to)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header(SET_COOKIE.as_str(), cookie)
    }

    /// Not before so long.
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    pub(crate) fn manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server; it ends with this.
pub(crate) struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    /// Starts a server that answers by `handler`.
    pub(crate) fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), handler)
    }

    /// The same with a listener that is there already.
    pub(crate) fn on(
        listener: std::net::TcpListener,
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let asked = Arc::default();
        let (handler, log): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&asked));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, handler, log) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { url, asked, stop: Some(stop) }
    }

    /// Where it is, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Requests of a path so far.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path == path).count()
    }

    /// The shortest time between two requests.
    pub(crate) fn shortest_pause(&self) -> Option<Duration> {
        self.asked().windows(2).map(|two| two[1].at - two[0].at).min()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already needs no word.
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}

/// A portal: a server with a state that tests look at, and change as they go.
pub(crate) struct Portal<S> {
    pub(crate) server: Server,
    state: Arc<Mutex<S>>,
}

impl<S: Clone + Send + 'static> Portal<S> {
    /// A portal that answers by its state.
    pub(crate) fn with(state: S, answer: fn(&mut S, &Asked) -> Reply) -> Self {
        Self::on(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), state, answer)
    }

    /// The same with a listener that is there already.
    pub(crate) fn on(listener: std::net::TcpListener, state: S, answer: fn(&mut S, &Asked) -> Reply) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = Server::on(listener, move |asked| answer(&mut shared.lock().unwrap(), asked));
        Self { server, state }
    }

    /// The state as it is now.
    pub(crate) fn state(&self) -> S {
        self.state.lock().unwrap().clone()
    }

    /// Changes the state.
    pub(crate) fn set(&self, change: impl FnOnce(&mut S)) {
        change(&mut self.state.lock().unwrap());
    }
}

async fn accept(listener: std::net::TcpListener, handler: Arc<Handler>, log: Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
        let service = service_fn(move |request| answer(request, Arc::clone(&handler), Arc::clone(&log)));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn answer(
    request: Request<Incoming>,
    handler: Arc<Handler>,
    log: Arc<Mutex<Vec<Asked>>>,
) -> io::Result<Response<impl hyper::body::Body<Data = Bytes, Error = io::Error>>> {
    let at = Instant::now();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let form = if body.len() < 1 << 20 { String::from_utf8_lossy(&body).into_owned() } else { String::new() };
    let all = format!("http://fake/?{}&{form}", parts.uri.query().unwrap_or_default());
    let values = reqwest::Url::parse(&all).unwrap().query_pairs().into_owned().collect();
    let path = parts.uri.path().to_owned();
    let asked = Asked { at, method: parts.method, path, values, headers: parts.headers, body };
    log.lock().unwrap().push(asked.clone());
    let reply = handler(&asked);
    tokio::time::sleep(reply.after).await;
    let mut response = Response::new(StreamBody::new(pieces(reply.body, reply.manner)));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}

/// The body in pieces, chunked: the portals do not announce lengths.
fn pieces(body: Bytes, manner: Manner) -> impl futures_util::Stream<Item = io::Result<Frame<Bytes>>> {
    let (piece, pause, end) = match manner {
        Manner::Whole => (usize::MAX, Duration::ZERO, body.len()),
        Manner::CutOff => (usize::MAX, Duration::from_millis(20), body.len() / 2),
        Manner::Drip(piece, pause) => (piece, pause, body.len()),
        Manner::Endless => (body.len(), Duration::ZERO, usize::MAX),
    };
    stream::unfold(0, move |at: usize| {
        let body = body.clone();
        async move {
            if at > 0 {
                tokio::time::sleep(pause).await;
            }
            if at >= end {
                return (end < body.len() && at == end)
                    .then(|| (Err(io::Error::other("cut off")), usize::MAX))
                    .filter(|_| at != usize::MAX);
            }
            let next = at.saturating_add(piece).min(end);
            let piece = if end == usize::MAX { body } else { body.slice(at..next) };
            Some((Ok(Frame::data(piece)), next))
        }
    })
}
