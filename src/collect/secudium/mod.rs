//! SECUDIUM, the portal of SK Shieldus: workbooks of attacking addresses, posted about once a day.
//!
//! A run, for whoever runs it: write the attempt down, [`Client::login`]; when that gives
//! [`Login::NeedsCode`], ask a person for the six digits once and give them to
//! [`Client::login_with_code`]; then [`Client::posts`] of the days that matter, [`Client::attachment`]
//! of those not read yet, and whatever happens [`Client::logout`].
//!
//! Architecture invariant: knows the portal, and nothing of runs, the gate or the engine. No password and
//! no token is kept beyond the client, or shown. The list of posts holds no addresses that threaten: only
//! attachments do.

mod client;
mod error;
mod grid;
mod settings;

pub use client::{Client, Login};
pub use error::Error;
pub use grid::{Attachment, Grid, Post, grid};
pub use settings::{Paths, Settings};
