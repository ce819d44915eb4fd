//! A hold: a feed does not follow the blacklist until a person has said so. Plain data.

use super::gate::{Distance, Ground};
use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many of the distances that were shown are remembered.
const SHOWN: usize = 64;

/// Why and since when a feed is held, and what a person is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// When it began.
    pub since: Time,
    /// The generation that began it.
    pub began: u64,
    /// The newest generation that is held back.
    pub generation: u64,
    /// Why.
    pub grounds: Vec<Ground>,
    /// How far what is held back is from what is served.
    pub distance: Distance,
    /// A person's word that it is to stay held.
    pub rejected: Option<Word>,
    /// How far each generation was that people may have been shown.
    shown: BTreeMap<u64, Distance>,
}

/// Who decided, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Word {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub time: Time,
}

impl Hold {
    /// Begins at `generation`.
    pub fn begin(generation: u64, now: Time, grounds: Vec<Ground>, distance: Distance) -> Self {
        let shown = [(generation, distance)].into();
        Self { since: now, began: generation, generation, grounds, distance, rejected: None, shown }
    }

    /// Goes on with a newer generation.
    pub fn go_on(&mut self, generation: u64, grounds: Vec<Ground>, distance: Distance) {
        if self.rejected.is_some() && !distance.is_within(self.distance) {
            // The word was for less.
            self.rejected = None;
        }
        (self.generation, self.grounds, self.distance) = (generation, grounds, distance);
        self.shown.insert(generation, distance);
        while self.shown.len() > SHOWN {
            self.shown.pop_first();
        }
    }

    /// Whether who was shown the hold at `generation` has seen all that would change now.
    pub fn covers(&self, generation: u64) -> bool {
        self.shown.get(&generation).is_some_and(|shown| self.distance.is_within(*shown))
    }
}
