//! How long to pause before a failed run is tried again. Pure.

use super::spread;
use std::time::Duration;

/// An hour is long enough to be patient and short enough to be told about on the same day.
const CAP: Duration = Duration::from_secs(3_600);
/// What a server may ask for at most; one that says a year is broken.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// The pauses after failures that may pass by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    first: Duration,
    most: u16,
}

impl Retry {
    /// After a fault of the network or the server: from one minute on, five times.
    pub const PASSING: Self = Self { first: Duration::from_secs(60), most: 5 };
    /// After a portal's firewall had enough: an hour each, for half a day.
    pub const BLOCKED: Self = Self { first: CAP, most: 12 };

    /// How long to wait before try number `attempt` (the first retry is 1) of `source`; none when
    /// there were enough: the next scheduled run comes anyway.
    ///
    /// Doubles from try to try up to an hour, with up to a quarter more so that sources that failed
    /// together do not come back together; never shorter than what the server asked for.
    pub fn pause(self, source: &str, attempt: u16, asked: Option<Duration>) -> Option<Duration> {
        if attempt == 0 || attempt > self.most {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (attempt - 1).min(16)).min(CAP);
        let quarter = i64::try_from(doubled.as_secs() / 4).unwrap_or(0);
        let more = spread(&[source.as_bytes(), &attempt.to_be_bytes()], quarter + 1);
        let pause = doubled + Duration::from_secs(more.unsigned_abs());
        Some(pause.max(asked.unwrap_or_default().min(PATIENCE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(retry: Retry, asked: Option<Duration>) -> Vec<u64> {
        (1..=100).map_while(|attempt| retry.pause("x", attempt, asked)).map(|pause| pause.as_secs()).collect()
    }

    #[test]
    fn pauses_grow_to_an_hour_and_end() {
        let pauses = pauses(Retry::PASSING, None);
        let least = [60, 120, 240, 480, 960];
        assert_eq!(pauses.len(), least.len());
        for (pause, least) in pauses.iter().zip(least) {
            assert!((least..=least + least / 4).contains(pause), "{pause} for {least}");
        }
    }

    #[test]
    fn a_portal_that_blocks_is_left_alone_for_an_hour_each_time() {
        let pauses = pauses(Retry::BLOCKED, None);
        assert_eq!(pauses.len(), 12);
        assert!(pauses.iter().all(|pause| (3_600..=4_500).contains(pause)), "{pauses:?}");
    }

    #[test]
    fn what_the_server_asks_for_is_honoured_within_reason() {
        let asked = |seconds| Retry::PASSING.pause("x", 1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7_200), Some(Duration::from_secs(7_200)));
        assert_eq!(asked(u64::MAX), Some(PATIENCE));
        assert!(asked(1).unwrap() >= Duration::from_secs(60));
    }

    #[test]
    fn sources_that_fail_together_come_back_apart() {
        let pause = |source: &str| Retry::PASSING.pause(source, 4, None).unwrap();
        let distinct: std::collections::BTreeSet<_> =
            (0..50).map(|number| pause(&format!("feed-{number}"))).collect();
        assert!(distinct.len() > 25, "{distinct:?}");
    }
}
