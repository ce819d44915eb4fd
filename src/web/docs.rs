//! `/openapi.json` and `/docs` of a port: made once somebody asks, from the routes themselves.
//!
//! The page needs neither the internet nor a script; with one, it can be searched. It must not know what operations
//! mean.

mod page;

use super::body::{Body, Response};
use super::openapi::{Chapter, Place, document};
use super::routes::{Demand, Routes, Row};
use axum::extract::State;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use std::sync::{Arc, OnceLock};

/// The documents of a port.
pub struct Docs {
    chapters: Vec<Chapter>,
    places: &'static [Place],
    made: OnceLock<Made>,
}

struct Made {
    json: Bytes,
    page: Bytes,
}

impl Docs {
    /// Documents of what these chapters hold.
    pub fn new(chapters: Vec<Chapter>, places: &'static [Place]) -> Arc<Self> {
        Arc::new(Self { chapters, places, made: OnceLock::new() })
    }

    /// The two routes.
    pub fn routes() -> Routes<Arc<Self>> {
        Routes::new()
            .get("/openapi.json", Demand::Nothing, json, "Describes all that is served here (OpenAPI 3.1).")
            .writes(&["application/json"])
            .get("/docs", Demand::Nothing, page, "The same as a page for people.")
            .writes(&["text/html"])
    }

    /// What is known of every route that the documents tell of.
    pub fn rows(&self) -> Vec<Row> {
        self.chapters.iter().flat_map(|chapter| chapter.rows.iter().cloned()).collect()
    }

    /// Takes some milliseconds the first time.
    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let document = document(&self.chapters, self.places);
            Made { json: document.to_string().into(), page: page::write(&document).into() }
        })
    }
}

async fn json(State(docs): State<Arc<Docs>>) -> Response {
    answer(docs.made().json.clone(), &[(CONTENT_TYPE, "application/json")])
}

async fn page(State(docs): State<Arc<Docs>>) -> Response {
    let policy = page::policy();
    answer(
        docs.made().page.clone(),
        &[(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)],
    )
}

/// It is another one after an upgrade, and nobody should keep it for longer than some minutes.
fn answer(bytes: Bytes, headers: &[(HeaderName, &'static str)]) -> Response {
    let mut response = Response::new(Body::full(bytes));
    let all = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    response.headers_mut().extend(all);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
