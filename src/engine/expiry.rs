//! When expiry runs, and when a clock that jumped makes it wait for consent.

use crate::model::{Batch, Cause, Change, Time};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The wall clock may be off by so many seconds before it is doubted.
const JUMP: i64 = 3600;
/// A failing expiry is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Watches the wall clock, because a jump of it would end every listing at once.
#[derive(Debug)]
pub(super) struct Expiry {
    /// A pair of readings that were believed: monotonic, and wall.
    believed: (Instant, Time),
    /// The second of them is the last record's time: a pause of any length may lie between.
    is_from_record: bool,
    /// By how many seconds the wall clock was off when it was doubted.
    doubted: Option<i64>,
    failed: Option<Instant>,
}

impl Expiry {
    /// Begins to watch at a start; `last` is the time that was believed when the last record was made.
    pub(super) fn begin(last: Time) -> Self {
        Self { believed: (Instant::now(), last), is_from_record: true, doubted: None, failed: None }
    }

    /// Believes the wall clock from here on, because a person said so.
    pub(super) fn trust(&mut self, now: Time) {
        // Small corrections are followed, so that they do not add up to a jump.
        *self = Self {
            believed: (Instant::now(), now),
            is_from_record: false,
            doubted: None,
            failed: self.failed,
        };
    }

    /// Whether the wall clock, which says `now`, is believed. A doubt ends when it agrees again.
    ///
    /// After a pause nothing tells the right time from a wrong one ahead, but for what it would do: then,
    /// and again when the clock was moved, `is_mass` is asked whether very much would end at once.
    pub(super) fn believes<E>(
        &mut self,
        now: Time,
        is_mass: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let (then, wall) = self.believed;
        let elapsed = i64::try_from(then.elapsed().as_secs()).unwrap_or(i64::MAX / 2);
        let off = now.unix() - wall.unix() - elapsed;
        let is_as_doubted = self.doubted.is_some_and(|doubted| (off - doubted).abs() <= JUMP);
        let may_be_a_pause = self.is_from_record && off > 0 && !is_as_doubted;
        let is_believed = off.abs() <= JUMP || (may_be_a_pause && !is_mass()?);
        if is_believed {
            self.trust(now);
        } else if !is_as_doubted {
            self.doubted = Some(off);
        }
        Ok(is_believed)
    }

    /// The last time that was believed. Records that are made while the clock is doubted carry what it says, so theirs
    /// is no measure.
    pub(super) fn sure(&self) -> Time {
        self.believed.1
    }

    /// Whether it may be tried now: not so soon after a failure.
    pub(super) fn may_try(&self) -> bool {
        self.failed.is_none_or(|last| last.elapsed() >= RETRY)
    }

    /// Remembers how a try ended.
    pub(super) fn tried(&mut self, is_done: bool) {
        self.failed = (!is_done).then(Instant::now);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const LAST: i64 = 1_790_000_000;
    const DAY: i64 = 86_400;

    /// What it makes of the clock so many seconds after the last record, and whether it asked.
    fn asks(expiry: &mut Expiry, off: i64, is_mass: bool) -> (bool, bool) {
        let asked = Cell::new(false);
        let believes = expiry.believes(Time::from_unix(LAST + off), || {
            asked.set(true);
            Ok::<_, ()>(is_mass)
        });
        (believes.unwrap(), asked.get())
    }

    fn begin() -> Expiry {
        Expiry::begin(Time::from_unix(LAST))
    }

    #[test]
    fn a_clock_ahead_at_the_start_is_doubted_when_very_much_would_end() {
        assert_eq!(asks(&mut begin(), DAY, false), (true, true), "a pause");
        let mut ahead = begin();
        assert_eq!(asks(&mut ahead, 400 * DAY, true), (false, true));
        assert_eq!(asks(&mut ahead, 400 * DAY + 9, true), (false, false), "the same clock is judged once");
        assert_eq!(asks(&mut ahead, 2 * DAY, true), (false, true), "another is judged again");
        assert_eq!(asks(&mut ahead, DAY, false), (true, true), "and believed");
        assert_eq!(asks(&mut ahead, 3 * DAY, false), (false, false), "no pause lies behind a jump");
    }

    #[test]
    fn a_doubt_ends_when_the_clock_is_right_again() {
        let mut jumped = begin();
        assert_eq!(asks(&mut jumped, 0, true), (true, false));
        assert_eq!(asks(&mut jumped, 9 * DAY, false), (false, false));
        assert_eq!(asks(&mut jumped, 60, true), (true, false));
        let mut behind = begin();
        assert_eq!(asks(&mut behind, -DAY, false), (false, false));
        assert_eq!(asks(&mut behind, -60, true), (true, false));
    }

    #[test]
    fn a_person_may_end_a_doubt() {
        let mut jumped = begin();
        assert_eq!(asks(&mut jumped, DAY, true), (false, true));
        jumped.trust(Time::from_unix(LAST + DAY));
        assert_eq!(asks(&mut jumped, DAY, true), (true, false));
    }
}
