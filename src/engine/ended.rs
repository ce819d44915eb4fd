//! What ended of itself or by a person's hand: a feed that is held follows that, and nothing else.

use super::{Engine, EngineError};
use crate::addr::{IpRange, IpSet};
use crate::journal::{Summary, What};
use crate::model::{Cause, Op, Record};

impl Engine {
    /// The ranges whose listings the records after generation `after` and up to `last` ended because their time had
    /// come or because a person said so, whoever else lists them still. Unpacks only such records. Blocks on the disk.
    ///
    /// # Errors
    /// [`EngineError::Gone`], [`EngineError::ReadOnly`] when the journal is damaged, else a fault of the disk.
    pub fn ended(&self, after: u64, last: u64) -> Result<IpSet, EngineError> {
        let mut ranges: Vec<IpRange> = Vec::new();
        let journal = self.journal()?;
        let gather = |record: Record| {
            for op in &record.ops {
                if let Op::Listings { difference, .. } = op {
                    ranges.extend(difference.gone::<u32>().into_iter().map(IpRange::V4));
                    ranges.extend(difference.gone::<u128>().into_iter().map(IpRange::V6));
                }
            }
            Ok::<_, EngineError>(())
        };
        self.kept(after, || journal.records(after, last, ends_listings, gather))?;
        Ok(ranges.into_iter().collect())
    }
}

fn ends_listings(summary: &Summary) -> bool {
    matches!(summary.cause, Cause::Expiry | Cause::Manual | Cause::Rollback)
        && summary.changes.iter().any(|change| change.what == What::Listings && change.removed > 0)
}
