//! A release: what a feed lists from one generation on, and its documents, each made when it is first asked for.

use super::formats::{self, Sheet, WriteError};
use super::packed::Packed;
use super::rendition::Rendition;
use super::selection::Annotated;
use super::split::{of_part, split};
use crate::addr::IpSet;
use crate::disk::{Digest, digest, hex};
use crate::model::{Document, OutputName, Profile, Time};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// The number of the whole feed beside those of its parts: whoever does not know that it is cut gets all of it.
pub const ALL_PARTS: u16 = 0;

/// Bytes of the digest in a release's name: as many as nobody meets twice by chance.
pub(super) const DIGEST: usize = 8;

/// What a feed lists, and in which generation it began to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// The generation in which it appeared.
    pub generation: u64,
    /// That generation's time, made to rise from release to release: a reader that compares times never misses a
    /// change, even when two come in one second or the clock was put back.
    pub modified: Time,
    /// What it lists.
    pub set: Packed,
    /// Addresses that it holds, at most `u128::MAX`.
    pub addresses: u128,
}

impl Release {
    /// A release of `set`.
    pub fn new(generation: u64, modified: Time, set: &IpSet) -> Self {
        Self { generation, modified, set: Packed::of(set), addresses: set.size() }
    }
}

/// A release in the form of a profile.
#[derive(Debug)]
pub struct Released {
    /// What is listed.
    pub release: Release,
    /// How it is written.
    pub profile: Arc<Profile>,
    /// The documents of part 1, then of part 2, and so on, and last those of the whole where there are several parts.
    renditions: Box<[OnceLock<Arc<Rendition>>]>,
    /// See [`Released::name`].
    name: OnceLock<String>,
    /// What its first document told beside addresses, where its form tells that.
    told: OnceLock<Digest>,
}

/// The name of a release: its generation, and a digest of what it lists and in which form. Equal names mean equal
/// lists, after a restart and on another node too. Linear, about 3 ns a range.
fn name(released: &Released) -> String {
    let (release, profile) = (&released.release, &released.profile);
    // Plain data: there is nothing in it that could fail to serialise.
    let form = serde_json::to_vec(&(profile.format, profile.lines(), profile.parts)).unwrap_or_default();
    let digest = digest(&[&form, b"\0", release.set.bytes()]);
    format!("{}-{}", release.generation, hex(&digest[..DIGEST]))
}

impl Released {
    /// Nothing is written yet.
    pub fn new(release: Release, profile: Arc<Profile>) -> Self {
        let renditions = all(&profile).map(|_| OnceLock::new()).collect();
        Self { release, profile, renditions, name: OnceLock::new(), told: OnceLock::new() }
    }

    /// What tells it from every other release of the feed, for readers of several parts. Worked out when somebody first
    /// asks: linear, about 3 ns a range.
    pub fn name(&self) -> &str {
        self.name.get_or_init(|| name(self))
    }

    /// Whether it lists `address`, which must be canonical. Unpacks the list: 5 ns a range.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.release.set.unpack().contains(address)
    }

    /// A document of a part, 1 to the profile's number or [`ALL_PARTS`], if somebody has asked for it before. Takes
    /// no lock.
    #[inline]
    pub fn get(&self, part: u16, document: Document) -> Option<&Arc<Rendition>> {
        self.slot(part, document)?.get()
    }

    /// The list of the first part: mostly the only document there is.
    #[inline]
    pub fn list(&self) -> Option<&Arc<Rendition>> {
        self.renditions.first()?.get()
    }

    /// Every document that was made.
    pub fn made(&self) -> impl Iterator<Item = &Arc<Rendition>> {
        self.renditions.iter().filter_map(OnceLock::get)
    }

    /// What each part lists, unpacked; linear.
    pub fn sets(&self) -> Vec<IpSet> {
        split(&self.release.set.unpack(), self.profile.parts)
    }

    /// What a part lists, or the whole, unpacked; `None` where there is no such part. Linear.
    pub fn set(&self, part: u16) -> Option<IpSet> {
        let whole = self.release.set.unpack();
        let parts = if part == ALL_PARTS { Vec::new() } else { split(&whole, self.profile.parts) };
        of_part(part, &whole, &parts).cloned()
    }

    /// The list of each part.
    pub(super) fn lists(&self) -> impl Iterator<Item = (u16, Document)> + use<> {
        let list = Document::List(self.profile.format);
        (1..=self.profile.parts).map(move |part| (part, list))
    }

    /// Whether its documents tell just this beside addresses.
    pub(super) fn tells(&self, facts: &Annotated) -> bool {
        self.told.get().is_some_and(|told| *told == facts.digest())
    }

    /// The parts and documents that somebody has asked for.
    pub(super) fn asked(&self) -> Vec<(u16, Document)> {
        let all = all(&self.profile).zip(&self.renditions);
        let is_asked =
            |slot: &OnceLock<Arc<Rendition>>| slot.get().is_some_and(|rendition| rendition.is_asked());
        all.filter(|(_, slot)| is_asked(slot)).map(|(which, _)| which).collect()
    }

    fn slot(&self, part: u16, document: Document) -> Option<&OnceLock<Arc<Rendition>>> {
        // The whole of a feed that is not cut is its only part.
        let part = if part == ALL_PARTS && self.profile.parts == 1 { 1 } else { part };
        let is_first = (part, document) == (1, Document::List(self.profile.format));
        let at = if is_first { 0 } else { all(&self.profile).position(|which| which == (part, document))? };
        self.renditions.get(at)
    }

    /// Makes a document unless it is there. `set` is what its part lists, see [`Released::set`], and `facts` are those
    /// of the whole, for formats that tell them. Takes 15 ns a line, more where facts are told, and none of the locks
    /// that readers wait for. `None` where the profile has no such part or document.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn make(
        &self,
        part: u16,
        document: Document,
        set: &IpSet,
        facts: Option<&Annotated>,
    ) -> Result<Option<&Arc<Rendition>>, WriteError> {
        let Some(slot) = self.slot(part, document) else { return Ok(None) };
        if slot.get().is_none() {
            if let Some(facts) = facts {
                self.told.get_or_init(|| facts.digest());
            }
            let rendition = self.write(part, document, set, facts)?;
            // Somebody else may have been quicker with the same bytes.
            let _ = slot.set(Arc::new(rendition));
        }
        Ok(slot.get())
    }

    fn write(
        &self,
        part: u16,
        document: Document,
        set: &IpSet,
        facts: Option<&Annotated>,
    ) -> Result<Rendition, WriteError> {
        let Profile { parts, name, .. } = &*self.profile;
        if *parts == 1 || part == ALL_PARTS {
            return self.sheet(name.as_str(), set, document, facts);
        }
        let facts = facts.map(|facts| facts.within(set));
        self.sheet(&part_name(name, part), set, document, facts.as_ref())
    }

    fn sheet(
        &self,
        feed: &str,
        selection: &IpSet,
        document: Document,
        entries: Option<&Annotated>,
    ) -> Result<Rendition, WriteError> {
        let Release { generation, modified: time, .. } = self.release;
        let sheet = Sheet { feed, generation, time, lines: self.profile.lines(), selection, entries };
        let mut text = Vec::new();
        let counts = formats::write(document, &sheet, &mut text)?;
        Ok(Rendition::new(text, counts))
    }
}

/// Every part and document that there may be.
fn all(profile: &Profile) -> impl Iterator<Item = (u16, Document)> + use<> {
    let (format, whole) = (profile.format, (profile.parts > 1).then_some(ALL_PARTS));
    (1..=profile.parts)
        .chain(whole)
        .flat_map(move |part| format.documents().map(move |document| (part, document)))
}

/// The name of a part of a feed, which sets and scripts carry.
pub(super) fn part_name(feed: &OutputName, part: u16) -> String {
    format!("{feed}.{part}")
}
