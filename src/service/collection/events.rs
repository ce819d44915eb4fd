//! A run's progress as server-sent events (WHATWG HTML, 9.2): `progress` while it works, `run` when it
//! is over.

use crate::collect::collector::Progress;
use crate::collect::run::Run;
use crate::web::{Body, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body_util::StreamBody;
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

/// Events closer than this are one: nobody's eye is quicker.
const PAUSE: Duration = Duration::from_millis(200);
/// Without news for so long a comment is sent, or proxies close the connection.
const ALIVE: Duration = Duration::from_secs(15);

/// What a run is at.
#[derive(Serialize, JsonSchema)]
struct Step<'a> {
    state: crate::collect::run::State,
    step: &'a str,
    done: u64,
    total: Option<u64>,
    counts: crate::collect::run::Counts,
}

enum Next {
    Follow(watch::Receiver<Progress>),
    Tell(Box<Run>),
    End,
}

/// Follows a run; one that is over is told at once.
pub(super) fn stream(progress: Option<watch::Receiver<Progress>>, run: Run) -> Response {
    let first = match progress {
        Some(mut progress) => {
            progress.mark_changed();
            Next::Follow(progress)
        }
        None => Next::Tell(Box::new(run)),
    };
    let frames = stream::unfold(first, |next| async {
        let (text, next) = event(next).await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), next))
    });
    let mut response = Response::new(Body::stream(StreamBody::new(Box::pin(frames))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn event(next: Next) -> Option<(String, Next)> {
    match next {
        Next::End => None,
        Next::Tell(run) => Some((named("run", &*run), Next::End)),
        Next::Follow(mut progress) => match tokio::time::timeout(ALIVE, progress.changed()).await {
            Err(_) => Some((":\n\n".to_owned(), Next::Follow(progress))),
            // Whoever sent it has gone: the last word stands.
            Ok(Err(_)) => {
                let run = progress.borrow().run.clone();
                Some((named("run", &run), Next::End))
            }
            Ok(Ok(())) => {
                let told = progress.borrow_and_update().clone();
                if told.run.state.is_over() {
                    return Some((named("run", &told.run), Next::End));
                }
                tokio::time::sleep(PAUSE).await;
                let Progress { run, step, done, total } = &told;
                let step = Step { state: run.state, step, done: *done, total: *total, counts: run.counts };
                Some((named("progress", &step), Next::Follow(progress)))
            }
        },
    }
}

fn named(name: &str, data: &impl Serialize) -> String {
    // Plain data: there is nothing in it that could fail to serialise.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}
