//! Counts for analytics: what came and went by day and hour, and what stands now.
//!
//! A listing counts by the moment we learned of it, on its day in the display zone.

use super::scan::STANDING;
use super::{Tables, View, damaged, source_key};
use crate::codec::{Reader, Writer};
use crate::model::{Detail, Difference, Rows, SourceId, SourceRanges, Time};
use redb::{ReadableTable, ReadableTableMetadata as _, Table, TableDefinition, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};

/// (unit, day or hour number, dimension, key) to (came, went).
const ACTIVITY: TableDefinition<(u8, i64, u8, &str), (u64, u64)> = TableDefinition::new("activity");
/// So much of a kind of threat is its name; sources may write anything there.
const KIND_CHARS: usize = 64;
/// So many kinds of threat have counts of their own at a time.
const KINDS: u64 = 256;
/// What the rest is counted as.
const OTHER: &str = "other";
/// Days are kept for three years.
const DAYS: i64 = 3 * 366;
/// Hours are kept for a good year.
const HOURS: i64 = 400 * 24;

/// A record forgets so many counts more than it makes.
const SPARE: usize = 16;

/// By what listings are counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dimension {
    /// All together, under the key "".
    All,
    /// By the source's number.
    Source,
    /// By country; "" for none.
    Country,
    /// By kind of threat; "" for none, "other" for all beyond the first 256.
    Threat,
    /// By the source's number, those without an expiry of their own alone. Only what stands is
    /// counted so, not what comes and goes.
    Lasting,
}

/// How fine time is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Calendar days of the display zone, numbered from 1970-01-01.
    Day,
    /// Hours since 1970-01-01T00:00Z.
    Hour,
}

/// How many listings came and went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// New listings.
    pub came: u64,
    /// Ended listings.
    pub went: u64,
}

/// One counted cell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activity {
    /// The day or hour.
    pub at: i64,
    /// The key within the dimension.
    pub key: String,
    /// The counts.
    pub tally: Tally,
}

pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(ACTIVITY)?;
    transaction.open_table(STANDING)?;
    Ok(())
}

pub(super) fn clear(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(ACTIVITY)?.retain(|_, _| false)?;
    transaction.open_table(STANDING)?.retain(|_, _| false)?;
    Ok(())
}

/// In an order of their own: which kinds of threat come first must be the same when the counts are
/// made again.
type Cells = BTreeMap<(Dimension, String), Tally>;

/// Counts one source's difference at the record's time.
pub(super) fn count(
    transaction: &WriteTransaction,
    source: SourceId,
    difference: &Difference,
    time: Time,
    zone: chrono_tz::Tz,
) -> Result<(), redb::Error> {
    let (mut fresh, mut standing) = (Cells::new(), Cells::new());
    tally(&mut standing, source, &difference.added, None, |tally| &mut tally.came);
    tally(&mut standing, source, &difference.removed, None, |tally| &mut tally.went);
    // A listing that only changed neither came nor went.
    tally(&mut fresh, source, &difference.added, Some(&difference.removed), |tally| &mut tally.came);
    tally(&mut fresh, source, &difference.removed, Some(&difference.added), |tally| &mut tally.went);
    let lasting = Tally { came: lasting(&difference.added), went: lasting(&difference.removed) };
    standing.insert((Dimension::Lasting, source_key(source)), lasting);
    let unnamed = put_standing(transaction, &standing)?;
    let mut fresh = gathered(fresh, &unnamed);
    put_activity(transaction, (Unit::Day, i64::from(time.day_in(zone).number())), &fresh)?;
    fresh.retain(|(dimension, _), _| matches!(dimension, Dimension::All | Dimension::Source));
    put_activity(transaction, (Unit::Hour, time.unix().div_euclid(3600)), &fresh)
}

fn tally(
    cells: &mut Cells,
    source: SourceId,
    rows: &Rows,
    but: Option<&Rows>,
    side: impl Fn(&mut Tally) -> &mut u64,
) {
    for (detail, count) in by_detail(rows, but).filter(|(_, count)| *count > 0) {
        for cell in keys(source, detail) {
            *side(cells.entry(cell).or_default()) += count;
        }
    }
}

/// How many rows have no expiry of their own.
fn lasting(rows: &Rows) -> u64 {
    by_detail(rows, None).filter(|(detail, _)| detail.expires.is_none()).map(|(_, count)| count).sum()
}

/// The details with the number of their rows: a list of a million rows may have a single one.
fn by_detail<'a>(rows: &'a Rows, but: Option<&Rows>) -> impl Iterator<Item = (&'a Detail, u64)> {
    let mut counts = vec![0_u64; rows.details().len()];
    count_details::<u32>(&mut counts, rows, but);
    count_details::<u128>(&mut counts, rows, but);
    rows.details().iter().zip(counts)
}

fn count_details<W: SourceRanges>(counts: &mut [u64], rows: &Rows, but: Option<&Rows>) {
    let mut other = but.map_or(&[][..], |rows| rows.family::<W>()).iter().peekable();
    for row in rows.family::<W>() {
        while other.next_if(|o| o.key() < row.key()).is_some() {}
        if other.peek().is_none_or(|o| o.range != row.range) {
            counts[row.detail as usize] += 1;
        }
    }
}

fn keys(source: SourceId, detail: &Detail) -> [(Dimension, String); 4] {
    [
        (Dimension::All, String::new()),
        (Dimension::Source, source_key(source)),
        (Dimension::Country, detail.country.map(|c| c.to_string()).unwrap_or_default()),
        (Dimension::Threat, detail.threat.as_deref().unwrap_or_default().chars().take(KIND_CHARS).collect()),
    ]
}

/// Changes what stands; answers the kinds of threat that have no count of their own.
fn put_standing(transaction: &WriteTransaction, cells: &Cells) -> Result<BTreeSet<String>, redb::Error> {
    let mut table = transaction.open_table(STANDING)?;
    let first = Dimension::Threat as u8;
    let mut kinds = table.range((first, "")..(first + 1, ""))?.count() as u64;
    let mut unnamed = BTreeSet::new();
    for ((dimension, key), tally) in cells {
        let before = table.get((*dimension as u8, key.as_str()))?.map_or(0, |v| v.value());
        if *dimension != Dimension::Threat {
            stand(&mut table, *dimension, key, before, *tally)?;
            continue;
        }
        let is_named = before > 0 || kinds < KINDS;
        let mut own = if is_named { *tally } else { Tally { came: 0, ..*tally } };
        // What came while there were too many kinds was counted with the others, and goes from there.
        own.went = own.went.min(before + own.came);
        let rest = Tally { came: tally.came - own.came, went: tally.went - own.went };
        let after = stand(&mut table, *dimension, key, before, own)?;
        kinds = kinds + u64::from(before == 0 && after > 0) - u64::from(before > 0 && after == 0);
        if rest != Tally::default() {
            let before = table.get((first, OTHER))?.map_or(0, |v| v.value());
            stand(&mut table, *dimension, OTHER, before, rest)?;
        }
        if !is_named {
            unnamed.insert(key.clone());
        }
    }
    Ok(unnamed)
}

fn stand(
    table: &mut Table<(u8, &'static str), u64>,
    dimension: Dimension,
    key: &str,
    before: u64,
    tally: Tally,
) -> Result<u64, redb::Error> {
    let now = (before + tally.came)
        .checked_sub(tally.went)
        .ok_or_else(|| damaged("more listings went than stood"))?;
    if now == 0 {
        table.remove((dimension as u8, key))?;
    } else {
        table.insert((dimension as u8, key), now)?;
    }
    Ok(now)
}

/// The cells, those of the kinds in `unnamed` together.
fn gathered(cells: Cells, unnamed: &BTreeSet<String>) -> Cells {
    let mut gathered = Cells::new();
    for ((dimension, key), tally) in cells {
        let is_other = dimension == Dimension::Threat && unnamed.contains(&key);
        let cell = gathered.entry((dimension, if is_other { OTHER.to_owned() } else { key })).or_default();
        cell.came += tally.came;
        cell.went += tally.went;
    }
    gathered
}

/// Adds to the counts of a day or hour, and forgets about as many old ones: not all at once, because
/// a wall clock that is years ahead would cost all of them.
fn put_activity(
    transaction: &WriteTransaction,
    (unit, number): (Unit, i64),
    cells: &Cells,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ACTIVITY)?;
    for ((dimension, key), tally) in cells {
        let at = (unit as u8, number, *dimension as u8, key.as_str());
        let (came, went) = table.get(at)?.map_or((0, 0), |v| v.value());
        table.insert(at, (came + tally.came, went + tally.went))?;
    }
    let kept = match unit {
        Unit::Day => DAYS,
        Unit::Hour => HOURS,
    };
    let old = (unit as u8, i64::MIN, 0, "")..(unit as u8, number - kept, 0, "");
    for cell in table.extract_from_if(old, |_, _| true)?.take(cells.len() + SPARE) {
        cell?;
    }
    Ok(())
}

impl<T: Tables> View<'_, T> {
    /// How many listings of a source stand, by [`Dimension::Source`] or [`Dimension::Lasting`].
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn standing_of(&self, dimension: Dimension, source: SourceId) -> Result<u64, redb::Error> {
        let table = self.0.standing()?;
        let count = table.get((dimension as u8, source_key(source).as_str()))?;
        Ok(count.map_or(0, |count| count.value()))
    }
}

impl View<'_> {
    /// How many listings stand, by the keys of a dimension.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn standing(&self, dimension: Dimension) -> Result<Vec<(String, u64)>, redb::Error> {
        let table = self.0.open_table(STANDING)?;
        let mut found = Vec::new();
        for row in table.range((dimension as u8, "")..(dimension as u8 + 1, ""))? {
            let (key, count) = row?;
            found.push((key.value().1.to_owned(), count.value()));
        }
        Ok(found)
    }

    /// What came and went in days or hours from `from` to `to`, both included, by the keys of a
    /// dimension. Hours are counted for [`Dimension::All`] and [`Dimension::Source`].
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn activity(
        &self,
        unit: Unit,
        from: i64,
        to: i64,
        dimension: Dimension,
    ) -> Result<Vec<Activity>, redb::Error> {
        let table = self.0.open_table(ACTIVITY)?;
        let mut found = Vec::new();
        for row in table.range((unit as u8, from, 0, "")..(unit as u8, to.saturating_add(1), 0, ""))? {
            let (key, value) = row?;
            let (_, at, of, key) = key.value();
            let (came, went) = value.value();
            if of == dimension as u8 {
                found.push(Activity { at, key: key.to_owned(), tally: Tally { came, went } });
            }
        }
        Ok(found)
    }
}

/// Writes all counts.
pub(super) fn export(view: &View, writer: &mut Writer) -> Result<(), redb::Error> {
    let standing = view.0.open_table(STANDING)?;
    writer.number(standing.len()?);
    for row in standing.iter()? {
        let (key, count) = row?;
        let (dimension, key) = key.value();
        writer.byte(dimension);
        writer.bytes(key.as_bytes());
        writer.number(count.value());
    }
    let activity = view.0.open_table(ACTIVITY)?;
    writer.number(activity.len()?);
    for row in activity.iter()? {
        let (key, tally) = row?;
        let ((unit, at, dimension, key), (came, went)) = (key.value(), tally.value());
        writer.byte(unit);
        writer.signed(at);
        writer.byte(dimension);
        writer.bytes(key.as_bytes());
        writer.number(came);
        writer.number(went);
    }
    Ok(())
}

/// Reads what [`export`] wrote.
pub(super) fn import(transaction: &WriteTransaction, reader: &mut Reader) -> Result<(), redb::Error> {
    let mut standing = transaction.open_table(STANDING)?;
    for _ in 0..reader.number().map_err(damaged)? {
        let (dimension, key) = (reader.byte().map_err(damaged)?, reader.text().map_err(damaged)?);
        standing.insert((dimension, key), reader.number().map_err(damaged)?)?;
    }
    let mut activity = transaction.open_table(ACTIVITY)?;
    for _ in 0..reader.number().map_err(damaged)? {
        let (unit, at) = (reader.byte().map_err(damaged)?, reader.signed().map_err(damaged)?);
        let (dimension, key) = (reader.byte().map_err(damaged)?, reader.text().map_err(damaged)?);
        let (came, went) = (reader.number().map_err(damaged)?, reader.number().map_err(damaged)?);
        activity.insert((unit, at, dimension, key), (came, went))?;
    }
    Ok(())
}

pub(super) fn dump(view: &View, line: &mut impl FnMut(&str)) -> Result<(), redb::Error> {
    for row in view.0.open_table(STANDING)?.iter()? {
        let (key, count) = row?;
        line(&format!("standing {:?} {}", key.value(), count.value()));
    }
    for row in view.0.open_table(ACTIVITY)?.iter()? {
        let (key, value) = row?;
        line(&format!("activity {:?} {:?}", key.value(), value.value()));
    }
    Ok(())
}
