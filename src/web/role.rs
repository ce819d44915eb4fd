//! The four roles by name and port. It must not know what they do.

/// What a process serves on one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Fetches sources.
    Collection,
    /// Stores, looks up, publishes.
    Blacklist,
    /// Statistics and reports.
    Analytics,
    /// The door to the outside.
    Gateway,
}

impl Role {
    /// All of them, in the order of their ports.
    pub const ALL: [Self; 4] = [Self::Collection, Self::Blacklist, Self::Analytics, Self::Gateway];

    /// The name in configuration, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::Blacklist => "blacklist",
            Self::Analytics => "analytics",
            Self::Gateway => "gateway",
        }
    }
}
