//! The way in and out: logins, refreshing, logging out, one's own password, and who one is.

use super::super::publishing::note;
use super::super::reply::aside;
use super::audited::audited;
use super::{DONE, Done, People, Private, Secret, no_session, shown, unauthorized};
use crate::identity::{Attempt, Begun, IdentityError, Keeper, Proved, Shown, Turn, Whence};
use crate::model::Time;
use crate::rights::{Kind, Rights};
use crate::web::claim::key_in;
use crate::web::extract::Whole;
use crate::web::{Caller, Json, Peer, Problem};
use axum::Extension;
use axum::extract::State;
use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    username: String,
    password: Secret,
}

/// A session as its owner gets it (RFC 6749, 5.1).
#[derive(Serialize, JsonSchema)]
pub(super) struct Session {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    refresh_token: Option<String>,
    must_change_password: bool,
}

impl Session {
    fn of(begun: &Begun) -> Self {
        Self {
            access_token: shown(&begun.access_token),
            token_type: "Bearer",
            expires_in: begun.expires_in,
            refresh_token: begun.refresh_token.as_ref().map(shown),
            must_change_password: begun.refresh_token.is_none(),
        }
    }
}

pub(super) async fn login(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    Json(Login { username, password }): Json<Login>,
) -> Result<Private<Session>, Problem> {
    let keeper = role.keeper()?;
    if keeper.is_one_time(&username, &password.0) {
        let (keeper, from) = (Arc::clone(keeper), whence(&caller));
        let begun = aside(move || Ok(keeper.log_in_once(&username, &password.0, from)?)).await?;
        return Ok(Private(Session::of(&begun)));
    }
    let work = move |keeper: &Keeper, attempt: &Attempt| keeper.log_in(attempt, &password.0);
    let begun = with_password(keeper, &username, &caller, work).await?;
    Ok(Private(Session::of(&begun)))
}

/// Whence somebody logs in: who is behind a proxy that nobody declared is elsewhere than the proxy itself.
fn whence(caller: &Caller) -> Whence {
    Whence { address: caller.peer.address(), is_behind: matches!(caller.peer, Peer::Behind(_)) }
}

/// Does something for which a password is checked: when the caller may try, and it is their turn.
async fn with_password(
    keeper: &Arc<Keeper>,
    username: &str,
    caller: &Caller,
    work: impl FnOnce(&Keeper, &Attempt) -> Result<Begun, IdentityError> + Send + 'static,
) -> Result<Begun, Problem> {
    let turn = async {
        let attempt = keeper.attempt(username, whence(caller))?;
        let turn: Turn = keeper.turn(&attempt).await?;
        Ok((attempt, turn))
    };
    let done = match turn.await {
        Err(error) => Err(error),
        Ok((attempt, turn)) => {
            let keeper = Arc::clone(keeper);
            aside(move || {
                let _turn = turn;
                Ok(work(&keeper, &attempt))
            })
            .await?
        }
    };
    done.map_err(|error| refused(error, || keeper.claimed_name(username)))
}

/// The problem of an error; where somebody is refused, with whom they wanted to be.
fn refused(error: IdentityError, claimed: impl FnOnce() -> String) -> Problem {
    let is_refusal =
        matches!(error, IdentityError::Wrong | IdentityError::Reused | IdentityError::Delayed(_));
    let problem = Problem::from(error);
    if is_refusal { problem.claimed(claimed()) } else { problem }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    refresh_token: Secret,
}

pub(super) async fn refresh(
    State(role): State<People>,
    Json(Refresh { refresh_token }): Json<Refresh>,
) -> Result<Private<Session>, Problem> {
    let keeper = Arc::clone(role.keeper()?);
    let taken = aside(move || Ok(keeper.refresh(&refresh_token.0))).await?;
    let begun = taken.map_err(|(error, whose)| {
        let claimed = || whose.map_or_else(|| "a refresh token".to_owned(), |name| name.to_string());
        match error {
            IdentityError::Wrong => {
                let wrong = "The refresh token is none, or its session is over; log in again.";
                unauthorized("refresh_wrong", wrong).claimed(claimed())
            }
            other => refused(other, claimed),
        }
    })?;
    Ok(Private(Session::of(&begun)))
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Logout {
    all: bool,
    refresh_token: Option<Secret>,
}

pub(super) async fn logout(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Json<Done>, Problem> {
    let said = if body.is_empty() { Ok(Logout::default()) } else { serde_json::from_slice(&body) };
    let Logout { all, refresh_token } = said.map_err(|_| {
        Problem::unprocessable("body_shape", "Send nothing, {\"all\":true}, or {\"refresh_token\":…}.")
    })?;
    let keeper = Arc::clone(role.keeper()?);
    let session = session(&keeper, &headers, &caller);
    let ended = match (session, refresh_token) {
        (Some(proved), _) => aside(move || Ok(keeper.log_out(&proved, all))).await?,
        (None, Some(token)) if !all => aside(move || Ok(keeper.log_out_with(&token.0))).await?,
        (None, _) => return Err(no_session(&caller)),
    };
    match ended {
        Ok(()) => Ok(DONE),
        Err(error) => Err(refused(error, || "a refresh token".to_owned())),
    }
}

/// The session whose token is shown.
fn session(keeper: &Keeper, headers: &HeaderMap, caller: &Caller) -> Option<Proved> {
    let proved = keeper.prove(Shown::key(key_in(headers)?), caller.peer.network()).ok()?;
    Some(proved).filter(|proved| proved.identity.kind == Kind::User)
}

/// Who somebody is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Me {
    name: String,
    kind: Kind,
    rights: Rights,
    /// Until when what was shown holds.
    until: Option<Time>,
    must_change_password: bool,
}

pub(super) async fn me(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Json<Me>, Problem> {
    let Some(who) = &caller.who else { return Err(no_session(&caller)) };
    let shown = key_in(&headers).zip(role.keeper.as_ref());
    let proved = shown.and_then(|(key, keeper)| keeper.prove(Shown::key(key), caller.peer.network()).ok());
    Ok(Json(Me {
        name: who.name.clone(),
        kind: who.kind,
        rights: who.rights,
        until: proved.and_then(|proved| proved.until),
        must_change_password: who.kind == Kind::User && who.rights == Rights::NONE,
    }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// The password as it is; not asked for from whoever came in with a one-time password.
    #[serde(default)]
    password: Option<Secret>,
    new_password: Secret,
}

pub(super) async fn password(
    State(role): State<People>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(Change { password, new_password }): Json<Change>,
) -> Result<Private<Session>, Problem> {
    let keeper = role.keeper()?;
    let proved = session(keeper, &headers, &caller).ok_or_else(|| no_session(&caller))?;
    let name = proved.identity.name.clone();
    let audit = role.publishing.audit(&caller, "user.password", &name, "their own password");
    let publisher = Arc::clone(&role.publishing.0);
    let work = move |keeper: &Keeper, attempt: &Attempt| {
        let old = password.as_ref().map(|Secret(old)| old);
        let change = || keeper.change_password(attempt, &proved, old, &new_password.0);
        audited((keeper, |audit| note(&publisher, audit)), &audit, change)
    };
    let begun = with_password(keeper, &name, &caller, work).await?;
    Ok(Private(Session::of(&begun)))
}
