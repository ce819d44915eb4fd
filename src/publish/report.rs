//! What a feed leaves out, and why: in addresses, since lines join and part.

use super::select::{Scene, SelectError, of_families, wanted};
use crate::addr::IpSet;
use crate::engine::Guard;
use crate::model::{Filter, Profile};
use schemars::JsonSchema;
use serde::Serialize;

/// Addresses that are listed and not in the feed, each under the first reason that holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct LeftOut {
    /// By the profile's filter.
    pub filter: u128,
    /// By the built-in guard list.
    pub guard: u128,
    /// By the allowlist.
    pub allowlist: u128,
    /// Because a device asks from there.
    pub devices: u128,
    /// Because its format cannot carry the family.
    pub format: u128,
}

/// Works it out for a profile; a few passes over what is listed.
///
/// # Errors
/// [`SelectError`].
pub fn left_out(scene: Scene<'_>, profile: &Profile) -> Result<LeftOut, SelectError> {
    let taken = wanted(scene, profile)?;
    let all = wanted(scene, &Profile { filter: Filter::default(), ..profile.clone() })?;
    let snapshot = scene.snapshot;
    let Guard { v4, v6 } = Guard::built_in();
    let guard = IpSet { v4, v6 };
    let allows: IpSet = snapshot.allows.iter().map(|allow| allow.range).collect();
    let after_guard = taken.subtract(&guard);
    let after_allows = after_guard.subtract(&allows);
    let published = after_allows.subtract(&snapshot.exempt());
    let carried = of_families(published.clone(), profile.format.families());
    Ok(LeftOut {
        filter: all.subtract(&taken).size(),
        guard: taken.size() - after_guard.size(),
        allowlist: after_guard.size() - after_allows.size(),
        devices: after_allows.size() - published.size(),
        format: published.size() - carried.size(),
    })
}
