//! One role as the gateway reaches it: a call in this process, or HTTP to instances elsewhere.
//!
//! It must not know which requests go where, nor what they mean.

use super::bulkhead::Bulkhead;
use super::pool::Remote;
use super::routes;
use crate::web::body::is_live;
use crate::web::{App, Caller, Problem, Request, Response};
use std::sync::Arc;

/// Where a role is, and how much it may be given to do at once.
pub struct Upstream {
    place: Place,
    room: Bulkhead,
}

/// Where a role is.
pub(super) enum Place {
    /// In this process.
    Local(Arc<App>),
    /// At URLs.
    Remote(Box<Remote>),
}

/// Requests at work in a role at once, where nothing else was said.
const AT_WORK: usize = 1024;
/// Requests that wait for their turn then.
const QUEUE: usize = 1024;

impl Upstream {
    /// A role in this process.
    pub fn local(app: Arc<App>) -> Self {
        Self { place: Place::Local(app), room: Bulkhead::new(AT_WORK, QUEUE) }
    }

    /// A role elsewhere.
    pub fn remote(remote: Remote) -> Self {
        Self { place: Place::Remote(Box::new(remote)), room: Bulkhead::new(AT_WORK, QUEUE) }
    }

    /// Gives it `at_work` requests at once, and lets as many wait.
    #[must_use]
    pub fn room(mut self, at_work: usize) -> Self {
        self.room = Bulkhead::new(at_work, at_work);
        self
    }

    /// Answers `request` for `caller`. What is answered at once, without waiting, needs no room.
    ///
    /// # Errors
    /// When there is no room, too many of the same caller are at work, or a role elsewhere cannot be reached or does not
    /// answer: 502, 503 or 504, worth another try later.
    pub async fn call(&self, request: Request, caller: &Caller) -> Result<Response, Problem> {
        let class = routes::class(request.method(), request.uri().path());
        let place = self.room.enter(class, caller).await?;
        let answer = match &self.place {
            Place::Local(app) => app.answer(request, caller.peer).await,
            Place::Remote(remote) => remote.call(request, caller.peer).await?,
        };
        // One that waits by nature would keep its place for days.
        match place.filter(|_| !is_live(answer.headers())) {
            Some(place) => Ok(answer.map(|body| body.holding(place))),
            None => Ok(answer),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}
