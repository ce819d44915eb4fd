//! When a source is fetched: the next occurrence, and what becomes of one that was missed.
//!
//! Pure: the moment comes with the question, and nobody here sleeps or reads a clock. The occurrence
//! that waits is a plain value, so that it can be kept on the disk.

mod retry;
#[cfg(test)]
mod tests;

pub use retry::Retry;

use super::span::Span;
use crate::disk::digest;
use crate::model::Time;
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An occurrence that is due for longer than this was missed: the program, or the machine, slept.
const LATE: i64 = 120;
/// The wall clock is corrected by less than this all the time; by more, it was wrong.
const JUMP: i64 = 3_600;
/// No source wants to be asked more often than this, in seconds.
const SHORTEST: i64 = 60;

/// What is done about occurrences that passed while nobody could see to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// However many were missed, the source is fetched once, at once.
    #[default]
    RunOnce,
    /// They are forgotten; the next one counts.
    Skip,
}

/// When a source is fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    rule: Rule,
    zone: Tz,
    jitter: i64,
    missed: Missed,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Cron(Box<Cron>),
    Every(i64),
}

/// Why a schedule is none.
#[derive(Debug, thiserror::Error)]
pub enum BadSchedule {
    /// Not a cron pattern of five fields.
    #[error("{pattern:?} is no schedule of five fields (minute, hour, day, month, weekday): {why}")]
    Pattern {
        /// What was said.
        pattern: String,
        /// What does not fit.
        why: String,
    },
    /// A day that never comes.
    #[error("{0:?} never comes")]
    Never(String),
    /// Too often.
    #[error("every {0} is too often; a minute is the least")]
    TooOften(Span),
}

/// The occurrence that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Occurrence {
    /// The moment that the rule names.
    pub slot: Time,
    /// The same with its jitter: the run begins here.
    pub due: Time,
    /// When this was worked out: what a clock that goes back is known by.
    pub made: Time,
}

/// What to do about an occurrence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Nothing until it is due; it may differ from the one asked about when the clock was set back.
    Wait(Occurrence),
    /// Fetch the source now; this is the occurrence after.
    Run(Option<Occurrence>),
    /// It passed unseen and is forgotten; this is the one after.
    Forget(Option<Occurrence>),
}

impl Schedule {
    /// A schedule by a cron pattern of five fields, counted in `zone`.
    ///
    /// A time that the change to summer time skips is taken at the moment after the gap; one that the
    /// change back repeats is taken once.
    ///
    /// # Errors
    /// [`BadSchedule::Pattern`] or [`BadSchedule::Never`].
    pub fn cron(pattern: &str, zone: Tz) -> Result<Self, BadSchedule> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|error| BadSchedule::Pattern {
            pattern: pattern.chars().take(80).collect(),
            why: error.to_string(),
        })?;
        let schedule = Self { rule: Rule::Cron(Box::new(cron)), zone, jitter: 0, missed: Missed::default() };
        match schedule.slot_after("", Time::default()) {
            Some(_) => Ok(schedule),
            None => Err(BadSchedule::Never(pattern.to_owned())),
        }
    }

    /// A schedule by an interval. Sources with the same interval are spread over it by their names.
    ///
    /// # Errors
    /// [`BadSchedule::TooOften`] below a minute.
    pub fn every(interval: Span) -> Result<Self, BadSchedule> {
        if interval.as_seconds() < SHORTEST {
            return Err(BadSchedule::TooOften(interval));
        }
        let rule = Rule::Every(interval.as_seconds());
        Ok(Self { rule, zone: Tz::UTC, jitter: 0, missed: Missed::default() })
    }

    /// The same, with runs delayed by up to `jitter`, and never by more than half the way to the next slot.
    #[must_use]
    pub fn jitter(self, jitter: Span) -> Self {
        Self { jitter: jitter.as_seconds(), ..self }
    }

    /// The same, with another rule for what was missed.
    #[must_use]
    pub fn missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }

    /// The first occurrence of `source` whose slot lies after `now`. None only at the calendar's end.
    pub fn next(&self, source: &str, now: Time) -> Option<Occurrence> {
        self.occurrence_after(source, now, now)
    }

    /// What to do at `now` about the occurrence that waits for `source`.
    pub fn decide(&self, source: &str, waiting: Occurrence, now: Time) -> Decision {
        if now < waiting.made.plus(-JUMP) {
            // The clock was ahead when this was worked out: its moment may be years away.
            return self.next(source, now).map_or(Decision::Wait(waiting), Decision::Wait);
        }
        if now < waiting.due {
            return Decision::Wait(waiting);
        }
        let following = self.occurrence_after(source, waiting.slot, now);
        let next = following.filter(|next| next.due > now).or_else(|| self.next(source, now));
        match self.missed {
            Missed::Skip if now > waiting.due.plus(LATE) => Decision::Forget(next),
            _ => Decision::Run(next),
        }
    }

    fn occurrence_after(&self, source: &str, after: Time, made: Time) -> Option<Occurrence> {
        let slot = self.slot_after(source, after)?;
        let room = self.slot_after(source, slot).map_or(0, |next| (next.unix() - slot.unix()) / 2);
        let jitter = self.jitter.min(room.max(0));
        let delay = spread(&[source.as_bytes(), &slot.unix().to_be_bytes()], jitter.saturating_add(1));
        Some(Occurrence { slot, due: slot.plus(delay), made })
    }

    fn slot_after(&self, source: &str, after: Time) -> Option<Time> {
        match &self.rule {
            Rule::Cron(cron) => {
                let local = after.utc().with_timezone(&self.zone);
                let next = cron.find_next_occurrence(&local, false).ok()?;
                Some(next.with_timezone(&chrono::Utc).into())
            }
            Rule::Every(interval) => {
                let offset = spread(&[source.as_bytes()], *interval);
                let passed = (after.unix() - offset).div_euclid(*interval) + 1;
                Some(Time::from_unix(passed.checked_mul(*interval)?.checked_add(offset)?))
            }
        }
    }
}

/// A number below `below` that always is the same for the same parts, on every machine.
fn spread(parts: &[&[u8]], below: i64) -> i64 {
    let [a, b, c, d, e, f, ..] = digest(parts);
    i64::from_be_bytes([0, 0, a, b, c, d, e, f]) % below.max(1)
}
