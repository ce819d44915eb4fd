//! Addresses counted by who lists them: one pass over the runs of the look-up table.
//!
//! The table has the union of all listings already cut into runs of one class, so unions, overlaps
//! and what only one source lists come out exact for prefixes, ranges and both families alike;
//! bitmaps of single addresses would miss what a prefix of another source covers.

use crate::addr::{Run, Word};
use crate::engine::{Snapshot, Standings};
use crate::model::SourceId;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Numbers of addresses, by family.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct Addresses {
    /// IPv4.
    pub ipv4: u64,
    /// IPv6; written as decimal text, because readers of JSON keep 53 bits of a number.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub ipv6: u128,
}

fn as_text<S: Serializer>(count: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(count)
}

impl Addresses {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Addresses {
    fn add_assign(&mut self, other: Self) {
        self.ipv4 += other.ipv4;
        self.ipv6 = self.ipv6.saturating_add(other.ipv6);
    }
}

/// How many addresses belong to each class.
#[derive(Debug)]
pub struct Census {
    classes: Vec<Addresses>,
    standings: Standings,
}

impl Census {
    /// Counts; linear in the runs of the table.
    pub fn of(snapshot: &Snapshot) -> Self {
        let standings = Standings::clone(&snapshot.standings);
        let mut classes = vec![Addresses::default(); standings.len()];
        for (class, size) in snapshot.table.v4.runs().map(sized) {
            // All of IPv4 is 2^32 addresses.
            classes[class].ipv4 += size as u64;
        }
        for (class, size) in snapshot.table.v6.runs().map(sized) {
            classes[class].ipv6 = classes[class].ipv6.saturating_add(size);
        }
        Self { classes, standings }
    }

    /// Addresses that somebody lists and nothing exempts.
    pub fn blocked(&self) -> Addresses {
        self.sum(|standing| standing.is_listed())
    }

    /// Addresses that somebody lists and something exempts.
    pub fn exempt(&self) -> Addresses {
        self.sum(|standing| !standing.ids.is_empty() && !standing.is_listed())
    }

    fn sum(&self, wanted: impl Fn(&crate::engine::Standing) -> bool) -> Addresses {
        let mut sum = Addresses::default();
        for (addresses, standing) in self.classes.iter().zip(&*self.standings) {
            if wanted(standing) {
                sum += *addresses;
            }
        }
        sum
    }

    /// What two sources both list, for every ordered pair that shares an address; a source with
    /// itself is all that it lists.
    pub fn overlaps(&self) -> BTreeMap<(SourceId, SourceId), Addresses> {
        let mut overlaps: BTreeMap<_, Addresses> = BTreeMap::new();
        for (addresses, standing) in self.classes.iter().zip(&*self.standings) {
            if addresses.is_empty() {
                continue;
            }
            for &one in &standing.ids {
                for &other in &standing.ids {
                    *overlaps.entry((one, other)).or_default() += *addresses;
                }
            }
        }
        overlaps
    }

    /// What a source alone lists, for every source that lists such.
    pub fn unique(&self) -> BTreeMap<SourceId, Addresses> {
        let mut unique: BTreeMap<_, Addresses> = BTreeMap::new();
        for (addresses, standing) in self.classes.iter().zip(&*self.standings) {
            if let [only] = *standing.ids {
                *unique.entry(only).or_default() += *addresses;
            }
        }
        unique
    }
}

fn sized<W: Word>((range, class): Run<W>) -> (usize, u128) {
    (class.index(), range.size())
}
