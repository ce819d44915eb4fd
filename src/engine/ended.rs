//! What sources list no more, and whether that was meant: a feed that is held follows what was, and nothing else.

use super::{Engine, EngineError};
use crate::addr::{IpRange, IpSet};
use crate::journal::{Summary, What};
use crate::model::{Cause, Op, Record, SourceId};
use std::collections::BTreeMap;

/// What a source lists no more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gone {
    /// Because its time had come, or a person said so.
    pub ended: IpSet,
    /// Because the source said so, or no longer said otherwise.
    pub dropped: IpSet,
}

/// Ranges in the making: what ended, and what was dropped.
type Ranges = (Vec<IpRange>, Vec<IpRange>);

impl Engine {
    /// What each source lists no more by the records after generation `after` and up to `last`, whoever else lists it
    /// still. Unpacks only records that took something away. Blocks on the disk.
    ///
    /// # Errors
    /// [`EngineError::Gone`], [`EngineError::ReadOnly`] when the journal is damaged, else a fault of the disk.
    pub fn gone(&self, after: u64, last: u64) -> Result<BTreeMap<SourceId, Gone>, EngineError> {
        let mut gone: BTreeMap<SourceId, Ranges> = BTreeMap::new();
        let journal = self.journal()?;
        let gather = |record: Record| {
            let is_meant = matches!(record.cause, Cause::Expiry | Cause::Manual | Cause::Rollback);
            for op in &record.ops {
                let Op::Listings { source, difference } = op else { continue };
                let (ended, dropped) = gone.entry(*source).or_default();
                let ranges = if is_meant { ended } else { dropped };
                ranges.extend(difference.gone::<u32>().into_iter().map(IpRange::V4));
                ranges.extend(difference.gone::<u128>().into_iter().map(IpRange::V6));
            }
            Ok::<_, EngineError>(())
        };
        self.kept(after, || journal.records(after, last, takes_away, gather))?;
        let sets = |(ended, dropped): Ranges| Gone {
            ended: ended.into_iter().collect(),
            dropped: dropped.into_iter().collect(),
        };
        Ok(gone.into_iter().map(|(source, ranges)| (source, sets(ranges))).collect())
    }
}

fn takes_away(summary: &Summary) -> bool {
    summary.changes.iter().any(|change| change.what == What::Listings && change.removed > 0)
}
