//! A feed in parts, so that one change touches one part: the space is cut into fixed blocks, and a hash of the block
//! says which part has it. Pure, and the same on every machine and for ever.

use crate::addr::{IpSet, Range, RangeSet, Word};

/// A block has so many addresses that no /16 of IPv4 and no /32 of IPv6 is cut.
const BLOCK: [(u8, u8); 2] = [(32, 16), (128, 32)];

/// What is broader than so many blocks is not cut into them: a /3 of IPv6 has half a billion.
const MOST_BLOCKS: u128 = 1 << 16;

/// The parts of `set`: disjoint, and together all of it. Linear in the ranges, and in the blocks of the broad ones.
pub(super) fn split(set: &IpSet, parts: u16) -> Vec<IpSet> {
    if parts <= 1 {
        return vec![set.clone()];
    }
    let v4 = family(&set.v4, parts);
    let v6 = family(&set.v6, parts);
    v4.into_iter().zip(v6).map(|(v4, v6)| IpSet { v4, v6 }).collect()
}

/// What `part` lists, of a whole and its parts; `None` where there is no such part.
pub(super) fn of_part<'a>(part: u16, whole: &'a IpSet, parts: &'a [IpSet]) -> Option<&'a IpSet> {
    match usize::from(part).checked_sub(1) {
        None => Some(whole),
        Some(at) => parts.get(at),
    }
}

fn family<W: Word>(set: &RangeSet<W>, parts: u16) -> Vec<RangeSet<W>> {
    let mut cut: Vec<Vec<Range<W>>> = vec![Vec::new(); usize::from(parts)];
    for range in set.iter() {
        for piece in pieces(range) {
            cut[part_of(piece, parts)].push(piece);
        }
    }
    cut.into_iter().map(RangeSet::from_ranges).collect()
}

/// The length of a block's prefix.
fn block_len<W: Word>() -> u8 {
    BLOCK.iter().find(|(bits, _)| *bits == W::BITS).map_or(W::BITS, |(_, len)| *len)
}

/// `range` cut at the borders of blocks; where there would be too many, at those of its fewest prefixes.
fn pieces<W: Word>(range: Range<W>) -> Vec<Range<W>> {
    let len = block_len::<W>();
    let block = |address: W| Range::prefix(address, len);
    let blocks = block(range.last()).first().widen() - block(range.first()).first().widen();
    if blocks / block(range.first()).size() >= MOST_BLOCKS {
        let broad = range.prefixes().map(|(address, len)| Range::prefix(address, len));
        return broad
            .flat_map(|prefix| if is_broad(prefix) { vec![prefix] } else { pieces(prefix) })
            .collect();
    }
    let next = |piece: &Range<W>| {
        let first = piece.last().next().filter(|first| *first <= range.last())?;
        block(first).intersect(range)
    };
    std::iter::successors(block(range.first()).intersect(range), next).collect()
}

fn is_broad<W: Word>(prefix: Range<W>) -> bool {
    prefix.size() / Range::prefix(prefix.first(), block_len::<W>()).size() >= MOST_BLOCKS
}

/// The part of a piece: by its block, or by itself where it is broader than that. FNV-1a over the address, well mixed.
fn part_of<W: Word>(piece: Range<W>, parts: u16) -> usize {
    let first = Range::prefix(piece.first(), block_len::<W>().min(piece.level())).first().widen();
    let hash = first.to_be_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The high half, because the low bits of FNV mix the least.
    ((hash >> 32) % u64::from(parts)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range4() -> impl Strategy<Value = Range<u32>> {
        (any::<u32>(), 0_u32..28).prop_map(|(first, bits)| {
            Range::new(first, first.saturating_add((1_u64 << bits) as u32)).unwrap()
        })
    }

    fn range6() -> impl Strategy<Value = Range<u128>> {
        (any::<u128>(), 0_u32..127)
            .prop_map(|(first, bits)| Range::new(first, first.saturating_add(1_u128 << bits)).unwrap())
    }

    fn set(v4: Vec<Range<u32>>, v6: Vec<Range<u128>>) -> IpSet {
        IpSet { v4: RangeSet::from_ranges(v4), v6: RangeSet::from_ranges(v6) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn parts_are_disjoint_and_complete(
            v4 in proptest::collection::vec(range4(), 0..6),
            v6 in proptest::collection::vec(range6(), 0..4),
            parts in 1_u16..9,
        ) {
            let set = set(v4, v6);
            let split = split(&set, parts);
            prop_assert_eq!(split.len(), usize::from(parts));
            let mut all = IpSet::default();
            for part in &split {
                prop_assert!(all.intersect(part).is_empty());
                all = all.union(part);
            }
            prop_assert_eq!(all, set);
        }

        #[test]
        fn an_address_more_touches_one_part(
            v4 in proptest::collection::vec(range4(), 0..6),
            more: u32,
            parts in 2_u16..9,
        ) {
            let before = set(v4.clone(), Vec::new());
            let after = set([v4, vec![Range::single(more)]].concat(), Vec::new());
            let changed = split(&before, parts).iter().zip(&split(&after, parts)).filter(|(a, b)| a != b).count();
            prop_assert!(changed <= 1, "{changed}");
        }
    }

    #[test]
    fn parts_are_about_equal() {
        let set = set((0..4000_u32).map(|n| Range::single(n << 16)).collect(), Vec::new());
        for part in split(&set, 8) {
            assert!((350..650).contains(&part.v4.ranges().len()), "{}", part.v4.ranges().len());
        }
    }

    #[test]
    fn where_an_address_goes_never_changes() {
        let part = |text: &str| {
            let set: IpSet = [text.parse().unwrap()].into_iter().collect();
            split(&set, 16).iter().position(|part| !part.is_empty())
        };
        let parts = ["20.0.0.1", "20.1.0.1", "93.184.215.14", "2a00::1", "2a01::1"].map(part);
        assert_eq!(parts, ["20.0.99.9", "20.1.2.3", "93.184.1.1", "2a00::ffff", "2a01:0:1::"].map(part));
        assert_eq!(parts.map(Option::unwrap), [2, 2, 0, 7, 10]);
    }
}
