//! What is about to be done, written down before it is: so no change of people and keys is without a word in the audit,
//! which another book keeps. What the word is, it does not know.

use super::Keeper;
use crate::identity::IdentityError;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

/// Something that somebody is about to do. Unless it is settled, it is found among those that are left.
pub struct Intent<'k> {
    keeper: &'k Keeper,
    number: u64,
}

impl Keeper {
    /// Writes down what is about to be done. Blocks.
    ///
    /// # Errors
    /// A fault of the disk; then it must not be done.
    pub fn intend(&self, what: &Value) -> Result<Intent<'_>, IdentityError> {
        let mut at_work = self.at_work();
        let number = self.book.intend(what)?;
        at_work.insert(number);
        Ok(Intent { keeper: self, number })
    }

    /// What was intended, and neither settled nor is being done now: a crash or a fault came between. Blocks.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn left(&self) -> Result<Vec<(Intent<'_>, Value)>, IdentityError> {
        let mut at_work = self.at_work();
        let mut left = self.book.intents()?;
        left.retain(|(number, _)| at_work.insert(*number));
        Ok(left.into_iter().map(|(number, what)| (Intent { keeper: self, number }, what)).collect())
    }

    fn at_work(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.intents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intent<'_> {
    /// It need not be remembered any more. Blocks.
    ///
    /// # Errors
    /// A fault of the disk; it is found again.
    pub fn settle(self) -> Result<(), IdentityError> {
        Ok(self.keeper.book.settle(self.number)?)
    }
}

impl Drop for Intent<'_> {
    fn drop(&mut self) {
        self.keeper.at_work().remove(&self.number);
    }
}
