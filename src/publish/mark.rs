//! Where a feed stands, for who compares later: two releases may be of one generation, as when a person consents, and what
//! is offered runs ahead of what is written down. Knows nothing of who compares.

use super::feed::{Feed, Offer};
use super::log::{Difference, Step};
use super::release::Released;
use crate::model::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A release of a feed, and its place in the feed's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// The generation in which it appeared.
    pub generation: u64,
    /// Which rises from release to release.
    modified: Time,
    /// The time of the log's last step then.
    step: Option<Time>,
}

impl Mark {
    /// Whether it is of the same release: the log may have been cut meanwhile.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        (self.generation, self.modified) == (other.generation, other.modified)
    }
}

/// What a feed lists.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// The list.
    pub(super) released: Arc<Released>,
    /// Whether readers get it: mostly not where it is empty.
    pub(super) offered: bool,
}

#[cfg(test)]
impl Mark {
    /// A release in whose log nothing is.
    pub(super) fn of(generation: u64) -> Self {
        Self { generation, modified: Time::from_unix(generation as i64), step: None }
    }
}

impl Feed {
    /// Where it stands, and what it lists; none before its first list, and while a release is being made.
    pub(super) fn mark(&self) -> Option<(Mark, Listed)> {
        let (mark, offer) = {
            let inside = self.inside();
            let step = inside.log.steps().iter().chain(&inside.steps).map(|step| step.time).next_back();
            let release = inside.state.release.as_ref()?;
            (Mark { generation: release.generation, modified: release.modified, step }, self.offer())
        };
        let (released, offered) = match &**offer {
            Offer::List(released) => (Arc::clone(released), true),
            Offer::Empty(released) => (Arc::clone(released), false),
            Offer::Nothing => return None,
        };
        (released.release.modified == mark.modified).then_some((mark, Listed { released, offered }))
    }

    /// When something else was first released after a mark, as far as that is remembered.
    pub(super) fn renewed_after(&self, from: &Mark) -> Option<Time> {
        let inside = self.inside();
        let is_later = |step: &&Step| match from.step {
            Some(time) => step.time > time,
            None => step.generation > from.generation,
        };
        inside.log.steps().iter().chain(&inside.steps).find(is_later).map(|step| step.time)
    }

    /// What changed from one mark to another; none where the log does not lead there any more.
    pub(super) fn between(&self, from: &Mark, to: &Mark) -> Option<Difference> {
        let steps: Vec<Step> = {
            let inside = self.inside();
            let all = || inside.log.steps().iter().chain(&inside.steps);
            let begin = match all().position(|step| Some(step.time) == from.step) {
                Some(at) => at + 1,
                None => (inside.log.oldest() == from.generation).then_some(0)?,
            };
            all().skip(begin).take_while(|step| Some(step.time) <= to.step).cloned().collect()
        };
        // Adding up takes long after many releases, and the next release waits for what is in there.
        Some(Difference::of(&steps))
    }
}
