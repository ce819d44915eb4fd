//! Devices that ask from an address which one of their feeds lists: a firewall that blocks itself may lose its way here,
//! and its administrators theirs to it. It is told and not mended: who holds a device's key could free any address by
//! asking from it. Knows neither who asks to see it nor when.

use super::access::Reader;
use super::feeds::Feeds;
use super::pulls::Pulls;
use crate::engine::Snapshot;
use crate::model::{Device, OutputName};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// An address from which a device asks, and a feed of it that lists that address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Blocked {
    /// The feed.
    pub feed: OutputName,
    /// Whence the device asked last.
    pub address: IpAddr,
}

/// All such devices.
pub(super) fn blocked(
    snapshot: &Snapshot,
    pulls: &Pulls,
    feeds: &Feeds,
) -> BTreeMap<OutputName, Vec<Blocked>> {
    let mut all: BTreeMap<OutputName, Vec<Blocked>> = BTreeMap::new();
    let asked: Vec<(&Device, BTreeSet<IpAddr>)> = snapshot
        .devices()
        .map(|device| (device, pulls.whence(&Reader::Device(device.name.clone()))))
        .collect();
    for (feed, found) in feeds.all().iter() {
        let reads = |device: &Device| device.reads().contains(feed);
        let mut readers = asked.iter().filter(|(device, from)| !from.is_empty() && reads(device)).peekable();
        let Some(released) = found.released().filter(|_| readers.peek().is_some()) else { continue };
        let set = released.release.set.unpack();
        for (device, from) in readers {
            for address in from.iter().copied().filter(|address| set.contains(*address)) {
                let own = Blocked { feed: feed.clone(), address };
                all.entry(device.name.clone()).or_default().push(own);
            }
        }
    }
    all
}
