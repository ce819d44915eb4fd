//! Passwords: how they are kept, and which may be set.
//!
//! Argon2id (RFC 9106) with the parameters in each hash, so that they can grow: a password that was kept with weaker ones
//! is hashed anew when its owner logs in. It must not know whose they are.

use super::error::IdentityError;
use super::name::Name;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The least and the most characters of a password.
const LEAST: usize = 12;
const MOST: usize = 128;

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

/// 19 MiB and two passes: about 20 ms.
impl Default for Cost {
    fn default() -> Self {
        Self { memory: 19_456, passes: 2 }
    }
}

/// A password as it is kept: a string of the PHC form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept(String);

/// Nobody is shown what could be guessed at leisure.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(hidden)")
    }
}

/// Hashes passwords and compares them with what is kept. Every call takes tens of milliseconds of a processor.
pub(super) struct Hasher {
    argon: Argon2<'static>,
    /// Of a password that nobody has: for users who are not there, so that the time says nothing.
    nobody: Kept,
}

impl Hasher {
    pub(super) fn new(cost: Cost) -> Result<Self, IdentityError> {
        let params = Params::new(cost.memory, cost.passes, 1, None).map_err(|_| IdentityError::Chance)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hasher = Self { argon, nobody: Kept(String::new()) };
        hasher.nobody = hasher.keep(&super::secret::one_time()?)?;
        Ok(hasher)
    }

    /// The form in which a password is kept.
    pub(super) fn keep(&self, password: &SecretString) -> Result<Kept, IdentityError> {
        let hash = self.argon.hash_password(password.expose_secret().as_bytes());
        hash.map(|hash| Kept(hash.to_string())).map_err(|_| IdentityError::Chance)
    }

    /// Whether it is the password that is kept; with nothing kept it takes as long and is not.
    pub(super) fn is(&self, password: &SecretString, kept: Option<&Kept>) -> bool {
        if password.expose_secret().chars().count() > MOST {
            return false;
        }
        let Ok(hash) = PasswordHash::new(&kept.unwrap_or(&self.nobody).0) else { return false };
        let is_right = self.argon.verify_password(password.expose_secret().as_bytes(), &hash).is_ok();
        is_right && kept.is_some()
    }

    /// Whether what is kept was made with less than is usual now.
    pub(super) fn is_outgrown(&self, kept: &Kept) -> bool {
        let params = PasswordHash::new(&kept.0).ok().and_then(|hash| Params::try_from(&hash).ok());
        let now = self.argon.params();
        params.is_none_or(|then| then.m_cost() < now.m_cost() || then.t_cost() < now.t_cost())
    }
}

/// Whether a user of that name may have it.
///
/// # Errors
/// [`IdentityError::Weak`]. Length counts and nothing else: rules about kinds of characters make passwords weaker
/// (NIST SP 800-63B, 3.1.1.2).
pub(super) fn admit(password: &SecretString, name: &Name) -> Result<(), IdentityError> {
    let text = password.expose_secret();
    let length = text.chars().count();
    let is_even = text.chars().skip(1).eq(text.chars().take(length.saturating_sub(1)));
    match length {
        ..LEAST => Err(IdentityError::Weak("is too short: 12 characters are the least")),
        _ if length > MOST => Err(IdentityError::Weak("is too long: 128 characters are the most")),
        _ if is_even => Err(IdentityError::Weak("is one character repeated")),
        _ if text.to_lowercase().contains(name.as_str()) && length < name.as_str().len() + LEAST => {
            Err(IdentityError::Weak("is little more than the name"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory: 8, passes: 1 };

    fn text(text: &str) -> SecretString {
        text.to_owned().into()
    }

    #[test]
    fn a_password_is_known_again_and_nothing_else_is() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let kept = hasher.keep(&text("correct horse battery")).unwrap();
        assert!(kept.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", kept.0);
        assert!(hasher.is(&text("correct horse battery"), Some(&kept)));
        for wrong in ["", "correct horse batter", "correct horse battery ", &"x".repeat(1 << 20)] {
            assert!(!hasher.is(&text(wrong), Some(&kept)));
            assert!(!hasher.is(&text(wrong), None));
        }
        assert_ne!(kept, hasher.keep(&text("correct horse battery")).unwrap(), "never the same salt");
        assert!(!format!("{kept:?}").contains("argon"));
        assert!(!hasher.is(&text("x"), Some(&Kept("$argon2id$damaged".to_owned()))));
    }

    #[test]
    fn a_password_that_was_cheap_to_keep_is_known_and_outgrown() {
        let (then, now) = (Hasher::new(CHEAP).unwrap(), Hasher::new(Cost { memory: 16, passes: 1 }).unwrap());
        let kept = then.keep(&text("correct horse battery")).unwrap();
        assert!(now.is(&text("correct horse battery"), Some(&kept)));
        assert!(now.is_outgrown(&kept) && !then.is_outgrown(&kept));
        assert!(!then.is_outgrown(&now.keep(&text("x")).unwrap()), "what is stronger stays");
    }

    #[test]
    fn the_usual_cost_is_what_the_rules_ask_for() {
        let hasher = Hasher::new(Cost::default()).unwrap();
        assert!(hasher.nobody.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[test]
    fn length_counts_and_the_name_does_not() {
        let name = Name::admin();
        let admitted = |password: &str| admit(&text(password), &name).is_ok();
        for right in
            ["correct horse", "비밀번호는열두글자이상이다", "Admin has a long memory", &"ab".repeat(64)]
        {
            assert!(admitted(right), "{right}");
        }
        for wrong in
            ["", "elevenchars", "aaaaaaaaaaaaaaaa", "admin1234567", "xADMINxADMINx", &"ab".repeat(65)]
        {
            assert!(!admitted(wrong), "{wrong}");
        }
    }
}
