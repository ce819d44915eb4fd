//! Keys of programs, and the key that signs tokens, as administrators see and change them.

use super::super::paging::{Page, Paging};
use super::super::reason::{Removal, reason};
use super::super::reply::aside;
use super::audited::audited;
use super::{DONE, Done, People, Private, Why, named, shown};
use crate::identity::{Fingerprint, Keeper, KeyRow, KeyWish, MadeKey};
use crate::service::publishing::note;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// So long an old secret holds beside the new one unless told otherwise, in seconds.
const OVERLAP: i64 = 86_400;

pub(super) async fn list(
    State(role): State<People>,
    Query(paging): Query<Paging<String>>,
) -> Result<Json<Page<KeyRow, String>>, Problem> {
    let generation = role.publishing.generation();
    paging.page(role.keeper()?.keys(), |row| row.name.to_string(), generation).map(Json)
}

pub(super) async fn show(State(role): State<People>, name: Path<String>) -> Result<Json<KeyRow>, Problem> {
    Ok(Json(role.keeper()?.key(&named(name)?)?))
}

/// A key with the reason for it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    reason: String,
    key: KeyWish,
}

/// A key that was made.
#[derive(Serialize, JsonSchema)]
pub(super) struct Made {
    /// The key, shown this once; none where a certificate stands for it.
    secret: Option<String>,
    #[serde(flatten)]
    row: KeyRow,
}

impl Made {
    fn of(made: MadeKey) -> Private<Self> {
        Private(Self { secret: made.secret.as_ref().map(shown), row: made.row })
    }
}

pub(super) async fn add(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    Json(Wish { reason, key }): Json<Wish>,
) -> Result<Private<Made>, Problem> {
    let name = key.name.clone();
    let work = move |keeper: &Keeper, by: &str| keeper.add_key(key, by);
    role.change(&caller, "key.add", &name, &reason, work).await.map(Made::of)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    reason: String,
    /// So long the old one holds as well.
    #[serde(default = "overlap")]
    overlap_seconds: i64,
    /// The certificate that stands for it from now on, where one did.
    #[serde(default)]
    certificate: Option<Fingerprint>,
}

fn overlap() -> i64 {
    OVERLAP
}

pub(super) async fn rotate(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(Rotation { reason, overlap_seconds, certificate }): Json<Rotation>,
) -> Result<Private<Made>, Problem> {
    let name = named(name)?;
    let known = name.clone();
    let work = move |keeper: &Keeper, _: &str| keeper.rotate_key(&known, certificate, overlap_seconds);
    role.change(&caller, "key.rotate", &name, &reason, work).await.map(Made::of)
}

pub(super) async fn remove(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    removal: Removal,
) -> Result<Json<Done>, Problem> {
    let (name, reason) = (named(name)?, removal.of_all()?);
    let known = name.clone();
    role.change(&caller, "key.remove", &name, &reason, move |keeper, _| keeper.remove_key(&known)).await?;
    Ok(DONE)
}

/// Has another key sign tokens from now on; those that are signed hold to their end.
pub(super) async fn rotate_signing(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    Json(why): Json<Why>,
) -> Result<Json<Done>, Problem> {
    let audit = role.publishing.audit(&caller, "signing.rotate", "tokens", &reason(Some(&why.reason))?);
    let (keeper, publisher) = (Arc::clone(role.keeper()?), Arc::clone(&role.publishing.0));
    aside(move || {
        let tell = |audit: &_| note(&publisher, audit);
        Ok(audited((&keeper, tell), &audit, || keeper.renew_signing_key(true))?)
    })
    .await?;
    Ok(DONE)
}
