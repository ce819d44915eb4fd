//! Access tokens: what a session may show for a quarter of an hour (JWT, RFC 7519; profile of RFC 9068).
//!
//! Tokens are ours on both ends, so nothing about them is up to whoever shows one. The head is not interpreted, it is
//! compared with those that our keys write: with that no algorithm, no key and no address in it means anything. The
//! claims are one exact form, and their times are judged by the clock that is handed in.

use super::error::IdentityError;
use super::name::Name;
use super::secret::random;
use crate::disk::{hex, unhex};
use crate::model::Time;
use crate::vault::{Vault, VaultError};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// For whom tokens are.
const AUDIENCE: &str = "ironlist";
/// What they are (RFC 9068, 2.1).
const TYPE: &str = "at+jwt";
/// So far the clock may be set back and forth without a token noticing, in seconds.
const LEEWAY: i64 = 5;
/// No token of ours is longer, in bytes.
const LONGEST: usize = 1024;

/// What a token says; nothing more, and nothing less.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    pub(super) iss: Uuid,
    pub(super) aud: String,
    pub(super) sub: Name,
    pub(super) sid: Uuid,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
}

impl Claims {
    /// That the session `sid` of `sub` may show this from `now` on for so many seconds.
    pub(super) fn new(issuer: Uuid, sub: &Name, sid: Uuid, now: Time, seconds: i64) -> Self {
        let (now, until) = (now.unix(), now.plus(seconds).unix());
        let (aud, sub) = (AUDIENCE.to_owned(), sub.clone());
        Self { iss: issuer, aud, sub, sid, iat: now, nbf: now, exp: until }
    }

    /// Whether it holds at that moment.
    ///
    /// # Errors
    /// [`Untrue::Over`], or [`Untrue::Wrong`] before it begins.
    pub(super) fn at(&self, now: Time) -> Result<(), Untrue> {
        let now = now.unix();
        match self.iat.max(self.nbf) <= now.saturating_add(LEEWAY) {
            false => Err(Untrue::Wrong),
            true if self.exp.saturating_add(LEEWAY) <= now => Err(Untrue::Over),
            true => Ok(()),
        }
    }
}

/// Why a token is not believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Untrue {
    /// It is none of ours, or not yet.
    Wrong,
    /// It was ours, and is over.
    Over,
}

/// A signing key as it is kept: its secret half sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptKey {
    pub(super) id: String,
    sealed: String,
    public: String,
    pub(super) made: Time,
    /// Since when another one signs.
    pub(super) retired: Option<Time>,
}

impl KeptKey {
    /// A new one. Blocks on the disk where the vault has no key yet.
    ///
    /// # Errors
    /// The vault's key cannot be read or made.
    pub(super) fn make(vault: &Vault, now: Time) -> Result<Self, IdentityError> {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| IdentityError::Chance)?;
        let public = Ed25519KeyPair::from_pkcs8(pair.as_ref()).map_err(|_| IdentityError::Chance)?;
        let id = hex(&*random::<8>()?);
        let sealed = hex(&vault.seal(&sealed_as(&id), pair.as_ref())?);
        Ok(Self { id, sealed, public: hex(public.public_key().as_ref()), made: now, retired: None })
    }

    /// The same, with another one signing in its place. What it sealed is forgotten: it only verifies from now on.
    pub(super) fn retire(self, now: Time) -> Self {
        Self { retired: Some(now), sealed: String::new(), ..self }
    }
}

fn sealed_as(id: &str) -> String {
    format!("identity signing key {id}")
}

/// A signing key in use.
pub(super) struct SigningKey {
    pub(super) kept: KeptKey,
    /// How every token of it begins, up to the first dot.
    head: String,
    /// None where it cannot be opened, or only verifies any more.
    signs: Option<EncodingKey>,
    verifies: DecodingKey,
}

impl SigningKey {
    /// Opens what is kept; one that is retired needs no vault.
    ///
    /// # Errors
    /// It is another installation's, or damaged. It comes back with what still verifies.
    pub(super) fn open(kept: KeptKey, vault: &Vault) -> (Self, Result<(), VaultError>) {
        let (opened, told) = match kept.retired {
            Some(_) => (None, Ok(())),
            None => match vault.open(&sealed_as(&kept.id), &unhex(&kept.sealed).unwrap_or_default()) {
                Ok(secret) => (Some(EncodingKey::from_ed_der(&secret)), Ok(())),
                Err(error) => (None, Err(error)),
            },
        };
        // Both are texts that were checked before they were kept; what was damaged since verifies nothing.
        let head = serde_json::to_vec(&header(&kept.id)).unwrap_or_default();
        let public = unhex(&kept.public).unwrap_or_default();
        let verifies = DecodingKey::from_ed_der(&public);
        (Self { head: URL_SAFE_NO_PAD.encode(head), signs: opened, verifies, kept }, told)
    }
}

fn header(id: &str) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    (header.typ, header.kid) = (Some(TYPE.to_owned()), Some(id.to_owned()));
    header
}

/// All signing keys, the newest first.
#[derive(Clone, Default)]
pub(super) struct Ring(pub(super) Vec<Arc<SigningKey>>);

impl Ring {
    /// The key that signs, if one can.
    pub(super) fn signs(&self) -> Option<&KeptKey> {
        self.able().map(|(key, _)| &key.kept)
    }

    fn able(&self) -> Option<(&SigningKey, &EncodingKey)> {
        let mut active = self.0.iter().filter(|key| key.kept.retired.is_none());
        active.find_map(|key| Some((&**key, key.signs.as_ref()?)))
    }

    /// A token that says `claims`.
    ///
    /// # Errors
    /// No key can sign.
    pub(super) fn sign(&self, claims: &Claims) -> Result<String, IdentityError> {
        let sealed = || VaultError::Sealed("the keys that sign tokens".to_owned());
        let (key, secret) = self.able().ok_or_else(sealed)?;
        encode(&header(&key.kept.id), claims, secret).map_err(|_| IdentityError::Chance)
    }

    /// What a token says, if it is one of ours and holds at `now`. Costs one signature's check, about 50 µs.
    ///
    /// # Errors
    /// [`Untrue`].
    pub(super) fn verify(&self, token: &str, issuer: Uuid, now: Time) -> Result<Claims, Untrue> {
        let (head, rest) = token.split_once('.').filter(|_| token.len() <= LONGEST).ok_or(Untrue::Wrong)?;
        let key = self.0.iter().find(|key| key.head == head && !rest.is_empty()).ok_or(Untrue::Wrong)?;
        let claims = decode::<Claims>(token, &key.verifies, &rules()).map_err(|_| Untrue::Wrong)?.claims;
        if claims.iss != issuer || claims.aud != AUDIENCE {
            return Err(Untrue::Wrong);
        }
        claims.at(now).map(|()| claims)
    }
}

/// What the library is to look at: signature and audience. The rest is looked at here, by a clock that can be set.
fn rules() -> Validation {
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&[AUDIENCE]);
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    (rules.validate_exp, rules.validate_nbf) = (false, false);
    rules
}

#[cfg(test)]
mod tests;
