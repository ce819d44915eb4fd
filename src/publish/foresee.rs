//! What a feed would come to if it went on now, for people who ask before they decide. It changes nothing, and decides by
//! the same code as the step that does.

use super::budget::Cut;
use super::decide::Outcome;
use super::fault::FollowError;
use super::feeds::{Feeds, distinct, gone, in_turn, loosest};
use super::hold::Hold;
use super::log::Difference;
use super::look::{Looked, look, unmeant};
use super::select::{Scene, Selector};
use super::selections::Selections;
use super::shares::Shares;
use super::size::fitted;
use super::stage::Stage;
use super::state::State;
use crate::addr::{IpRange, IpSet};
use crate::engine::{Engine, Snapshot};
use crate::model::{Profile, SourceId, SourceName};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;

/// So many sources are named as those that make most of a difference.
const MOST: usize = 5;

/// What a feed would come to.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// The generation that was looked at.
    pub generation: u64,
    /// What its readers would get, if nobody had to be asked.
    pub listed: IpSet,
    /// What a budget would cut.
    pub cut: Option<Cut>,
    /// Set when somebody has to be asked.
    pub held: Option<KeptBack>,
}

/// What would be kept back.
#[derive(Clone, Debug)]
pub struct KeptBack {
    /// Why.
    pub hold: Hold,
    /// What would go.
    pub gone: IpSet,
    /// What would come.
    pub new: IpSet,
    /// The sources that make most of what would go, as far as that is known.
    pub gone_by: Vec<Share>,
    /// The sources that make most of what would come.
    pub new_by: Vec<Share>,
}

/// A source, and how many addresses of a difference it makes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Share {
    /// Its name.
    pub source: SourceName,
    /// Addresses; another source may make the same ones.
    pub addresses: u128,
}

impl Feeds {
    /// What a feed of that profile would come to, whether or not there is one of its name; none is the gate over all
    /// feeds together. Costs as taking a feed to a generation; blocks on the disk.
    ///
    /// # Errors
    /// What cannot be read, in words.
    pub fn foresee(&self, engine: &Engine, profile: Option<&Profile>) -> Result<Foreseen, String> {
        on_stage(engine, |stage| {
            let snapshot = stage.scene().snapshot;
            let mut profiles = self.in_turn(snapshot);
            stage.whole_is_held = profile.is_some() && self.whole().status().hold.is_some();
            match profile {
                Some(profile) => {
                    profiles.retain(|other| other.name != profile.name);
                    profiles.push(profile.clone());
                    in_turn(&mut profiles);
                    let of_feeds = self.kept_back(stage, &profiles).unwrap_or_default();
                    stage.kept_back = of_feeds
                        .union(&self.whole().kept_back().unwrap_or_default())
                        .union(&self.withheld(&profile.name));
                    self.share_as_is(stage, snapshot, &profiles, profile);
                    let feed = self.get(profile.name.as_str());
                    let state = feed.map(|feed| feed.inside().state.clone()).unwrap_or_default();
                    foresee(stage, profile, &[Selector::of(profile)], &state)
                }
                None => {
                    stage.is_whole = true;
                    stage.kept_back = self.kept_back(stage, &profiles).unwrap_or_default();
                    let whole = Profile { gate: loosest(&profiles), ..(*self.whole().profile()).clone() };
                    let state = self.whole().inside().state.clone();
                    foresee(stage, &whole, &distinct(&profiles), &state)
                }
            }
        })
    }

    /// Tells the stage what the devices that read a feed can take after the feeds that are served before it.
    fn share_as_is(
        &self,
        stage: &mut Stage<'_>,
        snapshot: &Snapshot,
        in_turn: &[Profile],
        profile: &Profile,
    ) {
        let mut shares = Shares::new(stage.scene(), snapshot.devices());
        let at = in_turn.iter().position(|other| other.name == profile.name).unwrap_or(in_turn.len());
        for before in &in_turn[..at] {
            if let Some(feed) = self.get(before.name.as_str()) {
                shares.take(before, &feed);
            }
        }
        self.share(stage, &shares, profile, in_turn.get(at + 1..).unwrap_or_default());
    }
}

/// Looks at the newest generation without taking a feed there. Blocks on the disk.
///
/// # Errors
/// What cannot be read, in words.
fn on_stage<T>(
    engine: &Engine,
    mut look: impl FnMut(&mut Stage<'_>) -> Result<T, FollowError>,
) -> Result<T, String> {
    let seen = engine.together(|snapshot, view| {
        let (exempt, scene) = (snapshot.exempt(), Scene { snapshot, view });
        let gone = |seen| gone(engine, snapshot, seen).map(Rc::new).map_err(|error| error.to_string());
        let hasty =
            |seen| engine.hasty(seen, snapshot.generation).map(Rc::new).map_err(|error| error.to_string());
        look(&mut Stage {
            gone: &gone,
            hasty: &hasty,
            ..Stage::new(Selections::new(scene, []), &exempt, engine.now())
        })
    });
    seen.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// What of `set`, which a feed of that profile listed at generation `since`, neither people nor time have taken out of it
/// since: its exemption, suppression and end are meant, and all else may be an accident, as the gate has it. Where an
/// empty list is not offered, whoever is told of changes keeps that. Costs as taking the feed to a generation; blocks
/// on the disk.
///
/// # Errors
/// What cannot be read, in words.
pub fn remains(engine: &Engine, profile: &Profile, (set, since): (&IpSet, u64)) -> Result<IpSet, String> {
    on_stage(engine, |stage| unmeant(stage, profile, (set, since)))
}

fn foresee(
    stage: &Stage<'_>,
    profile: &Profile,
    selectors: &[Selector],
    state: &State,
) -> Result<Foreseen, FollowError> {
    let listed = stage.selections.of(selectors)?.subtract(stage.exempt);
    let Looked { decision, base, .. } = look(stage, profile, selectors, state, None)?;
    let (listed, cut) = fitted(stage.scene(), profile, stage.room, &listed)?;
    let held = match decision.outcome {
        Outcome::Follows { .. } => None,
        Outcome::Holds(hold, Difference { removed: gone, added: new }) => {
            let since = base.map_or(state.seen, |base| base.generation);
            let (gone_by, new_by) = (lost(stage, &gone, since)?, listing(stage.scene().snapshot, &new));
            Some(KeptBack { hold, gone, new, gone_by, new_by })
        }
    };
    Ok(Foreseen { generation: stage.scene().snapshot.generation, listed, cut, held })
}

/// Who has listed `set` and does so no more since a generation.
fn lost(stage: &Stage<'_>, set: &IpSet, since: u64) -> Result<Vec<Share>, FollowError> {
    let all = (stage.gone)(since).map_err(FollowError::Gone)?;
    let of_one = all.iter().map(|(id, gone)| (*id, gone.ended.union(&gone.dropped).intersect(set).size()));
    Ok(most(stage.scene().snapshot, of_one.collect()))
}

/// Who lists `set` now.
fn listing(snapshot: &Snapshot, set: &IpSet) -> Vec<Share> {
    let mut all: BTreeMap<SourceId, u128> = BTreeMap::new();
    let mut count = |size: u128, class| {
        for id in &snapshot.standing(class).ids {
            let sum = all.entry(*id).or_default();
            *sum = sum.saturating_add(size);
        }
    };
    for range in set.iter() {
        match range {
            IpRange::V4(range) => {
                snapshot.table.v4.runs_in(range).for_each(|(run, class)| count(run.size(), class));
            }
            IpRange::V6(range) => {
                snapshot.table.v6.runs_in(range).for_each(|(run, class)| count(run.size(), class));
            }
        }
    }
    most(snapshot, all)
}

fn most(snapshot: &Snapshot, all: BTreeMap<SourceId, u128>) -> Vec<Share> {
    let named = all.into_iter().filter(|(_, addresses)| *addresses > 0).filter_map(|(id, addresses)| {
        Some(Share { source: snapshot.sources.get(&id)?.name.clone(), addresses })
    });
    let mut shares: Vec<Share> = named.collect();
    shares.sort_by(|a, b| b.addresses.cmp(&a.addresses).then_with(|| a.source.cmp(&b.source)));
    shares.truncate(MOST);
    shares
}
