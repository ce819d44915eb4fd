//! What an exemption or a suppression frees: addresses that are blocked now and would be so no more. Told before it is
//! done, since it may be more than whoever says so means.

use super::feeds::Feeds;
use crate::addr::{IpRange, IpSet};
use crate::engine::Snapshot;

/// What frees more addresses, or a larger share of a feed in percent, is an administrator's to say.
const BROAD: (u128, u128) = (1 << 16, 1);

/// What would be blocked no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Freed {
    /// So many addresses.
    pub addresses: u128,
    /// Whether that is so much that only an administrator may do it.
    pub is_broad: bool,
}

/// What is freed when nothing of `hidden` is published any more: what is listed of it, and what feeds hand out of it,
/// since one that is held may list what nobody tells of any more. Unpacks every feed.
pub fn freed(snapshot: &Snapshot, feeds: Option<&Feeds>, hidden: &IpSet) -> Freed {
    let (mut all, mut is_broad) = (listed(snapshot, hidden), false);
    let offered = feeds.map(Feeds::all).unwrap_or_default();
    for released in offered.values().filter_map(|feed| feed.released()) {
        let part = released.release.set.unpack().intersect(hidden);
        is_broad |= part.size().saturating_mul(100) > released.release.addresses.saturating_mul(BROAD.1);
        all = all.union(&part);
    }
    let addresses = all.size();
    Freed { addresses, is_broad: is_broad || addresses > BROAD.0 }
}

/// What of a set is listed, and exempted by nothing.
fn listed(snapshot: &Snapshot, set: &IpSet) -> IpSet {
    let is_listed = |class| snapshot.standing(class).is_listed();
    let mut runs: Vec<IpRange> = Vec::new();
    for range in set.iter() {
        match range {
            IpRange::V4(range) => {
                let found = snapshot.table.v4.runs_in(range).filter(|(_, class)| is_listed(*class));
                runs.extend(found.map(|(run, _)| IpRange::V4(run)));
            }
            IpRange::V6(range) => {
                let found = snapshot.table.v6.runs_in(range).filter(|(_, class)| is_listed(*class));
                runs.extend(found.map(|(run, _)| IpRange::V6(run)));
            }
        }
    }
    runs.into_iter().collect()
}
