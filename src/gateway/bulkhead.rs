//! How many requests may be at work in a role at once, and how many may wait for their turn: one role that hangs
//! does not take the door with it, and one caller does not take a role from the others.
//!
//! It must not know what is asked.

use super::limits::Class;
use super::whose::Whose;
use crate::web::shares::{Share, Shares};
use crate::web::{Caller, Problem};
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So long a request waits for its turn; who would wait longer is better off with another try.
const PATIENCE: Duration = Duration::from_secs(2);
/// No caller has more than one in so many places.
const SHARE: usize = 4;

/// The room that a role has.
#[derive(Debug)]
pub(super) struct Bulkhead {
    places: Arc<Semaphore>,
    /// Of the places, those that long questions may take: half of them, so that short ones find the others.
    long: Arc<Semaphore>,
    /// Of the places, those that nobody in particular may take: strangers are many, and a quarter is never theirs.
    strange: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    shares: Arc<Shares<u64>>,
    whose: Whose,
}

/// A place in it, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    _long: Option<OwnedSemaphorePermit>,
    _strange: Option<OwnedSemaphorePermit>,
    _share: Option<Share<u64>>,
}

impl Bulkhead {
    /// Room for `places` at work and `queue` that wait.
    pub(super) fn new(places: usize, queue: usize) -> Self {
        let places = places.min(Semaphore::MAX_PERMITS);
        let room = [places, places.div_ceil(2), places - places / SHARE];
        let [places, long, strange] = room.map(|places| Arc::new(Semaphore::new(places)));
        let shares = Shares::new(room[0].div_ceil(SHARE));
        Self { places, long, strange, waiting: AtomicUsize::new(0), queue, shares, whose: Whose::default() }
    }

    /// A place for a request of that class, at once or after a short wait. Who looks after the house needs none, nor do
    /// firewalls: they are many, and are answered from memory.
    ///
    /// # Errors
    /// 503 when too many wait already, or the wait is too long; 429 for who has too many places already.
    pub(super) async fn enter(
        &self,
        class: Option<Class>,
        caller: &Caller,
    ) -> Result<Option<Place>, Problem> {
        let Some(class) = class.filter(|class| *class != Class::Feeds) else { return Ok(None) };
        let whose = self.whose.of(caller);
        let share = whose.map(|whose| self.shares.take(whose).ok_or_else(too_many)).transpose()?;
        let is_strange = whose.is_some() && caller.who.is_none();
        let long = self.wait_if(class == Class::Bulk, &self.long).await?;
        let strange = self.wait_if(is_strange, &self.strange).await?;
        let place = self.wait_for(&self.places).await?;
        Ok(Some(Place { _place: place, _long: long, _strange: strange, _share: share }))
    }

    async fn wait_if(
        &self,
        needs: bool,
        places: &Arc<Semaphore>,
    ) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        Ok(if needs { Some(self.wait_for(places).await?) } else { None })
    }

    async fn wait_for(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(self).ok_or_else(busy)?;
        let place = tokio::time::timeout(PATIENCE, Arc::clone(places).acquire_owned()).await;
        // Nobody closes the semaphore.
        place.map_err(|_| busy())?.map_err(|_| busy())
    }
}

fn busy() -> Problem {
    Problem::unavailable("role_busy", 1).detail("The role that answers this has too much to do.")
}

fn too_many() -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_at_once")
        .detail("Too many requests of yours are being answered; wait for some of them.")
        .retry_after(1)
}

/// Counts for as long as it lives, also when its caller leaves.
struct Waiting<'b>(&'b AtomicUsize);

impl<'b> Waiting<'b> {
    fn begin(bulkhead: &'b Bulkhead) -> Option<Self> {
        let before = bulkhead.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(&bulkhead.waiting);
        (before < bulkhead.queue).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::{Identity, Rights};
    use crate::web::Peer;
    use tokio::time::timeout;

    fn from(last: u8) -> Caller {
        let peer = Peer::Tcp(([192, 0, 2, last], 9).into());
        Caller { peer, who: None, rights: Rights::NONE, is_open: false, is_earlier: false }
    }

    const READ: Option<Class> = Some(Class::Read);

    #[tokio::test(start_paused = true)]
    async fn some_work_some_wait_and_the_rest_is_sent_away_at_once() {
        let bulkhead = Arc::new(Bulkhead::new(1, 1));
        let first = bulkhead.enter(READ, &from(1)).await.unwrap();
        let waiting = tokio::spawn({
            let bulkhead = Arc::clone(&bulkhead);
            async move { bulkhead.enter(READ, &from(2)).await.map(drop) }
        });
        tokio::task::yield_now().await;
        let refused = timeout(Duration::from_millis(1), bulkhead.enter(READ, &from(3))).await.unwrap();
        assert_eq!(refused.unwrap_err().code(), "role_busy");
        drop(first);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_makes_room_and_who_waits_too_long_is_told() {
        let bulkhead = Bulkhead::new(1, 1);
        let _first = bulkhead.enter(READ, &from(1)).await.unwrap();
        assert!(timeout(Duration::from_millis(5), bulkhead.enter(READ, &from(2))).await.is_err());
        assert_eq!(bulkhead.enter(READ, &from(2)).await.unwrap_err().code(), "role_busy");
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_however_many_leave_a_quarter_to_those_who_are_somebody() {
        let bulkhead = Bulkhead::new(8, 1);
        let mut held = Vec::new();
        for last in [1, 1, 2, 2, 3, 3] {
            held.push(bulkhead.enter(READ, &from(last)).await.unwrap());
        }
        assert_eq!(bulkhead.enter(READ, &from(4)).await.unwrap_err().code(), "role_busy");
        let somebody = Caller { who: Some(Arc::new(Identity::installation())), ..from(1) };
        for _ in 0..2 {
            held.push(timeout(Duration::ZERO, bulkhead.enter(READ, &somebody)).await.unwrap().unwrap());
        }
        held.clear();
        bulkhead.enter(READ, &from(4)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_has_a_quarter_and_long_questions_half_of_the_room() {
        let bulkhead = Bulkhead::new(8, 1);
        let bulk = Some(Class::Bulk);
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(bulkhead.enter(bulk, &from(1)).await.unwrap());
        }
        let refused = bulkhead.enter(READ, &from(1)).await.unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (429, "too_many_at_once"));
        for last in [2, 3] {
            held.push(bulkhead.enter(bulk, &from(last)).await.unwrap());
        }
        assert_eq!(bulkhead.enter(bulk, &from(4)).await.unwrap_err().code(), "role_busy");
        held.push(bulkhead.enter(READ, &from(4)).await.unwrap());
        assert!(bulkhead.enter(Some(Class::Feeds), &from(1)).await.unwrap().is_none());
        assert!(bulkhead.enter(None, &from(1)).await.unwrap().is_none());
        held.clear();
        bulkhead.enter(READ, &from(1)).await.unwrap();
    }
}
