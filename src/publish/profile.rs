//! What a feed is: plain data, so that it can come from a configuration as well.

use crate::model::{Families, Lines};
use serde::{Deserialize, Serialize};

/// A named output. Two feeds with equal profiles have equal bytes in each generation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name in paths and in the name of its file.
    pub name: String,
    /// The form of its lines.
    pub lines: Lines,
    /// What it carries.
    pub families: Families,
    /// Whether an empty list may be published: whoever reads it then blocks nothing.
    #[serde(default)]
    pub allow_empty: bool,
}

impl Profile {
    /// The default feed: the fewest prefixes of both families, which every FortiGate since 6.2 reads.
    pub fn fortigate() -> Self {
        Self { name: "fortigate".into(), lines: Lines::Cidrs, families: Families::Both, allow_empty: false }
    }
}
