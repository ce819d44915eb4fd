//! The journal between processes. The one that owns it answers, with the administrator's key:
//!
//! - `GET /internal/v1/journal?after=N`: the records that follow, so that another process keeps the
//!   same blacklist. A record is sent as it is stored, digest first, after its length in four bytes
//!   (big-endian). With nothing to send, the answer waits for the next generation, a while.
//!   Records that are gone are a 410.
//! - `GET /internal/v1/checkpoint`: the newest checkpoint, byte for byte, with which whoever has nothing yet begins.
//! - `POST /internal/v1/batches`: carries a packed batch out and answers its receipt.
//! - `POST /internal/v1/preview`: says what a packed batch would do.
//!
//! An error of the engine travels as the member `error` of the problem, so that [`Remote`], the
//! other end, fails as the engine itself would.

mod remote;

pub use remote::Remote;

use super::reply::blocking;
use crate::codec::{Reader, get_batch};
use crate::engine::{Engine, EngineError};
use crate::model::{Batch, Preview, Receipt};
use crate::web::Demand::Installation;
use crate::web::extract::Whole;
use crate::web::{Body, Json, Problem, Query, Response, Routes};
use axum::extract::State;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

const JOURNAL: &str = "/internal/v1/journal";
const CHECKPOINT: &str = "/internal/v1/checkpoint";
/// The path of batches, whose bodies are as large as lists.
pub const BATCHES: &str = "/internal/v1/batches";
/// The path of batches that are only asked about.
pub const PREVIEW: &str = "/internal/v1/preview";
/// The member of a problem that says which error of the engine it was.
const ERROR: &str = "error";
/// So long an answer without records is held back.
const PATIENCE: Duration = Duration::from_secs(20);
/// A file is read in pieces of so many bytes.
const PIECE: usize = 256 << 10;
/// About so many bytes are sent at once.
const CHUNK: usize = 8 << 20;

/// The routes of the process that owns the journal.
pub fn routes() -> Routes<Engine> {
    Routes::new()
        .get(
            JOURNAL,
            Installation,
            send,
            "Hands records to a process that follows, or nothing after some waiting.",
        )
        .writes(&["application/octet-stream"])
        .refuses(&[410])
        .get(CHECKPOINT, Installation, checkpoint, "Hands out what the records before the oldest came to.")
        .writes(&["application/octet-stream"])
        .refuses(&[404])
        .post(BATCHES, Installation, submit, "Takes a change of another process in.")
        .post(PREVIEW, Installation, preview, "Says what such a change would do.")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct From {
    after: u64,
}

async fn send(State(engine): State<Engine>, Query(from): Query<From>) -> Result<Response, Problem> {
    let mut generations = engine.generations();
    let news = generations.wait_for(|generation| *generation > from.after);
    if tokio::time::timeout(PATIENCE, news).await.is_err() {
        return Ok(Response::new(Body::empty()));
    }
    let mut body = Vec::new();
    for sealed in engine.sealed(from.after, CHUNK).await.map_err(typed)? {
        let length = u32::try_from(sealed.len()).map_err(Problem::internal)?;
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&sealed);
    }
    Ok(Response::new(Body::full(body)))
}

async fn checkpoint(State(engine): State<Engine>) -> Result<Response, Problem> {
    let found = blocking(move || Ok(engine.checkpoint()?)).await?;
    let path =
        found.ok_or_else(|| Problem::not_found("no_checkpoint", "All records are there; follow them."))?;
    let file = File::open(path).await.map_err(Problem::internal)?;
    let pieces = stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Frame::data(piece.freeze())), Some(file))),
            // The answer breaks off, and its digest tells.
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Response::new(Body::stream(StreamBody::new(pieces))))
}

/// Takes an answer apart; `None` if it was cut off.
fn records(mut body: Bytes) -> Option<Vec<Vec<u8>>> {
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

async fn submit(State(engine): State<Engine>, Whole(body): Whole) -> Result<Json<Receipt>, Problem> {
    let batch = unpack(body).await?;
    engine.submit(batch).await.map(Json).map_err(typed)
}

async fn preview(State(engine): State<Engine>, Whole(body): Whole) -> Result<Json<Preview>, Problem> {
    let batch = unpack(body).await?;
    let plan = engine.preview(batch).await.map_err(typed)?;
    Ok(Json(plan.preview()))
}

async fn unpack(body: Bytes) -> Result<Batch, Problem> {
    let wrong = |error| Problem::bad_request("bad_batch", format!("{error}."));
    blocking(move || get_batch(&mut Reader::new(&body)).map_err(wrong)).await
}

fn typed(error: EngineError) -> Problem {
    Problem::from(error.clone()).member(ERROR, &error)
}

#[cfg(test)]
mod tests;
