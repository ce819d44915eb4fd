//! A list as the lines that a firewall gets, and what differs between two. Pure.
//!
//! A firewall knows lines, not addresses: one address more may turn a prefix into eight others. So the difference
//! that is sent is one of lines.

use super::super::formats::{self, Sheet, WriteError};
use crate::addr::IpSet;
use crate::disk::{Digest, digest};
use crate::model::{Document, Format, Lines, Profile, Time};
use std::collections::HashSet;

/// Lines, each ended.
pub(super) struct List {
    text: String,
    pub(super) entries: u64,
    pub(super) digest: Digest,
}

impl List {
    /// The lines of `set` in the form of the profile, as far as a FortiGate reads it; about 50 ns a line.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(super) fn of(profile: &Profile, set: &IpSet) -> Result<Self, WriteError> {
        let wanted = profile.lines();
        let lines = if Format::Fortigate.lines().contains(&wanted) { wanted } else { Lines::Cidrs };
        // Neither name nor generation is in the lines: equal sets are equal lists.
        let sheet = Sheet {
            feed: profile.name.as_str(),
            generation: 0,
            time: Time::default(),
            lines,
            selection: set,
            entries: None,
        };
        let mut text = Vec::new();
        let counts = formats::write(Document::List(Format::Fortigate), &sheet, &mut text)?;
        let digest = digest(&[&text]);
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Self { text, entries: counts.entries, digest })
    }

    /// The lines, without their ends.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.text.lines().collect()
    }

    /// The lines that are not in `other`, in their order.
    pub(super) fn without<'a>(&'a self, other: &Self) -> Vec<&'a str> {
        let known: HashSet<&str> = other.text.lines().collect();
        self.text.lines().filter(|line| !known.contains(line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn list(addresses: &[u8]) -> List {
        let ranges = addresses.iter().map(|last| format!("20.0.0.{last}").parse::<IpRange>().unwrap());
        List::of(&Profile::fortigate(), &ranges.collect()).unwrap()
    }

    proptest! {
        #[test]
        fn adding_and_removing_what_differs_makes_the_one_list_the_other(
            before in proptest::collection::vec(any::<u8>(), 0..60),
            after in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let (before, after) = (list(&before), list(&after));
            let mut firewall: BTreeSet<&str> = before.lines().into_iter().collect();
            firewall.extend(after.without(&before));
            before.without(&after).iter().for_each(|line| assert!(firewall.remove(line), "{line}"));
            prop_assert_eq!(firewall, after.lines().into_iter().collect());
            prop_assert_eq!(after.entries, after.lines().len() as u64);
        }
    }

    #[test]
    fn one_address_less_may_be_many_lines_more() {
        let (whole, less) = (list(&[0, 1, 2, 3]), list(&[0, 1, 3]));
        assert_eq!(whole.lines(), ["20.0.0.0/30"]);
        assert_eq!(less.without(&whole), ["20.0.0.0/31", "20.0.0.3"]);
    }
}
