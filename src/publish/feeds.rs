//! The feeds of a data folder, as people set them up, and the step that takes all of them to a generation.

use super::fault::Fault;
use super::feed::{ALL_FEEDS, Feed, NoConsent, Status};
use super::hold::Word;
use super::select::{Scene, Selector};
use super::selections::Selections;
use super::shares::Shares;
use super::stage::Stage;
use crate::addr::IpSet;
use crate::disk::DiskError;
use crate::engine::{Condition, Engine, EngineError, Gone, Snapshot};
use crate::model::{Families, Format, GateLimits, OutputName, Profile, SourceId, Time};
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
const WHOLE_FILE: &str = "_whole.feed";

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
    /// Opens the feeds in the data folder `folder`; `usual` is the default feed until people make something else of it.
    /// What was kept is offered from here on, whatever became of the stores; a file that cannot be used is a fault of its
    /// feed.
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
        let whole = Feed::open(folder.join(WHOLE_FILE), everything, now);
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

    /// What is wrong with feeds, and with the gate over all of them.
    pub fn faults(&self) -> impl Iterator<Item = (String, Fault)> {
        let whole = self.whole.status().fault.map(|fault| (ALL_FEEDS.to_owned(), fault));
        let all = self.all();
        let each = all.iter().filter_map(|(name, feed)| Some((name.to_string(), feed.status().fault?)));
        whole.into_iter().chain(each.collect::<Vec<_>>())
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
        let (gone, hasty) = (Once::default(), Once::default());
        let newest = snapshot.generation;
        let mut stage = Stage {
            is_newest,
            gone: &|seen| gone.of(seen, || self::gone(engine, snapshot, seen)),
            hasty: &|seen| hasty.of(seen, || engine.hasty(seen, newest)),
            ..Stage::new(Selections::new(scene, filters), &exempt, engine.now())
        };
        let kept_back = self.kept_back(&stage, &profiles);
        if is_shared {
            stage.is_whole = true;
            let whole = Profile { gate: loosest(&profiles), ..(*self.whole.profile()).clone() };
            stage.kept_back = kept_back.clone().unwrap_or_default();
            alone(&self.whole, &stage, || self.whole.refresh(&stage, &whole, &selectors));
            stage.whole_is_held = self.whole.status().hold.is_some();
        } else {
            self.whole.forget();
        }
        stage.is_whole = false;
        let with_whole =
            |set: IpSet| self.whole.kept_back().map_or_else(|| set.clone(), |whole| set.union(&whole));
        let kept_back = kept_back.map(with_whole);
        let mut shares = Shares::new(scene, snapshot.devices());
        for (at, profile) in profiles.iter().enumerate() {
            let Some(feed) = self.get(profile.name.as_str()) else { continue };
            self.share(&mut stage, &shares, profile, &profiles[at + 1..]);
            let with_others = |all: &IpSet| all.union(&self.withheld(&profile.name));
            stage.kept_back = kept_back.as_ref().map(with_others).unwrap_or_default();
            alone(&feed, &stage, || feed.refresh(&stage, profile, &[Selector::of(profile)]));
            shares.take(profile, &feed);
        }
        // Last: what firewalls poll must not wait for it.
        for feed in profiles.iter().filter_map(|profile| self.get(profile.name.as_str())) {
            alone(&feed, &stage, || feed.retell(&stage));
        }
    }

    /// Tells the stage what the readers of a feed can take of it, and who is served after it.
    pub(super) fn share(
        &self,
        stage: &mut Stage<'_>,
        shares: &Shares<'_>,
        profile: &Profile,
        behind: &[Profile],
    ) {
        stage.room = shares.left(&profile.name);
        stage.budgets = shares.set(profile);
        let moment =
            self.get(profile.name.as_str()).map_or(stage.moment(), |feed| feed.since(stage.moment()));
        stage.rivals = shares.rivals(profile, behind, moment, |name| self.get(name.as_str()));
    }

    /// What feeds' holds keep back that no feed may bring which is new or takes something else now; none where there is
    /// no such feed. Those that are held for no other reason keep nothing back themselves.
    pub(super) fn kept_back(&self, stage: &Stage<'_>, profiles: &[Profile]) -> Option<IpSet> {
        let (settled, others): (Vec<_>, Vec<_>) = profiles
            .iter()
            .map(|profile| (self.get(profile.name.as_str()), profile))
            .partition(|(feed, profile)| feed.as_ref().is_some_and(|feed| feed.is_settled(profile)));
        if others.is_empty() {
            return None;
        }
        let of_feeds = settled.into_iter().filter_map(|(feed, profile)| feed?.keeps_back(stage, profile));
        Some(of_feeds.fold(IpSet::default(), |all, set| all.union(&set)))
    }

    /// What holds of other feeds than `name` kept back that a person has ended without a word on it.
    pub(super) fn withheld(&self, name: &OutputName) -> IpSet {
        let all = self.all();
        let others = all.iter().filter(|(other, _)| *other != name).map(|(_, feed)| feed.withheld());
        others.fold(IpSet::default(), |all, set| if set.is_empty() { all } else { all.union(&set) })
    }

    /// The feeds of a generation; of those that share a device's budget, the first served first.
    pub(super) fn in_turn(&self, snapshot: &Snapshot) -> Vec<Profile> {
        let mut profiles: Vec<Profile> = snapshot.profiles().cloned().collect();
        if profiles.iter().all(|profile| profile.name != self.usual.name) {
            profiles.push(self.usual.clone());
        }
        in_turn(&mut profiles);
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
        for (_, feed) in withdrawn {
            // Whoever takes a feed away has had no word on what its hold kept back.
            self.all().get(&self.usual.name).into_iter().for_each(|heir| heir.inherit(feed, now));
            feed.remove();
        }
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
            return self.consent_to(&self.whole, generation, engine);
        };
        if self.whole.status().hold.is_some() {
            return Err(NoConsent::WholeIsHeld);
        }
        let feed = self.get(name.as_str()).ok_or(NoConsent::NotHeld)?;
        self.consent_to(&feed, generation, engine)
    }

    fn consent_to(&self, feed: &Feed, generation: u64, engine: &Engine) -> Result<(), NoConsent> {
        let brought = feed.consent(generation)?;
        self.refresh(engine);
        // What did not come about now must not come about later, when nobody hears of it.
        feed.take_back();
        let Status { hold, fault, .. } = feed.status();
        match hold {
            None => {}
            Some(hold) if !hold.covers(generation) => return Err(NoConsent::Grown(hold.generation)),
            Some(_) => {
                let older = || "the blacklist is older than what the feed has seen".to_owned();
                return Err(NoConsent::Failed(fault.map_or_else(older, |fault| fault.what)));
            }
        }
        self.whole.allow_in(&brought, engine.now());
        self.all().values().for_each(|other| other.allow_in(&brought, engine.now()));
        Ok(())
    }

    /// A person's word that a hold is to stay; none is the hold over all feeds. Blocks on the disk.
    ///
    /// # Errors
    /// [`NoConsent::NotHeld`].
    pub fn reject(&self, name: Option<&OutputName>, word: Word, engine: &Engine) -> Result<(), NoConsent> {
        {
            // Whoever takes the feeds on has read how they stand, and would write that over the word.
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            match name {
                Some(name) => self.get(name.as_str()).ok_or(NoConsent::NotHeld)?.reject(word)?,
                None => self.whole.reject(word)?,
            }
        }
        self.refresh(engine);
        Ok(())
    }
}

/// What was worked out for a generation: mostly all feeds ask about the same one.
struct Once<T>(RefCell<BTreeMap<u64, Rc<T>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Once<T> {
    fn of(&self, seen: u64, work: impl FnOnce() -> Result<T, EngineError>) -> Result<Rc<T>, String> {
        if let Some(known) = self.0.borrow().get(&seen) {
            return Ok(Rc::clone(known));
        }
        let made = Rc::new(work().map_err(|error| error.to_string())?);
        self.0.borrow_mut().insert(seen, Rc::clone(&made));
        Ok(made)
    }
}

/// Puts feeds into the order in which they are served.
pub(super) fn in_turn(profiles: &mut [Profile]) {
    profiles.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
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
fn alone(feed: &Feed, stage: &Stage<'_>, work: impl FnOnce()) {
    // A feed is changed in single steps, so that a panic between two leaves nothing half done.
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        feed.fail("making it panicked".to_owned(), stage.now);
    }
}

fn file_of(folder: &Path, name: &OutputName) -> PathBuf {
    folder.join(format!("{name}.feed"))
}

fn name_of(path: &Path) -> Option<OutputName> {
    let is_feed = path.extension() == Some(OsStr::new("feed"));
    path.file_stem().and_then(OsStr::to_str).filter(|_| is_feed)?.parse().ok()
}
