//! Who comes in: what a request pays from its caller's bucket, and whether there is time for it at all.
//!
//! It must not know what a role answers.

use super::limits::{Class, Limits};
use super::overload::Overload;
use super::{Rules, routes};
use crate::web::app::Entry;
use crate::web::claim::X_API_KEY;
use crate::web::metrics::{Counter, Metrics};
use crate::web::{Caller, Peer, Problem, Request};
use http::StatusCode;
use http::header::AUTHORIZATION;
use std::net::IpAddr;
use std::time::Duration;

/// So many readers of feeds are remembered, and for so long after a list was given to them.
const READERS: u64 = 16_384;
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Looks at every request.
pub(super) struct Door {
    limits: Limits,
    /// None: everybody waits instead.
    overload: Option<Overload>,
    /// Addresses from where lists were fetched of late with a key that a role found right.
    readers: moka::sync::Cache<IpAddr, ()>,
    /// Refusals of each class, by too many requests and by overload.
    refused: [[Counter; 2]; Class::ALL.len()],
}

impl Door {
    pub(super) fn new(rules: &Rules, metrics: &Metrics) -> Self {
        let refused = |class: Class| ["rate", "overload"].map(|why| metrics.turned_away(class.name(), why));
        let readers = moka::sync::Cache::builder().max_capacity(READERS).time_to_live(REMEMBERED).build();
        let (limits, overload) = (Limits::new(&rules.rates), rules.sheds.then(Overload::new));
        Self { limits, overload, readers, refused: Class::ALL.map(refused) }
    }

    /// Whether a request may come in, and what its answer is to say.
    pub(super) fn admit(&self, request: &Request, caller: &Caller) -> Entry {
        let path = request.uri().path();
        let Some(class) = routes::class(request.method(), path) else { return Entry::Open(None) };
        // Who holds the socket of the data folder looks after the house.
        if caller.peer == Peer::Local || (class == Class::Feeds && self.is_reader(request, caller)) {
            return Entry::Open(None);
        }
        if let Some(held) = self.overload.as_ref().and_then(|load| load.turns_away(class)) {
            self.refused[class as usize][1].inc();
            return Entry::Shut(overload(), held);
        }
        self.pay(class, caller)
    }

    /// What is said to whoever showed a key that is nobody's: it is paid for as a login is.
    pub(super) fn deny(&self, caller: &Caller) -> Entry {
        self.pay(Class::Auth, caller)
    }

    fn pay(&self, class: Class, caller: &Caller) -> Entry {
        match self.limits.pay(class, caller) {
            Ok(told) => Entry::Open(told),
            Err(problem) => {
                self.refused[class as usize][0].inc();
                Entry::Shut(problem, Duration::ZERO)
            }
        }
    }

    /// Firewalls are never told to come back later. Whether a device's key is right only the role knows: until it has
    /// given a list to that address, the limit of those without a key holds.
    fn is_reader(&self, request: &Request, caller: &Caller) -> bool {
        caller.who.is_some() || (shows_a_key(request) && self.readers.contains_key(&caller.peer.address()))
    }

    /// From where somebody asks for a list with a key that a role judges.
    pub(super) fn reader(request: &Request, caller: &Caller) -> Option<IpAddr> {
        let class = routes::class(request.method(), request.uri().path());
        let is_reader = class == Some(Class::Feeds) && caller.who.is_none() && shows_a_key(request);
        is_reader.then(|| caller.peer.address())
    }

    /// Remembers who was given a list.
    pub(super) fn note(&self, reader: Option<IpAddr>, status: StatusCode) {
        let is_given = status.is_success() || status == StatusCode::NOT_MODIFIED;
        if let Some(from) = reader.filter(|from| is_given && !self.readers.contains_key(from)) {
            self.readers.insert(from, ());
        }
    }
}

fn shows_a_key(request: &Request) -> bool {
    let headers = request.headers();
    request.uri().path().starts_with("/f/")
        || headers.contains_key(AUTHORIZATION)
        || headers.contains_key(X_API_KEY)
}

fn overload() -> Problem {
    Problem::unavailable("overloaded", 1).detail("There is too much to do just now.")
}
