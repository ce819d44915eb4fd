//! Keeps the store of a process without the blacklist role level with the process that has it.

use crate::engine::Engine;
use crate::service::journal::{PATH, PATIENCE, records};
use crate::web::auth::X_API_KEY;
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// After a failure it is tried again so soon, and then ever later up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);
/// One answer is at most one record longer than what the other side aims at.
const MOST: usize = 4 << 30;

/// Follows the journal at `url` with the administrator's `key`, until the task is dropped.
pub(super) async fn follow(engine: Engine, url: String, key: String) {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let mut pause = SHORTEST;
    loop {
        match step(&engine, &client, &url, &key).await {
            Ok(()) => pause = SHORTEST,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), url, "could not follow the journal");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

async fn step(
    engine: &Engine,
    client: &Client<HttpConnector, Empty<Bytes>>,
    url: &str,
    key: &str,
) -> anyhow::Result<()> {
    let after = engine.snapshot().generation;
    let request = http::Request::get(format!("{url}{PATH}?after={after}"))
        .header(X_API_KEY, key)
        .body(Empty::new())
        .context("the URL of the blacklist role")?;
    let answer = tokio::time::timeout(PATIENCE * 2, client.request(request)).await??;
    if !answer.status().is_success() {
        bail!(
            "the blacklist role answered {}: is {} the same file there and here?",
            answer.status(),
            super::folder::ADMIN_KEY
        );
    }
    let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(anyhow::Error::from_boxed)?;
    let sealed = records(body.to_bytes()).context("the answer was cut off")?;
    if !sealed.is_empty() {
        engine
            .follow(sealed)
            .await
            .context("if this folder once had a blacklist of its own, use an empty one")?;
    }
    Ok(())
}
