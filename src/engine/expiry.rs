//! When expiry runs, and when a clock that jumped makes it wait for consent.

use super::Published;
use crate::model::{Batch, Cause, Change, Time};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The wall clock may go wrong by so much against the monotonic one before it is doubted.
const JUMP: i64 = 3600;
/// A failing expiry is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Watches the wall clock, because a jump of it would end every listing at once.
#[derive(Debug)]
pub(super) struct Expiry {
    /// A pair of readings that were believed: monotonic, and wall.
    believed: (Instant, Time),
    last_try: Option<Instant>,
    doubted: bool,
}

impl Expiry {
    /// Begins to watch at `now`. `last` is the time of the last record: a clock that stands before
    /// it cannot be right.
    pub(super) fn begin(now: Time, last: Time) -> Self {
        let doubted = now.unix() < last.unix() - JUMP;
        Self { believed: (Instant::now(), now), last_try: None, doubted }
    }

    /// Believes the wall clock from here on, because a person said so.
    pub(super) fn trust(&mut self, now: Time) {
        *self = Self { believed: (Instant::now(), now), last_try: None, doubted: false };
    }

    /// Whether to run now, given when the next listing is due.
    pub(super) fn may_run(&mut self, next: Option<Time>, now: Time, published: &Published) -> bool {
        let (then, wall) = self.believed;
        let expected = wall.unix() + i64::try_from(then.elapsed().as_secs()).unwrap_or(i64::MAX / 2);
        if (now.unix() - expected).abs() > JUMP {
            self.doubted = true;
        } else if !self.doubted {
            // Small corrections are followed, so that they do not add up to a jump.
            self.believed = (Instant::now(), now);
        }
        let due = next.is_some_and(|next| next <= now);
        published.set_expiry_held(self.doubted && due);
        due && !self.doubted && self.last_try.is_none_or(|last| last.elapsed() >= RETRY)
    }

    /// Remembers that it ran, well or not.
    pub(super) fn ran(&mut self) {
        self.last_try = Some(Instant::now());
    }

    /// The batch that ends whatever is over.
    pub(super) fn batch() -> Batch {
        Batch {
            id: Uuid::now_v7(),
            actor: "ironlist".to_owned(),
            reason: "expired".to_owned(),
            cause: Cause::Expiry,
            change: Change::Expire,
        }
    }
}
