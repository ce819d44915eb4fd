//! Identities between processes, with the installation's key:
//!
//! - `POST /internal/v1/identity`: who shows this from there?
//! - `POST /internal/v1/identity/refusals`: who was refused elsewhere.

use super::authority::found;
use super::{DONE, Done, People};
use crate::identity::{Fingerprint, Refusal};
use crate::rights::Identity;
use crate::web::claim::{Claim, Found, Key, Unproven};
use crate::web::{Json, Problem};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Where claims are looked up.
pub(super) const CLAIMS: &str = "/internal/v1/identity";
/// Where refusals are told.
pub(super) const REFUSALS: &str = "/internal/v1/identity/refusals";

/// What is asked. No `Debug`: a key is in it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    certificate: Option<Fingerprint>,
    from: IpAddr,
}

impl Asked {
    pub(super) fn new(claim: Claim<'_>, from: IpAddr) -> Self {
        match claim {
            Claim::Key(key) => Self { key: Some(key.text.to_owned()), certificate: None, from },
            Claim::Certificate(print) => Self { key: None, certificate: Some((*print).into()), from },
        }
    }

    fn claim(&self) -> Result<Claim<'_>, Problem> {
        match (&self.key, &self.certificate) {
            (Some(key), None) => Ok(Claim::Key(Key::of(key))),
            (None, Some(print)) => Ok(Claim::Certificate(print.digest())),
            _ => Err(Problem::unprocessable("body_shape", "Send a key or a certificate.")),
        }
    }
}

/// A refusal, and how often it was one.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Often {
    #[serde(flatten)]
    pub(super) refusal: Refusal,
    pub(super) count: u64,
}

/// What is answered.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Identity(Identity),
    Wrong,
    Expired,
    Elsewhere,
    Unknown,
}

impl Answer {
    fn of(found: Found) -> Self {
        match found {
            Ok(identity) => Self::Identity(Identity::clone(&identity)),
            Err(Unproven::Wrong) => Self::Wrong,
            Err(Unproven::Expired) => Self::Expired,
            Err(Unproven::Elsewhere) => Self::Elsewhere,
            Err(Unproven::Unknown) => Self::Unknown,
        }
    }

    pub(super) fn found(self) -> Found {
        match self {
            Self::Identity(identity) => Ok(Arc::new(identity)),
            Self::Wrong => Err(Unproven::Wrong),
            Self::Expired => Err(Unproven::Expired),
            Self::Elsewhere => Err(Unproven::Elsewhere),
            Self::Unknown => Err(Unproven::Unknown),
        }
    }
}

pub(super) async fn claim(
    State(role): State<People>,
    Json(asked): Json<Asked>,
) -> Result<Json<Answer>, Problem> {
    let claim = asked.claim()?;
    Ok(Json(Answer::of(match &role.keeper {
        Some(keeper) => found(keeper, claim, asked.from),
        None => Err(Unproven::Unknown),
    })))
}

pub(super) async fn refused(
    State(role): State<People>,
    Json(refusals): Json<Vec<Often>>,
) -> Result<Json<Done>, Problem> {
    let keeper = role.keeper()?;
    refusals.into_iter().for_each(|Often { refusal, count }| keeper.refused(refusal, count));
    Ok(DONE)
}
