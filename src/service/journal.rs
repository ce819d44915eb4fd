//! The journal between processes: `GET /internal/v1/journal?after=N` answers the records that
//! follow, so that another process keeps the same blacklist.
//!
//! A record is sent as it is stored, digest first, after its length in four bytes (big-endian).
//! With nothing to send, the answer waits for the next generation, a while.

use crate::engine::Engine;
use crate::web::{Body, Caller, Problem, Query, Response};
use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Router};
use bytes::{Buf as _, Bytes};
use serde::Deserialize;
use std::time::Duration;

/// The path, for both ends.
pub const PATH: &str = "/internal/v1/journal";
/// So long an answer without records is held back.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// About so many bytes are sent at once.
const CHUNK: usize = 8 << 20;

/// The route of the process that owns the journal.
pub fn routes(engine: Engine) -> Router {
    Router::new().route(PATH, get(send)).with_state(engine)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    after: u64,
}

async fn send(
    State(engine): State<Engine>,
    Extension(caller): Extension<Caller>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    caller.demand_admin()?;
    let mut generations = engine.generations();
    let news = generations.wait_for(|generation| *generation > from.after);
    if tokio::time::timeout(PATIENCE, news).await.is_err() {
        return Ok(Response::new(Body::empty()));
    }
    let mut body = Vec::new();
    for sealed in engine.sealed(from.after, CHUNK).await? {
        let length = u32::try_from(sealed.len()).map_err(Problem::internal)?;
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&sealed);
    }
    Ok(Response::new(Body::full(body)))
}

/// Takes an answer apart; `None` if it was cut off.
pub fn records(mut body: Bytes) -> Option<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    while body.has_remaining() {
        let length = body.try_get_u32().ok()? as usize;
        if body.remaining() < length {
            return None;
        }
        records.push(body.split_to(length).to_vec());
    }
    Some(records)
}
