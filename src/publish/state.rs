//! What a feed must know after a restart, and the file that keeps it: its last release, and how it is held.

use super::base::Base;
use super::hold::Hold;
use super::packed::Packed;
use super::release::Release;
use super::select::Selector;
use crate::codec::{Damaged, Reader, Writer};
use crate::disk::{DiskError, read_footed, write_footed};
use crate::model::{Profile, Time};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The first bytes of a feed's file: another version has another form.
const MAGIC: &[u8] = b"ironlist feed 3\n";

/// How a feed stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct State {
    /// The profile of the release.
    pub profile: Option<Profile>,
    /// What it took of that generation; empty before the first.
    pub selectors: Vec<Selector>,
    /// The newest generation that was looked at.
    pub seen: u64,
    /// What the gate let through; what is served is all of it that fits the budget.
    pub passed: Option<Packed>,
    /// What is served.
    pub release: Option<Release>,
    /// Set while the feed is held.
    pub held: Option<Held>,
}

/// A hold, and what is compared with while it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// Why, and what is asked.
    pub hold: Hold,
    /// What the gate let through before, as it was; none before a first list.
    pub base: Option<Base>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    profile: Option<Profile>,
    selectors: Vec<Selector>,
    seen: u64,
    release: Option<ReleaseHead>,
    /// Whether the gate let through what is served and nothing more.
    all_fits: bool,
    held: Option<HeldHead>,
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
    /// The generation of the base, if there is one.
    generation: Option<u64>,
}

impl State {
    /// Writes the file `path`, replacing it in one step.
    ///
    /// # Errors
    /// A fault of the disk; the file is as it was.
    pub(super) fn save(&self, path: &Path) -> Result<(), DiskError> {
        let release = self.release.as_ref();
        let (served, held) = (release.map(|release| &release.set), self.held.as_ref());
        let base = held.and_then(|held| held.base.as_ref());
        let all_fits = self.passed.as_ref() == served;
        let head = Head {
            profile: self.profile.clone(),
            selectors: self.selectors.clone(),
            seen: self.seen,
            release: release.map(|r| ReleaseHead {
                generation: r.generation,
                modified: r.modified,
                addresses: r.addresses,
            }),
            all_fits,
            held: held.map(|held| HeldHead {
                hold: held.hold.clone(),
                generation: base.map(|base| base.generation),
            }),
        };
        let head = serde_json::to_vec(&head).map_err(|error| DiskError::io("a feed's head", error.into()))?;
        let mut writer = Writer::default();
        writer.raw(MAGIC);
        writer.bytes(&head);
        for set in served.into_iter().chain(self.passed.as_ref().filter(|_| !all_fits)) {
            writer.bytes(set.bytes());
        }
        for set in base.into_iter().flat_map(|base| [&base.set, &base.ended, &base.dropped]) {
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
    let release: Option<Release> = release.transpose()?;
    let passed = match &release {
        Some(release) if head.all_fits => Some(release.set.clone()),
        _ if head.all_fits => None,
        _ => Some(next()?),
    };
    let held = head.held.map(|HeldHead { hold, generation }| {
        let base = generation.map(|generation| {
            let (set, ended, dropped) = (next()?.unpack(), next()?.unpack(), next()?.unpack());
            Ok(Base { set, generation, ended, dropped })
        });
        Ok(Held { hold, base: base.transpose()? })
    });
    let (profile, selectors, seen) = (head.profile, head.selectors, head.seen);
    Ok(State { profile, selectors, seen, passed, release, held: held.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{IpRange, IpSet};
    use crate::publish::gate::{Distance, Ground};

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    fn state() -> State {
        let now = Time::from_unix(1_790_000_000);
        let hold = Hold::begin(8, now, vec![Ground::Whole], Distance { gone: 7, ..Distance::default() });
        let (ended, dropped) = (set(&["2a00::/32"]), set(&["20.0.0.7"]));
        let base = Some(Base { set: set(&["20.0.0.0/8"]), generation: 7, ended, dropped });
        let profile = Profile::fortigate();
        State {
            selectors: vec![Selector::of(&profile)],
            profile: Some(profile),
            seen: 8,
            passed: Some(Packed::of(&set(&["20.0.0.0/24", "2a00::1"]))),
            release: Some(Release::new(7, now, &set(&["20.0.0.0-20.0.0.9", "2a00::1"]))),
            held: Some(Held { hold, base }),
        }
    }

    #[test]
    fn a_feed_comes_back_as_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.feed");
        assert_eq!(State::load(&path).unwrap(), None);
        let first = Held { base: None, ..state().held.unwrap() };
        let all = state().release.map(|release| release.set);
        for state in [
            State::default(),
            State { held: None, ..state() },
            State { held: Some(first), release: None, passed: None, ..state() },
            State { passed: all, ..state() },
            state(),
        ] {
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
