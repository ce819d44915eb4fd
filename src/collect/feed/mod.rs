//! One download of a list over HTTP: asked for politely, and the answer told apart.
//!
//! A server that has nothing new answers so, and the list is not sent again. What the bytes mean is
//! not known here: a web page with status 200 is an answer like any other, and judged by who reads it.

mod credentials;
mod dated;
mod error;

#[cfg(test)]
mod tests;

pub use credentials::{BadCredentials, Credentials};
pub use dated::dated;
pub use error::FeedError;

use crate::fetch::budget::apart;
use crate::fetch::{Fetcher, Outgoing, Url};
use crate::model::Time;
use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// JSON first: there are servers that name their errors only to who asks for it, and send others to
/// a page.
const ACCEPTED: &str = "application/json, text/plain;q=0.9, */*;q=0.8";

/// What one download leaves for the next. Without it a list is sent whole and counts as new.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// The server's tag of the list.
    pub etag: Option<String>,
    /// When the server says the list was last changed, as it says it.
    pub last_modified: Option<String>,
    /// SHA-256 of the bytes.
    pub digest: Option<[u8; 32]>,
    /// The list's own date.
    pub dated: Option<Time>,
}

/// An answer that is none of failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Download {
    /// The list is the one of last time; what to remember may differ all the same.
    Unchanged(Memory),
    /// A list.
    Fetched {
        /// As the server keeps it: a gzip or zip file is still one.
        bytes: Bytes,
        /// For the next download.
        memory: Memory,
    },
}

/// Downloads the list at `url`, unless it is the one that `memory` is of.
///
/// # Errors
/// There is no list; the error says what can be done about it.
pub async fn download(
    fetcher: &Fetcher,
    url: &Url,
    credentials: Option<&Credentials>,
    memory: &Memory,
) -> Result<Download, FeedError> {
    let mut outgoing = Outgoing { url: url.clone(), headers: conditions(memory), secrets: HeaderMap::new() };
    if let Some(credentials) = credentials {
        credentials.apply(&mut outgoing)?;
    }
    let response = fetcher.get(outgoing).await?;
    match response.status() {
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION | StatusCode::NO_CONTENT => {
            take(fetcher, response, memory).await
        }
        StatusCode::NOT_MODIFIED if memory.digest.is_some() => Ok(Download::Unchanged(memory.clone())),
        _ => Err(FeedError::of_answer(&response, credentials.is_some())),
    }
}

/// Asks for nothing that is known already.
fn conditions(memory: &Memory) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(ACCEPTED))]);
    // Tags and dates without the list they belong to would be answered with nothing.
    if memory.digest.is_some() {
        let known = [(IF_NONE_MATCH, &memory.etag), (IF_MODIFIED_SINCE, &memory.last_modified)];
        headers.extend(known.into_iter().filter_map(|(name, value)| {
            // What a server once sent can be sent back, unless the memory was tampered with.
            Some((name, HeaderValue::from_str(value.as_deref()?).ok()?))
        }));
    }
    headers
}

async fn take(fetcher: &Fetcher, response: Response, before: &Memory) -> Result<Download, FeedError> {
    let (etag, last_modified) = (said(&response, ETAG), said(&response, LAST_MODIFIED));
    let bytes = fetcher.read(response).await?;
    let list = bytes.clone();
    let (digest, own): ([u8; 32], _) = apart(move || (Sha256::digest(&list).into(), dated(&list))).await;
    let changed = last_modified.as_deref().and_then(|text| httpdate::parse_http_date(text).ok());
    let changed = changed.map(|moment| Time::from(chrono::DateTime::from(moment)));
    let memory = Memory { etag, last_modified, digest: Some(digest), dated: own.or(changed) };
    Ok(match before.digest {
        Some(known) if known == digest => Download::Unchanged(memory),
        _ => Download::Fetched { bytes, memory },
    })
}

fn said(response: &Response, name: HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}
