//! The feeds of a data folder, as people set them up, and the step that takes all of them to a generation.

use super::feed::{Feed, NoConsent};
use super::refresh::Stage;
use super::select::{Scene, Selector};
use super::selections::Selections;
use super::size::{Room, size, tighter};
use crate::disk::DiskError;
use crate::engine::{Condition, Engine, EngineError, Gone, Snapshot};
use crate::model::{Budget, Device, Families, Format, GateLimits, OutputName, Profile, SourceId, Time};
use crate::store::View;
use arc_swap::ArcSwap;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The file of what all feeds together are judged by: no feed can have that name.
const WHOLE: &str = "_whole.feed";

/// The feeds of a data folder.
#[derive(Debug)]
pub struct Feeds {
    folder: PathBuf,
    /// The default feed, as it is until people make something else of it.
    usual: Profile,
    all: ArcSwap<BTreeMap<OutputName, Arc<Feed>>>,
    /// Everything that is listed, as a feed that nobody reads: the gate over all of them.
    whole: Feed,
    /// Held by whoever takes the feeds to a generation.
    turn: Mutex<()>,
    /// Announces the generation to which all feeds were taken.
    releases: watch::Sender<u64>,
}

impl Feeds {
    /// Opens the feeds in the data folder `folder`; `usual` is the default feed until people make something else of it. What was kept is offered from here on, whatever became of the
    /// stores; a file that cannot be used is a fault of its feed.
    ///
    /// # Errors
    /// The folder of the feeds cannot be made or read.
    pub fn open(folder: &Path, usual: Profile, now: Time) -> Result<Self, DiskError> {
        let folder = folder.join("feeds");
        let io = |error| DiskError::io(folder.display().to_string(), error);
        std::fs::create_dir_all(&folder).map_err(io)?;
        let mut all = BTreeMap::new();
        for file in std::fs::read_dir(&folder).map_err(io)? {
            let path = file.map_err(io)?.path();
            if let Some(name) = name_of(&path) {
                all.insert(name.clone(), Arc::new(Feed::open(path, Profile::new(name), now)));
            }
        }
        let default = || Arc::new(Feed::open(file_of(&folder, &usual.name), usual.clone(), now));
        all.entry(usual.name.clone()).or_insert_with(default);
        // A form that nobody writes before it is asked for, and nobody asks.
        let everything = Profile { format: Format::Json, ..Profile::new(usual.name.clone()) };
        let whole = Feed::open(folder.join(WHOLE), everything, now);
        Ok(Self {
            folder,
            usual,
            all: ArcSwap::from_pointee(all),
            whole,
            turn: Mutex::new(()),
            releases: watch::Sender::new(0),
        })
    }

    /// The feed of that name. Takes no lock.
    pub fn get(&self, name: &str) -> Option<Arc<Feed>> {
        self.all.load().get(name).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Arc<BTreeMap<OutputName, Arc<Feed>>> {
        self.all.load_full()
    }

    /// The gate over all feeds together. It lists nothing to anybody.
    pub fn whole(&self) -> &Feed {
        &self.whole
    }

    /// Announces each generation to which the feeds were taken.
    pub fn releases(&self) -> watch::Receiver<u64> {
        self.releases.subscribe()
    }

    /// Takes every feed to the newest generation of `engine`. What it offers is compressed later, by whoever calls
    /// [`Feeds::compress`]. Blocks on the disk.
    pub fn refresh(&self, engine: &Engine) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let refreshed = engine.together(|snapshot, view| {
            self.take_to(snapshot, view, engine);
            snapshot.generation
        });
        match refreshed {
            Ok(generation) => drop(self.releases.send_replace(generation)),
            Err(error) => self.all().values().for_each(|feed| feed.fail(error.to_string(), engine.now())),
        }
    }

    /// Takes every feed to `generation` at least, unless that is done. Blocks on the disk.
    pub fn reach(&self, engine: &Engine, generation: u64) {
        if *self.releases.borrow() < generation {
            self.refresh(engine);
        }
    }

    /// Compresses what is offered, unless that is done: about 250 ms for a million lines. Until then they go out plain.
    pub fn compress(&self) {
        self.all().values().for_each(|feed| feed.compress());
    }

    fn take_to(&self, snapshot: &Snapshot, view: Option<&View<'_>>, engine: &Engine) {
        let profiles = self.in_turn(snapshot);
        let is_newest = !matches!(engine.condition(), Condition::ReadOnly { .. });
        if is_newest {
            // An older snapshot may not know a feed that people made since, and its last list is still good.
            self.set_up(&profiles, engine.now());
        }
        let (exempt, scene) = (snapshot.exempt(), Scene { snapshot, view });
        let selectors = distinct(&profiles);
        // The whole looks at each filter once, and each feed at its own.
        let is_shared = profiles.len() > 1;
        let of_whole = selectors.iter().filter(|_| is_shared).map(|selector| &selector.filter);
        let filters = of_whole.chain(profiles.iter().map(|profile| &profile.filter));
        // Mostly all of them have seen the same.
        let known: RefCell<BTreeMap<u64, Rc<BTreeMap<SourceId, Gone>>>> = RefCell::default();
        let gone = |seen: u64| {
            if let Some(gone) = known.borrow().get(&seen) {
                return Ok(Rc::clone(gone));
            }
            let gone = Rc::new(gone(engine, snapshot, seen).map_err(|error| error.to_string())?);
            known.borrow_mut().insert(seen, Rc::clone(&gone));
            Ok(gone)
        };
        let mut stage = Stage {
            scene,
            selections: Selections::new(scene, &exempt, filters),
            exempt: &exempt,
            whole_is_held: false,
            room: Room::default(),
            is_newest,
            gone: &gone,
            now: engine.now(),
        };
        if is_shared {
            let whole = Profile { gate: loosest(&profiles), ..(*self.whole.profile()).clone() };
            alone(&self.whole, &stage, &whole, &selectors);
            stage.whole_is_held = self.whole.status().hold.is_some();
        } else {
            self.whole.forget();
        }
        let mut shares = Shares::new(snapshot.devices());
        for profile in &profiles {
            let Some(feed) = self.get(profile.name.as_str()) else { continue };
            stage.room = shares.left(&profile.name);
            alone(&feed, &stage, profile, &[Selector::of(profile)]);
            shares.take(profile, &feed);
        }
    }

    /// The feeds of a generation; of those that share a device's budget, the first served first.
    pub(super) fn in_turn(&self, snapshot: &Snapshot) -> Vec<Profile> {
        let mut profiles: Vec<Profile> = snapshot.profiles().cloned().collect();
        if profiles.iter().all(|profile| profile.name != self.usual.name) {
            profiles.push(self.usual.clone());
        }
        profiles.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        profiles
    }

    /// Opens the feeds that are new and closes those that are no more.
    fn set_up(&self, profiles: &[Profile], now: Time) {
        let before = self.all();
        let is_same = before.len() == profiles.len() && profiles.iter().all(|p| before.contains_key(&p.name));
        if is_same {
            return;
        }
        let open = |profile: &Profile| {
            let usual = || Arc::new(Feed::open(file_of(&self.folder, &profile.name), profile.clone(), now));
            (profile.name.clone(), before.get(&profile.name).cloned().unwrap_or_else(usual))
        };
        self.all.store(Arc::new(profiles.iter().map(open).collect()));
        let withdrawn =
            before.iter().filter(|(name, _)| profiles.iter().all(|profile| profile.name != **name));
        withdrawn.for_each(|(_, feed)| feed.remove());
    }

    /// A person's word that what a hold showed at `generation` may be released; none is the hold over all feeds.
    /// Takes effect before it returns, or not at all. Blocks on the disk.
    ///
    /// # Errors
    /// [`NoConsent`].
    pub fn consent(
        &self,
        name: Option<&OutputName>,
        generation: u64,
        engine: &Engine,
    ) -> Result<(), NoConsent> {
        let Some(name) = name else {
            // A feed that is held by itself stays so: nobody has been shown it.
            self.whole.consent(generation)?;
            self.refresh(engine);
            return self.whole.status().hold.map_or(Ok(()), |hold| Err(NoConsent::Grown(hold.generation)));
        };
        if self.whole.status().hold.is_some() {
            return Err(NoConsent::WholeIsHeld);
        }
        let feed = self.get(name.as_str()).ok_or(NoConsent::NotHeld)?;
        feed.consent(generation)?;
        self.refresh(engine);
        feed.status().hold.map_or(Ok(()), |hold| Err(NoConsent::Grown(hold.generation)))
    }
}

/// What each source lists no more after a generation.
pub(super) fn gone(
    engine: &Engine,
    snapshot: &Snapshot,
    seen: u64,
) -> Result<BTreeMap<SourceId, Gone>, EngineError> {
    match engine.gone(seen, snapshot.generation) {
        // A feed that was away for longer than records are kept: what is known of, and no more.
        Err(EngineError::Gone { oldest, .. }) => engine.gone(oldest, snapshot.generation),
        gone => gone,
    }
}

/// What the feeds take, each filter once.
pub(super) fn distinct(profiles: &[Profile]) -> Vec<Selector> {
    let mut all: Vec<Selector> = Vec::new();
    for Selector { filter, families } in profiles.iter().map(Selector::of) {
        match all.iter_mut().find(|known| known.filter == filter) {
            Some(known) if known.families != families => known.families = Families::Both,
            Some(_) => {}
            None => all.push(Selector { filter, families }),
        }
    }
    all
}

/// The limits for all feeds together: what people let one of them do, all together may do.
pub(super) fn loosest(profiles: &[Profile]) -> GateLimits {
    profiles.iter().map(|profile| profile.gate).reduce(GateLimits::looser).unwrap_or_default()
}

/// A panic in one feed is that feed's trouble.
fn alone(feed: &Feed, stage: &Stage<'_>, profile: &Profile, selectors: &[Selector]) {
    // A feed is changed in single steps, so that a panic between two leaves nothing half done.
    if catch_unwind(AssertUnwindSafe(|| feed.refresh(stage, profile, selectors))).is_err() {
        feed.fail("making it panicked".to_owned(), stage.now);
    }
}

/// What devices can still take of all their feeds together.
pub(super) struct Shares<'a>(Vec<(&'a Device, Budget)>);

impl<'a> Shares<'a> {
    pub(super) fn new(devices: impl Iterator<Item = &'a Device>) -> Self {
        let is_limited =
            |device: &&Device| device.budget != Budget::default() || device.each != Budget::default();
        Self(devices.filter(is_limited).map(|device| (device, device.budget)).collect())
    }

    /// What its readers can take of a feed.
    pub(super) fn left(&self, feed: &OutputName) -> Room {
        let readers = self.0.iter().filter(|(device, _)| device.feeds.contains(feed));
        readers.fold(Room::default(), |least, (device, left)| Room {
            whole: tighter(least.whole, *left),
            each: tighter(least.each, device.each),
        })
    }

    pub(super) fn take(&mut self, profile: &Profile, feed: &Feed) {
        if self.0.iter().all(|(device, _)| !device.feeds.contains(&profile.name)) {
            return;
        }
        let set = feed.released().map(|released| released.release.set.unpack()).unwrap_or_default();
        let Ok(size) = size(profile, &set) else { return };
        for (_, left) in self.0.iter_mut().filter(|(device, _)| device.feeds.contains(&profile.name)) {
            left.entries = left.entries.map(|most| most.saturating_sub(size.entries));
            left.bytes = left.bytes.map(|most| most.saturating_sub(size.bytes));
        }
    }
}

fn file_of(folder: &Path, name: &OutputName) -> PathBuf {
    folder.join(format!("{name}.feed"))
}

fn name_of(path: &Path) -> Option<OutputName> {
    let is_feed = path.extension() == Some(OsStr::new("feed"));
    path.file_stem().and_then(OsStr::to_str).filter(|_| is_feed)?.parse().ok()
}
