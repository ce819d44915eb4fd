//! What a program shows for itself: a key of its own, or its client certificate. Plain data, and whether it holds.

use super::name::Name;
use super::secret::Fingerprint;
use super::user::Visit;
use crate::addr::{IpRange, IpSet};
use crate::model::Time;
use crate::rights::{Identity, Kind, Rights};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// A key as the book has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ApiKey {
    pub(super) name: Name,
    pub(super) rights: Rights,
    pub(super) networks: Vec<IpRange>,
    pub(super) expires: Option<Time>,
    pub(super) made: Time,
    pub(super) made_by: String,
    pub(super) proof: Proof,
    /// What it showed before, and until when that holds as well.
    pub(super) before: Option<(Proof, Time)>,
}

/// By what it is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Proof {
    /// The public part of the key, and the digest of all of it.
    Secret { id: String, print: Fingerprint },
    /// The SHA-256 of a certificate's DER.
    Certificate(Fingerprint),
}

/// Why a key that is right does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Not {
    Wrong,
    Expired,
    Elsewhere,
}

impl ApiKey {
    /// The proofs that hold now.
    pub(super) fn proofs(&self, now: Time) -> impl Iterator<Item = &Proof> {
        let before = self.before.iter().filter(move |(_, until)| now < *until).map(|(proof, _)| proof);
        std::iter::once(&self.proof).chain(before)
    }
}

/// A key ready to be asked about.
#[derive(Debug)]
pub(super) struct ReadyKey {
    pub(super) kept: ApiKey,
    networks: IpSet,
    identity: Arc<Identity>,
}

impl ReadyKey {
    pub(super) fn new(kept: ApiKey) -> Self {
        let networks = kept.networks.iter().copied().collect();
        let name = kept.name.to_string();
        let identity = Arc::new(Identity { kind: Kind::Key, name, rights: kept.rights });
        Self { kept, networks, identity }
    }

    /// Who shows `shown` from there.
    pub(super) fn admit(&self, shown: &Proof, from: IpAddr, now: Time) -> Result<&Arc<Identity>, Not> {
        let is_right = self.kept.proofs(now).fold(false, |right, proof| right | proof.is(shown));
        if !is_right {
            return Err(Not::Wrong);
        }
        if self.kept.expires.is_some_and(|end| end <= now) {
            return Err(Not::Expired);
        }
        if !self.networks.is_empty() && !self.networks.contains(from) {
            return Err(Not::Elsewhere);
        }
        Ok(&self.identity)
    }
}

impl Proof {
    fn is(&self, shown: &Self) -> bool {
        match (self, shown) {
            (Self::Secret { print, .. }, Self::Secret { print: shown, .. })
            | (Self::Certificate(print), Self::Certificate(shown)) => print.is(shown),
            _ => false,
        }
    }
}

/// What somebody wishes a key to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyWish {
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub rights: Rights,
    /// From where alone it may be shown; none: from everywhere.
    #[serde(default)]
    pub networks: Vec<IpRange>,
    /// When it ends.
    #[serde(default)]
    pub expires: Option<Time>,
    /// The SHA-256 of the client certificate that stands for its secret.
    #[serde(default)]
    pub certificate: Option<Fingerprint>,
}

/// A key as an administrator sees it.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct KeyRow {
    /// Its name.
    pub name: Name,
    /// How it begins.
    pub begins: Option<String>,
    /// The certificate that stands for it.
    pub certificate: Option<Fingerprint>,
    /// What it may do.
    pub rights: Rights,
    /// From where alone.
    pub networks: Vec<IpRange>,
    /// When it ends.
    pub expires: Option<Time>,
    /// Until when the one before it holds as well.
    pub before_until: Option<Time>,
    /// When it was made.
    pub made: Time,
    /// By whom.
    pub made_by: String,
    /// When and from where it was shown last.
    pub last_use: Option<Visit>,
}

impl KeyRow {
    pub(super) fn of(key: &ApiKey, last_use: Option<Visit>, now: Time) -> Self {
        let (begins, certificate) = match &key.proof {
            Proof::Secret { id, .. } => (Some(format!("il_{id}")), None),
            Proof::Certificate(print) => (None, Some(*print)),
        };
        Self {
            name: key.name.clone(),
            begins,
            certificate,
            rights: key.rights,
            networks: key.networks.clone(),
            expires: key.expires,
            before_until: key.before.as_ref().map(|(_, until)| *until).filter(|until| now < *until),
            made: key.made,
            made_by: key.made_by.clone(),
            last_use,
        }
    }
}
