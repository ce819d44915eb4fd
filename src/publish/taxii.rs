//! A feed as a collection of indicators, in the order in which they came and went (TAXII 2.1). Pure. It knows no HTTP.

use super::formats::ids::id;
use super::formats::stix::{Statement, Version, author, indicator_id, moment, object};
use super::log::Step;
use super::recent::{Turn, steady, turns};
use super::roll::{Line, Place, Roll};
use crate::addr::{IpRange, IpSet};
use crate::model::Time;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Steps that are looked at, times the bytes of what they changed: about a second's work.
const MOST_WORK: usize = 1 << 25;

/// The id of a feed's collection: the same on every machine.
pub fn collection_id(feed: &str) -> String {
    id("collection", feed).to_string()
}

/// So many of the newest steps, each of which costs what all of them changed, stay within that work; at least one.
fn newest(most_work: usize, steps: &[Step]) -> usize {
    let mut bytes = 0;
    let is_within = |(count, step): &(usize, &Step)| {
        bytes += step.removed.bytes().len() + step.added.bytes().len();
        *count == 1 || bytes * count <= most_work
    };
    (1..).zip(steps.iter().rev()).take_while(is_within).count()
}

/// Everything that a collection holds, by the time at which it was added: what is listed, and what no longer is.
pub struct Collection {
    roll: Arc<Roll>,
    /// What was there before everything that is remembered counts as one turn.
    turns: Vec<Turn>,
}

/// A place in a collection: behind this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Behind {
    time: Time,
    is_new: bool,
    line: IpRange,
}

/// Which objects are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that were added later.
    pub after: Option<Time>,
    /// Those of one of these ids.
    pub ids: Option<Vec<String>>,
}

/// One object of a collection.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Item<'a> {
    line: Line<'a>,
    added: Time,
    is_new: bool,
}

/// What a manifest says of an object.
#[derive(Serialize)]
pub struct Record {
    id: String,
    date_added: String,
    version: String,
    media_type: &'static str,
}

impl Collection {
    /// The collection of a roll, as far back as `steps` tell without too much work. Who last came before that is given
    /// everything anew.
    pub fn new(roll: Arc<Roll>, steps: &[Step]) -> Self {
        Self::within(MOST_WORK, roll, steps)
    }

    fn within(most_work: usize, roll: Arc<Roll>, steps: &[Step]) -> Self {
        let (forgotten, known) = steps.split_at(steps.len() - newest(most_work, steps));
        let first = known.first().map(|step| step.time.plus(-1));
        let time = forgotten.last().map(|step| step.time).or(first);
        let time = time.unwrap_or(roll.released().release.modified);
        let later = turns(&roll, known);
        let base = Turn { time, gone: Vec::new(), new: steady(&roll, &later) };
        Self { roll, turns: [vec![base], later].concat() }
    }

    /// Of which roll it is.
    pub fn roll(&self) -> &Arc<Roll> {
        &self.roll
    }

    /// At most `limit` objects behind a place, and whether there are more.
    pub fn page(&self, filter: &Filter, behind: Option<Behind>, limit: usize) -> (Vec<Item<'_>>, bool) {
        let feed = self.feed();
        let is_wanted = |item: &Item<'_>| {
            filter
                .ids
                .as_ref()
                .is_none_or(|ids| ids.contains(&indicator_id(feed, &item.line.range.to_string())))
        };
        let mut items: Vec<Item<'_>> =
            self.items(filter.after, behind).filter(is_wanted).take(limit.saturating_add(1)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        (items, more)
    }

    fn items(&self, after: Option<Time>, behind: Option<Behind>) -> impl Iterator<Item = Item<'_>> {
        let is_ahead = move |turn: &&Turn| {
            after.is_none_or(|after| turn.time > after)
                && behind.is_none_or(|behind| turn.time >= behind.time)
        };
        self.turns.iter().filter(is_ahead).flat_map(move |turn| {
            let behind = behind.filter(|behind| behind.time == turn.time);
            let gone =
                turn.gone.iter().filter(move |line| behind.is_none_or(|b| !b.is_new && **line > b.line));
            let gone = gone.map(|range| Item {
                line: Line { range: *range, facts: None },
                added: turn.time,
                is_new: false,
            });
            let place = behind
                .filter(|behind| behind.is_new)
                .map_or_else(Place::default, |behind| self.roll.behind(&turn.new, behind.line));
            gone.chain(self.lines(&turn.new, place, turn.time))
        })
    }

    fn lines<'a>(&'a self, set: &'a IpSet, mut place: Place, added: Time) -> impl Iterator<Item = Item<'a>> {
        std::iter::from_fn(move || {
            let line = self.roll.next(set, &mut place)?;
            Some(Item { line, added, is_new: true })
        })
    }

    fn feed(&self) -> &str {
        self.roll.released().profile.name.as_str()
    }

    /// An object as STIX 2.1.
    pub fn object(&self, item: &Item<'_>) -> Vec<u8> {
        // An end that moves is no new object, and what is over is told: so no end is told here.
        let (feed, time) = (self.feed(), item.added);
        let statement = Statement { feed, time, revoked: !item.is_new, tells_end: false };
        object(Version::V21, statement, (item.line.range, item.line.facts))
    }

    /// What a manifest says of it.
    pub fn record(&self, item: &Item<'_>) -> Record {
        let since = item.line.facts.and_then(|facts| facts.since).unwrap_or(item.added);
        Record {
            id: indicator_id(self.feed(), &item.line.range.to_string()),
            date_added: moment(item.added),
            version: moment(since.max(item.added)),
            media_type: "application/stix+json;version=2.1",
        }
    }
}

impl Item<'_> {
    /// When it was added, as the headers of an answer say it.
    pub fn added(&self) -> String {
        moment(self.added)
    }

    /// The place behind it.
    pub fn behind(&self) -> Behind {
        Behind { time: self.added, is_new: self.is_new, line: self.line.range }
    }
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_new { 'n' } else { 'g' };
        write!(f, "{}~{kind}~{}", self.time.unix(), self.line)
    }
}

/// What was given is no place in a collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is no place that an earlier answer named")]
pub struct NoPlace;

impl FromStr for Behind {
    type Err = NoPlace;
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.splitn(3, '~');
        let mut next = || parts.next().ok_or(NoPlace);
        let (time, kind, line) = (next()?, next()?, next()?);
        let time = time.parse::<i64>().ok().and_then(|seconds| seconds.try_into().ok()).ok_or(NoPlace)?;
        let is_new = match kind {
            "n" => true,
            "g" => false,
            _ => return Err(NoPlace),
        };
        Ok(Self { time, is_new, line: line.parse().map_err(|_| NoPlace)? })
    }
}

/// All that a roll lists, as the pieces of a STIX 2.0 bundle, each 64 KiB or so: readers of that version know no pages.
pub fn bundle(roll: Arc<Roll>) -> impl Iterator<Item = Vec<u8>> {
    let release = roll.released().release.clone();
    let bundle = id("bundle", &format!("{} {}", roll.released().profile.name, release.generation));
    let head =
        format!("{{\"type\":\"bundle\",\"id\":\"bundle--{bundle}\",\"spec_version\":\"2.0\",\"objects\":[\n");
    let head = [head.into_bytes(), author(Version::V20)].concat();
    let (mut place, mut is_over) = (Place::default(), false);
    let rest = std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(PIECE + 2048);
        while !is_over && piece.len() < PIECE {
            let Some(line) = roll.next(roll.set(), &mut place) else {
                piece.extend_from_slice(b"\n]}\n");
                is_over = true;
                break;
            };
            let feed = roll.released().profile.name.as_str();
            let statement = Statement { feed, time: release.modified, revoked: false, tells_end: false };
            piece.extend_from_slice(b",\n");
            piece.extend_from_slice(&object(Version::V20, statement, (line.range, line.facts)));
        }
        (!piece.is_empty()).then_some(piece)
    });
    std::iter::once(head).chain(rest)
}

/// Bytes after which a piece of a bundle is long enough.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests;
