//! A hold: a feed does not follow the blacklist until a person has said so. Plain data.

use super::gate::Ground;
use super::tide::Distance;
use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So many of the generations at which it was shown are remembered.
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
    /// At which generations people may have been shown all that would change now.
    shown: BTreeSet<u64>,
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
        let shown = [generation].into();
        Self { since: now, began: generation, generation, grounds, distance, rejected: None, shown }
    }

    /// Goes on with a newer generation; `is_within` tells whether nothing would change by it that would not by the one
    /// before. A word is for what was shown, and for nothing else.
    pub fn go_on(&mut self, generation: u64, grounds: Vec<Ground>, distance: Distance, is_within: bool) {
        if !is_within {
            self.rejected = None;
            self.shown.clear();
        }
        (self.generation, self.grounds, self.distance) = (generation, grounds, distance);
        self.shown.insert(generation);
        while self.shown.len() > SHOWN {
            self.shown.pop_first();
        }
    }

    /// Whether who was shown the hold at `generation` has seen all that would change now.
    pub fn covers(&self, generation: u64) -> bool {
        self.shown.contains(&generation)
    }

    /// Whether it is held for what another feed's hold keeps back.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.grounds.iter().any(|ground| matches!(ground, Ground::Elsewhere { .. }))
    }
}
