//! Who somebody is, proved: people by a password and the tokens that it opens, programs by a key or a certificate.
//!
//! Plain data and pure rules are in the files around; [`Keeper`] holds them together over one redb file. It must not know
//! HTTP, nor what is asked for with which right.
//!
//! Architecture invariant: no secret is kept that can be read back, except for the signing keys, which the vault seals.
//! Nothing in here shows one: not in an error, not in `Debug`, not in the log.

mod book;
mod delay;
mod directory;
mod error;
mod keeper;
mod key;
mod lottery;
mod mark;
mod name;
mod password;
mod refusal;
mod secret;
mod session;
mod token;
mod user;

pub use book::{FILE, people};
pub use delay::Whence;
pub use error::IdentityError;
pub use keeper::{
    ADMIN_PASSWORD, Attempt, Begun, Clock, Doubt, Intent, Keeper, MadeKey, Observe, Options, Proved, Shown,
    Told, Turn, UserChange,
};
pub use key::{KeyRow, KeyWish};
pub use name::{BadName, Name};
pub use password::Cost;
pub use refusal::{Refusal, Refusals};
pub use secret::{BadFingerprint, Fingerprint};
pub use session::Lives;
pub use user::{UserRole, UserRow, Visit};
