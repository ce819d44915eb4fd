//! What may be sent to, how fast, and who knows of sources: plain data.

use super::look::Sources;
use crate::fetch::Exception;
use std::time::Duration;

/// How fast everything goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The pause after a first fault; each is twice as long as the one before.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// So often it is looked for what no release announces.
    pub look: Duration,
    /// So long a receiver has for an answer.
    pub timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: seconds(2), most: seconds(900), look: seconds(5), timeout: seconds(10) }
    }
}

/// What may be reached, how fast, and who knows of sources.
#[derive(Clone)]
pub struct Settings {
    /// Hosts and networks that may be sent to although they are not public.
    pub networks: Vec<Exception>,
    /// The ports that may be sent to.
    pub ports: Vec<u16>,
    /// How fast.
    pub pace: Pace,
    /// What is the matter with each source, as far as this process knows.
    pub sources: Sources,
}
