//! Why a list was not downloaded, by what can be done about it.

use super::BadCredentials;
use crate::fetch::Failure;
use crate::fetch::FetchError;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::time::{Duration, SystemTime};

/// Nobody is believed who wants to be left alone for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer without a list, or none. No text of it holds a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FeedError {
    /// There is no whole answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The credentials cannot be sent.
    #[error(transparent)]
    BadCredentials(#[from] BadCredentials),
    /// Too many requests, or too many of everybody's: 429 and 503.
    #[error("{host} asks to be left alone for now ({status}); if this stays so, fetch the list less often")]
    Busy {
        /// Which host.
        host: String,
        /// 429 or 503.
        status: u16,
        /// For how long.
        retry_after: Option<Duration>,
    },
    /// The server is ill: 408, 425 and the other 5xx.
    #[error("{host} answers with an error of its own ({status}); it is tried again")]
    Server {
        /// Which host.
        host: String,
        /// The status.
        status: u16,
        /// For how long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// 401, or 403 to credentials.
    #[error("{host} does not accept the credentials, or their quota is used up ({status}); enter new ones")]
    Unauthorized {
        /// Which host.
        host: String,
        /// 401 or 403.
        status: u16,
    },
    /// 401 without credentials.
    #[error("{host} wants credentials ({status}); enter them for this source")]
    Anonymous {
        /// Which host.
        host: String,
        /// 401.
        status: u16,
    },
    /// 403 without credentials: the server does not want us.
    #[error("{host} refuses this machine ({status}); wait, fetch less often, or ask the list's owner")]
    Forbidden {
        /// Which host.
        host: String,
        /// 403.
        status: u16,
    },
    /// 404 and 410.
    #[error("{host} has no such list ({status}); look up where its owner publishes it now")]
    Missing {
        /// Which host.
        host: String,
        /// 404 or 410.
        status: u16,
    },
    /// Any other status.
    #[error("{host} answers with status {status}, which gives no list; check the URL")]
    Unexpected {
        /// Which host.
        host: String,
        /// The status.
        status: u16,
    },
}

impl FeedError {
    /// What an answer means that is neither a list nor "not modified".
    pub(super) fn of_answer(response: &Response, with_credentials: bool) -> Self {
        let host = response.url().host_str().unwrap_or_default().to_owned();
        let retry_after = pause(response.headers());
        let status = response.status();
        let number = status.as_u16();
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Self::Busy { host, status: number, retry_after }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if with_credentials => {
                Self::Unauthorized { host, status: number }
            }
            StatusCode::UNAUTHORIZED => Self::Anonymous { host, status: number },
            StatusCode::FORBIDDEN => Self::Forbidden { host, status: number },
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::Missing { host, status: number },
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
                Self::Server { host, status: number, retry_after }
            }
            _ if status.is_server_error() => Self::Server { host, status: number, retry_after },
            _ => Self::Unexpected { host, status: number },
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::BadCredentials(_) => "bad_credentials",
            Self::Busy { .. } => "feed_busy",
            Self::Server { .. } => "feed_server_error",
            Self::Unauthorized { .. } => "feed_unauthorized",
            Self::Anonymous { .. } => "feed_wants_credentials",
            Self::Forbidden { .. } => "feed_forbidden",
            Self::Missing { .. } => "feed_missing",
            Self::Unexpected { .. } => "feed_unexpected_status",
        }
    }

    /// What the runner does about it.
    pub fn kind(&self) -> Failure {
        match self {
            Self::Fetch(error) => error.kind(),
            Self::Busy { retry_after, .. } | Self::Server { retry_after, .. } => {
                Failure::Transient { retry_after: *retry_after }
            }
            Self::BadCredentials(_) | Self::Unauthorized { .. } | Self::Anonymous { .. } => {
                Failure::Credentials
            }
            Self::Forbidden { .. } => Failure::Blocked,
            Self::Missing { .. } | Self::Unexpected { .. } => Failure::Broken,
        }
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), a date by the server's own clock.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let wanted = text(RETRY_AFTER)?;
    let pause = match wanted.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
            let until = httpdate::parse_http_date(wanted).ok()?;
            until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_pause_is_read_in_both_forms_and_never_longer_than_a_day() {
        let headers = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned().map(|(name, value)| (name, HeaderValue::from_static(value)));
            pairs.collect::<HeaderMap>()
        };
        let at = "Sun, 22 Nov 2026 10:00:00 GMT";
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 22 Nov 2026 10:05:00 GMT", Some(300)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", Some(0)),
            ("99999999", Some(86_400)),
            ("soon", None),
            ("-5", None),
        ] {
            let found = pause(&headers(&[(RETRY_AFTER, text), (DATE, at)]));
            assert_eq!(found.map(|pause| pause.as_secs()), seconds, "{text}");
        }
        assert_eq!(pause(&headers(&[(DATE, at)])), None);
    }
}
