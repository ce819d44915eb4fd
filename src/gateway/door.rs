//! Who comes in: what a request pays from its caller's bucket, and whether there is time for it at all.
//!
//! It must not know what a role answers.

use super::limits::{Class, Limits, Told};
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

/// From where somebody asks for a list, and whether with a key that only a role can judge: else it knows them by their
/// certificate or network, and what is guessed from there is another's.
pub(super) type Reader = (IpAddr, bool);

/// Looks at every request.
pub(super) struct Door {
    limits: Limits,
    /// None: everybody waits instead.
    overload: Option<Overload>,
    /// Who was given a list by a role of late.
    readers: moka::sync::Cache<Reader, ()>,
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

    /// What is said to whoever shows a key about which another process would have to be asked: who has shown too many
    /// wrong ones has nobody asked.
    pub(super) fn doubt(&self, caller: &Caller) -> Entry {
        self.said(Class::Auth, self.limits.look(Class::Auth, caller).map(|()| None))
    }

    fn pay(&self, class: Class, caller: &Caller) -> Entry {
        self.said(class, self.limits.pay(class, caller))
    }

    fn said(&self, class: Class, paid: Result<Option<Told>, Problem>) -> Entry {
        match paid {
            Ok(told) => Entry::Open(told),
            Err(problem) => {
                self.refused[class as usize][0].inc();
                Entry::Shut(problem, Duration::ZERO)
            }
        }
    }

    /// Firewalls are never told to come back later. Whether a device is one only the role knows: until it has given a list
    /// to that address, with a key or without, the limit of strangers holds.
    fn is_reader(&self, request: &Request, caller: &Caller) -> bool {
        caller.who.is_some() || self.readers.contains_key(&reader(request, caller))
    }

    /// Who asks for a list and may be a device.
    pub(super) fn reader(request: &Request, caller: &Caller) -> Option<Reader> {
        let class = routes::class(request.method(), request.uri().path());
        (class == Some(Class::Feeds) && caller.who.is_none()).then(|| reader(request, caller))
    }

    /// Remembers who was given a list.
    pub(super) fn note(&self, reader: Option<Reader>, status: StatusCode) {
        let is_given = status.is_success() || status == StatusCode::NOT_MODIFIED;
        if let Some(reader) = reader.filter(|reader| is_given && !self.readers.contains_key(reader)) {
            self.readers.insert(reader, ());
        }
    }
}

fn reader(request: &Request, caller: &Caller) -> Reader {
    let headers = request.headers();
    let shows_a_key = request.uri().path().starts_with("/f/")
        || headers.contains_key(AUTHORIZATION)
        || headers.contains_key(X_API_KEY);
    (caller.peer.address(), shows_a_key)
}

fn overload() -> Problem {
    Problem::unavailable("overloaded", 1).detail("There is too much to do just now.")
}
