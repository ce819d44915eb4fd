//! What a feed must know after a restart, and the file that keeps it: its last release, and how it is held.

use super::hold::{Base, Hold};
use super::packed::Packed;
use super::release::Release;
use crate::addr::IpSet;
use crate::codec::{Damaged, Reader, Writer};
use crate::disk::{DiskError, read_footed, write_footed};
use crate::model::{Profile, SourceId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The first bytes of a feed's file: another version has another form.
const MAGIC: &[u8] = b"ironlist feed 2\n";

/// How a feed stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct State {
    /// The profile of the release.
    pub profile: Option<Profile>,
    /// The newest generation that was looked at.
    pub seen: u64,
    /// What is served.
    pub release: Option<Release>,
    /// Set while the feed is held.
    pub held: Option<Held>,
    /// The sources that listed anything in the generation that is compared with.
    pub sources: BTreeSet<SourceId>,
}

/// A hold, and what is compared with while it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// Why, and what is asked.
    pub hold: Hold,
    /// What was served before, as it was.
    pub base: Base,
}

#[derive(Serialize, Deserialize)]
struct Head {
    profile: Option<Profile>,
    seen: u64,
    release: Option<ReleaseHead>,
    held: Option<HeldHead>,
    sources: BTreeSet<SourceId>,
}

#[derive(Serialize, Deserialize)]
struct ReleaseHead {
    generation: u64,
    modified: Time,
    addresses: u128,
}

#[derive(Serialize, Deserialize)]
struct HeldHead {
    hold: Hold,
    generation: u64,
}

impl State {
    /// Writes the file `path`, replacing it in one step.
    ///
    /// # Errors
    /// A fault of the disk; the file is as it was.
    pub(super) fn save(&self, path: &Path) -> Result<(), DiskError> {
        let release = self.release.as_ref();
        let held = self.held.as_ref();
        let head = Head {
            profile: self.profile.clone(),
            seen: self.seen,
            release: release.map(|r| ReleaseHead {
                generation: r.generation,
                modified: r.modified,
                addresses: r.addresses,
            }),
            held: held.map(|held| HeldHead { hold: held.hold.clone(), generation: held.base.generation }),
            sources: self.sources.clone(),
        };
        let head = serde_json::to_vec(&head).map_err(|error| DiskError::io("a feed's head", error.into()))?;
        let mut writer = Writer::default();
        writer.raw(MAGIC);
        writer.bytes(&head);
        if let Some(release) = release {
            writer.bytes(release.set.bytes());
        }
        for set in held.iter().flat_map(|held| [&held.base.set, &held.base.ended]) {
            writer.bytes(Packed::of(set).bytes());
        }
        write_footed(path, &[&writer.into_bytes()]).map(drop)
    }

    /// Reads the file `path`; `None` if there is none.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when the bytes are not what was written, else a fault of the disk.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, DiskError> {
        let Some(file) = read_footed(path)? else { return Ok(None) };
        let damaged = |error| DiskError::damaged(path.display().to_string(), error);
        read(&mut Reader::new(&file.bytes)).map(Some).map_err(damaged)
    }
}

fn read(reader: &mut Reader) -> Result<State, Damaged> {
    if reader.raw(MAGIC.len())? != MAGIC {
        return Err(Damaged("it is no feed of this form"));
    }
    let head: Head = serde_json::from_slice(reader.bytes()?).map_err(|_| Damaged("its head is bad JSON"))?;
    let mut next = || -> Result<Packed, Damaged> { Packed::from_bytes(reader.bytes()?) };
    let release = head.release.map(|ReleaseHead { generation, modified, addresses }| {
        Ok(Release { generation, modified, set: next()?, addresses })
    });
    let release = release.transpose()?;
    let held = head.held.map(|HeldHead { hold, generation }| {
        let (set, ended): (IpSet, IpSet) = (next()?.unpack(), next()?.unpack());
        Ok(Held { hold, base: Base { set, generation, ended } })
    });
    Ok(State {
        profile: head.profile,
        seen: head.seen,
        release,
        held: held.transpose()?,
        sources: head.sources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::publish::gate::{Distance, Ground};

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    fn state() -> State {
        let now = Time::from_unix(1_790_000_000);
        let hold = Hold::begin(8, now, vec![Ground::Whole], Distance { gone: 7, ..Distance::default() });
        let base = Base { set: set(&["20.0.0.0/8"]), generation: 7, ended: set(&["2a00::/32"]) };
        State {
            profile: Some(Profile::fortigate()),
            seen: 8,
            release: Some(Release::new(7, now, &set(&["20.0.0.0-20.0.0.9", "2a00::1"]))),
            held: Some(Held { hold, base }),
            sources: [SourceId(3)].into(),
        }
    }

    #[test]
    fn a_feed_comes_back_as_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.feed");
        assert_eq!(State::load(&path).unwrap(), None);
        for state in [State::default(), State { held: None, ..state() }, state()] {
            state.save(&path).unwrap();
            assert_eq!(State::load(&path).unwrap(), Some(state));
        }
    }

    #[test]
    fn a_damaged_file_is_no_feed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.feed");
        state().save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            assert!(State::load(&path).unwrap_err().is_damage(), "byte {at}");
        }
    }
}
