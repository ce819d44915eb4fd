//! How many requests may be at work in a role at once, and how many may wait for their turn: one role that hangs
//! does not take the door with it.
//!
//! It must not know what is asked.

use crate::web::Problem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So long a request waits for its turn; who would wait longer is better off with another try.
const PATIENCE: Duration = Duration::from_secs(2);

/// The room that a role has.
#[derive(Debug)]
pub(super) struct Bulkhead {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
}

/// A place in it, given back when it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

impl Bulkhead {
    /// Room for `places` at work and `queue` that wait.
    pub(super) fn new(places: usize, queue: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { places, waiting: AtomicUsize::new(0), queue }
    }

    /// A place, at once or after a short wait.
    ///
    /// # Errors
    /// 503 when too many wait already, or the wait is too long.
    pub(super) async fn enter(&self) -> Result<Place, Problem> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(self).ok_or_else(busy)?;
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        // Nobody closes the semaphore.
        place.map_err(|_| busy())?.map_err(|_| busy())
    }
}

fn busy() -> Problem {
    Problem::unavailable("role_busy", 1).detail("The role that answers this has too much to do.")
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
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn some_work_some_wait_and_the_rest_is_sent_away_at_once() {
        let bulkhead = Arc::new(Bulkhead::new(1, 1));
        let first = bulkhead.enter().await.unwrap();
        let waiting = tokio::spawn({
            let bulkhead = Arc::clone(&bulkhead);
            async move { bulkhead.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        let refused = timeout(Duration::from_millis(1), bulkhead.enter()).await.unwrap().unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (503, "role_busy"));
        drop(first);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_makes_room_and_who_waits_too_long_is_told() {
        let bulkhead = Bulkhead::new(1, 1);
        let _first = bulkhead.enter().await.unwrap();
        assert!(timeout(Duration::from_millis(5), bulkhead.enter()).await.is_err());
        assert_eq!(bulkhead.enter().await.unwrap_err().code(), "role_busy");
    }
}
