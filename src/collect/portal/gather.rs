//! A list that comes in pages while it changes: every row once, and a proof that none is missing.

use std::collections::HashSet;
use thiserror::Error;

/// Why pages do not make a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum GatherFault {
    /// The same page again, or pages that bring nothing new without end.
    #[error("the portal gives the same page again and again (page {0})")]
    RepeatedPage(u32),
    /// Fewer rows than the portal itself counts.
    #[error("the portal counts {total} rows, but its pages hold {read}")]
    Incomplete {
        /// Different rows that came.
        read: u64,
        /// Rows that should have come.
        total: u64,
    },
    /// No page says how many rows there are, so that nothing proves that these are all.
    #[error("no page of the portal's list counts its rows; see whether the portal has changed")]
    Uncounted,
}

impl GatherFault {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RepeatedPage(_) => "repeated_page",
            Self::Incomplete { .. } => "incomplete_list",
            Self::Uncounted => "uncounted_list",
        }
    }
}

/// The rows of the pages so far.
///
/// Rows shift between pages while one reads: new ones push others to the next page, where they come
/// again. So rows are known by their keys, and the end is where the portal's own count is reached or a page
/// is empty.
#[derive(Debug)]
pub struct Gathering<R> {
    key: fn(&R) -> String,
    rows: Vec<R>,
    known: HashSet<String>,
    last: Vec<String>,
    stale: u32,
    pages: u32,
    total: Option<u64>,
    counted: Option<u64>,
    fell_from: Option<u64>,
    ended: bool,
}

impl<R> Gathering<R> {
    /// Nothing yet; `key` tells rows apart.
    pub fn new(key: fn(&R) -> String) -> Self {
        let (rows, known, last) = (Vec::new(), HashSet::new(), Vec::new());
        let (total, counted, fell_from) = (None, None, None);
        Self { key, rows, known, last, stale: 0, pages: 0, total, counted, fell_from, ended: false }
    }

    /// The number of the page that is to be read next, from 0; none: all are read.
    pub fn next_page(&self) -> Option<u32> {
        (!self.ended).then_some(self.pages)
    }

    /// Different rows so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows that the portal counts, as far as it has said.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Takes the page that was asked for, with the portal's count of all rows.
    ///
    /// # Errors
    /// [`GatherFault::RepeatedPage`].
    pub fn add(&mut self, page: Vec<R>, total: Option<u64>) -> Result<(), GatherFault> {
        let keys: Vec<String> = page.iter().map(self.key).collect();
        if !keys.is_empty() && keys == self.last {
            return Err(GatherFault::RepeatedPage(self.pages));
        }
        let before = self.rows.len();
        for (row, key) in page.into_iter().zip(&keys) {
            if self.known.insert(key.clone()) {
                self.rows.push(row);
            }
        }
        self.stale = if self.rows.len() > before { 0 } else { self.stale + 1 };
        // One page may hold nothing but rows that shifted; pages in a circle never end.
        if self.stale > 1 && !keys.is_empty() {
            return Err(GatherFault::RepeatedPage(self.pages));
        }
        // What is taken away pulls others to pages that were read already: one that was never seen may be
        // among them.
        let fell = self.counted.filter(|counted| total.is_some_and(|total| total < *counted));
        self.fell_from = self.fell_from.max(fell);
        self.counted = total.or(self.counted);
        // What is added while one reads stands before the first page and is not missing. So the least
        // count is the one to reach.
        self.total = self.total.into_iter().chain(total).min();
        let reached = self.total.is_some_and(|total| self.rows.len() as u64 >= total);
        self.ended = keys.is_empty() || reached;
        self.last = keys;
        self.pages += 1;
        Ok(())
    }

    /// All rows.
    ///
    /// # Errors
    /// [`GatherFault::Incomplete`]: a list with holes would end listings that are not over; and so would one of
    /// which nobody knows whether it has some ([`GatherFault::Uncounted`]).
    pub fn finish(self) -> Result<Vec<R>, GatherFault> {
        let read = self.rows.len() as u64;
        let total = self.fell_from.max(self.total).ok_or(GatherFault::Uncounted)?;
        if read < total { Err(GatherFault::Incomplete { read, total }) } else { Ok(self.rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gather(pages: &[(&[u32], u64)]) -> Result<Vec<u32>, GatherFault> {
        let mut all = Gathering::new(u32::to_string);
        for (rows, total) in pages {
            all.add(rows.to_vec(), Some(*total))?;
        }
        all.finish()
    }

    #[test]
    fn the_end_is_an_empty_page_or_the_portals_own_count() {
        let mut all = Gathering::new(u32::to_string);
        all.add(vec![5, 4], Some(3)).unwrap();
        assert_eq!((all.next_page(), all.len(), all.total()), (Some(1), 2, Some(3)));
        all.add(vec![3], Some(3)).unwrap();
        assert_eq!(all.next_page(), None);
        let mut uncounted = Gathering::new(u32::to_string);
        uncounted.add(vec![5], None).unwrap();
        assert_eq!(uncounted.next_page(), Some(1));
        uncounted.add(vec![], None).unwrap();
        assert_eq!((uncounted.next_page(), uncounted.finish()), (None, Err(GatherFault::Uncounted)));
    }

    #[test]
    fn a_window_without_rows_is_whole() {
        assert_eq!(gather(&[(&[], 0)]), Ok(vec![]));
    }

    #[test]
    fn rows_that_shift_come_once() {
        assert_eq!(gather(&[(&[9, 8], 4), (&[8, 7], 5), (&[6], 5), (&[], 5)]), Ok(vec![9, 8, 7, 6]));
    }

    #[test]
    fn pages_that_come_again_are_a_fault() {
        assert_eq!(gather(&[(&[9, 8], 4), (&[9, 8], 4)]), Err(GatherFault::RepeatedPage(1)));
        let circle: [(&[u32], u64); 4] = [(&[9, 8], 9), (&[7, 6], 9), (&[9, 8], 9), (&[7, 6], 9)];
        assert_eq!(gather(&circle), Err(GatherFault::RepeatedPage(3)));
    }

    #[test]
    fn missing_rows_are_told_by_number() {
        assert_eq!(
            gather(&[(&[9, 8], 4), (&[7], 4), (&[], 4)]),
            Err(GatherFault::Incomplete { read: 3, total: 4 })
        );
    }

    #[test]
    fn a_count_that_fell_leaves_no_proof_that_nothing_slipped_through() {
        let fell = Err(GatherFault::Incomplete { read: 3, total: 4 });
        assert_eq!(
            gather(&[(&[9, 8], 4), (&[6], 3)]),
            fell,
            "9 was taken away, and 7 moved to the first page"
        );
        assert_eq!(gather(&[(&[9, 8], 4), (&[7], 3), (&[], 5)]), fell, "though it rose again");
        assert_eq!(gather(&[(&[9, 8], 4), (&[7, 6], 3)]), Ok(vec![9, 8, 7, 6]), "all were seen before");
    }

    proptest! {
        /// However many rows are put in front between any two pages, those of the beginning are all read.
        #[test]
        fn a_list_that_grows_while_it_is_read_is_read_whole(
            count in 0..60u32, size in 2..10usize, growth in prop::collection::vec(0..2u32, 80),
        ) {
            let mut list: Vec<u32> = (0..count).rev().collect();
            let mut growth = growth.into_iter();
            let mut all = Gathering::new(u32::to_string);
            while let Some(page) = all.next_page() {
                let rows = list.iter().skip(page as usize * size).take(size).copied().collect();
                all.add(rows, Some(list.len() as u64)).unwrap();
                for _ in 0..growth.next().unwrap_or_default() {
                    list.insert(0, list.len() as u32);
                }
            }
            let read = all.finish().unwrap();
            prop_assert!((0..count).all(|row| read.contains(&row)));
        }
    }
}
