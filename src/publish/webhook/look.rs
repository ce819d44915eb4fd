//! How everything stands, for comparing: a look at what feeds, pulls and pushes keep in memory. No I/O.

use super::event::{Held, Kind, News, Renewed, WHOLE};
use super::news::{Matter, Now};
use crate::addr::IpSet;
use crate::model::{Device, Document};
use crate::publish::refresh::size;
use crate::publish::{Coding, Feed, Hold, Offer, Publisher, Released};
use std::sync::Arc;

/// What is the matter with each source, as far as this process knows; who looks for it does not know collection.
pub type Sources = Arc<dyn Fn() -> Vec<(String, Option<String>)> + Send + Sync>;

/// How everything stands.
pub(super) fn now(publisher: &Publisher, sources: &Sources) -> Now {
    let mut now = Now { at: publisher.engine().now(), ..Now::default() };
    let whole = publisher.feeds().whole().status().hold;
    now.matters.push(matter(Kind::Held, WHOLE, whole.map(held)));
    for (name, feed) in publisher.feeds().all().iter() {
        let status = feed.status();
        now.matters.push(matter(Kind::Held, name.as_str(), status.hold.map(held)));
        now.matters.push(matter(Kind::Failed, name.as_str(), status.fault.map(|fault| what(fault.what))));
        now.releases.extend(listed(feed).map(|released| (name.to_string(), released.release.generation)));
    }
    for device in publisher.engine().snapshot().devices() {
        let name = device.name.as_str();
        now.matters.push(matter(Kind::Silent, name, silence(publisher, device).map(what)));
        now.matters.push(matter(Kind::Behind, name, arrears(publisher, device).map(what)));
    }
    let troubles = sources();
    now.matters.extend(troubles.into_iter().map(|(name, why)| matter(Kind::Troubled, &name, why.map(what))));
    now
}

fn matter(kind: Kind, subject: &str, news: Option<News>) -> Matter {
    Matter { kind, subject: subject.to_owned(), news }
}

fn what(what: String) -> News {
    News { what: Some(what), ..News::default() }
}

fn held(hold: Hold) -> News {
    let hold = Held {
        since: hold.since,
        generation: hold.generation,
        grounds: hold.grounds.iter().map(ToString::to_string).collect(),
        gone: hold.distance.gone,
        new: hold.distance.new,
    };
    News { hold: Some(hold), ..News::default() }
}

/// A device that is pushed to need not ask.
fn silence(publisher: &Publisher, device: &Device) -> Option<String> {
    let last = publisher.pulls().last(&device.name);
    let is_pushed_to = publisher.pushes().target(&device.name).is_some();
    if !publisher.is_silent(device) || (is_pushed_to && last.is_none()) {
        return None;
    }
    Some(last.map_or_else(|| "it has never asked".to_owned(), |last| format!("it asked last at {last}")))
}

fn arrears(publisher: &Publisher, device: &Device) -> Option<String> {
    let (now, patience) = (publisher.engine().now(), i64::from(device.silent_minutes) * 60);
    let report = publisher.pushes().report(publisher.feeds(), device)?;
    let late = report.lists.iter().filter(|list| list.is_late(now, patience)).map(|list| {
        let why = list.trouble.as_ref().map_or("it is not proven yet", |trouble| &trouble.what);
        format!("{}: {why}", list.feed)
    });
    let late: Vec<String> = late.collect();
    (!late.is_empty()).then(|| late.join("; "))
}

/// What a feed lists, offered or not.
fn listed(feed: &Feed) -> Option<Arc<Released>> {
    match &**feed.offer() {
        Offer::List(released) | Offer::Empty(released) => Some(Arc::clone(released)),
        Offer::Nothing => None,
    }
}

/// The release of a feed for who knows that of generation `since`. Computes: 50 ns a line where nobody has asked for the
/// list yet.
pub(super) fn renewed(feed: &Feed, since: u64) -> Option<Renewed> {
    let released = listed(feed)?;
    let changes = feed.changes(since).ok().map(|(_, changes)| changes);
    let addresses = |of: Option<&IpSet>| of.map(IpSet::size);
    let (profile, release) = (&released.profile, &released.release);
    let list = released.list().filter(|_| profile.parts == 1);
    Some(Renewed {
        generation: release.generation,
        since,
        modified: release.modified,
        path: format!("/feeds/{}", profile.name),
        etag: list.map(|list| list.etag(Coding::Identity)),
        offered: feed.released().is_some(),
        addresses: release.addresses,
        lines: lines(&released),
        added: addresses(changes.as_ref().map(|changes| &changes.added)),
        removed: addresses(changes.as_ref().map(|changes| &changes.removed)),
    })
}

fn lines(released: &Released) -> u64 {
    let profile = &released.profile;
    let list = Document::List(profile.format);
    let made = (1..=profile.parts).map(|part| Some(released.get(part, list)?.counts.entries));
    let counted = || size(profile, &released.release.set.unpack()).map_or(0, |size| size.entries);
    made.sum::<Option<u64>>().unwrap_or_else(counted)
}
