//! A breaker for one instance of a role: after some failures it is left alone for a while, and then tried by one
//! request before all come back.
//!
//! Pure: the clock is given. It must not know what a request is, nor why one failed.

use schemars::JsonSchema;
use std::time::Duration;
use tokio::time::Instant;

/// Outcomes that are remembered.
const WINDOW: u32 = 20;
/// Failures among them that open it.
const MOST: u32 = 10;
/// Failures in a row that open it.
const ROW: u32 = 3;
/// The first pause. The only instance left never rests for longer.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer: they double from one opening to the next.
const LONGEST: Duration = Duration::from_secs(30);

/// Lets requests through, or not.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// Counts changes of the state: what began before one says nothing about what is after it.
    epoch: u64,
    /// Openings without a quiet window between them.
    openings: u32,
}

#[derive(Debug)]
enum State {
    Closed(Outcomes),
    Open { since: Instant },
    HalfOpen { is_tried: bool },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Outcomes::default())
    }
}

/// The last outcomes, a set bit being a failure, the newest the lowest.
#[derive(Debug, Default)]
struct Outcomes {
    failures: u32,
    count: u32,
}

impl Outcomes {
    fn note(&mut self, is_good: bool) {
        self.failures = (self.failures << 1 | u32::from(!is_good)) & ((1 << WINDOW) - 1);
        self.count = (self.count + 1).min(WINDOW);
    }

    fn are_bad(&self) -> bool {
        self.failures.trailing_ones() >= ROW || self.failures.count_ones() >= MOST
    }

    fn are_quiet(&self) -> bool {
        self.count == WINDOW && self.failures == 0
    }
}

/// The right to ask once; whoever has it says how it ended, or that it was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass(u64);

/// How a breaker stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    Closed,
    Open,
    HalfOpen,
}

impl Breaker {
    /// The right to ask now; `is_last` is the only instance that could be asked.
    pub(super) fn admit(&mut self, now: Instant, is_last: bool) -> Option<Pass> {
        if let State::Open { since } = self.state
            && now.saturating_duration_since(since) >= self.pause(is_last)
        {
            self.become_(State::HalfOpen { is_tried: false });
        }
        match &mut self.state {
            State::Closed(_) => Some(Pass(self.epoch)),
            State::HalfOpen { is_tried: false } => {
                self.state = State::HalfOpen { is_tried: true };
                Some(Pass(self.epoch))
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// A request ended; one of an earlier state changes nothing.
    pub(super) fn ended(&mut self, pass: Pass, is_good: bool, now: Instant) {
        if pass.0 != self.epoch {
            return;
        }
        match &mut self.state {
            State::Closed(outcomes) => {
                outcomes.note(is_good);
                let (is_quiet, is_bad) = (outcomes.are_quiet(), outcomes.are_bad());
                if is_quiet {
                    self.openings = 0;
                }
                if is_bad {
                    self.open(now);
                }
            }
            State::HalfOpen { .. } if is_good => self.become_(State::default()),
            State::HalfOpen { .. } => self.open(now),
            State::Open { .. } => {}
        }
    }

    /// A request was never made, or its caller left. The next one tries instead.
    pub(super) fn dropped(&mut self, pass: Pass) {
        if pass.0 == self.epoch
            && let State::HalfOpen { is_tried } = &mut self.state
        {
            *is_tried = false;
        }
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        match self.state {
            State::Closed(_) => Standing::Closed,
            State::Open { .. } => Standing::Open,
            State::HalfOpen { .. } => Standing::HalfOpen,
        }
    }

    fn open(&mut self, now: Instant) {
        self.openings = self.openings.saturating_add(1);
        self.become_(State::Open { since: now });
    }

    fn become_(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }

    fn pause(&self, is_last: bool) -> Duration {
        let doublings = if is_last { 0 } else { self.openings.saturating_sub(1).min(8) };
        (PAUSE * (1 << doublings)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fail(breaker: &mut Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            let pass = breaker.admit(now, false).unwrap();
            breaker.ended(pass, false, now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_rests_tries_once_and_closes() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        fail(&mut breaker, ROW, now);
        assert_eq!((breaker.standing(), breaker.admit(now, false)), (Standing::Open, None));
        let later = now + PAUSE;
        let trial = breaker.admit(later, false).unwrap();
        assert_eq!(breaker.admit(later, false), None, "one tries, the others wait");
        breaker.dropped(trial);
        let trial = breaker.admit(later, false).unwrap();
        breaker.ended(trial, true, later);
        assert_eq!(breaker.standing(), Standing::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_but_never_for_the_last_one() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        fail(&mut breaker, ROW, now);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let pause = Duration::from_secs(seconds);
            assert_eq!(breaker.admit(now + pause - Duration::from_millis(1), false), None);
            now += pause;
            let trial = breaker.admit(now, false).unwrap();
            breaker.ended(trial, false, now);
        }
        assert!(breaker.admit(now + PAUSE, true).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_the_opening_says_nothing() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let slow = breaker.admit(now, false).unwrap();
        fail(&mut breaker, ROW, now);
        breaker.ended(slow, true, now);
        assert_eq!(breaker.standing(), Standing::Open);
    }

    /// The rule in words: a list of everything that was said, read again each time.
    #[derive(Default)]
    struct Golden {
        outcomes: Vec<bool>,
        openings: u32,
        opened: Option<Instant>,
        tried: bool,
        half: bool,
    }

    impl Golden {
        fn admits(&mut self, now: Instant, is_last: bool) -> bool {
            let Some(opened) = self.opened else { return true };
            let longest = if is_last { 1 } else { 30 };
            let seconds = 2_u64.pow(self.openings.min(9) - 1).min(longest);
            self.half |= now >= opened + Duration::from_secs(seconds);
            let may = self.half && !self.tried;
            self.tried |= may;
            may
        }

        fn ended(&mut self, is_good: bool, now: Instant) {
            let is_trial = self.opened.is_some();
            self.outcomes.push(is_good);
            let last = &self.outcomes[self.outcomes.len().saturating_sub(20)..];
            let bad = last.iter().filter(|good| !**good).count() >= 10;
            let row = last.len() >= 3 && last[last.len() - 3..].iter().all(|good| !good);
            if last.len() == 20 && last.iter().all(|good| *good) {
                self.openings = 0;
            }
            if is_trial || bad || row {
                let openings = self.openings;
                *self = Self { openings, ..Self::default() };
                if !is_good {
                    (self.openings, self.opened) = (openings + 1, Some(now));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_does_what_the_rule_in_words_says(
            steps in proptest::collection::vec((0_u64..3000, any::<bool>(), 0_u8..10), 0..300),
            badness in 0_u8..10,
            leaving in 0_u8..5,
        ) {
            let (mut breaker, mut golden) = (Breaker::default(), Golden::default());
            let mut now = Instant::now();
            for (millis, is_last, luck) in steps {
                now += Duration::from_millis(millis);
                let pass = breaker.admit(now, is_last);
                prop_assert_eq!(pass.is_some(), golden.admits(now, is_last));
                match pass {
                    Some(pass) if luck < leaving => {
                        breaker.dropped(pass);
                        golden.tried = false;
                    }
                    Some(pass) => {
                        breaker.ended(pass, luck >= badness, now);
                        golden.ended(luck >= badness, now);
                    }
                    None => {}
                }
            }
        }
    }
}
