//! The IPv4 table: compact while small, wide when large.

use super::compact::Compact;
use super::runs::Runs;
use super::wide::{GROUP, Wide};
use super::{Class, Run};
use crate::addr::Range;
use std::fmt;
use std::sync::Arc;

/// From this many runs on a table is wide: its 64 MiB root is then not more than the rest deserves.
pub(super) const WIDE_FROM: usize = if cfg!(test) { 48 } else { 500_000 };

/// Below this many a wide table becomes compact again; less, so that it does not flap.
const COMPACT_BELOW: usize = WIDE_FROM / 5 * 4;

/// The class of every IPv4 address. Immutable, cheap to clone, shared between threads.
#[derive(Clone, Default)]
pub struct Table4(Form);

#[derive(Clone)]
enum Form {
    Compact(Arc<Compact>),
    Wide(Arc<Wide>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Compact(Arc::default())
    }
}

impl Table4 {
    /// The class of an address. Takes no lock and allocates nothing.
    #[inline]
    pub fn get(&self, addr: u32) -> Class {
        match &self.0 {
            Form::Compact(compact) => compact.get(addr),
            Form::Wide(wide) => wide.get(addr),
        }
    }

    /// The classes of `addrs` in `out`, as far as the shorter reaches; the loads of a group are
    /// under way together, so that each address costs less than one [`Table4::get`].
    pub fn get_batch(&self, addrs: &[u32], out: &mut [Class]) {
        match &self.0 {
            Form::Compact(compact) => {
                for (addr, class) in addrs.iter().zip(out) {
                    *class = compact.get(*addr);
                }
            }
            Form::Wide(wide) => {
                for (addrs, out) in addrs.chunks(GROUP).zip(out.chunks_mut(GROUP)) {
                    wide.get_group(addrs, out);
                }
            }
        }
    }

    /// The table in which each address of an edit's range has the class `f(edit, old class)`; the
    /// others keep theirs, and this table stays as it is.
    ///
    /// The edits are sorted and disjoint. `f` may be called several times for one edit, once for
    /// each stretch under it, and must not use this table's [`Table4::next`]. Costs what the edits
    /// touch while the table is wide, one copy of it while it is compact (up to a few
    /// milliseconds), and a whole build when this is no longer the newest of a chain.
    #[must_use]
    pub fn next<E>(&self, edits: &[(Range<u32>, E)], mut f: impl FnMut(&E, Class) -> Class) -> Self {
        debug_assert!(edits.is_sorted_by(|a, b| a.0.last() < b.0.first()));
        Self(match &self.0 {
            Form::Compact(compact) => Form::of(compact.overlaid(edits, &mut f)),
            Form::Wide(wide) => {
                let wide = wide.next(edits, f);
                if wide.stored() < COMPACT_BELOW {
                    Form::of(Runs::new(Range::ALL, |at, out| wide.fill(at, out)).collect())
                } else {
                    Form::Wide(Arc::new(wide))
                }
            }
        })
    }

    /// The maximal runs of one class, ascending, without the clear ones.
    pub fn runs(&self) -> impl Iterator<Item = Run<u32>> {
        self.runs_in(Range::ALL)
    }

    /// [`Table4::runs`] inside `range`, cut off at its ends.
    pub fn runs_in(&self, range: Range<u32>) -> impl Iterator<Item = Run<u32>> {
        Runs::new(range, |at, out| match &self.0 {
            Form::Compact(compact) => compact.fill(at, out),
            Form::Wide(wide) => wide.fill(at, out),
        })
    }

    /// About how many runs there are: a wide table counts one in parts. Costs nothing.
    pub fn stored(&self) -> usize {
        match &self.0 {
            Form::Compact(compact) => compact.runs().len(),
            Form::Wide(wide) => wide.stored(),
        }
    }

    /// Bytes held, together with other generations of the same chain.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Compact(compact) => compact.bytes(),
            Form::Wide(wide) => wide.bytes(),
        }
    }
}

impl Form {
    fn of(runs: Vec<Run<u32>>) -> Self {
        if runs.len() < WIDE_FROM {
            Self::Compact(Arc::new(Compact::new(runs)))
        } else {
            Self::Wide(Arc::new(Wide::default().next(&runs, |class, _| *class)))
        }
    }
}

impl fmt::Debug for Table4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table4").field("stored", &self.stored()).finish_non_exhaustive()
    }
}
