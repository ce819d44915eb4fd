//! What people decide: exemptions and suppressions.

use super::{SourceName, Time};
use crate::addr::IpRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A range that is never published, whatever any source says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Allow {
    /// What is exempt.
    pub range: IpRange,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The first moment at which it no longer counts; none: for good.
    pub expires: Option<Time>,
    /// When it was entered.
    pub since: Time,
}

/// A person's word that a source's listings inside a range are over, whatever the source repeats.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Suppression {
    /// Listings whose range lies inside this one are meant.
    pub range: IpRange,
    /// Of which source; none: of all.
    pub source: Option<SourceName>,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub owner: String,
    /// The first moment at which it no longer counts; none: for good.
    pub expires: Option<Time>,
    /// When it was entered.
    pub since: Time,
}

impl Suppression {
    /// Whether it ends the listing of `range` by `source`.
    pub fn ends(&self, source: &SourceName, range: IpRange) -> bool {
        self.range.covers(range) && self.source.as_ref().is_none_or(|s| s == source)
    }
}
