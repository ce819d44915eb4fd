//! What a feed must know after a restart, and the file that keeps it: its last release, and how it is held.

use super::base::Base;
use super::hold::Hold;
use super::log::Difference;
use super::packed::Packed;
use super::release::Release;
use super::select::Selector;
use super::tide::Tide;
use crate::addr::IpSet;
use crate::codec::{Damaged, Reader, Writer};
use crate::disk::{DiskError, read_footed, write_footed};
use crate::model::{Budget, Profile, SourceId, Time};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The first bytes of a feed's file: another version has another form.
const MAGIC: &[u8] = b"ironlist feed 4\n";

/// How a feed stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct State {
    /// The profile of the release.
    pub profile: Option<Profile>,
    /// What it took of that generation; empty before the first.
    pub selectors: Vec<Selector>,
    /// The newest generation that was looked at.
    pub seen: u64,
    /// What the gate let through, and what of that is hidden today; what is served is all of the rest that fits the
    /// budget. None while it is held, which has a base of its own, and before the first list.
    pub passed: Option<Packed>,
    /// How it moved in the last day.
    pub tide: Tide,
    /// The budgets that people had set when it was last fitted to them.
    pub budgets: Vec<Budget>,
    /// How much budgets have pushed out of it in the last day.
    pub pressed: Tide,
    /// What a hold kept back that a person has ended without a word on it, as far as it is listed still.
    pub withheld: IpSet,
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
    /// What would change, line by line: consent is for that.
    pub difference: Difference,
    /// What the gate let through before, as it was; none before a first list.
    pub base: Option<Base>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    profile: Option<Profile>,
    selectors: Vec<Selector>,
    seen: u64,
    release: Option<ReleaseHead>,
    passed: Passed,
    tide: Tide,
    budgets: Vec<Budget>,
    #[serde(default)]
    pressed: Tide,
    /// Whether something is withheld: that is the last of the sets then.
    #[serde(default)]
    withheld: bool,
    held: Option<HeldHead>,
}

/// Where it stands what the gate let through.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Passed {
    /// Nowhere: there is none.
    Nowhere,
    /// It is what is served.
    Served,
    /// After that.
    Apart,
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
    /// The sources that took something of it back.
    dropped: Vec<SourceId>,
}

impl Held {
    /// Its sets, in the order in which they are kept.
    fn sets(&self) -> impl Iterator<Item = &IpSet> {
        let Difference { removed, added } = &self.difference;
        let of_base = self
            .base
            .iter()
            .flat_map(|base| [&base.set, &base.ended].into_iter().chain(base.dropped.values()));
        [removed, added].into_iter().chain(of_base)
    }
}

impl State {
    /// Whether what it is compared with was let through before: else nobody has had a word on anything that it lists.
    pub(super) fn has_base(&self) -> bool {
        self.held.as_ref().map_or(self.passed.is_some(), |held| held.base.is_some())
    }

    /// Whether it has a base and takes what it took, so that what it lists next is no choice of a person's; and is not
    /// held for such a choice still.
    pub(super) fn is_settled(&self, selectors: &[Selector]) -> bool {
        let is_elsewhere = self.held.as_ref().is_some_and(|held| held.hold.is_elsewhere());
        !is_elsewhere && self.has_base() && self.selectors == selectors
    }

    /// What somebody who ends its hold otherwise than by a word, by an edit or with the feed itself, has said nothing
    /// about.
    pub(super) fn unsaid(&self) -> IpSet {
        match &self.held {
            Some(held) if self.is_settled(&self.selectors) => self.withheld.union(&held.difference.added),
            _ => self.withheld.clone(),
        }
    }

    /// The moment at which it stands: while it is held, no time passes for it.
    pub(super) fn since(&self, moment: Time) -> Time {
        self.held.as_ref().map_or(moment, |held| held.hold.since.min(moment))
    }

    /// Whether it lists nothing only because nobody has had a word on its first list yet.
    pub(super) fn is_unspoken(&self) -> bool {
        self.held.is_some() && !self.has_base()
    }

    /// Writes the file `path`, replacing it in one step.
    ///
    /// # Errors
    /// A fault of the disk; the file is as it was.
    pub(super) fn save(&self, path: &Path) -> Result<(), DiskError> {
        let release = self.release.as_ref();
        let (served, held) = (release.map(|release| &release.set), self.held.as_ref());
        let base = held.and_then(|held| held.base.as_ref());
        let place = match &self.passed {
            None => Passed::Nowhere,
            passed if passed.as_ref() == served => Passed::Served,
            Some(_) => Passed::Apart,
        };
        let head = Head {
            profile: self.profile.clone(),
            selectors: self.selectors.clone(),
            seen: self.seen,
            release: release.map(|r| ReleaseHead {
                generation: r.generation,
                modified: r.modified,
                addresses: r.addresses,
            }),
            passed: place,
            tide: self.tide.clone(),
            budgets: self.budgets.clone(),
            pressed: self.pressed.clone(),
            withheld: !self.withheld.is_empty(),
            held: held.map(|held| HeldHead {
                hold: held.hold.clone(),
                generation: base.map(|base| base.generation),
                dropped: base.map(|base| base.dropped.keys().copied().collect()).unwrap_or_default(),
            }),
        };
        let head = serde_json::to_vec(&head).map_err(|error| DiskError::io("a feed's head", error.into()))?;
        let mut writer = Writer::default();
        writer.raw(MAGIC);
        writer.bytes(&head);
        for set in served.into_iter().chain(self.passed.as_ref().filter(|_| place == Passed::Apart)) {
            writer.bytes(set.bytes());
        }
        let withheld = Some(&self.withheld).filter(|set| !set.is_empty());
        for set in held.into_iter().flat_map(Held::sets).chain(withheld) {
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
    let passed = match head.passed {
        Passed::Nowhere => None,
        Passed::Served => release.as_ref().map(|release| release.set.clone()),
        Passed::Apart => Some(next()?),
    };
    let mut next = || -> Result<IpSet, Damaged> { Ok(next()?.unpack()) };
    let held = head.held.map(|HeldHead { hold, generation, dropped }| {
        let difference = Difference { removed: next()?, added: next()? };
        let base = generation.map(|generation| {
            let (set, ended) = (next()?, next()?);
            let dropped = dropped.into_iter().map(|source| Ok((source, next()?)));
            Ok(Base { set, generation, ended, dropped: dropped.collect::<Result<_, Damaged>>()? })
        });
        Ok(Held { hold, difference, base: base.transpose()? })
    });
    let held = held.transpose()?;
    let withheld = if head.withheld { next()? } else { IpSet::default() };
    let Head { profile, selectors, seen, tide, budgets, pressed, .. } = head;
    Ok(State { profile, selectors, seen, passed, tide, budgets, pressed, withheld, release, held })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::publish::gate::Ground;
    use crate::publish::tide::Distance;

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    fn state() -> State {
        let now = Time::from_unix(1_790_000_000);
        let distance = Distance { gone: 7, gone_addresses: u128::MAX, ..Distance::default() };
        let opened = Ground::Opened { before: u64::MAX, gone: u64::MAX, limit_percent: 50 };
        let hold = Hold::begin(8, now, vec![Ground::Whole, opened], distance);
        let difference = Difference { removed: set(&["30.0.0.0/8"]), added: set(&["2a01::/32"]) };
        let ended = set(&["2a00::/32"]);
        let dropped = [(SourceId(3), set(&["20.0.0.7"])), (SourceId(9), set(&["20.0.0.8"]))].into();
        let tide = Tide::default().then(distance, now);
        let base = Some(Base { set: set(&["20.0.0.0/8"]), generation: 7, ended, dropped });
        let profile = Profile::fortigate();
        State {
            selectors: vec![Selector::of(&profile)],
            profile: Some(profile),
            seen: 8,
            passed: Some(Packed::of(&set(&["20.0.0.0/24", "2a00::1"]))),
            release: Some(Release::new(7, now, &set(&["20.0.0.0-20.0.0.9", "2a00::1"]))),
            pressed: tide.clone(),
            tide,
            budgets: vec![Budget::default(), Budget { entries: Some(9), bytes: None }],
            withheld: set(&["40.0.0.0/9"]),
            held: Some(Held { hold, difference, base }),
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
            State { passed: all, withheld: IpSet::default(), ..state() },
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
