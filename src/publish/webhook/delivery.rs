//! The queue of a hook: what waits, what went out, and what becomes of both when more comes. Pure.
//!
//! It is bounded: once [`LONG`] deliveries wait, a newer event takes the place of an older one of the same matter and
//! subject. For a release that loses nothing, since each says what changed since the one that was told before.

use super::event::{Event, Kind, News};
use super::hook::Hook;
use super::news::Known;
use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// So many deliveries wait before newer ones take the place of older ones.
pub(super) const LONG: usize = 100;
/// So many that are over are remembered.
pub(super) const REMEMBERED: usize = 100;

/// The deliveries of a hook, by number, in the order in which they go out.
pub type Deliveries = BTreeMap<u64, Delivery>;

/// An event on its way to a hook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Its place among the hook's.
    pub number: u64,
    /// The same at each attempt, so that the receiver can drop repeats.
    pub id: Uuid,
    /// What is told.
    pub event: Event,
    /// How many events it stands for.
    pub stands_for: u32,
    /// What has become of it.
    pub state: State,
    /// How often it was sent.
    pub attempts: u32,
    /// When it failed first.
    pub failing_since: Option<Time>,
    /// The last attempt.
    pub last: Option<Attempt>,
}

/// What has become of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is sent as soon as its turn comes, and again until it arrives.
    Waiting,
    /// The receiver has said 2xx.
    Delivered,
    /// It was tried once, and is not tried again: a test.
    Failed,
    /// It is not sent any more: the hook was switched off.
    Dropped,
}

/// An attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Time,
    /// How long it took.
    pub millis: u64,
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    /// How the answer's body begins.
    pub answer: String,
    /// What went wrong, by its stable code.
    pub code: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// What an operator can do about it.
    pub cure: Option<String>,
}

/// What changes at a hook, in one step on the disk and in memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The hook itself.
    pub hook: Option<Hook>,
    /// What it has been told.
    pub known: Option<Known>,
    /// Deliveries that are new, or otherwise than before.
    pub put: Vec<Delivery>,
    /// Deliveries that are forgotten.
    pub gone: Vec<u64>,
}

impl Delivery {
    /// A new one.
    pub(super) fn new(number: u64, event: Event) -> Self {
        Self {
            number,
            id: Uuid::now_v7(),
            event,
            stands_for: 1,
            state: State::Waiting,
            attempts: 0,
            failing_since: None,
            last: None,
        }
    }

    /// A test, which is sent at once.
    pub(super) fn ping(number: u64, at: Time) -> Self {
        Self::new(
            number,
            Event { kind: Kind::Ping, subject: String::new(), at, news: News::default(), from: None },
        )
    }

    /// The same after an attempt, after which it is in `state`.
    pub(super) fn tried(mut self, attempt: Attempt, state: State) -> Self {
        let is_failed = attempt.code.is_some();
        self.failing_since = is_failed.then(|| self.failing_since.unwrap_or(attempt.at));
        self.attempts = self.attempts.saturating_add(1);
        (self.state, self.last) = (state, Some(attempt));
        self
    }

    /// The same, given up.
    pub(super) fn dropped(mut self) -> Self {
        self.state = State::Dropped;
        self
    }
}

/// What waits, in its order.
pub(super) fn waiting(all: &Deliveries) -> impl Iterator<Item = &Delivery> + Clone {
    all.values().filter(|delivery| delivery.state == State::Waiting)
}

/// The number of the next.
pub(super) fn next(all: &Deliveries) -> u64 {
    all.last_key_value().map_or(1, |(number, _)| number + 1)
}

/// What waits that a newer event of this matter and subject takes the place of: the newest such, so that releases that
/// are told follow each other. Never the first in the queue: it may be on its way.
pub(super) fn absorbed<'a>(all: &'a Deliveries, kind: Kind, subject: &str) -> Option<&'a Delivery> {
    let is_long = waiting(all).count() > LONG;
    let same = |event: &Event| event.kind.matter() == kind.matter() && event.subject == subject;
    waiting(all).skip(1).filter(|delivery| is_long && same(&delivery.event)).last()
}

/// Puts events, no two of one matter and subject, into the queue.
pub(super) fn append(all: &Deliveries, events: Vec<Event>) -> Change {
    let mut change = Change::default();
    for (number, event) in (next(all)..).zip(events) {
        let absorbed = absorbed(all, event.kind, &event.subject);
        let mut delivery = Delivery::new(number, event);
        delivery.stands_for += absorbed.map_or(0, |older| older.stands_for);
        change.put.push(delivery);
        change.gone.extend(absorbed.map(|older| older.number));
    }
    change
}

/// Lays a change over the deliveries, and gives the numbers of those that are too long over to be remembered.
pub(super) fn apply(all: &mut Deliveries, change: &Change) -> Vec<u64> {
    change.gone.iter().for_each(|number| drop(all.remove(number)));
    all.extend(change.put.iter().map(|delivery| (delivery.number, delivery.clone())));
    let over: Vec<u64> =
        all.values().filter(|delivery| delivery.state != State::Waiting).map(|one| one.number).collect();
    let forgotten = over[..over.len().saturating_sub(REMEMBERED)].to_vec();
    forgotten.iter().for_each(|number| drop(all.remove(number)));
    forgotten
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: Kind, subject: &str) -> Event {
        Event { kind, subject: subject.to_owned(), at: Time::default(), news: News::default(), from: None }
    }

    fn add(all: &mut Deliveries, event: Event) {
        let change = append(all, vec![event]);
        apply(all, &change);
    }

    fn is_told(all: &mut Deliveries, state: State) {
        let Some(head) = waiting(all).next().cloned() else { return };
        let attempt = Attempt {
            at: Time::default(),
            millis: 1,
            status: Some(200),
            answer: String::new(),
            code: None,
            error: None,
            cure: None,
        };
        apply(all, &Change { put: vec![head.tried(attempt, state)], ..Change::default() });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Against the list of everything that ever happened.
        #[test]
        fn the_queue_is_bounded_and_in_order_and_the_newest_of_each_matter_is_never_lost(
            steps in proptest::collection::vec((0_u8..4, 0_u8..6), 0..600),
        ) {
            let (mut all, mut happened, mut told) = (Deliveries::new(), Vec::new(), Vec::new());
            for (what, subject) in steps {
                let kind = [Kind::Released, Kind::Held, Kind::Unheld][usize::from(what % 3)];
                if what == 3 && subject == 0 {
                    told.extend(waiting(&all).next().map(|head| head.event.clone()));
                    is_told(&mut all, State::Delivered);
                    continue;
                }
                let mut event = event(kind, &subject.to_string());
                event.at = Time::from_unix(happened.len() as i64);
                happened.push(event.clone());
                add(&mut all, event);
                prop_assert!(waiting(&all).count() <= LONG + 1 + 2 * 6);
            }
            let stands_for: u32 = waiting(&all).map(|one| one.stands_for).sum();
            let sent: Vec<_> = told.iter().chain(waiting(&all).map(|one| &one.event)).cloned().collect();
            prop_assert!(sent.windows(2).all(|two| two[0].at < two[1].at), "in order");
            prop_assert!(stands_for as usize + told.len() <= happened.len());
            for event in &happened {
                let later = sent.iter().rev().find(|one| {
                    one.kind.matter() == event.kind.matter() && one.subject == event.subject
                });
                prop_assert!(later.is_some_and(|one| one.at >= event.at), "{event:?}");
            }
        }
    }

    #[test]
    fn nothing_is_merged_while_little_waits_and_the_first_never() {
        let mut all = Deliveries::new();
        for _ in 0..=LONG {
            add(&mut all, event(Kind::Released, "a"));
        }
        assert_eq!(waiting(&all).count(), LONG + 1);
        add(&mut all, event(Kind::Released, "a"));
        assert_eq!(waiting(&all).count(), LONG + 1);
        let numbers: Vec<u64> = waiting(&all).map(|one| one.number).collect();
        let last = numbers.len() - 1;
        assert_eq!((numbers[0], numbers[last - 1], numbers[last]), (1, LONG as u64, LONG as u64 + 2));
        assert_eq!(waiting(&all).last().unwrap().stands_for, 2);
    }

    #[test]
    fn so_many_that_are_over_are_remembered_and_all_that_wait() {
        let mut all = Deliveries::new();
        for _ in 0..REMEMBERED + 20 {
            add(&mut all, event(Kind::Ping, ""));
            is_told(&mut all, State::Delivered);
        }
        add(&mut all, event(Kind::Ping, ""));
        assert_eq!((all.len(), *all.first_key_value().unwrap().0), (REMEMBERED + 1, 21));
    }
}
