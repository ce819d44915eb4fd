//! How far a feed has fallen in the last day by what nobody meant: a source that loses half of its list four times in an
//! hour loses it as surely as one that loses it at once. A few numbers; what comes makes up for what went. Pure.

use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// How far the next list is from the base, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// Lines that would go.
    pub gone: u64,
    /// Lines that would come.
    pub new: u64,
    /// Addresses that would go.
    pub gone_addresses: u128,
    /// Addresses that would come.
    pub new_addresses: u128,
}

/// How far something is below its highest level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Fallen {
    /// In lines.
    pub(super) lines: u64,
    /// In addresses.
    pub(super) addresses: u128,
}

/// A level above that of the beginning; only differences between levels mean something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Level {
    lines: i64,
    addresses: i128,
}

/// The level of a feed through the last day.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tide {
    now: Level,
    /// The highest level of each hour in which it moved, by the hour's number, the oldest first.
    marks: Vec<(i64, Level)>,
}

impl Tide {
    /// How far it is at `time` below the highest level of the day before.
    pub(super) fn fallen(&self, time: Time) -> Fallen {
        let day = self.marks.iter().filter(|(hour, _)| hour * HOUR > time.unix() - DAY - HOUR);
        day.fold(Fallen::default(), |fallen, (_, high)| Fallen {
            lines: fallen.lines.max(high.lines.saturating_sub(self.now.lines).max(0).unsigned_abs()),
            addresses: fallen
                .addresses
                .max(high.addresses.saturating_sub(self.now.addresses).max(0).unsigned_abs()),
        })
    }

    /// Goes on by what went and came at `time`.
    #[must_use]
    pub(super) fn then(mut self, distance: Distance, time: Time) -> Self {
        if distance == Distance::default() {
            return self;
        }
        let hour = time.unix().div_euclid(HOUR);
        self.marks.retain(|(marked, _)| *marked >= hour - DAY / HOUR);
        // It has stood there until now.
        self.mark(hour);
        let Distance { gone, new, gone_addresses, new_addresses } = distance;
        self.now.lines = self.now.lines.saturating_sub_unsigned(gone).saturating_add_unsigned(new);
        self.now.addresses =
            self.now.addresses.saturating_sub_unsigned(gone_addresses).saturating_add_unsigned(new_addresses);
        self.mark(hour);
        self
    }

    fn mark(&mut self, hour: i64) {
        match self.marks.last_mut().filter(|(marked, _)| *marked == hour) {
            Some((_, high)) => {
                high.lines = high.lines.max(self.now.lines);
                high.addresses = high.addresses.max(self.now.addresses);
            }
            None => self.marks.push((hour, self.now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moved(gone: u64, new: u64) -> Distance {
        Distance { gone, new, gone_addresses: gone.into(), new_addresses: new.into() }
    }

    proptest! {
        #[test]
        fn it_has_fallen_from_the_highest_level_of_a_day(
            steps in proptest::collection::vec((0..9 * HOUR, 0..50_u64, 0..50_u64), 0..40),
        ) {
            let (mut tide, mut time, mut level) = (Tide::default(), 1_790_000_000, 0_i64);
            // From when on it stood how high.
            let mut stood = vec![(i64::MIN, 0_i64)];
            for (pause, gone, new) in steps {
                time += pause;
                tide = tide.then(moved(gone, new), Time::from_unix(time));
                level += new as i64 - gone as i64;
                stood.push((time, level));
                let fallen = tide.fallen(Time::from_unix(time)).lines as i64;
                let high = |day: i64| {
                    let ended = stood.iter().map(|(from, _)| *from).skip(1).chain([i64::MAX]);
                    let of_day = stood.iter().zip(ended).filter(|(_, until)| *until >= time - day);
                    of_day.map(|((_, level), _)| level).max().unwrap() - level
                };
                prop_assert!((high(DAY)..=high(DAY + 2 * HOUR)).contains(&fallen), "{fallen}");
                prop_assert!(tide.marks.len() <= 26);
            }
        }
    }
}
