//! How often may be asked again: a fifth of what was asked, so that retries never become the flood that they
//! were to help over.
//!
//! It must not know what is asked.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a request earns and what a retry costs; their ratio is the share of retries.
const EARNED: u32 = 1;
const COST: u32 = 5;
/// What may be saved: ten retries.
const MOST: u32 = 10 * COST;

/// Tokens that requests earn and retries spend.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl Budget {
    /// A request was made.
    pub(super) fn earn(&self) {
        let more = |saved: u32| (saved < MOST).then(|| saved + EARNED);
        // Full is as good as earned.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether one could be made again.
    pub(super) fn has_some(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= COST
    }

    /// Whether one may be made again; it is spent then.
    pub(super) fn spend(&self) -> bool {
        let less = |saved: u32| saved.checked_sub(COST);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_may_be_asked_again_and_little_is_saved_up() {
        let budget = Budget::default();
        let spent = (0..1000).filter(|_| budget.spend()).count();
        assert_eq!(spent, 10);
        let again = (0..1000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(again.count(), 200);
        (0..1000).for_each(|_| budget.earn());
        assert_eq!((0..1000).filter(|_| budget.spend()).count(), 10);
    }
}
