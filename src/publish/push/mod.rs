//! Push with proof: released lists are sent to firewalls, and what a firewall then says that it has is read back.
//!
//! Only what a feed has released is ever sent, so a held feed sends its purged list, and an empty one is never sent as a
//! list unless its profile says so: what people or time took out of it is taken away line by line, and what an accident may
//! have taken stays. A push counts when the firewall's own
//! counts are those of the list and it says that it has written since; until then the device is behind. Before a
//! difference is sent it is written down that nothing is certain any more: whatever breaks off, the next push is a whole
//! list. Where something was sent is remembered beyond the target, and told while it may be there still. Nothing here
//! knows HTTP handlers.

mod attempt;
mod clear;
mod firewall;
mod ledger;
mod lines;
mod lists;
mod place;
mod pusher;
mod report;
mod round;
mod standing;
mod target;
mod tasks;

pub use clear::NotCleared;
pub use firewall::PushFault;
pub use ledger::Ledger;
pub use place::{Place, Remnant};
pub use pusher::{NotKept, NotNow, Observe, Pace, Pusher, Settings, Told};
pub use report::{ListReport, Report};
pub use standing::{Proof, Standing};
pub use target::{BadTarget, Mode, Target, Wish};

#[cfg(test)]
mod tests;
