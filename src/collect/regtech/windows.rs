//! Which periods of the list to read, in which order. Pure: the day and the memory are given.
//!
//! All periods are windows of one fixed grid, so that a window read again is the same window, and
//! what the memory says of it stays true.

use crate::model::{Day, Rows};
use chrono::Datelike;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A period of days, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The first day.
    pub first: Day,
    /// The last day.
    pub last: Day,
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}

/// Whether the portal gives a period of so many months as one workbook.
///
/// Its page counts months, not days: it refuses when the months differ by more than `months`, or by
/// `months` and the day of the end is not before the day of the start.
pub fn allowed(window: Window, months: u32) -> bool {
    let (first, last) = (window.first.date(), window.last.date());
    let apart = (last.year() - first.year()) * 12 + last.month() as i32 - first.month() as i32;
    let months = i32::try_from(months).unwrap_or(i32::MAX);
    window.first <= window.last && (apart < months || (apart == months && last.day() < first.day()))
}

/// Cuts a period into windows that the portal gives, newest first; nothing for one that ends before
/// it begins.
pub fn cut(period: Window, plan: &Plan) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut last = period.last;
    while period.first <= last {
        let mut window = Window { first: last.plus(1 - plan.days()).max(period.first), last };
        while !allowed(window, plan.period_months) && window.first < last {
            window.first = window.first.plus(1);
        }
        windows.push(window);
        last = window.first.plus(-1);
    }
    windows
}

/// The latest release day of rows, for [`Memory::record`].
pub fn last_day(rows: &Rows, zone: Tz) -> Option<Day> {
    // An expiry is the first moment after the release day.
    rows.iter().filter_map(|(_, detail)| detail.expires).max().map(|end| end.plus(-1).day_in(zone))
}

/// How far back and how often windows are read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Months at which the portal refuses a period.
    pub period_months: u32,
    /// Days of a window.
    pub window_days: u16,
    /// Days that are read in any case, however little they hold: rows there are active still.
    pub backfill_days: u16,
    /// Windows in a row without an unreleased row that end the way back.
    pub quiet_windows: u16,
    /// Days beyond which nobody looks.
    pub reach_days: u16,
    /// Days that every run reads again: rows appear late.
    pub overlap_days: u16,
    /// Days after which a window with active rows is read again: release days are put off.
    pub sweep_days: u16,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            period_months: 3,
            window_days: 7,
            backfill_days: 90,
            quiet_windows: 2,
            reach_days: 1_095,
            overlap_days: 7,
            sweep_days: 7,
        }
    }
}

impl Plan {
    /// Days of a window: one at least, and never more than a month less than the portal's limit
    /// allows from any day of the year.
    fn days(&self) -> i32 {
        let most = i32::try_from(self.period_months.saturating_mul(28)).unwrap_or(i32::MAX);
        i32::from(self.window_days).clamp(1, most.max(1))
    }

    /// The window of the grid that holds `day`; what lies after `today` is not part of it.
    fn window_of(&self, day: Day, today: Day) -> Window {
        let first = day.plus(-day.number().rem_euclid(self.days()));
        Window { first, last: first.plus(self.days() - 1).min(today) }
    }
}

/// What is known of a window that has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The run that read it last.
    pub run: u64,
    /// The day of that.
    pub on: Day,
    /// The latest release day of its rows; none: it held no rows.
    pub active: Option<Day>,
}

/// What has been read, from the first run on. Small: about 50 windows a year.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Days of a window at the time; another number means another grid, and all is read anew.
    days: i32,
    /// The day of the first run.
    started: Option<Day>,
    /// Runs begun.
    runs: u64,
    /// Windows by their first day.
    windows: BTreeMap<Day, Seen>,
}

impl Memory {
    /// Begins a run: the newest windows are due again. A run that goes on where a blocked one
    /// stopped does not begin anew.
    pub fn begin(&mut self, plan: &Plan, today: Day) {
        if self.days != plan.days() {
            *self = Self { days: plan.days(), ..Self::default() };
        }
        self.started.get_or_insert(today);
        self.runs += 1;
    }

    /// The newest window that is due; none: this run has read all it should.
    ///
    /// Due is what overlaps with the days that every run reads, what was never read on the way
    /// back, and what held active rows when it was read the last time, [`Plan::sweep_days`] ago.
    pub fn next(&self, plan: &Plan, today: Day) -> Option<Window> {
        let started = self.started.unwrap_or(today).min(today);
        let limit = today.plus(-i32::from(plan.reach_days.max(plan.backfill_days)));
        let mut quiet = 0;
        let mut window = plan.window_of(today, today);
        while window.last >= limit {
            match self.windows.get(&window.first) {
                None if quiet >= plan.quiet_windows.max(1) => return None,
                None => return Some(window),
                Some(seen) if self.is_due(window, seen, plan, today) => return Some(window),
                Some(seen) => quiet = self.quiet_after(quiet, window, seen, plan, started),
            }
            window = plan.window_of(window.first.plus(-1), today);
        }
        None
    }

    /// Windows in a row, up to this one, that lie before the days of the backfill and held nothing active.
    fn quiet_after(&self, quiet: u16, window: Window, seen: &Seen, plan: &Plan, started: Day) -> u16 {
        let covered = window.last < started.plus(-i32::from(plan.backfill_days));
        let is_quiet = seen.active.is_none_or(|active| active < seen.on);
        if covered && is_quiet { quiet + 1 } else { 0 }
    }

    fn is_due(&self, window: Window, seen: &Seen, plan: &Plan, today: Day) -> bool {
        if seen.on > today {
            // A day in the future is a clock that was wrong: nothing that was judged by it holds.
            return seen.run != self.runs;
        }
        let is_new = window.last >= today.plus(-i32::from(plan.overlap_days));
        // Judged as of the last reading: rows whose day has come since may have been put off.
        let recent = window.last >= seen.on.plus(-i32::from(plan.backfill_days));
        let held = recent || seen.active.is_some_and(|active| active >= seen.on);
        let is_old = today.number() - seen.on.number() >= i32::from(plan.sweep_days.max(1));
        (is_new && seen.run != self.runs) || (held && is_old && seen.run != self.runs)
    }

    /// Remembers a window that was read whole. `active` is the latest release day of its rows.
    pub fn record(&mut self, window: Window, today: Day, active: Option<Day>) {
        self.windows.insert(window.first, Seen { run: self.runs, on: today, active });
    }

    /// What is known of each window, by its first day.
    pub fn windows(&self) -> impl Iterator<Item = (Day, &Seen)> {
        self.windows.iter().map(|(first, seen)| (*first, seen))
    }
}

#[cfg(test)]
mod tests;
