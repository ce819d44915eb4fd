//! Who may come in: logins, people, keys, and what was refused. Served by the process with the blacklist role.

mod audited;
mod authority;
mod elsewhere;
mod internal;
mod keys;
mod refusals;
mod sessions;
mod users;

pub use audited::tell_rest;
pub use authority::Local;
pub use elsewhere::Elsewhere;

use super::publishing::{Publishing, note};
use super::reason::reason;
use super::reply::aside;
use crate::engine::EngineError;
use crate::identity::{IdentityError, Keeper, Name};
use crate::rights::{Kind, Right};
use crate::web::Demand::{Installation, Nothing, Of, Own};
use crate::web::sketch::{Gives, Sketch};
use crate::web::{Caller, Json, Path, Problem, Routes};
use audited::audited;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
pub struct People {
    /// Who keeps them; none where the book cannot be used.
    pub keeper: Option<Arc<Keeper>>,
    /// Who has the audit.
    pub publishing: Publishing,
}

impl People {
    /// The routes. On the first three no key is wrong before their handlers: whoever comes there may have one that is over.
    pub fn routes() -> Routes<Self> {
        let admin = Of(Right::Admin);
        Routes::new()
            .post("/api/v1/auth/login", Own, sessions::login, "Begins a session with a name and a password.")
            .post(
                "/api/v1/auth/refresh",
                Own,
                sessions::refresh,
                "Goes on with a session whose token is over.",
            )
            .post("/api/v1/auth/logout", Own, sessions::logout, "Ends a session, or all of one's own.")
            .reads(&["application/json"])
            .get("/api/v1/auth/me", Nothing, sessions::me, "Says who asks, and what they may do.")
            .put("/api/v1/auth/me/password", Nothing, sessions::password, "Changes one's own password.")
            .get("/api/v1/auth/users", admin, users::list, "Lists the people.")
            .post("/api/v1/auth/users", admin, users::add, "Makes somebody known, with a password for once.")
            .get("/api/v1/auth/users/{name}", admin, users::show, "Shows somebody.")
            .put(
                "/api/v1/auth/users/{name}",
                admin,
                users::change,
                "Changes somebody's role, or disables them: they may not log in.",
            )
            .delete("/api/v1/auth/users/{name}", admin, users::remove, "Takes somebody away.")
            .post(
                "/api/v1/auth/users/{name}/password",
                admin,
                users::reset,
                "Gives somebody another password.",
            )
            .post(
                "/api/v1/auth/users/{name}/logout",
                admin,
                users::logout,
                "Ends all of somebody's sessions.",
            )
            .get("/api/v1/auth/keys", admin, keys::list, "Lists the keys of programs.")
            .post("/api/v1/auth/keys", admin, keys::add, "Makes a key, shown this once.")
            .get("/api/v1/auth/keys/{name}", admin, keys::show, "Shows what is known of a key.")
            .delete("/api/v1/auth/keys/{name}", admin, keys::remove, "Takes a key away.")
            .post("/api/v1/auth/keys/{name}/rotate", admin, keys::rotate, "Makes a new secret for a key.")
            .post(
                "/api/v1/auth/signing/rotate",
                admin,
                keys::rotate_signing,
                "Has another key sign tokens from now on.",
            )
            .get("/api/v1/auth/refusals", admin, refusals::list, "Lists who was refused what, and why.")
            .post(internal::CLAIMS, Installation, internal::claim, "Says to another process whose a key is.")
            .post(internal::REFUSALS, Installation, internal::refused, "Takes refusals of another process.")
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
        let audit = self.publishing.audit(caller, action, subject.as_str(), &reason(Some(why))?);
        let (keeper, publisher) = (Arc::clone(self.keeper()?), Arc::clone(&self.publishing.0));
        aside(move || {
            let tell = |audit: &_| note(&publisher, audit);
            Ok(audited((&keeper, tell), &audit, || work(&keeper, &audit.actor))?)
        })
        .await
    }
}

/// A name in a path.
fn named(Path(name): Path<String>) -> Result<Name, Problem> {
    name.parse().map_err(|error| Problem::not_found("unknown_name", format!("{error}.")))
}

/// Why something is done.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

/// That it is done.
#[derive(Serialize, JsonSchema)]
struct Done {
    status: &'static str,
}

const DONE: Json<Done> = Json(Done { status: "success" });

/// A secret in a body, in memory for no longer than it is needed.
#[derive(JsonSchema)]
#[schemars(with = "String")]
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

impl<T: JsonSchema> Gives for Private<T> {
    fn note(sketch: &mut Sketch) {
        <Json<T> as Gives>::note(sketch);
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
