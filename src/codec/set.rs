//! A set of addresses as bytes: how far each range begins behind the last one, and how long it is. About 3 bytes a
//! range of a large list.

use super::{Damaged, Reader, Writer};
use crate::addr::{IpSet, Range, RangeSet, Word};

/// Packs a set; linear.
pub fn put_set(writer: &mut Writer, set: &IpSet) {
    put_family(writer, &set.v4);
    put_family(writer, &set.v6);
}

/// Reads what [`put_set`] wrote; linear.
///
/// # Errors
/// [`Damaged`].
pub fn get_set(reader: &mut Reader) -> Result<IpSet, Damaged> {
    Ok(IpSet { v4: get_family(reader)?, v6: get_family(reader)? })
}

fn put_family<W: Word>(writer: &mut Writer, set: &RangeSet<W>) {
    writer.count(set.ranges().len());
    let mut before = 0;
    for range in set.iter() {
        let (first, last) = (range.first().widen(), range.last().widen());
        writer.number(first - before);
        writer.number(last - first);
        before = last;
    }
}

fn get_family<W: Word>(reader: &mut Reader) -> Result<RangeSet<W>, Damaged> {
    let count = reader.count()?;
    let mut ranges = Vec::with_capacity(count);
    let mut before = 0_u128;
    for at in 0..count {
        let first = before.checked_add(reader.wide()?).ok_or(Damaged("a range begins too high"))?;
        let last = first.checked_add(reader.wide()?).filter(|last| *last <= W::MAX.widen());
        let last = last.ok_or(Damaged("a range ends too high"))?;
        if at > 0 && first <= before {
            return Err(Damaged("ranges are not in order"));
        }
        // The order of both ends was just looked at.
        ranges.extend(Range::new(W::narrow(first), W::narrow(last)));
        before = last;
    }
    Ok(RangeSet::from_ranges(ranges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(set: &IpSet) -> Vec<u8> {
        let mut writer = Writer::default();
        put_set(&mut writer, set);
        writer.into_bytes()
    }

    proptest! {
        #[test]
        fn a_set_comes_back(v4: Vec<(u32, u8)>, v6: Vec<(u128, u64)>) {
            let v4 = v4.into_iter().filter_map(|(first, size)| Range::new(first, first.saturating_add(size.into())));
            let v6 = v6.into_iter().filter_map(|(first, size)| Range::new(first, first.saturating_add(size.into())));
            let set = IpSet { v4: v4.collect(), v6: v6.collect() };
            let bytes = packed(&set);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(get_set(&mut reader).unwrap(), set);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_a_set_or_damage(bytes: Vec<u8>) {
            let _ = get_set(&mut Reader::new(&bytes));
        }
    }

    #[test]
    fn the_edges_of_both_families_come_back() {
        let set: IpSet = ["0.0.0.1-255.255.255.255", "::/1", "ffff::/16"]
            .iter()
            .map(|range| range.parse::<crate::addr::IpRange>().unwrap())
            .collect();
        assert_eq!(get_set(&mut Reader::new(&packed(&set))).unwrap(), set);
    }
}
