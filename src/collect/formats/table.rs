//! Rows made of named values: which column of a table means what, and what a row of them says.

use super::error::RowFault;
use super::layout::{Column, Layout};
use super::role::{ROLES, Role, ranked};
use super::rows::{Fields, Sink, Tally};
use crate::addr::{IpRange, parse_between, parse_range};

/// Where the columns of a table are.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    at: [Option<usize>; ROLES],
    least: Option<u64>,
}

impl Columns {
    /// The columns, if these are the names of a table that holds addresses.
    pub(super) fn of_header<'a>(
        cells: impl Iterator<Item = &'a str> + Clone,
        layout: &Layout,
    ) -> Option<Self> {
        let mut best = [(usize::MAX, None); ROLES];
        for (at, cell) in cells.clone().enumerate() {
            if let Some((role, rank)) = ranked(cell)
                && !layout.tells(role)
                && rank < best[role as usize].0
            {
                best[role as usize] = (rank, Some(at));
            }
        }
        let mut columns = Self { at: best.map(|(_, at)| at), least: layout.least };
        let known = columns.holds_addresses();
        columns.take(layout, |name| cells.clone().position(|cell| cell == name))?;
        ((known || layout.names_columns()) && columns.holds_addresses()).then_some(columns)
    }

    /// The columns of a table without a header: those that are told, and the first whose value is
    /// an address.
    pub(super) fn of_values<'a>(
        cells: impl Iterator<Item = &'a str> + Clone,
        layout: &Layout,
    ) -> Option<Self> {
        let mut columns = Self { at: [None; ROLES], least: layout.least };
        columns.take(layout, |_| None)?;
        let reach = columns.at.iter().flatten().max().map_or(0, |last| last + 1);
        let is_address = |cell: &str| parse_range(cell.as_bytes()).is_ok();
        match columns.at[Role::Address as usize].or(columns.at[Role::First as usize]) {
            // Whoever says what stands between columns has seen them.
            Some(_) if layout.separator.is_some() => {}
            Some(at) => cells.clone().nth(at).filter(|cell| is_address(cell)).map(drop)?,
            None => columns.at[Role::Address as usize] = Some(cells.clone().position(is_address)?),
        }
        (cells.count() >= reach).then_some(columns)
    }

    /// Takes in the columns that are told; nothing, if one of that name is not there.
    fn take(&mut self, layout: &Layout, position: impl Fn(&str) -> Option<usize>) -> Option<()> {
        for (role, column) in &layout.columns {
            let at = match column {
                Column::At(at) => *at,
                Column::Name(name) => position(name)?,
            };
            self.at[*role as usize] = Some(at);
        }
        Some(())
    }

    fn holds_addresses(&self) -> bool {
        let has = |role: Role| self.at[role as usize].is_some();
        has(Role::Address) || (has(Role::First) && has(Role::Last))
    }

    /// How many columns have a known meaning.
    pub(super) fn known(&self) -> usize {
        self.at.iter().flatten().count()
    }

    /// Takes one row of the table apart and hands it on.
    pub(super) fn put<'a, S: Sink>(
        &self,
        cell: impl Fn(usize) -> Option<&'a str>,
        line: u64,
        rows: &mut Tally<'_, S>,
    ) {
        Values { of: self.at.map(|at| at.and_then(&cell)) }.put(line, self.least, rows);
    }
}

/// The values of one row by what they are.
#[derive(Clone, Default)]
pub(super) struct Values<'a> {
    of: [Option<&'a str>; ROLES],
}

impl<'a> Values<'a> {
    /// Keeps the first value of a role.
    pub(super) fn set(&mut self, role: Role, value: &'a str) {
        self.of[role as usize].get_or_insert(value);
    }

    /// The value, unless the list says that there is none.
    pub(super) fn get(&self, role: Role) -> Option<&'a str> {
        let value = self.of[role as usize]?.trim();
        let absent = matches!(value, "" | "-" | "null" | "None" | "N/A" | "n/a");
        (!absent).then_some(value)
    }

    /// A row, a rejected value, or nothing if the row counts for less than `least`.
    pub(super) fn put<S: Sink>(&self, line: u64, least: Option<u64>, rows: &mut Tally<'_, S>) {
        if let Some(least) = least {
            match self.get(Role::Count).and_then(|count| count.parse::<u64>().ok()) {
                Some(count) if count < least => return,
                Some(_) => {}
                // A row whose count cannot be read must not pass for one that has enough.
                None => return rows.reject(line, self.shown(), RowFault::Malformed),
            }
        }
        rows.put(line, self.shown(), self.range().map(|range| (range, self.fields())));
    }

    fn shown(&self) -> &'a str {
        self.get(Role::Address).or(self.get(Role::First)).unwrap_or_default()
    }

    fn range(&self) -> Result<IpRange, RowFault> {
        if let (Some(first), Some(last)) = (self.get(Role::First), self.get(Role::Last)) {
            return Ok(parse_between(first.as_bytes(), last.as_bytes())?);
        }
        let address = self.get(Role::Address).or(self.get(Role::First)).ok_or(RowFault::NoAddress)?;
        match self.get(Role::Mask) {
            Some(mask) if !address.contains(['/', '-']) => {
                Ok(parse_range(format!("{address}/{mask}").as_bytes())?)
            }
            _ => Ok(parse_range(address.as_bytes())?),
        }
    }

    fn fields(&self) -> Fields<'a> {
        let confidence = self.get(Role::Confidence).and_then(|text| text.trim_end_matches('%').parse().ok());
        Fields {
            reason: self.get(Role::Reason),
            threat_type: self.get(Role::Threat),
            severity: self.get(Role::Severity),
            country: self.get(Role::Country),
            confidence: confidence.filter(|percent| *percent <= 100),
            detected: self.get(Role::Detected),
            listed: self.get(Role::Listed),
            expires: self.get(Role::Expires),
            upstream_id: self.get(Role::Id),
        }
    }
}
