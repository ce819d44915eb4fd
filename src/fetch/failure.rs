//! What a failed attempt asks of whoever runs collections, whichever craft it comes from.
//!
//! Knows neither portals nor feeds: a craft's error says its kind, and the runner acts on that alone.

use std::time::Duration;

/// What the runner does about a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It may pass by itself: try again, with growing pauses.
    Transient {
        /// How long the other side asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The other side has had enough of us: cool down.
    Blocked,
    /// The credentials are wrong or missing: the source stops until they change.
    Credentials,
    /// A person must act, here or at the other side.
    Attention,
    /// Something here is not as it should be, or nobody was at hand: it may pass, and somebody should know. The next
    /// scheduled run tries.
    Hindered,
    /// The answer is not what the other side is known to give: this run fails, the next scheduled one tries.
    Broken,
}

impl Failure {
    /// Try again; nobody has said when.
    pub const SOON: Self = Self::Transient { retry_after: None };
}
