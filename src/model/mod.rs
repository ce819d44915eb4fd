//! What the house talks about: listings, sources, batches, records, verdicts. Plain data with its
//! invariants.
//!
//! The second floor: it knows addresses, and nothing of storage, HTTP or the clock.

mod batch;
mod compose;
mod device;
mod format;
mod listing;
mod output;
mod output_name;
mod policy;
mod profile;
mod rows;
mod source;
mod time;
mod verdict;

pub use batch::{Batch, Cause, Change, Difference, Op, Preview, Receipt, Record, Scope};
pub use device::{BadFingerprint, Device, Fingerprint};
pub use format::{BadFormat, Document, Families, Format, Lines};
pub use listing::{Country, Detail, Severity};
pub use output::{Output, OutputKey};
pub use output_name::{BadName, OutputName};
pub use policy::{Allow, Suppression};
pub use profile::{Budget, Filter, GateLimits, MOST_PARTS, Preference, Profile};
pub use rows::{Row, Rows, RowsBuilder, SourceRanges};
pub use source::{BadSourceName, Held, Mode, Policy, Source, SourceId, SourceName, TooBroad};
pub use time::{BadTime, Day, Time};
pub use verdict::{Exemption, Exemptions};
