//! How a reader of several parts stays with the release that it began with. A generation is not enough for that: two
//! releases may be of one, as when a person consents. Knows nothing of who reads.

use super::feed::Feed;
use super::release::{DIGEST, Released};
use std::sync::Arc;

/// What a reader began with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pin {
    /// What the feed lists at a generation; where several releases are of one, the newest.
    Generation(u64),
    /// The release of this name, and no other.
    Release(String),
}

impl Pin {
    /// The pin to the release that somebody names; none for what is no such name.
    pub fn to_release(name: &str) -> Option<Self> {
        let (generation, digest) = name.split_once('-')?;
        let is_digest = digest.len() == 2 * DIGEST
            && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_number = generation.parse::<u64>().is_ok_and(|number| number.to_string() == generation);
        (is_digest && is_number).then(|| Self::Release(name.to_owned()))
    }
}

impl Feed {
    /// What it lists or, where it is cut into parts, listed just before, if that is what is pinned.
    pub fn at(&self, pin: &Pin) -> Option<Arc<Released>> {
        let now = self.released()?;
        match pin {
            Pin::Generation(generation) if *generation >= now.release.generation => {
                (*generation <= self.seen()).then_some(now)
            }
            Pin::Generation(generation) => {
                self.previous().filter(|before| *generation >= before.release.generation)
            }
            Pin::Release(name) if now.name() == name => Some(now),
            Pin::Release(name) => self.previous().filter(|before| before.name() == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{IpRange, IpSet};
    use crate::model::{Profile, Time};
    use crate::publish::Release;

    fn released(list: &[&str], generation: u64, parts: u16) -> Released {
        let set: IpSet = list.iter().map(|range| range.parse::<IpRange>().unwrap()).collect();
        let profile = Profile { parts, ..Profile::fortigate() };
        Released::new(Release::new(generation, Time::default(), &set), Arc::new(profile))
    }

    #[test]
    fn a_name_tells_apart_what_differs_and_nothing_else() {
        let name = released(&["20.0.0.1"], 7, 2).name().to_owned();
        assert_eq!(released(&["20.0.0.1"], 7, 2).name(), name);
        for other in
            [released(&["20.0.0.2"], 7, 2), released(&["20.0.0.1"], 8, 2), released(&["20.0.0.1"], 7, 3)]
        {
            assert_ne!(other.name(), name);
        }
        assert_eq!(Pin::to_release(&name), Some(Pin::Release(name)));
    }

    #[test]
    fn what_no_release_is_called_is_no_pin() {
        for wrong in ["", "7", "7-", "-0123456789abcdef", "7-0123456789ABCDEF", "07-0123456789abcdef", "7-0"]
        {
            assert_eq!(Pin::to_release(wrong), None, "{wrong}");
        }
    }
}
