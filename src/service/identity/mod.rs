//! Who may come in: logins, people, keys, and what was refused. Served by the process with the blacklist role.

mod authority;
mod elsewhere;
mod internal;
mod keys;
mod refusals;
mod sessions;
mod users;

pub use authority::Local;
pub use elsewhere::Elsewhere;

use super::publishing::{Publishing, note};
use super::reason::reason;
use super::reply::aside;
use crate::engine::EngineError;
use crate::identity::{IdentityError, Keeper, Name};
use crate::rights::{Kind, Right};
use crate::web::{Caller, Json, Path, Problem};
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// How the paths begin on which nobody need be known: their handlers decide.
pub const PREFIX: &str = "/api/v1/auth/";

/// What the handlers share.
#[derive(Clone)]
pub struct People {
    /// Who keeps them; none where the book cannot be used.
    pub keeper: Option<Arc<Keeper>>,
    /// Who has the audit.
    pub publishing: Publishing,
}

impl People {
    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/auth/login", post(sessions::login))
            .route("/api/v1/auth/refresh", post(sessions::refresh))
            .route("/api/v1/auth/logout", post(sessions::logout))
            .route("/api/v1/auth/me", get(sessions::me))
            .route("/api/v1/auth/me/password", put(sessions::password))
            .route("/api/v1/auth/users", get(users::list).post(users::add))
            .route("/api/v1/auth/users/{name}", get(users::show).put(users::change).delete(users::remove))
            .route("/api/v1/auth/users/{name}/password", post(users::reset))
            .route("/api/v1/auth/users/{name}/logout", post(users::logout))
            .route("/api/v1/auth/keys", get(keys::list).post(keys::add))
            .route("/api/v1/auth/keys/{name}", get(keys::show).delete(keys::remove))
            .route("/api/v1/auth/keys/{name}/rotate", post(keys::rotate))
            .route("/api/v1/auth/signing/rotate", post(keys::rotate_signing))
            .route("/api/v1/auth/refusals", get(refusals::list))
            .route(internal::CLAIMS, post(internal::claim))
            .route(internal::REFUSALS, post(internal::refused))
            .with_state(self)
    }

    fn keeper(&self) -> Result<&Arc<Keeper>, Problem> {
        let missing = || {
            Problem::unavailable("identity_unknown", 60).detail(
                "People and keys cannot be looked up; the log says why, and `ironlist doctor` what to do.",
            )
        };
        self.keeper.as_ref().ok_or_else(missing)
    }

    /// Makes a change of people or keys as an administrator, and writes who did so, and why.
    async fn change<T: Send + 'static>(
        &self,
        caller: &Caller,
        action: &str,
        subject: &Name,
        why: &str,
        work: impl FnOnce(&Keeper, &str) -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, Problem> {
        caller.demand(Right::Admin)?;
        let audit = self.publishing.audit(caller, action, subject.as_str(), &reason(Some(why))?);
        let (keeper, publisher) = (Arc::clone(self.keeper()?), Arc::clone(&self.publishing.0));
        aside(move || {
            let done = work(&keeper, &audit.actor)?;
            note(&publisher, &audit)?;
            Ok(done)
        })
        .await
    }
}

/// A name in a path.
fn named(Path(name): Path<String>) -> Result<Name, Problem> {
    name.parse().map_err(|error| Problem::not_found("unknown_name", format!("{error}.")))
}

/// Why something is done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

/// That it is done.
#[derive(Serialize)]
struct Done {
    status: &'static str,
}

const DONE: Json<Done> = Json(Done { status: "success" });

/// A secret in a body, in memory for no longer than it is needed.
struct Secret(SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// A secret that is shown this once.
fn shown(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

/// An answer with a secret in it, which no cache may keep (RFC 6749, 5.1).
struct Private<T>(T);

impl<T: Serialize> IntoResponse for Private<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// 401: nobody in particular, or not a person.
fn no_session(caller: &Caller) -> Problem {
    match &caller.who {
        None => unauthorized("key_missing", "This needs a login."),
        Some(who) if who.kind == Kind::User => unauthorized("key_wrong", "The session is over."),
        Some(_) => Problem::conflict("no_session", "Only people who have logged in have a session."),
    }
}

fn unauthorized(code: &'static str, detail: &'static str) -> Problem {
    Problem::unauthorized(code, r#"Bearer realm="ironlist""#).detail(detail)
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        let detail = format!("{}.", capital(&error.to_string()));
        match error {
            IdentityError::Wrong => unauthorized("login_wrong", "The name or the password is wrong."),
            IdentityError::Reused => {
                unauthorized("refresh_reused", "This refresh token was used before; log in again.")
            }
            IdentityError::Delayed(seconds) => Self::new(StatusCode::TOO_MANY_REQUESTS, "login_delayed")
                .detail(detail)
                .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX)),
            IdentityError::Busy => Self::unavailable("login_busy", 1).detail(detail),
            IdentityError::Weak(_) => Self::unprocessable("password_weak", detail),
            IdentityError::Unknown(..) => Self::not_found("unknown_name", detail),
            IdentityError::Exists(..) => Self::conflict("name_exists", detail),
            IdentityError::LastAdministrator(_) => Self::conflict("last_administrator", detail),
            IdentityError::Nonsense(_) => Self::unprocessable("identity_nonsense", detail),
            IdentityError::Full(_) => Self::conflict("identity_full", detail),
            IdentityError::Disk(error) => EngineError::from(error).into(),
            IdentityError::Vault(error) => Self::unavailable("signing_unavailable", 60)
                .detail("Tokens cannot be signed; the log says why.")
                .inner(error),
            IdentityError::Chance => Self::internal(error),
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
