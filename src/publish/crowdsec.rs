//! Decisions, as CrowdSec's bouncers take them from its local API: JSON objects in pieces, so that a million are never in
//! memory. It knows neither keys nor HTTP.

mod bygone;
mod term;

pub use bygone::Bygone;
pub use term::Terms;

use super::formats::one_line;
use super::recent::Recent;
use super::roll::{Line, Place, Roll};
use crate::addr::IpRange;
use crate::disk::digest;
use crate::model::{SourceName, Time};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// The origin of all decisions here.
const ORIGIN: &str = "ironlist";
/// The type of all decisions here.
const BAN: &str = "ban";
/// Bytes after which a piece is long enough.
const PIECE: usize = 64 << 10;
/// The most lines that are looked at for a piece.
const STEPS: usize = 4096;

#[derive(Serialize)]
struct Decision<'a> {
    id: u64,
    origin: &'static str,
    r#type: &'static str,
    scope: &'static str,
    value: &'a str,
    duration: String,
    scenario: Cow<'a, str>,
}

/// Which decisions a bouncer wants: any, unless it says so. A list that it names is one of texts.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `ip`, `range` or others, in any case.
    pub scopes: Option<Vec<String>>,
    /// Of these origins.
    pub origins: Option<Vec<String>>,
    /// Of this type.
    pub kind: Option<String>,
    /// The scenario has one of these in it.
    pub containing: Option<Vec<String>>,
    /// The scenario has none of these in it.
    pub not_containing: Option<Vec<String>>,
    /// Only what lies inside.
    pub inside: Option<IpRange>,
}

impl Wanted {
    /// Whether it wants any of the kind that there is here.
    pub fn any(&self) -> bool {
        let ours = |origin: &String| origin.eq_ignore_ascii_case(ORIGIN);
        self.origins.as_ref().is_none_or(|origins| origins.iter().any(ours))
            && self.kind.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case(BAN))
    }

    fn takes(&self, line: &Line<'_>) -> bool {
        let has = |text: &String| scenario(line).contains(text.as_str());
        self.takes_scope(line.range)
            && self.inside.is_none_or(|range| range.covers(line.range))
            && self.containing.as_ref().is_none_or(|texts| texts.iter().any(has))
            && !self.not_containing.as_ref().is_some_and(|texts| texts.iter().any(has))
    }

    fn takes_scope(&self, range: IpRange) -> bool {
        let is_meant = |wanted: &String| wanted.eq_ignore_ascii_case(scope(range));
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(is_meant))
    }
}

fn scope(range: IpRange) -> &'static str {
    if range.size() == 1 { "Ip" } else { "Range" }
}

/// Why, in a source's words; else who says so.
fn scenario<'a>(line: &Line<'a>) -> Cow<'a, str> {
    let Some(facts) = line.facts else { return ORIGIN.into() };
    match facts.reason.as_deref().or(facts.threat.as_deref()) {
        Some(text) => one_line(text),
        None => facts.sources.iter().map(SourceName::as_str).collect::<Vec<_>>().join("+").into(),
    }
}

/// Writes one decision that holds for so many seconds.
fn put(out: &mut Vec<u8>, line: &Line<'_>, seconds: i64) {
    let value = line.range.to_string();
    let decision = Decision {
        id: id(&value),
        origin: ORIGIN,
        r#type: BAN,
        scope: scope(line.range),
        value: &value,
        duration: format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60),
        scenario: scenario(line),
    };
    // Texts and numbers, into memory: nothing of it can fail.
    let _ = serde_json::to_writer(out, &decision);
}

/// A number that is the same everywhere and for ever; 53 bits, which every reader of JSON keeps.
fn id(value: &str) -> u64 {
    let digest = digest(&[value.as_bytes()]);
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)) >> 11
}

/// The decisions about what holds an address or a whole range, as an array; `null` is CrowdSec's word for none. They
/// hold until their entry's end, where that is known: whoever asks one by one asks again.
pub fn about(roll: &Roll, asked: IpRange, wanted: &Wanted, terms: Terms) -> Vec<u8> {
    let line = roll.holding(asked.first()).filter(|line| line.range.covers(asked) && wanted.takes(line));
    let Some(line) = line.filter(|_| wanted.any()) else { return b"null".to_vec() };
    // An end that has passed was told anew meanwhile: it is listed still.
    let until = line.facts.and_then(|facts| facts.until).filter(|until| *until > terms.now);
    let ends_in = |until: Time| (until.unix() - terms.now.unix()).min(terms.hold);
    let seconds = until.map_or_else(|| terms.left(line.range), ends_in);
    let mut out = vec![b'['];
    put(&mut out, &line, seconds);
    out.push(b']');
    out
}

/// The answer to a bouncer, piece by piece.
pub struct Stream {
    roll: Arc<Roll>,
    terms: Terms,
    wanted: Wanted,
    /// What changed; none: everything is new.
    recent: Option<Arc<Recent>>,
    place: Place,
    /// Lines of what is gone that were told.
    told: usize,
    part: Part,
    /// Whether the array that is being written has an element.
    begun: bool,
    is_array: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    New,
    Between,
    Gone,
    End,
}

impl Stream {
    /// Everything, to a bouncer that begins.
    pub fn everything(roll: Arc<Roll>, terms: Terms, wanted: Wanted) -> Self {
        Self::new(roll, terms, None, wanted)
    }

    /// What changed, to one that goes on.
    pub fn changes(roll: Arc<Roll>, terms: Terms, recent: Arc<Recent>, wanted: Wanted) -> Self {
        Self::new(roll, terms, Some(recent), wanted)
    }

    fn new(roll: Arc<Roll>, terms: Terms, recent: Option<Arc<Recent>>, wanted: Wanted) -> Self {
        let recent = if wanted.any() { recent } else { Some(Arc::default()) };
        let (place, part) = (Place::default(), Part::Head);
        Self { roll, terms, wanted, recent, place, told: 0, part, begun: false, is_array: false }
    }

    /// Everything, as a plain array.
    pub fn array(roll: Arc<Roll>, terms: Terms, wanted: Wanted) -> Self {
        Self { is_array: true, ..Self::everything(roll, terms, wanted) }
    }

    /// Writes the next element, or what stands between two arrays, and says whether there was anything.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        match self.part {
            Part::Head => {
                out.extend_from_slice(if self.is_array { b"[" } else { b"{\"new\":[" });
                self.part = Part::New;
            }
            Part::New => self.next_new(out),
            Part::Between => {
                out.extend_from_slice(if self.is_array { b"]" } else { b"],\"deleted\":[" });
                self.begun = false;
                self.part = if self.is_array { Part::End } else { Part::Gone };
            }
            Part::Gone => self.next_gone(out),
            Part::End => return false,
        }
        true
    }

    fn next_new(&mut self, out: &mut Vec<u8>) {
        let Self { roll, recent, place, wanted, terms, .. } = self;
        let new = recent.as_ref().map_or(roll.set(), |recent| &recent.new);
        let Some(line) = roll.next(new, place) else {
            self.part = Part::Between;
            return;
        };
        if wanted.takes(&line) {
            comma(&mut self.begun, out);
            put(out, &line, terms.left(line.range));
        }
    }

    /// Nobody knows any more why a line was there, so only its scope can be asked for.
    fn next_gone(&mut self, out: &mut Vec<u8>) {
        let gone = self.recent.as_ref().map_or(&[][..], |recent| &recent.gone);
        let Some(range) = gone.get(self.told).copied() else {
            out.extend_from_slice(b"]}");
            self.part = Part::End;
            return;
        };
        self.told += 1;
        if self.wanted.takes_scope(range) {
            comma(&mut self.begun, out);
            put(out, &Line { range, facts: None }, 0);
        }
    }
}

fn comma(begun: &mut bool, out: &mut Vec<u8>) {
    if std::mem::replace(begun, true) {
        out.push(b',');
    }
}

impl Iterator for Stream {
    type Item = Vec<u8>;

    /// The next piece; about a millisecond's work.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut piece = Vec::with_capacity(PIECE + 1024);
        for _ in 0..STEPS {
            if piece.len() >= PIECE || !self.step(&mut piece) {
                break;
            }
        }
        if piece.is_empty() && self.part != Part::End {
            // Nobody wants any of so many lines; white space means nothing in JSON, and the work goes on after it.
            piece.push(b'\n');
        }
        (!piece.is_empty()).then_some(piece)
    }
}

#[cfg(test)]
mod tests;
