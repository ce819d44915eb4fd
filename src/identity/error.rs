//! What can go wrong, by what its caller can do.

use crate::disk::DiskError;
use crate::vault::VaultError;

/// Why something about identities was not done. No secret is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The name or the password, the token or the session is not right; which of them is not told.
    #[error("the name or the password is wrong")]
    Wrong,
    /// A refresh token that was used before: the session is over, since somebody else may have it.
    #[error("this refresh token was used before, so its session is over; log in again")]
    Reused,
    /// Too many attempts: so many seconds are to pass before the next.
    #[error("too many attempts; try again in {0} s")]
    Delayed(u64),
    /// Too many others want a password checked: try again soon.
    #[error("too many logins at once; try again soon")]
    Busy,
    /// A password that may not be set.
    #[error("the password {0}")]
    Weak(&'static str),
    /// There is no such user or key.
    #[error("there is no {0} {1}")]
    Unknown(&'static str, String),
    /// There is one of that name already.
    #[error("there is a {0} {1} already")]
    Exists(&'static str, String),
    /// Nobody could administrate any more.
    #[error("{0} is the last administrator; make another one first")]
    LastAdministrator(String),
    /// What is asked for makes no sense.
    #[error("{0}")]
    Nonsense(&'static str),
    /// There are as many as there can be.
    #[error("there are {0} already, which is as many as can be; remove some")]
    Full(&'static str),
    /// The disk failed: nothing was changed, or it cannot be known.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Signing keys cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The system gave no random bytes, or a library failed as it should not.
    #[error("the system gave no random bytes")]
    Chance,
}
