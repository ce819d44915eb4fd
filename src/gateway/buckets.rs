//! Where token buckets lie: a table that never grows, however many callers there are.
//!
//! A bucket that makes room for another is the one of its row that is nearest to full, and a bucket that is
//! forgotten is a full one: whoever fills the table with made-up callers takes nothing from anybody. It must not know
//! what a bucket is of, nor how fast it fills.

use governor::nanos::Nanos;
use governor::state::StateStore;
use std::sync::{Mutex, PoisonError};

/// Buckets side by side, of which one makes room.
const WAYS: usize = 8;

/// A bucket: whose it is, by a hash of 64 bits, and when it will be full again, as governor counts.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    whose: u64,
    full: u64,
}

/// Whose bucket is meant, and whether it is only looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wish {
    pub(super) whose: u64,
    pub(super) is_look: bool,
}

/// All buckets of one kind; 16 bytes each.
#[derive(Debug)]
pub(super) struct Buckets(Box<[Mutex<[Bucket; WAYS]>]>);

impl Buckets {
    /// A table of `rows` rows of eight.
    pub(super) fn new(rows: usize) -> Self {
        Self((0..rows.max(1)).map(|_| Mutex::default()).collect())
    }
}

impl StateStore for Buckets {
    type Key = Wish;

    fn measure_and_replace<T, F, E>(&self, wish: &Wish, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Wish { whose, is_look } = *wish;
        let row = &self.0[(whose % self.0.len() as u64) as usize];
        let mut row = row.lock().unwrap_or_else(PoisonError::into_inner);
        let known = row.iter().position(|bucket| bucket.whose == whose && bucket.full > 0);
        let (at, before) = match known {
            Some(at) => (at, Some(Nanos::new(row[at].full))),
            None => {
                (row.iter().enumerate().min_by_key(|(_, bucket)| bucket.full).map_or(0, |(at, _)| at), None)
            }
        };
        let (outcome, after) = decide(before)?;
        if !is_look {
            row[at] = Bucket { whose, full: after.as_u64() };
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts `full` into a bucket, and says what was in it.
    fn put(buckets: &Buckets, whose: u64, full: u64) -> Option<u64> {
        let wish = Wish { whose, is_look: false };
        let swapped = buckets.measure_and_replace(&wish, |before| Ok::<_, ()>((before, Nanos::new(full))));
        swapped.unwrap().map(Nanos::as_u64)
    }

    #[test]
    fn each_has_its_own_and_the_fullest_makes_room() {
        let buckets = Buckets::new(1);
        for whose in 0..8 {
            assert_eq!(put(&buckets, whose, 100 + whose), None);
        }
        assert_eq!(put(&buckets, 3, 500), Some(103));
        assert_eq!(put(&buckets, 9, 600), None, "it took the place of 0, which was nearest to full");
        assert_eq!(put(&buckets, 3, 500), Some(500));
        assert_eq!(put(&buckets, 1, 700), Some(101));
        assert_eq!(put(&buckets, 0, 700), None);
    }

    #[test]
    fn what_is_refused_or_only_looked_at_takes_nobodys_place() {
        let buckets = Buckets::new(1);
        put(&buckets, 1, 10);
        (2..9).for_each(|whose| _ = put(&buckets, whose, 50));
        let refused = Wish { whose: 77, is_look: false };
        assert!(buckets.measure_and_replace(&refused, |_| Err::<((), Nanos), _>(())).is_err());
        let look = Wish { whose: 78, is_look: true };
        assert!(buckets.measure_and_replace(&look, |_| Ok::<_, ()>(((), Nanos::new(99)))).is_ok());
        assert_eq!(put(&buckets, 1, 10), Some(10));
    }
}
