//! What is new for a hook: how everything stands, compared with what it was told last. Pure.

use super::event::{Event, Kind, News, Renewed};
use crate::model::Time;
use crate::publish::Mark;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a hook has been told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// The release of each feed.
    releases: BTreeMap<String, Mark>,
    /// Whether it lasts, by matter and subject.
    lasting: BTreeMap<String, bool>,
}

/// How everything stands; `R` is what more there is of a release.
#[derive(Debug, Default)]
pub(super) struct Now<R> {
    /// The wall clock.
    pub(super) at: Time,
    /// The release of each feed; none: it cannot be told just now.
    pub(super) releases: BTreeMap<String, Option<(Mark, R)>>,
    /// What may last.
    pub(super) matters: Vec<Matter>,
}

/// What may last, such as the hold of a feed.
#[derive(Debug)]
pub(super) struct Matter {
    /// The kind of event with which it begins.
    pub(super) kind: Kind,
    /// Of which feed, device or source.
    pub(super) subject: String,
    /// More about it, while it lasts.
    pub(super) news: Option<News>,
}

impl Matter {
    fn key(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.subject)
    }

    /// Whether it lasted, for whom has never heard of the subject. A device is silent until it asks the first time,
    /// and that is no news.
    fn lasted(&self) -> bool {
        self.kind == Kind::Silent && self.news.is_some()
    }

    fn event(&self, at: Time) -> Event {
        let kind = if self.news.is_some() { self.kind } else { self.kind.over() };
        let news = self.news.clone().unwrap_or_default();
        Event { kind, subject: self.subject.clone(), at, news, from: None }
    }
}

impl<R> Now<R> {
    /// What whoever is told of nothing but what comes from now on has been told.
    pub(super) fn known(&self) -> Known {
        let lasting = self.matters.iter().map(|matter| (matter.key(), matter.news.is_some()));
        let releases = self.releases.iter().filter_map(|(feed, now)| Some((feed.clone(), now.as_ref()?.0)));
        Known { releases: releases.collect(), lasting: lasting.collect() }
    }

    /// What is new to who knows `known`, holds before releases: what a feed lists may follow from a hold. `renewed`
    /// tells the release of a feed for who knows an earlier one; none: it is not wanted.
    pub(super) fn news(
        &self,
        known: &Known,
        mut renewed: impl FnMut(&str, &(Mark, R), Option<Mark>) -> Option<(Renewed, Option<Mark>)>,
    ) -> (Known, Vec<Event>) {
        let (mut next, mut events) = (self.known(), Vec::new());
        for matter in &self.matters {
            let lasted = known.lasting.get(&matter.key()).copied().unwrap_or(matter.lasted());
            if lasted != matter.news.is_some() {
                events.push(matter.event(self.at));
            }
        }
        // A device that is no more is told of until nothing is left of it.
        let is_over = |key: &&String| key.starts_with(Kind::LeftBehind.as_str()) && known.lasting[*key];
        for key in known.lasting.keys().filter(is_over).filter(|key| !next.lasting.contains_key(*key)) {
            let subject = key.split_once(' ').map_or("", |(_, subject)| subject).to_owned();
            let over = Matter { kind: Kind::LeftBehind, subject, news: None };
            events.push(over.event(self.at));
        }
        for (feed, now) in &self.releases {
            let before = known.releases.get(feed).copied();
            let Some(now) = now else {
                next.releases.extend(before.map(|before| (feed.clone(), before)));
                continue;
            };
            if !before.is_some_and(|before| before.is_of(&now.0))
                && let Some((release, from)) = renewed(feed, now, before)
            {
                let news = News { release: Some(release), ..News::default() };
                events.push(Event { kind: Kind::Released, subject: feed.clone(), at: self.at, news, from });
            }
        }
        // What is not told of just now is not over: sources are known a little after a start.
        let untold = known.lasting.iter().filter(|(key, _)| key.starts_with(Kind::Troubled.as_str()));
        for (key, lasts) in untold {
            next.lasting.entry(key.clone()).or_insert(*lasts);
        }
        (next, events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(releases: &[(&str, Option<u64>)], matters: &[(Kind, &str, bool)]) -> Now<()> {
        let matter = |(kind, subject, lasts): &(Kind, &str, bool)| Matter {
            kind: *kind,
            subject: (*subject).to_owned(),
            news: lasts.then(News::default),
        };
        let release = |(feed, generation): &(&str, Option<u64>)| {
            ((*feed).to_owned(), generation.map(|generation| (Mark::of(generation), ())))
        };
        Now {
            at: Time::default(),
            releases: releases.iter().map(release).collect(),
            matters: matters.iter().map(matter).collect(),
        }
    }

    fn told(known: &mut Known, now: &Now<()>) -> Vec<(Kind, String, u64)> {
        let renewed = |_: &str, (mark, ()): &(Mark, ()), from: Option<Mark>| {
            let release = Renewed {
                generation: mark.generation,
                since: from.map_or(0, |from| from.generation),
                modified: Time::default(),
                path: String::new(),
                etag: None,
                offered: true,
                addresses: 0,
                lines: Some(0),
                added: None,
                removed: None,
            };
            Some((release, from))
        };
        let (next, events) = now.news(known, renewed);
        *known = next;
        let since = |event: &Event| event.news.release.as_ref().map_or(0, |release| release.since);
        events.iter().map(|event| (event.kind, event.subject.clone(), since(event))).collect()
    }

    #[test]
    fn what_is_so_when_a_hook_is_added_is_no_news_and_what_changes_is_told_once() {
        let before = now(&[("a", Some(3))], &[(Kind::Held, "a", true), (Kind::Silent, "hq", true)]);
        let mut known = before.known();
        assert_eq!(told(&mut known, &before), []);
        let after = now(&[("a", Some(7))], &[(Kind::Held, "a", false), (Kind::Silent, "hq", false)]);
        let news =
            [(Kind::Unheld, "a".into(), 0), (Kind::Heard, "hq".into(), 0), (Kind::Released, "a".into(), 3)];
        assert_eq!(told(&mut known, &after), news, "holds come first");
        assert_eq!(told(&mut known, &after), []);
        assert_eq!(told(&mut known, &before).len(), 3, "the way back is news, too");
    }

    #[test]
    fn a_new_feed_is_told_from_its_first_release_and_a_new_device_from_its_first_word() {
        let mut known = Known::default();
        let first = now(&[("a", Some(3))], &[(Kind::Held, "a", true), (Kind::Silent, "hq", true)]);
        assert_eq!(told(&mut known, &first), [(Kind::Held, "a".into(), 0), (Kind::Released, "a".into(), 0)]);
        let heard = now(&[("a", Some(3))], &[(Kind::Held, "a", true), (Kind::Silent, "hq", false)]);
        assert_eq!(told(&mut known, &heard), [(Kind::Heard, "hq".into(), 0)]);
    }

    #[test]
    fn what_is_left_of_a_device_that_is_no_more_is_told_until_it_is_cleared() {
        let mut known = Known::default();
        let there = now(&[], &[(Kind::LeftBehind, "hq", true)]);
        assert_eq!(told(&mut known, &there), [(Kind::LeftBehind, "hq".into(), 0)]);
        assert_eq!(told(&mut known, &there), []);
        assert_eq!(told(&mut known, &now(&[], &[])), [(Kind::Cleared, "hq".into(), 0)]);
        assert_eq!(told(&mut known, &now(&[], &[])), []);
    }

    #[test]
    fn what_is_not_known_yet_after_a_start_is_not_over() {
        let mut known = Known::default();
        let held = now(&[], &[(Kind::Troubled, "regtech", true), (Kind::Held, "a", true)]);
        assert_eq!(told(&mut known, &held).len(), 2);
        assert_eq!(told(&mut known, &now(&[], &[])), []);
        let again = told(&mut known, &held);
        assert_eq!(again, [(Kind::Held, "a".into(), 0)], "a feed that was withdrawn is another one");
    }

    #[test]
    fn a_release_that_cannot_be_told_just_now_is_told_later() {
        let mut known = now(&[("a", Some(3))], &[]).known();
        assert_eq!(told(&mut known, &now(&[("a", None)], &[])), []);
        assert_eq!(told(&mut known, &now(&[("a", Some(4))], &[])), [(Kind::Released, "a".into(), 3)]);
    }
}
