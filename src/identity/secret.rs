//! Secrets that the program makes: keys, refresh tokens, one-time passwords. They are shown once and kept as a digest.
//!
//! Each is random throughout, so a plain SHA-256 is enough to keep it by: there is nothing to guess.

use super::error::IdentityError;
use crate::disk::{Digest, digest, hex, unhex};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How keys begin, so that people and scanners of repositories know one when they see it.
const KEY: &str = "il_";
/// How refresh tokens begin.
const REFRESH: &str = "ir_";
/// Letters of a key's id, of a family's, and of a secret of 256 bits.
const KEY_ID: usize = 8;
const FAMILY_ID: usize = 22;
const SECRET: usize = 43;

/// Letters and digits that nobody mistakes for each other: 32, so that one is five bits.
const CLEAR: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The SHA-256 of something that is not to be known; as JSON 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// That of a text.
    pub fn of(text: &str) -> Self {
        Self(digest(&[text.as_bytes()]))
    }

    /// The digest itself.
    pub fn digest(&self) -> &Digest {
        &self.0
    }

    /// Whether it is the other one, in a time that says nothing.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl From<Digest> for Fingerprint {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

/// What is no SHA-256 in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("64 hexadecimal digits are meant, the SHA-256 of a certificate's DER; colons may stand between them")]
pub struct BadFingerprint;

impl TryFrom<String> for Fingerprint {
    type Error = BadFingerprint;

    fn try_from(text: String) -> Result<Self, BadFingerprint> {
        let digest = unhex(&text.replace(':', "")).and_then(|bytes| bytes.try_into().ok());
        digest.map(Self).ok_or(BadFingerprint)
    }
}

impl From<Fingerprint> for String {
    fn from(print: Fingerprint) -> Self {
        hex(&print.0)
    }
}

/// It is kept, not told.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(hidden)")
    }
}

/// Random bytes of the system's generator.
///
/// # Errors
/// [`IdentityError::Chance`] when it gives none.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, IdentityError> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| IdentityError::Chance)?;
    Ok(bytes)
}

/// A new one-time password: 100 bits in five groups, made to be read out and typed.
pub(super) fn one_time() -> Result<SecretString, IdentityError> {
    let bytes = random::<20>()?;
    let mut text = String::with_capacity(24);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(CLEAR[usize::from(byte % 32)]));
    }
    Ok(text.into())
}

/// A new secret with the name under which it is found.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) text: SecretString,
    pub(super) print: Fingerprint,
}

impl Made {
    fn new(prefix: &str, id: String) -> Result<Self, IdentityError> {
        let text = format!("{prefix}{id}_{}", URL_SAFE_NO_PAD.encode(*random::<32>()?));
        Ok(Self { id, print: Fingerprint::of(&text), text: text.into() })
    }

    /// A key: `il_`, eight letters that are its public name, and its secret.
    pub(super) fn key() -> Result<Self, IdentityError> {
        let id = random::<KEY_ID>()?.iter().map(|byte| char::from(CLEAR[usize::from(byte % 32)])).collect();
        Self::new(KEY, id)
    }

    /// A refresh token of the family `id`, or of a new one.
    ///
    /// The family's name is a secret, too: whoever knows it has had a token of it in their hands.
    pub(super) fn refresh(id: Option<&str>) -> Result<Self, IdentityError> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => URL_SAFE_NO_PAD.encode(*random::<16>()?),
        };
        Self::new(REFRESH, id)
    }
}

/// The id in what looks like a key.
pub(super) fn key_id(text: &str) -> Option<&str> {
    id_in(text, KEY, KEY_ID)
}

/// The family in what looks like a refresh token.
pub(super) fn family_id(text: &str) -> Option<&str> {
    id_in(text, REFRESH, FAMILY_ID)
}

fn id_in<'t>(text: &'t str, prefix: &str, length: usize) -> Option<&'t str> {
    let rest = text.strip_prefix(prefix).filter(|rest| rest.is_ascii())?;
    let (id, secret) = rest.split_at_checked(length)?;
    secret.strip_prefix('_').filter(|secret| secret.len() == SECRET).map(|_| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn a_secret_is_found_by_its_id_and_known_by_its_digest() {
        for (made, found) in [
            (Made::key().unwrap(), key_id as fn(&str) -> Option<&str>),
            (Made::refresh(None).unwrap(), family_id),
        ] {
            let text = made.text.expose_secret();
            assert_eq!(found(text), Some(&*made.id));
            assert!(Fingerprint::of(text).is(&made.print));
            for wrong in
                [&text[1..], &text[..text.len() - 1], &format!("{text}x"), &text.replacen('_', "-", 2)]
            {
                assert_eq!(found(wrong), None, "{wrong}");
            }
        }
        let family = Made::refresh(None).unwrap();
        let next = Made::refresh(Some(&family.id)).unwrap();
        assert!(next.id == family.id && !next.print.is(&family.print));
    }

    #[test]
    fn a_one_time_password_can_be_read_out_and_is_never_the_same() {
        let (one, other) = (one_time().unwrap(), one_time().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        let groups: Vec<usize> = one.expose_secret().split('-').map(str::len).collect();
        assert_eq!(groups, [4; 5]);
    }

    #[test]
    fn a_fingerprint_is_read_as_programs_print_it_and_never_shown() {
        let text = "AB:".repeat(32);
        let print = Fingerprint::try_from(text.trim_end_matches(':').to_owned()).unwrap();
        assert_eq!(String::from(print), "ab".repeat(32));
        assert!(!format!("{print:?}").contains("ab:"));
        assert_eq!(Fingerprint::try_from("ab".repeat(31)), Err(BadFingerprint));
    }
}
