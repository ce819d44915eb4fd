//! REGTECH, the portal of the Financial Security Institute of Korea: its list of IPs to watch.
//!
//! There is no API. The [`Client`] behaves as the portal's own page does, [`Memory`] says what is to be
//! read next, and every way in which the portal fails while saying "200 OK" has a name ([`Error`]).
//!
//! A run, for whoever runs it:
//! ```text
//! memory.begin(&settings.plan, today);
//! while let Some(window) = memory.next(&settings.plan, today) {
//!     loop {
//!         if client.needs_login() { write the attempt down; client.login(user, password, now).await? }
//!         match client.workbook(window).await {
//!             Err(Error::SessionLost(_)) => continue,      // a second time it is SessionLostAgain
//!             other => break other?,
//!         }
//!     }
//!     read the bytes, with `Terms { lasts: Some(settings.release_days), .. }`; deliver them as that window;
//!     memory.record(window, today, last_day(&rows, zone))
//! }
//! ```
//!
//! Architecture invariant: knows the portal, and nothing of runs, the gate or the engine. No password is
//! kept or shown.

mod answer;
mod client;
mod error;
mod list;
mod session;
mod settings;
mod tables;
mod windows;

pub use client::Client;
pub use error::{Error, Refusal, Signal, Silence};
pub use list::{Page, Row, ndjson, page};
pub use settings::{Paths, Settings};
pub use windows::{Memory, Plan, Seen, Window, allowed, cut, last_day};
