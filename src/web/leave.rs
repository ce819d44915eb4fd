//! Leave to stay: a stream of events outlasts no key, session or right by which it was begun.
//!
//! Whoever reads one was let in once; so it is asked again who they are, before each event and every few seconds. It must
//! not know what the events tell.

use super::auth::{Asking, Guard};
use super::body::{Body, Request, Response, is_live};
use super::caller::Caller;
use super::claim::X_API_KEY;
use super::tls::Secured;
use crate::rights::Identity;
use futures_util::stream;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, StreamBody};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// So often it is asked: what ends is over within five seconds everywhere.
const OFTEN: Duration = Duration::from_secs(4);
/// Answers of this kind go on for as long as their reader likes.
const EVENTS: &str = "text/event-stream";

/// What somebody has shown who asks for events.
pub(super) struct Leave {
    guard: Guard,
    who: Arc<Identity>,
    method: Method,
    path: String,
    /// The credentials alone.
    headers: HeaderMap,
    certificate: Option<[u8; 32]>,
    caller: Caller,
}

impl Leave {
    /// The leave of somebody who asks for events; nobody in particular needs none.
    pub(super) fn of(guard: &Guard, request: &Request, caller: &Caller) -> Option<Self> {
        let who = Arc::clone(caller.who.as_ref()?);
        let accepts = request.headers().get_all(ACCEPT).iter();
        let wants = |accept: &http::HeaderValue| accept.to_str().is_ok_and(|kinds| kinds.contains(EVENTS));
        if !accepts.into_iter().any(wants) {
            return None;
        }
        let shown = [AUTHORIZATION, X_API_KEY];
        let shown =
            shown.into_iter().filter_map(|name| Some((name.clone(), request.headers().get(name)?.clone())));
        let certificate = request.extensions().get::<Secured>().and_then(|secured| secured.certificate);
        Some(Self {
            guard: guard.clone(),
            who,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            headers: shown.collect(),
            certificate,
            caller: caller.clone(),
        })
    }

    /// Whether they are still who they were, with the same rights.
    async fn holds(&self) -> bool {
        let asking = Asking::new(
            (&self.method, &self.path),
            &self.headers,
            self.certificate.as_ref(),
            self.caller.peer,
        );
        matches!(self.guard.ask(&asking).await, Ok(Some(who)) if *who == *self.who)
    }

    /// Lets events through for as long as it holds.
    pub(super) fn watch(self, response: Response) -> Response {
        if !is_live(response.headers()) {
            return response;
        }
        response.map(|body| {
            let watched = Some((self, body, Instant::now() + OFTEN));
            let frames = stream::unfold(watched, |state| async {
                let (leave, mut body, mut due) = state?;
                loop {
                    tokio::select! {
                        frame = body.frame() => {
                            let frame = frame?;
                            return leave.holds().await.then(|| (frame, Some((leave, body, due))));
                        }
                        () = tokio::time::sleep_until(due) => {
                            due = Instant::now() + OFTEN;
                            if !leave.holds().await {
                                return None;
                            }
                        }
                    }
                }
            });
            Body::stream(StreamBody::new(Box::pin(frames)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::{Kind, Right, Rights};
    use crate::web::auth::Access;
    use crate::web::caller::Peer;
    use crate::web::claim::{Authority, Claim, Found, Unproven};
    use bytes::Bytes;
    use futures_util::future::BoxFuture;
    use http::header::CONTENT_TYPE;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::net::IpAddr;
    use std::sync::Mutex;

    /// Says of every key what it is told to.
    struct Book(Mutex<Found>);

    impl Authority for Book {
        fn at_once(&self, _: Claim<'_>, _: IpAddr) -> Option<Found> {
            panic!("what is remembered may be over");
        }

        fn ask<'a>(&'a self, _: Claim<'a>, _: IpAddr) -> BoxFuture<'a, Found> {
            let found = self.0.lock().unwrap().clone();
            Box::pin(async { found })
        }
    }

    fn kim(rights: &[Right]) -> Arc<Identity> {
        Arc::new(Identity { kind: Kind::User, name: "kim".to_owned(), rights: Rights::of(rights) })
    }

    /// A stream with an event a second, as kim reads it while the book changes at `seconds` to `found`: how many came.
    async fn read(key: Option<&str>, seconds: u64, found: Found) -> usize {
        let book = Arc::new(Book(Mutex::new(Ok(kim(&[Right::Read])))));
        let guard = Guard::new("the installation's", Access::default()).believing(Arc::clone(&book) as _);
        let mut request = http::Request::builder().header(ACCEPT, EVENTS);
        if let Some(key) = key {
            request = request.header(X_API_KEY, key);
        }
        let mut request = request.body(Body::empty()).unwrap();
        if key.is_none() {
            request.extensions_mut().insert(Secured { certificate: Some([7; 32]) });
        }
        let peer = Peer::Tcp(([192, 0, 2, 1], 9).into());
        let caller = guard.caller(peer, Some(kim(&[Right::Read])));
        let events = stream::unfold(0, |n: usize| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let event = Frame::data(Bytes::from_static(b"event: x\n\n"));
            (n < 30).then_some((Ok::<_, Infallible>(event), n + 1))
        });
        let response = http::Response::builder().header(CONTENT_TYPE, EVENTS);
        let response = response.body(Body::stream(StreamBody::new(Box::pin(events)))).unwrap();
        let mut body = Leave::of(&guard, &request, &caller).unwrap().watch(response).into_body();
        let begun = Instant::now();
        let (mut came, mut found) = (0, Some(found));
        while let Some(Ok(_)) = body.frame().await {
            came += 1;
            if begun.elapsed() >= Duration::from_secs(seconds)
                && let Some(found) = found.take()
            {
                *book.0.lock().unwrap() = found;
            }
        }
        came
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_the_right_to_read_it() {
        for key in [Some("il_x"), None] {
            assert_eq!(read(key, 100, Err(Unproven::Wrong)).await, 30);
            for over in [Unproven::Wrong, Unproven::Expired, Unproven::Elsewhere, Unproven::Unknown] {
                assert_eq!(read(key, 3, Err(over)).await, 3, "{over:?}: not one event more");
            }
            assert_eq!(read(key, 3, Ok(kim(&[Right::Check]))).await, 3, "another right");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_ends_within_five_seconds_and_other_answers_are_left_alone() {
        let book = Arc::new(Book(Mutex::new(Err(Unproven::Wrong))));
        let guard = Guard::new("the installation's", Access::default()).believing(book);
        let request = http::Request::builder().header(ACCEPT, EVENTS).header(X_API_KEY, "il_x");
        let request = request.body(Body::empty()).unwrap();
        let caller = guard.caller(Peer::Tcp(([192, 0, 2, 1], 9).into()), Some(kim(&[Right::Read])));
        let silent = || Body::stream(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()));
        let leave = || Leave::of(&guard, &request, &caller).unwrap();
        let response = http::Response::builder().header(CONTENT_TYPE, EVENTS).body(silent()).unwrap();
        let mut body = leave().watch(response).into_body();
        let over = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
        assert!(over.expect("it ends").is_none());
        let other = http::Response::builder().header(CONTENT_TYPE, "text/plain").body(silent()).unwrap();
        let mut body = leave().watch(other).into_body();
        assert!(tokio::time::timeout(Duration::from_secs(60), body.frame()).await.is_err());
        let nobody = guard.caller(Peer::Tcp(([192, 0, 2, 1], 9).into()), None);
        assert!(Leave::of(&guard, &request, &nobody).is_none());
    }
}
