//! The list is the same, and what is told of it is not: a source says something else of an entry, or a later end. Where a
//! form tells that and somebody reads it, it is told anew under a later time, so that whoever compares times sees it too.

use super::annotate::annotate;
use super::fault::FollowError;
use super::feed::{Feed, Offer};
use super::release::{Release, Released};
use super::select::Scene;
use super::split::{of_part, split};
use super::stage::Stage;
use std::sync::Arc;

impl Feed {
    /// Tells anew what is known in the stage's generation of what is listed, unless that was told already. About a second
    /// for a million listings, and nothing where no form that tells it was read. Blocks on the disk.
    pub(super) fn retell(&self, stage: &Stage<'_>) {
        let told = self.tell_anew(stage.scene()).map_err(|error| error.to_string());
        if let Err(what) = told.and_then(|()| self.keep().map_err(|error| error.to_string())) {
            self.fail(what, stage.now);
        }
    }

    fn tell_anew(&self, scene: Scene<'_>) -> Result<(), FollowError> {
        let Some(before) = self.released() else { return Ok(()) };
        let profile = &before.profile;
        let is_older = scene.snapshot.generation < self.seen();
        if is_older || !profile.format.needs_facts() || before.made().next().is_none() {
            return Ok(());
        }
        let set = before.release.set.unpack();
        let facts = annotate(scene, &profile.filter, &set)?;
        if before.tells(&facts) {
            return Ok(());
        }
        let release = Release { modified: self.next_modified(scene.snapshot.time), ..before.release.clone() };
        let released = Arc::new(Released::new(release.clone(), Arc::clone(profile)));
        let sets = split(&set, profile.parts);
        // What nobody has asked for since it was told is made when somebody does.
        for (part, document) in before.asked() {
            let Some(set) = of_part(part, &set, &sets) else { continue };
            released.make(part, document, set, Some(&facts))?;
        }
        self.lay_out(Offer::List(released));
        let mut inside = self.inside();
        inside.modified = Some(release.modified);
        inside.state.release = Some(release);
        inside.kept = false;
        Ok(())
    }
}
