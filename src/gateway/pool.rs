//! All instances of a role elsewhere: which one is asked, and whether another is when it fails.
//!
//! It must not know which requests go to which role, nor how one is sent.

use super::budget::Budget;
use super::hop::{self, Hop};
use super::instance::{Failure, Instance, UpstreamError, Visit, Way};
use super::routes;
use crate::web::{Body, Peer, Problem, Request, Response};
use http::{HeaderValue, Method};
use hyper::body::Body as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A role may think longer about what it was sent than about a question.
const BODY_PATIENCE: u32 = 10;
/// The part of its patience that a question which can be put to another instance spends on the first.
const FIRST: u32 = 3;

/// Which instance is asked of those that may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Each in its turn.
    #[default]
    RoundRobin,
    /// The one at which the fewest requests wait.
    LeastLoaded,
}

/// The instances of a role at their URLs.
#[derive(Debug)]
pub struct Remote {
    instances: Vec<Instance>,
    balance: Balance,
    turn: AtomicUsize,
    budget: Budget,
    patience: Duration,
    hop: Hop,
}

impl Remote {
    /// The role at `urls` (`http://host:port` each), which may take `patience` for the head of an answer.
    ///
    /// # Errors
    /// When a URL has another form, or there is none.
    pub fn new<U: AsRef<str>>(urls: &[U], patience: Duration) -> Result<Self, UpstreamError> {
        Self::over(urls, &Way { patience, ..Way::default() })
    }

    /// The role at `urls`, reached so.
    ///
    /// # Errors
    /// As [`Remote::new`].
    pub fn over<U: AsRef<str>>(urls: &[U], way: &Way) -> Result<Self, UpstreamError> {
        let instances: Result<Vec<_>, _> = urls.iter().map(|url| Instance::new(url.as_ref(), way)).collect();
        let instances = instances?;
        if instances.is_empty() {
            return Err(UpstreamError::none());
        }
        let (turn, budget, patience) = (AtomicUsize::new(0), Budget::default(), way.patience);
        Ok(Self { instances, balance: Balance::default(), turn, budget, patience, hop: Hop::default() })
    }

    /// Gives the callers that are the administrator without a key, those of the socket in the data folder, the
    /// administrator's, and has the role believe for whom all others ask: what it sees is a connection like any other.
    #[must_use]
    pub fn with_key(mut self, key: HeaderValue) -> Self {
        self.hop = Hop::with_key(key);
        self
    }

    /// Chooses among instances so.
    #[must_use]
    pub fn balanced(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// How long an instance may take for the head of an answer.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    #[cfg(test)]
    pub(super) fn spend_retry(&self) -> bool {
        self.budget.spend()
    }

    pub(super) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Asks one instance, and another where the request is safe, nothing was answered and the budget has it.
    pub(super) async fn call(&self, mut request: Request, peer: Peer) -> Result<Response, Problem> {
        let patience = self.patience * if request.body().is_end_stream() { 1 } else { BODY_PATIENCE };
        self.hop.prepare(&mut request, peer)?;
        self.budget.earn();
        let spare = self.spare(&request);
        let chosen = if routes::is_change(&request) { self.admit(0, true) } else { self.choose(None) };
        let (at, visit) = chosen.ok_or_else(resting)?;
        let first = if spare.is_some() { patience / FIRST } else { patience };
        match (visit.ask(request, first).await, spare) {
            (Ok(answer), _) => Ok(answer),
            (Err(failure), Some(again)) if !matches!(failure, Failure::Caller(_)) => {
                let other = self.choose(Some(at)).filter(|_| self.budget.spend());
                let (_, visit) = other.ok_or(failure)?;
                Ok(visit.ask(again, patience - first).await?)
            }
            (Err(failure), _) => Err(failure.into()),
        }
    }

    /// Asks an instance how it is, whatever its breaker says.
    pub(super) async fn look(
        &self,
        at: &Instance,
        mut request: Request,
        peer: Peer,
    ) -> Result<Response, Problem> {
        self.hop.prepare(&mut request, peer)?;
        hop::address(&mut request, at.authority(), self.patience);
        Ok(at.ask_now(request, self.patience).await?)
    }

    /// The request once more, where asking twice does no harm, and may be done, and there is somebody else to ask.
    fn spare(&self, request: &Request) -> Option<Request> {
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
        if self.instances.len() < 2 || !is_safe || !request.body().is_end_stream() || !self.budget.has_some()
        {
            return None;
        }
        let mut again = Request::new(Body::empty());
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.headers_mut() = request.headers().clone();
        Some(again)
    }

    /// An instance other than `not`, with the right to ask it. Those that are ready come first; where none is, all
    /// are asked: an instance that may be down is better than none.
    fn choose(&self, not: Option<usize>) -> Option<(usize, Visit<'_>)> {
        if self.instances.len() == 1 {
            return not.is_none().then(|| self.admit(0, true)).flatten();
        }
        let order: Vec<usize> = self.order().into_iter().filter(|at| Some(*at) != not).collect();
        let ready = order.iter().copied().filter(|at| self.instances[*at].is_ready());
        ready
            .into_iter()
            .find_map(|at| self.admit(at, false))
            .or_else(|| order.iter().find_map(|at| self.admit(*at, true)))
    }

    fn admit(&self, at: usize, is_last: bool) -> Option<(usize, Visit<'_>)> {
        Some((at, self.instances[at].admit(is_last)?))
    }

    fn order(&self) -> Vec<usize> {
        let (count, start) = (self.instances.len(), self.turn.fetch_add(1, Ordering::Relaxed));
        let mut order: Vec<usize> = (0..count).map(|at| start.wrapping_add(at) % count).collect();
        if self.balance == Balance::LeastLoaded {
            // The sort is stable: of equals it is each one's turn.
            order.sort_by_key(|at| self.instances[*at].in_flight());
        }
        order
    }
}

/// Every instance failed a moment ago: who comes now is not made to wait for the same.
fn resting() -> Problem {
    Problem::unavailable("role_resting", 1)
        .detail("The role that answers this failed a moment ago, and is tried again in another.")
}
