//! The rolls of the feeds that somebody reads as lines: each is made when it is first asked for, and kept until its feed
//! has another release. A million entries take 20 MB and a second.

use super::annotate::annotate;
use super::release::Released;
use super::roll::{Roll, TooLong};
use super::select::Scene;
use super::selection::Annotated;
use crate::engine::Engine;
use crate::model::OutputName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Makes rolls, and keeps the newest of each feed.
pub struct Rolls {
    engine: Engine,
    kept: Mutex<BTreeMap<OutputName, Arc<Roll>>>,
}

impl Rolls {
    /// Nothing is made yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, kept: Mutex::default() }
    }

    /// The roll of a release. Blocks on the disk, and while another one is made: each takes memory for a whole list.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn of(&self, released: &Arc<Released>) -> Result<Arc<Roll>, TooLong> {
        // What is kept is replaced in one step, so that a panic elsewhere leaves nothing half done.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &released.profile.name;
        if let Some(roll) = kept.get(name).filter(|roll| Arc::ptr_eq(roll.released(), released)) {
            return Ok(Arc::clone(roll));
        }
        kept.remove(name);
        let roll = Arc::new(Roll::new(Arc::clone(released), self.notes(released))?);
        kept.insert(name.clone(), Arc::clone(&roll));
        Ok(roll)
    }

    /// What is listed goes out also when what is known of it cannot be read.
    fn notes(&self, released: &Released) -> Annotated {
        let set = released.release.set.unpack();
        let told = self.engine.together(|snapshot, view| {
            annotate(Scene { snapshot, view }, &released.profile.filter, &set)
                .map_err(|error| error.to_string())
        });
        told.map_err(|error| error.to_string()).and_then(|told| told).unwrap_or_else(|error| {
            tracing::warn!(feed = %released.profile.name, error, "a list goes out without what is known of it");
            Annotated::default()
        })
    }
}
