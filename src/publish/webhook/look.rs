//! How everything stands, for comparing: a look at what feeds, pulls and pushes keep in memory. No I/O.

use super::event::{Held, Kind, News, Renewed};
use super::news::{Matter, Now};
use crate::model::{Device, Document};
use crate::publish::mark::Listed;
use crate::publish::size::Measure;
use crate::publish::{ALL_FEEDS, Coding, Feed, Hold, Mark, Publisher, Released};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is the matter with each source, as far as this process knows; who looks for it does not know collection.
pub type Sources = Arc<dyn Fn() -> Vec<(String, Option<String>)> + Send + Sync>;

/// How everything stands.
pub(super) fn now(publisher: &Publisher, sources: &Sources) -> Now<Listed> {
    let mut now = Now { at: publisher.engine().now(), releases: BTreeMap::new(), matters: Vec::new() };
    let whole = publisher.feeds().whole().status().hold;
    now.matters.push(matter(Kind::Held, ALL_FEEDS, whole.map(held)));
    for (name, feed) in publisher.feeds().all().iter() {
        let status = feed.status();
        now.matters.push(matter(Kind::Held, name.as_str(), status.hold.map(held)));
        now.matters.push(matter(Kind::Failed, name.as_str(), status.fault.map(|fault| what(fault.what))));
        now.releases.insert(name.to_string(), feed.mark());
    }
    for device in publisher.engine().snapshot().devices() {
        let name = device.name.as_str();
        now.matters.push(matter(Kind::Silent, name, silence(publisher, device).map(what)));
        now.matters.push(matter(Kind::Behind, name, arrears(publisher, device).map(what)));
    }
    let left = remains(publisher).into_iter();
    now.matters.extend(left.map(|(device, what)| matter(Kind::LeftBehind, &device, what.map(self::what))));
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

/// What is left on the firewalls of devices, also of those that are no more.
fn remains(publisher: &Publisher) -> BTreeMap<String, Option<String>> {
    let snapshot = Arc::clone(&publisher.engine().snapshot());
    let mut all: BTreeMap<String, Option<String>> =
        snapshot.devices().map(|device| (device.name.to_string(), None)).collect();
    for remnant in publisher.remnants() {
        let told = all.entry(remnant.device.to_string()).or_default();
        let more = told.take().map(|told| format!("{told}; ")).unwrap_or_default();
        *told = Some(format!("{more}{}", remnant.what()));
    }
    all
}

/// A release of a feed for who knows an earlier one. Computes: 50 ns a line where nobody has asked for the list yet.
pub(super) fn renewed(feed: &Feed, (mark, listed): &(Mark, Listed), from: Option<Mark>) -> Renewed {
    let Listed { released, offered } = listed;
    let (profile, release) = (&released.profile, &released.release);
    let changed = match from {
        None => Some((release.addresses, 0)),
        Some(from) => feed.between(&from, mark).map(|changes| (changes.added.size(), changes.removed.size())),
    };
    let list = released.list().filter(|_| profile.parts == 1);
    Renewed {
        generation: release.generation,
        since: from.map_or(0, |from| from.generation),
        modified: release.modified,
        path: format!("/feeds/{}", profile.name),
        etag: list.map(|list| list.etag(Coding::Identity)),
        offered: *offered,
        addresses: release.addresses,
        lines: lines(released),
        added: changed.map(|(added, _)| added),
        removed: changed.map(|(_, removed)| removed),
    }
}

fn lines(released: &Released) -> Option<u64> {
    let profile = &released.profile;
    let list = Document::List(profile.format);
    let made = (1..=profile.parts).map(|part| Some(released.get(part, list)?.counts.entries));
    let counted = || {
        let set = released.release.set.unpack();
        Measure::blind(profile).size(&set).ok().map(|size| size.entries)
    };
    made.sum::<Option<u64>>().or_else(counted)
}
