//! The log: where it goes, and the one line about each request.
//!
//! It must never hold a secret: neither headers nor queries are logged, and tokens in paths are struck out.

use super::body::{Request, Response};
use super::problem::Problem;
use super::request_id::as_text;
use super::role::Role;
use super::trace::Trace;
use crate::rights::Identity;
use http::{HeaderValue, Method};
use hyper::body::Body as _;
use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::Duration;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::{EnvFilter, reload};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one, for instance `info,ironlist=debug`.
    #[error("the log filter is wrong: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The filter cannot be changed any more.
    #[error("the log filter stays: {0}")]
    Gone(#[from] reload::Error),
    /// There is a log already.
    #[error("the log is set up already")]
    Twice,
}

/// Changes the filter of a log that is set up.
pub struct Filter(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl Filter {
    /// Sends from now on what passes `filter`.
    ///
    /// # Errors
    /// When the filter is wrong.
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        Ok((self.0)(EnvFilter::try_new(filter)?)?)
    }
}

/// Sends events that pass `filter` (as `info,ironlist=debug`) to standard error; without a format, as text to
/// a terminal and as JSON to anything else.
///
/// # Errors
/// When the filter is wrong, or it is called twice.
pub fn init(filter: &str, format: Option<Format>) -> Result<Filter, LogError> {
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { Format::Text } else { Format::Json });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let (filter, done) = match format {
        Format::Text => {
            let lines = lines.with_ansi(terminal).with_filter_reloading();
            (changing(lines.reload_handle()), lines.try_init())
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            (changing(lines.reload_handle()), lines.try_init())
        }
    };
    done.map_err(|_| LogError::Twice)?;
    Ok(filter)
}

fn changing<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Filter {
    Filter(Box::new(move |filter| handle.reload(filter)))
}

/// What the log keeps of a request that is given away to a handler.
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
}

impl Seen {
    pub(super) fn of(request: &Request) -> Self {
        Self { method: request.method().clone(), path: without_token(request.uri().path()).into_owned() }
    }
}

/// What more is known of it once it is answered.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The route's template.
    pub(super) route: &'a str,
    /// Who asked, if it was somebody.
    pub(super) who: Option<&'a Identity>,
    /// Where it belongs.
    pub(super) trace: Option<&'a Trace>,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// Its name.
    pub(super) id: &'a HeaderValue,
}

/// The line about a routed request: health and metrics are asked for all day long, and only for debugging worth a line.
pub(super) fn access(
    role: Role,
    seen: &Seen,
    asked: &Asked<'_>,
    response: &Response,
    problem: Option<&Problem>,
) {
    let status = response.status();
    let (code, inner) = (problem.map(Problem::code), problem.and_then(Problem::for_log));
    let Asked { route, who, trace, elapsed, id } = *asked;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = as_text(id),
                role = role.name(),
                method = seen.method.as_str(),
                path = seen.path,
                route,
                status = status.as_u16(),
                micros = elapsed.as_micros() as u64,
                bytes = response.body().size_hint().exact(),
                who = who.map(tracing::field::display),
                trace_id = trace.map(Trace::id),
                code,
                inner,
                "request"
            )
        };
    }
    if status.is_server_error() && inner.is_some() {
        line!(warn);
    } else if matches!(route, "/health" | "/ready" | "/metrics") || code.is_some_and(is_flood) {
        line!(debug);
    } else {
        line!(info);
    }
}

/// Whoever asks too much is counted; a line for each would be a flood of its own.
fn is_flood(code: &str) -> bool {
    matches!(code, "too_many_requests" | "too_many_at_once" | "overloaded")
}

/// The line about a look-up or a feed, of which there are too many for more than debugging.
pub(super) fn fast_access(
    role: Role,
    request: &Request,
    response: &Response,
    id: &HeaderValue,
    trace: Option<&Trace>,
) {
    tracing::debug!(
        request_id = as_text(id),
        role = role.name(),
        method = request.method().as_str(),
        path = &*without_token(request.uri().path()),
        status = response.status().as_u16(),
        trace_id = trace.map(Trace::id),
        "request"
    );
}

/// The path with its encoded bytes as they are; what is no encoding stays.
fn decoded(path: &str) -> String {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let [first, more @ ..] = rest {
        let byte = match more {
            [high, low, ..] if *first == b'%' => {
                digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The path with the token of `/f/{token}/…` struck out, wherever it stands and however it is written: what no route takes
/// (`//f/…`, `/F/…`, an encoded letter, a proxy's own path before it) may be what a firewall has asked for since somebody
/// mistyped its address.
pub(super) fn without_token(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    let is_f = |three: &[u8]| matches!(three, [b'/', b'f' | b'F', b'/']);
    if !bytes.contains(&b'%') && !bytes.windows(3).any(is_f) {
        return Cow::Borrowed(path);
    }
    let (mut struck, mut is_token, mut has_token) = (String::new(), false, false);
    for word in decoded(path).split('/').filter(|word| !word.is_empty()) {
        let is_f = !is_token && word.eq_ignore_ascii_case("f");
        struck += "/";
        struck += if is_token {
            "***"
        } else if is_f {
            "f"
        } else {
            word
        };
        has_token |= is_token;
        is_token = is_f;
    }
    if has_token { Cow::Owned(struck) } else { Cow::Borrowed(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_paths_are_struck_out() {
        assert_eq!(without_token("/f/s3cret/default.txt"), "/f/***/default.txt");
        assert_eq!(without_token("/f/s3cret"), "/f/***");
        assert_eq!(without_token("/x/f/s3cret/a"), "/x/f/***/a", "behind a proxy's own path");
        assert_eq!(without_token("/feeds/f/s3cret"), "/feeds/f/***");
        for path in
            ["/feeds/default", "//api", "/%66eeds/default", "/fx/s", "/ips/192.0.2.0%2F24", "/a/f", "/", ""]
        {
            assert_eq!(without_token(path), path);
        }
        for path in [
            "//f/s3cret/a",
            "/F/s3cret/a",
            "/%66/s3cret/a",
            "/f//s3cret/a",
            "/%46%2Fs3cret/a",
            "///%66%2fs3cret%2Fa",
        ] {
            assert_eq!(without_token(path), "/f/***/a", "{path}");
        }
    }

    #[test]
    fn a_wrong_filter_is_refused() {
        assert!(matches!(init("ironlist=loud", None), Err(LogError::Filter(_))));
    }
}
