//! What documents may cost the process: memory, of all runs together, and the threads that compute.
//!
//! Knows nothing of what the bytes are.

use bytes::Bytes;
use std::panic::resume_unwind;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A document up to so many bytes is free: the number of runs bounds those.
pub const SMALL: u64 = 4 << 20;
/// What is counted, in bytes.
const UNIT: u64 = 64 << 10;

/// The memory that larger documents may take at once. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    room: Arc<Semaphore>,
    total: u32,
}

impl Default for Budget {
    /// Two documents of the usual limit.
    fn default() -> Self {
        Self::new(512 << 20)
    }
}

impl Budget {
    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        let total = units(bytes).max(1);
        Self { room: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Room for a document of at most `bytes`, taken in one piece: whoever had a part and waited for more could wait
    /// for another that does the same. What is larger than everything waits until it is alone.
    pub async fn take(&self, bytes: u64) -> Room {
        if bytes <= SMALL {
            return Room::default();
        }
        let wanted = units(bytes).min(self.total);
        // The semaphore is never closed.
        Room { _permit: Arc::clone(&self.room).acquire_many_owned(wanted).await.ok() }
    }
}

/// A part of the budget; given back when it is dropped.
#[derive(Debug, Default)]
pub struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Bytes that are in this room until their last clone is gone.
    pub fn hold(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Held { bytes, _room: self })
    }
}

struct Held<B> {
    bytes: B,
    _room: Room,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Held<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32)
}

/// Does what computes for long on a thread that may. A panic there is one here.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // It was not begun because the runtime ends, and everybody who waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn left(budget: &Budget) -> u64 {
        budget.room.available_permits() as u64 * UNIT
    }

    #[tokio::test]
    async fn large_documents_wait_for_each_other_and_small_ones_for_nobody() {
        let budget = Budget::new(20 << 20);
        let one = budget.take(12 << 20).await.hold(vec![1, 2, 3]);
        assert!(budget.take(12 << 20).now_or_never().is_none());
        assert_eq!(left(&budget), 8 << 20);
        assert!(budget.take(SMALL).now_or_never().is_some());
        let part = one.slice(1..2);
        drop(one);
        assert!(budget.take(12 << 20).now_or_never().is_none(), "a part of it is still there: {part:?}");
        drop(part);
        assert_eq!(left(&budget), 20 << 20);
    }

    #[tokio::test]
    async fn a_document_that_is_larger_than_everything_waits_until_it_is_alone() {
        let budget = Budget::new(20 << 20);
        let small = budget.take(5 << 20).await;
        assert!(budget.take(1 << 40).now_or_never().is_none());
        drop(small);
        assert!(budget.take(1 << 40).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_panic_apart_is_one_here() {
        let panicked = std::panic::AssertUnwindSafe(apart(|| panic!("a bug"))).catch_unwind().await;
        assert!(panicked.is_err());
        assert_eq!(apart(|| 7).await, 7);
    }
}
