//! Extractors for handlers that refuse with a problem instead of a line of plain text.
//!
//! It must not know what is asked for; types and their `serde` rules say that.

use super::body::Body;
use super::multipart::{self, File};
use super::problem::Problem;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A JSON body, both ways. Unknown fields are refused where the type says `deny_unknown_fields`.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

/// The parameters of the path.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

/// The parameters behind the question mark.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// The whole body, as it came, within the limit of its route.
#[derive(Clone, Debug)]
pub struct Whole(pub Bytes);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_json(request.headers())?;
        let bytes = Body::from(request.into_body()).read().await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| json_problem(&error))
    }
}

/// A form that a browser sends from another site is never `application/json`: asking for the type stops it.
fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type")
        .detail("This request takes a body of type application/json."))
}

/// Text that is no JSON is 400; JSON of another shape, and unknown fields, are 422. serde's message
/// names the field and the place.
fn json_problem(error: &serde_json::Error) -> Problem {
    if error.is_data() {
        Problem::unprocessable("body_shape", format!("The body has the wrong shape: {error}."))
    } else {
        Problem::bad_request("body_json", format!("The body is not JSON: {error}."))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        Ok(Self(Body::from(request.into_body()).read().await?))
    }
}

/// A file, sent as the body itself or as the one file of a form.
impl<S: Send + Sync> FromRequest<S> for File {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = kind.filter(|kind| multipart::is_form(kind)).map(str::to_owned);
        let Whole(bytes) = Whole::from_request(request, state).await?;
        match form {
            Some(kind) => multipart::one_file(&kind, &bytes),
            None => Ok(Self { name: None, bytes }),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Problem::bad_request("path", error.body_text()))
            }
            Err(other) => Err(Problem::internal(other)),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Self(query.0)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                Err(Problem::bad_request("query", error.body_text()))
            }
            Err(other) => Err(Problem::internal(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Allow {
        #[serde(rename = "reason")]
        _reason: String,
    }

    async fn code(kind: &str, body: &'static str) -> &'static str {
        let request =
            Request::builder().header(CONTENT_TYPE, kind).body(axum::body::Body::from(body)).unwrap();
        Json::<Allow>::from_request(request, &()).await.map_or_else(|problem| problem.code(), |_| "")
    }

    #[tokio::test]
    async fn json_is_taken_and_what_is_not_is_named() {
        assert_eq!(code("application/json; charset=utf-8", r#"{"reason":"x"}"#).await, "");
        assert_eq!(code("application/vnd.x+json", r#"{"reason":"x"}"#).await, "");
        assert_eq!(code("text/plain", r#"{"reason":"x"}"#).await, "media_type");
        assert_eq!(code("application/json", r#"{"reason":"#).await, "body_json");
        assert_eq!(code("application/json", r#"{"reason":7}"#).await, "body_shape");
        assert_eq!(code("application/json", r#"{"reason":"x","more":1}"#).await, "body_shape");
    }
}
