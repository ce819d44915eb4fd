//! What a failed collection asks of whoever runs it.
//!
//! Knows no source: each craft says of its own errors which of these they are.

use std::time::Duration;

/// What to do after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Try again, after pauses that grow.
    Transient {
        /// Not before so long, if the other side has said so.
        retry_after: Option<Duration>,
    },
    /// The other side has had enough of us: cool down, then go on where it stopped.
    Blocked,
    /// Stop the source until its credentials change.
    Credentials,
    /// Stop: a person must act.
    Attention,
    /// The answer is not what the source is known to give: this run fails, the next scheduled one tries.
    Broken,
}

impl Failure {
    /// Worth trying again, and nobody has said when.
    pub const SOON: Self = Self::Transient { retry_after: None };
}
