//! Who may try next when too many places try one name: drawn anew for each slot of time among the networks that ask, so
//! that whoever comes first, or most often, has no better chance. Pure, and of the same size however many ask.

use super::mark::Mark;
use crate::disk::digest;
use std::time::Duration;

/// For so long a draw holds, in seconds.
const SLOT: u64 = 30;
/// So many networks are drawn, about; and so many of them have an attempt at most, once each.
const WINNERS: u64 = 6;
const MOST: u32 = 12;

/// The draw for one name.
#[derive(Clone, Debug, Default)]
pub(super) struct Lottery {
    slot: u64,
    /// Who asked in this slot.
    asked: Crowd,
    /// Who has had their attempt in it.
    had: Crowd,
    attempts: u32,
    /// How many asked lately; it falls slowly, or whoever pauses would shrink it for themselves.
    crowd: u64,
}

impl Lottery {
    /// Whether the network with that mark may try now; else when to ask again.
    pub(super) fn draw(&mut self, network: &Mark, now: Duration) -> Result<(), Duration> {
        self.turn_to(now.as_secs() / SLOT);
        self.asked.add(network);
        let ball = digest(&[b"draw", network, &self.slot.to_be_bytes()]);
        let ball = u64::from_be_bytes(std::array::from_fn(|at| ball[at]));
        let is_drawn = ball % self.crowd.max(1) < WINNERS;
        if is_drawn && self.attempts < MOST && !self.had.has(network) {
            self.had.add(network);
            self.attempts += 1;
            return Ok(());
        }
        Err(Duration::from_secs((self.slot + 1) * SLOT).saturating_sub(now))
    }

    /// The attempt was not carried out.
    pub(super) fn give_back(&mut self, network: &Mark) {
        if self.had.has(network) {
            self.had.remove(network);
            self.attempts = self.attempts.saturating_sub(1);
        }
    }

    fn turn_to(&mut self, slot: u64) {
        let over = slot.saturating_sub(self.slot);
        if over == 0 {
            return;
        }
        let faded = (0..over.min(64)).fold(self.crowd, |crowd, _| crowd * 3 / 4);
        *self = Self { slot, crowd: faded.max(self.asked.count()), ..Self::default() };
    }
}

/// How many different marks there were, about: one of 256 bits for each (linear counting). More than some 1,400 are not
/// told apart.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd([u64; 4]);

impl Crowd {
    fn bit(mark: &Mark) -> (usize, u64) {
        (usize::from(mark[0] >> 6), 1 << (mark[0] & 63))
    }

    fn has(&self, mark: &Mark) -> bool {
        let (at, bit) = Self::bit(mark);
        self.0[at] & bit != 0
    }

    fn add(&mut self, mark: &Mark) {
        let (at, bit) = Self::bit(mark);
        self.0[at] |= bit;
    }

    fn remove(&mut self, mark: &Mark) {
        let (at, bit) = Self::bit(mark);
        self.0[at] &= !bit;
    }

    fn count(&self) -> u64 {
        let free: u32 = self.0.iter().map(|bits| bits.count_zeros()).sum();
        // The last bit is taken when there are about 256 x ln 256.
        (256.0 * (256.0 / f64::from(free.max(1))).ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u32) -> Mark {
        let digest = digest(&[&n.to_be_bytes()]);
        std::array::from_fn(|at| digest[at])
    }

    fn at(slot: u64, seconds: u64) -> Duration {
        Duration::from_secs(slot * SLOT + seconds)
    }

    #[test]
    fn who_asks_most_has_no_better_chance_and_everybody_gets_a_turn() {
        let mut lottery = Lottery::default();
        let mut turns = [0_u32; 40];
        for slot in 1..200 {
            for _ in 0..50 {
                // All but the last one ask again and again, and before it.
                (0..39).for_each(|n| {
                    turns[n as usize] += u32::from(lottery.draw(&network(n), at(slot, 0)).is_ok());
                });
            }
            turns[39] += u32::from(lottery.draw(&network(39), at(slot, 29)).is_ok());
        }
        assert!(turns.iter().all(|had| (5..80).contains(had)), "{turns:?}");
    }

    #[test]
    fn a_slot_has_few_attempts_whatever_was_before_it() {
        let mut lottery = Lottery::default();
        for slot in [1, 2, 3, 10, 11, 500, 501] {
            let had = (0..3000).filter(|n| lottery.draw(&network(*n), at(slot, 1)).is_ok()).count();
            assert!(had <= MOST as usize, "{had} in slot {slot}");
        }
    }

    #[test]
    fn whoever_is_not_drawn_is_told_when_to_come_again_and_what_was_not_carried_out_is_given_back() {
        let mut lottery = Lottery::default();
        assert_eq!(lottery.draw(&network(1), at(7, 3)), Ok(()));
        assert_eq!(lottery.draw(&network(1), at(7, 4)), Err(Duration::from_secs(26)));
        lottery.give_back(&network(1));
        assert_eq!(lottery.draw(&network(1), at(7, 5)), Ok(()));
        assert_eq!(lottery.draw(&network(1), at(8, 0)), Ok(()));
    }

    #[test]
    fn a_crowd_is_counted_about_right() {
        for many in [0_u32, 1, 10, 100, 500] {
            let mut crowd = Crowd::default();
            (0..many).for_each(|n| crowd.add(&network(n)));
            let (counted, many) = (crowd.count() as f64, f64::from(many));
            assert!((counted - many).abs() <= many * 0.2 + 1.0, "{counted} for {many}");
        }
    }
}
