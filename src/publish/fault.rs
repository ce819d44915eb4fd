//! What keeps a feed from going on: why a step failed, and what people are told of it. It must not know what a step is.

use super::formats::WriteError;
use super::select::SelectError;
use crate::model::Time;

/// Why a feed could not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("what has ended cannot be told: {0}")]
    Gone(String),
}

/// What is wrong with a feed that goes on with what it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What happened, and where.
    pub what: String,
    /// Since when, without a break.
    pub since: Time,
    /// Whether what was kept is lost, so that the feed has begun anew.
    pub is_loss: bool,
}

impl Fault {
    /// What an operator can do about it.
    pub fn cure(&self) -> &'static str {
        match self.is_loss {
            true => {
                "what it kept is lost, and it began anew, compared with nothing: see what it lists (ironlist feeds report NAME); this is told until the next start"
            }
            false => "the last good list is served; it is tried again by itself",
        }
    }
}
