//! Errors as answers: `application/problem+json` (RFC 9457) with a stable code and the request's id.
//!
//! It must not know which part of the program failed; each part says what its caller can do.

use super::body::{Body, BodyError, ReadError, Response, cause};
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Display;

/// An error as the caller of the API sees it, and, apart from that, what only the log may say.
///
/// It is boxed: a result that carries one stays small, and only who fails pays for it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    inner: Option<String>,
    members: Map<String, Value>,
    headers: HeaderMap,
    claimed: Option<String>,
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::of_body(&error)
    }
}

impl Problem {
    /// What to answer when a request's body could not be read because of `error`, or of what caused it.
    pub fn of_body(error: &(dyn Error + 'static)) -> Self {
        match cause::<BodyError>(error) {
            Some(BodyError::TooLarge { limit }) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
                .detail(format!("This request takes at most {limit} bytes.")),
            Some(BodyError::TooSlow) => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow").detail("The body came too slowly.")
            }
            Some(BodyError::Broken(_)) | None => Self::new(StatusCode::BAD_REQUEST, "body_broken")
                .detail("The body could not be read to its end.")
                .inner(error),
        }
    }

    /// A problem with an HTTP status and a code that programs may rely on, such as `body_too_large`.
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            detail: Cow::Borrowed(""),
            inner: None,
            members: Map::new(),
            headers: HeaderMap::new(),
            claimed: None,
        }))
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code).detail(detail)
    }

    /// 401: a credential is missing or wrong. `challenge` is the `WWW-Authenticate` value (RFC 9110, 11.6.1).
    pub fn unauthorized(code: &'static str, challenge: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 403: it is known who asks, and this is not for them.
    pub fn forbidden(code: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code)
    }

    /// 404: there is no such thing.
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code).detail(detail)
    }

    /// 409: the thing is in a state that does not allow it, or has changed since it was shown.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code).detail(detail)
    }

    /// 422: well formed, and yet it cannot be done.
    pub fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code).detail(detail)
    }

    /// 503: it cannot be done now; try again after `retry_after` seconds.
    pub fn unavailable(code: &'static str, retry_after: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code).retry_after(retry_after)
    }

    /// 500: a fault of the program; `inner` goes to the log only.
    pub fn internal(inner: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
            .detail("The program failed; its log has more under this request id.")
            .inner(inner)
    }

    /// Says to the caller what is wrong and what to do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Adds what only the log may say.
    #[must_use]
    pub fn inner(mut self, inner: impl Display) -> Self {
        self.0.inner = Some(inner.to_string());
        self
    }

    /// Adds a member for programs (RFC 9457, 3.2); its name must be none of the usual ones.
    #[must_use]
    pub fn member(mut self, name: &'static str, value: &impl Serialize) -> Self {
        // A value that is no JSON would be missing, and the rest of the problem as true as before.
        let value = serde_json::to_value(value).unwrap_or_default();
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// Asks the caller to wait for so many seconds; for 429, 503 and 507.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Says as whom the caller wanted to be known, for whoever keeps what was refused; never what was shown for it.
    #[must_use]
    pub fn claimed(mut self, name: impl Into<String>) -> Self {
        self.0.claimed = Some(name.into());
        self
    }

    /// As whom the caller wanted to be known.
    pub(super) fn claimant(&self) -> Option<&str> {
        self.0.claimed.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// What the caller is told.
    pub fn told(&self) -> &str {
        &self.0.detail
    }

    /// What only the log may say.
    pub fn for_log(&self) -> Option<&str> {
        self.0.inner.as_deref()
    }

    /// The finished answer.
    pub fn render(&self, request_id: &str) -> Response {
        let title = self.0.status.canonical_reason().unwrap_or("Error");
        let document = Document {
            r#type: "about:blank",
            title,
            status: self.0.status.as_u16(),
            detail: if self.0.detail.is_empty() { title } else { &self.0.detail },
            code: self.0.code,
            request_id,
            members: &self.0.members,
        };
        // Plain strings and a number: there is nothing in it that could fail to serialise.
        let bytes = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::full(bytes));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.extend(self.0.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

/// From a handler a problem travels as an extension: only the application knows the request's id, and
/// it renders every problem in one place.
impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let mut response = axum::response::Response::new(axum::body::Body::empty());
        *response.status_mut() = self.0.status;
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_says_everything_but_what_is_for_the_log() {
        let response = Problem::unavailable("store_damaged", 30)
            .detail("Run ironlist doctor.")
            .inner("page 17 checksum")
            .render("r-1");
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "30");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().read().await.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            document,
            serde_json::json!({"type": "about:blank", "title": "Service Unavailable", "status": 503,
                "detail": "Run ironlist doctor.", "code": "store_damaged", "request_id": "r-1"})
        );
    }

    #[test]
    fn a_problem_without_detail_repeats_its_title() {
        let response = Problem::unauthorized("key_missing", "Bearer").render("r");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
