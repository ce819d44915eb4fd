//! Signed webhooks: what happens to feeds and devices is told to whoever wants to know, in order, at least once.
//!
//! A look compares how everything stands with what each hook was told last, and writes what is new into the hook's
//! queue: so nothing that lasts is missed, whatever was off meanwhile. A task a hook sends what waits, one after the other.
//! None of it is in the way of a release. Nothing here knows HTTP handlers.

mod attempt;
mod courier;
mod delivery;
mod event;
mod hook;
mod ledger;
mod look;
mod manage;
mod news;
mod settings;
mod signature;

pub use attempt::HookFault;
pub use courier::{Courier, Observe, Told};
pub use delivery::{Attempt, Change, Deliveries, Delivery, State};
pub use event::{Event, Held, Kind, News, Renewed, SCHEMA};
pub use hook::{BadHook, FileWish, Hook, Off, Wish};
pub use ledger::{KeptHook, Ledger};
pub use look::Sources;
pub use manage::{NotKept, Shown};
pub use news::Known;
pub use settings::{Pace, Settings};

#[cfg(test)]
mod tests;
