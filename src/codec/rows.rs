//! Rows as bytes.
//!
//! A *group* is a run of rows of one family and level, in order. The store keeps one group a block;
//! the journal keeps all groups of a difference one after the other.

use super::{Damaged, Reader, Writer, detail};
use crate::addr::{Range, Word};
use crate::model::{Detail, Row, Rows, SourceRanges};

/// Rows of one family and level with the details they use.
#[derive(Debug, Default)]
pub struct Group<W> {
    /// What rows point to.
    pub details: Vec<Detail>,
    /// In order of range.
    pub rows: Vec<Row<W>>,
}

/// Writes one group; `level` is the level of every row.
pub fn put_group<W: Word>(writer: &mut Writer, level: u8, details: &[Detail], rows: &[Row<W>]) {
    put_details(writer, details);
    put_ranges(writer, level, details.len(), rows);
}

impl<W: Word> Group<W> {
    /// Reads what [`put_group`] wrote.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn get(reader: &mut Reader, level: u8) -> Result<Self, Damaged> {
        let details = get_details(reader)?;
        let mut rows = Vec::new();
        get_ranges(reader, level, details.len(), &mut rows)?;
        Ok(Self { details, rows })
    }
}

/// Writes rows of both families.
pub fn put_rows(writer: &mut Writer, rows: &Rows) {
    put_details(writer, rows.details());
    put_family::<u32>(writer, rows);
    put_family::<u128>(writer, rows);
}

/// Reads what [`put_rows`] wrote.
///
/// # Errors
/// [`Damaged`].
pub fn get_rows(reader: &mut Reader) -> Result<Rows, Damaged> {
    let details = get_details(reader)?;
    let v4 = get_family(reader, details.len())?;
    let v6 = get_family(reader, details.len())?;
    Rows::from_parts(details, v4, v6).ok_or(Damaged("rows are out of order"))
}

fn put_family<W: SourceRanges>(writer: &mut Writer, rows: &Rows) {
    let groups = || rows.family::<W>().chunk_by(|a, b| a.range.level() == b.range.level());
    writer.count(groups().count());
    for group in groups() {
        let level = group[0].range.level();
        writer.byte(level);
        put_ranges(writer, level, rows.details().len(), group);
    }
}

fn get_family<W: Word>(reader: &mut Reader, details: usize) -> Result<Vec<Row<W>>, Damaged> {
    let mut rows = Vec::new();
    for _ in 0..reader.count()? {
        let level = reader.byte()?;
        get_ranges(reader, level, details, &mut rows)?;
    }
    Ok(rows)
}

fn put_details(writer: &mut Writer, details: &[Detail]) {
    writer.count(details.len());
    for one in details {
        detail::put(writer, one);
    }
}

fn get_details(reader: &mut Reader) -> Result<Vec<Detail>, Damaged> {
    (0..reader.count()?).map(|_| detail::get(reader)).collect()
}

fn put_ranges<W: Word>(writer: &mut Writer, level: u8, details: usize, rows: &[Row<W>]) {
    writer.count(rows.len());
    let mut before = W::MIN.widen();
    for row in rows {
        let (first, last) = (row.range.first().widen(), row.range.last().widen());
        writer.number(first - before);
        if level < W::BITS {
            writer.number(last - first);
        }
        if details > 1 {
            writer.number(row.detail);
        }
        before = first;
    }
}

fn get_ranges<W: Word>(
    reader: &mut Reader,
    level: u8,
    details: usize,
    rows: &mut Vec<Row<W>>,
) -> Result<(), Damaged> {
    let count = reader.count()?;
    rows.reserve(count);
    let mut before = 0_u128;
    for _ in 0..count {
        let first = before.checked_add(reader.wide()?).ok_or(Damaged("a range begins too high"))?;
        let size = if level < W::BITS { reader.wide()? } else { 0 };
        let last = first.checked_add(size).filter(|last| *last <= W::MAX.widen());
        let last = last.ok_or(Damaged("a range ends too high"))?;
        let detail: u32 = if details > 1 { reader.fitting()? } else { 0 };
        let range = Range::new(W::narrow(first), W::narrow(last)).ok_or(Damaged("a range is reversed"))?;
        if detail as usize >= details || range.level() != level {
            return Err(Damaged("a row does not fit its group"));
        }
        rows.push(Row { range, detail });
        before = first;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::model::{Country, Day, RowsBuilder, Severity, Time};
    use proptest::prelude::*;

    fn details() -> impl Strategy<Value = Detail> {
        let texts = proptest::option::of("[a-z가-힣]{0,9}".prop_map(String::into_boxed_str));
        (texts.clone(), texts, 0..4_usize, any::<Option<u8>>(), any::<Option<i32>>(), any::<i32>()).prop_map(
            |(reason, upstream_id, severity, confidence, day, time)| Detail {
                reason,
                upstream_id,
                severity: Some(Severity::ALL[severity]),
                country: Country::new("kr"),
                confidence,
                listed: day.map(Day::from_number),
                expires: day.map(|d| Time::from_unix(d.into())),
                first_seen: Time::from_unix(time.into()),
                ..Detail::default()
            },
        )
    }

    fn ranges() -> impl Strategy<Value = IpRange> {
        let v4 = (any::<u32>(), 0..=32_u8).prop_map(|(a, len)| IpRange::V4(Range::prefix(a, len)));
        let odd = (any::<u32>(), any::<u32>())
            .prop_map(|(a, b)| IpRange::V4(Range::new(a.min(b), a.max(b)).unwrap()));
        let v6 = (any::<u128>(), 0..=128_u8).prop_map(|(a, len)| IpRange::V6(Range::prefix(a, len)));
        prop_oneof![v4, odd, v6]
    }

    proptest! {
        #[test]
        fn rows_come_back(listings in proptest::collection::vec((ranges(), details()), 0..40)) {
            let mut builder = RowsBuilder::default();
            listings.iter().for_each(|(range, detail)| builder.push(*range, detail));
            let rows = builder.finish().0;
            let mut writer = Writer::default();
            put_rows(&mut writer, &rows);
            let bytes = writer.into_bytes();
            let back = get_rows(&mut Reader::new(&bytes)).unwrap();
            prop_assert!(rows.iter().eq(back.iter()));
        }

        #[test]
        fn any_bytes_end_in_rows_or_in_damage(bytes: Vec<u8>) {
            let _ = get_rows(&mut Reader::new(&bytes));
        }
    }
}
