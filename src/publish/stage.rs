//! What a step to a generation is told, and why it may not come about. Plain data: it must not know what is done with it.

use super::budget::Room;
use super::select::Scene;
use super::selections::Selections;
use super::shares::Rivals;
use crate::addr::IpSet;
use crate::engine::Gone;
use crate::model::{Budget, SourceId, Time};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a refresh is told.
pub(super) struct Stage<'a> {
    /// What is selected of the generation to go to.
    pub(super) selections: Selections<'a>,
    /// What is never published.
    pub(super) exempt: &'a IpSet,
    /// Whether it is all feeds together that are looked at.
    pub(super) is_whole: bool,
    /// Whether all feeds together are held.
    pub(super) whole_is_held: bool,
    /// What other feeds' holds keep back.
    pub(super) kept_back: IpSet,
    /// What the devices that read it can take of it.
    pub(super) room: Room,
    /// The budgets that people have set for that.
    pub(super) budgets: Vec<Budget>,
    /// Those who are served after it, by device.
    pub(super) rivals: Vec<Rivals>,
    /// Whether the stores are whole, so that the generation is the newest there is.
    pub(super) is_newest: bool,
    /// What each source lists no more after a generation.
    pub(super) gone: &'a dyn Fn(u64) -> Result<Rc<BTreeMap<SourceId, Gone>>, String>,
    /// What each source gave an end within a day, from a day before a generation on.
    pub(super) hasty: &'a dyn Fn(u64) -> Result<Rc<BTreeMap<SourceId, IpSet>>, String>,
    /// The wall clock.
    pub(super) now: Time,
}

impl<'a> Stage<'a> {
    /// One on which nothing is held, no budget is set and nothing is gone.
    pub(super) fn new(selections: Selections<'a>, exempt: &'a IpSet, now: Time) -> Self {
        Self {
            selections,
            exempt,
            is_whole: false,
            whole_is_held: false,
            kept_back: IpSet::default(),
            room: Room::default(),
            budgets: Vec::new(),
            rivals: Vec::new(),
            is_newest: true,
            gone: &|_| Ok(Rc::default()),
            hasty: &|_| Ok(Rc::default()),
            now,
        }
    }

    /// The moment by which ages are judged.
    pub(super) fn moment(&self) -> Time {
        self.scene().snapshot.sure
    }

    /// The generation to go to.
    pub(super) fn scene(&self) -> Scene<'a> {
        self.selections.scene()
    }
}
