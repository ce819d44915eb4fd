//! What is to be on a firewall, and what is there as far as that is known. Where nothing is listed any more and the feed
//! may not be empty, what an accident may have taken stays. It must not know how a list is sent.

use super::firewall::PushFault;
use super::lines::List;
use super::standing::{Has, Standing};
use super::target::Mode;
use crate::addr::IpSet;
use crate::engine::Engine;
use crate::model::{Format, Profile};
use crate::publish::mark::Listed;
use crate::publish::{Feed, Mark, Released, remains};
use std::sync::Arc;

/// Where a feed stands that is to be pushed.
pub(super) struct Scene {
    pub(super) engine: Engine,
    pub(super) feed: Arc<Feed>,
    pub(super) mark: Mark,
    pub(super) mode: Mode,
}

/// The lists of a push.
pub(super) struct Lists {
    /// The one to be there.
    pub(super) list: List,
    /// The one that is there, where its lines can be told.
    pub(super) old: Option<List>,
    /// What is to stay there although it is released no more: nobody is known to have meant that.
    pub(super) kept: Option<IpSet>,
}

impl Lists {
    /// Makes them on a thread that may block.
    pub(super) async fn of(scene: Scene, listed: &Listed, standing: &Standing) -> Result<Self, PushFault> {
        let profile = &listed.released.profile;
        let is_fetched_whole =
            profile.parts == 1 && matches!(profile.format, Format::Fortigate | Format::Plain);
        if scene.mode == Mode::Refresh && !is_fetched_whole {
            let why = "a firewall fetches no feed in parts or in another format: push changes instead";
            return Err(PushFault::Ours(why.to_owned()));
        }
        let (listed, standing) = (listed.clone(), standing.clone());
        let made = tokio::task::spawn_blocking(move || scene.lists(&listed, &standing)).await;
        made.map_err(|error| PushFault::Ours(error.to_string()))?.map_err(PushFault::Ours)
    }
}

impl Scene {
    fn lists(&self, listed: &Listed, standing: &Standing) -> Result<Lists, String> {
        let Released { release, profile, .. } = &*listed.released;
        let set = release.set.unpack();
        let is_told = self.mode == Mode::Changes;
        let kept = if is_told && !listed.offered { self.kept(profile, &set, standing)? } else { None };
        let wanted = kept.as_ref().map_or_else(|| set.clone(), |kept| set.union(kept));
        let list = lines(profile, &wanted)?;
        let has = standing.has.as_ref().filter(|has| is_told && !has.is(&list));
        let old = has.and_then(|has| has.kept().or_else(|| self.before(&has.mark, &set)));
        let old = old.map(|old| lines(profile, &old)).transpose()?;
        Ok(Lists { list, old, kept })
    }

    /// What of the list that the firewall was last proven to have all of neither people nor time have taken out since.
    /// None where there is nothing of the kind.
    fn kept(&self, profile: &Profile, set: &IpSet, standing: &Standing) -> Result<Option<IpSet>, String> {
        let Some(mark) = &standing.mark else { return Ok(None) };
        let known = || standing.has.as_ref().and_then(Has::kept);
        let Some(had) = self.before(mark, set).or_else(known) else { return Ok(None) };
        let kept = remains(&self.engine, profile, (&had, mark.generation))?.subtract(set);
        Ok(Some(kept).filter(|kept| !kept.is_empty()))
    }

    /// What the feed listed at a mark, if the log leads from there to `set`.
    fn before(&self, mark: &Mark, set: &IpSet) -> Option<IpSet> {
        let since = self.feed.between(mark, &self.mark)?;
        Some(set.subtract(&since.added).union(&since.removed))
    }
}

fn lines(profile: &Profile, set: &IpSet) -> Result<List, String> {
    List::of(profile, set).map_err(|error| error.to_string())
}
