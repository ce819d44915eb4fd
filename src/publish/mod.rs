//! Feeds: what firewalls read, made ahead of their asking and never wrong by accident.
//!
//! What a feed would list is a pure function of a snapshot and a profile; what it does list follows that as far as the
//! gate lets it, within what its readers can take. A worker takes the feeds to each generation off the request path
//! ([`follow`]) and lays the result where readers find it behind one pointer ([`Feed::offer`]); a file keeps it, so that
//! after a bad night the last good list is there before anything else is. Nothing here knows HTTP, or who reads.
//!
//! **The empty list.** FortiGate keeps its last list when a feed fails, and opens the network when a
//! feed comes back empty. So an empty rendering is never offered as a list unless the profile says
//! `allow_empty`, and even then only once some source has been imported. It is not replaced by
//! the last good list either: what that one lists has ended or been allowed since, and ageing out is no
//! accident. The feed then offers [`Offer::Empty`], its readers keep what they have, and
//! health says so. A part of a feed in which nothing is while others have something is an empty list like any other.

mod access;
mod annotate;
mod base;
mod blocked;
mod book;
mod budget;
pub mod crowdsec;
mod decide;
pub mod dnsbl;
mod fault;
mod feed;
mod feeds;
mod foresee;
pub mod formats;
mod freed;
mod gate;
mod hold;
mod log;
mod look;
mod mark;
mod outgoing;
mod packed;
mod pin;
mod preset;
mod publisher;
mod pulls;
pub mod push;
mod recent;
mod refresh;
mod release;
mod rendition;
mod report;
mod retell;
mod roll;
mod rolls;
mod select;
mod selection;
mod selections;
mod shares;
mod size;
mod split;
mod stage;
mod state;
mod sweep;
pub mod taxii;
mod tide;
pub mod webhook;
mod worker;

pub use access::{Access, Claim, Denied, Reader, digest_of};
pub use blocked::Blocked;
pub use book::{Audit, Book, FILE as BOOK_FILE, Keys, Pull};
pub use budget::{Cut, Size};
pub use fault::Fault;
pub use feed::{ALL_FEEDS, Feed, NoConsent, Offer, Status, Unknown};
pub use feeds::Feeds;
pub use foresee::{Foreseen, KeptBack, Share, remains};
pub use freed::{Freed, freed};
pub use gate::Ground;
pub use hold::{Hold, Word};
pub use log::{Difference, Step};
pub use mark::Mark;
pub use outgoing::{Trouble, Unreached, Verify};
pub use packed::Packed;
pub use pin::Pin;
pub use preset::{PRESETS, Preset, with_preset};
pub use publisher::{Publisher, Refused, Secrets};
pub use pulls::{Answer, Pulls};
pub use recent::{Recent, Turn, recent, steady, turns};
pub use release::{ALL_PARTS, Release, Released};
pub use rendition::{Coding, Rendition};
pub use report::{LeftOut, left_out};
pub use roll::{Line, Place, Roll};
pub use rolls::Rolls;
pub use select::{Scene, SelectError, wanted};
pub use selection::{Annotated, Entry, Facts};
pub use tide::Distance;
pub use worker::{follow, write};

#[cfg(test)]
mod tests;
