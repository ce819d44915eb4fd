//! Who comes in: what a request pays from its caller's bucket, and whether there is time for it at all.
//!
//! It must not know what a role answers.

use super::limits::{Class, Limits, Rates};
use super::overload::Overload;
use super::routes;
use crate::web::app::Entry;
use crate::web::claim::X_API_KEY;
use crate::web::metrics::{Counter, Metrics};
use crate::web::{Caller, Peer, Problem, Request};
use http::header::AUTHORIZATION;
use std::time::Duration;

/// Looks at every request.
pub(super) struct Door {
    limits: Limits,
    overload: Overload,
    /// Refusals of each class, by too many requests and by overload.
    refused: [[Counter; 2]; Class::ALL.len()],
}

impl Door {
    pub(super) fn new(rates: &Rates, metrics: &Metrics) -> Self {
        let refused = |class: Class| ["rate", "overload"].map(|why| metrics.turned_away(class.name(), why));
        Self { limits: Limits::new(rates), overload: Overload::new(), refused: Class::ALL.map(refused) }
    }

    /// Whether a request may come in, and what its answer is to say.
    pub(super) fn admit(&self, request: &Request, caller: &Caller) -> Entry {
        let path = request.uri().path();
        let Some(class) = routes::class(request.method(), path) else { return Entry::Open(None) };
        // Who holds the socket of the data folder looks after the house.
        if caller.peer == Peer::Local || (class == Class::Feeds && shows_a_key(request, caller)) {
            return Entry::Open(None);
        }
        let [too_many, overloaded] = &self.refused[class as usize];
        if let Some(held) = self.overload.turns_away(class) {
            overloaded.inc();
            return Entry::Shut(overload(), held);
        }
        match self.limits.pay(class, caller) {
            Ok(told) => Entry::Open(told),
            Err(problem) => {
                too_many.inc();
                Entry::Shut(problem, Duration::ZERO)
            }
        }
    }
}

/// Firewalls are never told to come back later. Whether the key is right, the role finds out; a wrong one gets no list,
/// and costs no more than to be told so.
fn shows_a_key(request: &Request, caller: &Caller) -> bool {
    let headers = request.headers();
    caller.who.is_some()
        || request.uri().path().starts_with("/f/")
        || headers.contains_key(AUTHORIZATION)
        || headers.contains_key(X_API_KEY)
}

fn overload() -> Problem {
    Problem::unavailable("overloaded", 1).detail("There is too much to do just now.")
}
