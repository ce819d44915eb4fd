//! The lists on firewalls that were ever sent something. A target goes, a device reads another feed: what is on the
//! firewall stays there and blocks, so that somebody has to know of it. Plain data.

use super::target::Target;
use crate::disk::{digest, hex};
use crate::model::{Device, OutputName, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of a remnant's id.
const ID: usize = 6;

/// A list on a firewall that was sent something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Where, and with which key; of a name in it only [`Place::list`] is meant.
    pub target: Target,
    /// The firewall's name of the list.
    pub list: String,
    /// The feed that was pushed there last.
    pub feed: OutputName,
    /// Entries that it was proven to have last; none: it was sent something, and nothing is proven since.
    pub entries: Option<u64>,
    /// When it was sent something last, or proven.
    pub at: Time,
}

impl Place {
    /// What tells it from the other places of all devices.
    pub(super) fn id(&self, device: &OutputName) -> String {
        let Target { url, vdom, .. } = &self.target;
        let vdom = vdom.as_deref().unwrap_or_default();
        let of = [device.as_str(), url.as_str(), vdom, &self.list];
        hex(&digest(&of.map(|part| [part.as_bytes(), b"\0"].concat()).each_ref().map(Vec::as_slice))[..ID])
    }

    /// Whether it is a list of that name at that target.
    fn is(&self, target: &Target, list: &str) -> bool {
        (&target.url, target.vdom.as_deref(), list)
            == (&self.target.url, self.target.vdom.as_deref(), self.list.as_str())
    }
}

/// A list on a firewall that was pushed and is pushed no more: it is still there, and still enforced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remnant {
    /// What it is cleared by.
    pub id: String,
    /// The device whose it was; there may be none of that name any more.
    pub device: OutputName,
    /// Where it is, and what is known of it.
    pub place: Place,
}

impl Remnant {
    /// What is there, for a person.
    pub fn what(&self) -> String {
        let Place { target, list, entries, .. } = &self.place;
        let count = entries.map_or_else(|| "entries".to_owned(), |count| format!("{count} entries"));
        format!("list {list:?} on {} still has {count}, and nothing is pushed there any more", target.url)
    }

    /// What can be done about it.
    pub fn cure(&self) -> String {
        format!("empty it there: ironlist device push-clear {} --reason TEXT", self.id)
    }
}

/// Where each device was pushed to, by [`Place::id`].
pub(super) type Places = BTreeMap<(OutputName, String), Place>;

/// Those of `places` that no device is pushed to any more and that may have something.
pub(super) fn remnants<'t, 'd>(
    places: &Places,
    targets: &'t BTreeMap<OutputName, Target>,
    devices: impl Iterator<Item = &'d Device>,
) -> Vec<Remnant> {
    let pushed_to = devices.filter_map(|device| Some((targets.get(&device.name)?, device)));
    let lists = |(target, device): (&'t Target, &'d Device)| {
        target.lists(device).into_iter().map(move |(_, list)| (target, list))
    };
    let attended: Vec<_> = pushed_to.flat_map(lists).collect();
    let is_attended = |place: &Place| attended.iter().any(|(target, list)| place.is(target, list));
    let left = places.iter().filter(|(_, place)| place.entries != Some(0) && !is_attended(place));
    left.map(|((device, id), place)| Remnant { id: id.clone(), device: device.clone(), place: place.clone() })
        .collect()
}
