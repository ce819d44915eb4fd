//! How long a decision holds, and when it is told again. Pure.
//!
//! A bouncer drops a line when its time is over, whether or not it is listed, and CrowdSec's own takes no second word
//! about a line that it still holds. So each line has moments of its own, a term apart, at which it is over for
//! everybody who was told of it; around them it is told anew. The moments depend on the line alone, so that nothing
//! is remembered of a bouncer, and they are spread evenly, so that never many are over at once.

use super::super::roll::{Place, Roll};
use crate::addr::{IpRange, IpSet};
use crate::model::Time;

/// The rule, at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The moment.
    pub now: Time,
    /// From one end of a line to its next, in seconds.
    pub hold: i64,
    /// Longer than any bouncer waits between two questions, in seconds.
    pub window: i64,
}

impl Terms {
    /// Whoever was told of a line has forgotten it by itself when the line has been gone for longer than since this.
    pub fn oldest(self) -> Time {
        self.now.plus(-(self.hold + self.window))
    }

    /// For so many seconds a line is to hold that is told now: until its next end, or the one after where that is near.
    pub(super) fn left(self, line: IpRange) -> i64 {
        let rest = self.rest(line);
        if rest < self.window { rest + self.hold } else { rest }
    }

    /// The lines whose end is near or just over; about 20 ns a line of the roll.
    pub fn due(self, roll: &Roll) -> IpSet {
        let mut place = Place::default();
        let lines = std::iter::from_fn(|| roll.next(roll.set(), &mut place)).map(|line| line.range);
        lines.filter(|line| self.is_due(*line)).collect()
    }

    fn is_due(self, line: IpRange) -> bool {
        let rest = self.rest(line);
        rest < self.window || rest >= self.hold - self.window
    }

    /// Seconds to the line's next end.
    fn rest(self, line: IpRange) -> i64 {
        let first = match line {
            IpRange::V4(range) => range.first().into(),
            IpRange::V6(range) => range.first(),
        };
        // Fibonacci hashing: neighbours end far apart.
        let mixed = ((first ^ (first >> 64)) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 16) as i64 - self.now.unix()).rem_euclid(self.hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Range;
    use proptest::prelude::*;

    const DAY: i64 = 86_400;

    fn at(now: i64) -> Terms {
        Terms { now: Time::from_unix(now), hold: 7 * DAY, window: 3600 }
    }

    proptest! {
        /// A bouncer as CrowdSec's own for nftables: while it holds a line it hears nothing more about it.
        #[test]
        fn a_bouncer_that_asks_in_time_holds_every_line_for_ever(
            address: u32, began in 0..30 * DAY, pauses in proptest::collection::vec(1..3600_i64, 400),
        ) {
            let line = IpRange::V4(Range::single(address));
            let mut now = 1_790_000_000 + began;
            let mut until = now + at(now).left(line);
            for pause in pauses {
                now += pause;
                prop_assert!(now - until < pause, "not told in time");
                if until <= now {
                    prop_assert!(at(now).is_due(line));
                    until = now + at(now).left(line);
                }
                prop_assert!(until > now && until <= now + 7 * DAY + 3600);
            }
        }
    }

    #[test]
    fn the_ends_of_neighbours_are_spread_over_the_term() {
        let due = (0..100_000_u32)
            .filter(|n| at(1_790_000_000).is_due(IpRange::V4(Range::single(0x1400_0000 + n))));
        let share = due.count() as f64 / 100_000.0;
        assert!((0.010..0.014).contains(&share), "{share} of them, and 2 hours are 0.012 of a week");
    }
}
