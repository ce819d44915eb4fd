//! People, as administrators see and change them.

use super::super::paging::{Page, Paging};
use super::super::reason::Removal;
use super::{DONE, Done, People, Private, Secret, Why, named, shown};
use crate::identity::{Keeper, Name, UserChange, UserRole, UserRow};
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) async fn list(
    State(role): State<People>,
    Query(paging): Query<Paging<String>>,
) -> Result<Json<Page<UserRow, String>>, Problem> {
    let generation = role.publishing.generation();
    paging.page(role.keeper()?.users(), |row| row.name.to_string(), generation).map(Json)
}

pub(super) async fn show(State(role): State<People>, name: Path<String>) -> Result<Json<UserRow>, Problem> {
    Ok(Json(role.keeper()?.user(&named(name)?)?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: Name,
    #[serde(default = "user")]
    role: UserRole,
    reason: String,
}

fn user() -> UserRole {
    UserRole::User
}

/// A password that was made, shown this once.
#[derive(Serialize, JsonSchema)]
pub(super) struct OneTime {
    name: Name,
    /// Opens nothing but the way to a password of one's own.
    one_time_password: Option<String>,
}

pub(super) async fn add(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    Json(New { name, role: of, reason }): Json<New>,
) -> Result<Private<OneTime>, Problem> {
    let known = name.clone();
    let work = move |keeper: &Keeper, by: &str| keeper.add_user(&known, of, by);
    let password = role.change(&caller, "user.add", &name, &reason, work).await?;
    Ok(Private(OneTime { name, one_time_password: Some(shown(&password)) }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    #[serde(default)]
    role: Option<UserRole>,
    #[serde(default)]
    disabled: Option<bool>,
    reason: String,
}

/// Whether anything is different.
#[derive(Serialize, JsonSchema)]
pub(super) struct Changed {
    status: &'static str,
    changed: bool,
}

pub(super) async fn change(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(changes): Json<Changes>,
) -> Result<Json<Changed>, Problem> {
    let name = named(name)?;
    let (known, change) = (name.clone(), UserChange { role: changes.role, disabled: changes.disabled });
    let work = move |keeper: &Keeper, _: &str| keeper.change_user(&known, change);
    let changed = role.change(&caller, "user.set", &name, &changes.reason, work).await?;
    Ok(Json(Changed { status: "success", changed }))
}

pub(super) async fn remove(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    removal: Removal,
) -> Result<Json<Done>, Problem> {
    let (name, reason) = (named(name)?, removal.of_all()?);
    let known = name.clone();
    role.change(&caller, "user.remove", &name, &reason, move |keeper, _| keeper.remove_user(&known)).await?;
    Ok(DONE)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    /// The password that they are to have; without one, a one-time password is made.
    #[serde(default)]
    password: Option<Secret>,
    reason: String,
}

pub(super) async fn reset(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(Reset { password, reason }): Json<Reset>,
) -> Result<Private<OneTime>, Problem> {
    let name = named(name)?;
    let known = name.clone();
    let work = move |keeper: &Keeper, _: &str| {
        keeper.reset_password(&known, password.as_ref().map(|Secret(chosen)| chosen))
    };
    let made = role.change(&caller, "user.password", &name, &reason, work).await?;
    Ok(Private(OneTime { name, one_time_password: made.as_ref().map(shown) }))
}

pub(super) async fn logout(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(Why { reason }): Json<Why>,
) -> Result<Json<serde_json::Value>, Problem> {
    let name = named(name)?;
    let known = name.clone();
    let work = move |keeper: &Keeper, _: &str| keeper.end_sessions(&known);
    let ended = role.change(&caller, "user.logout", &name, &reason, work).await?;
    Ok(Json(serde_json::json!({"status": "success", "ended": ended})))
}
