//! What people say about a change: a text that fits a line of the journal, and why something is taken away.

use crate::addr::IpRange;
use crate::model::SourceName;
use crate::web::extract::Whole;
use crate::web::sketch::{Sketch, Takes};
use crate::web::{Problem, Query};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use schemars::JsonSchema;
use serde::Deserialize;

/// The longest text that a person may leave, in bytes.
const LONGEST: usize = 1024;

/// A person's text, without blanks around it and without control characters, which would play tricks on whoever
/// reads it on a terminal.
///
/// # Errors
/// 422 for more than 1 KiB.
pub(super) fn words(name: &str, text: &str) -> Result<String, Problem> {
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.len() <= LONGEST {
        true => Ok(text),
        false => {
            Err(Problem::unprocessable("text_too_long", format!("{name} takes at most {LONGEST} bytes.")))
        }
    }
}

/// The reason that a change must have.
///
/// # Errors
/// 422 for none, and for one that is too long.
pub(super) fn reason(text: Option<&str>) -> Result<String, Problem> {
    match words("reason", text.unwrap_or_default())? {
        none if none.is_empty() => {
            Err(Problem::unprocessable("reason_missing", "Say why, for whoever asks in a year."))
        }
        reason => Ok(reason),
    }
}

/// What a DELETE says beside its path, in the query or in a JSON body.
pub(super) struct Removal {
    pub(super) reason: String,
    /// Of which source; not every removal has one.
    pub(super) source: Option<SourceName>,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    reason: Option<String>,
    source: Option<SourceName>,
}

/// Either the query or the body says it.
impl Takes for Removal {
    fn note(sketch: &mut Sketch) {
        Query::<Said>::note(sketch);
    }
}

impl<S: Send + Sync> FromRequest<S> for Removal {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Query(query) = Query::<Said>::from_request_parts(&mut parts, state).await?;
        let Whole(body) = Whole::from_request(Request::from_parts(parts, body), state).await?;
        let said: Option<Said> = match body.is_empty() {
            true => None,
            false => serde_json::from_slice(&body).map_err(|error| {
                Problem::unprocessable("body_shape", format!("Send {{\"reason\":…}}: {error}."))
            })?,
        };
        let said = said.unwrap_or_default();
        let reason = reason(query.reason.or(said.reason).as_deref())?;
        Ok(Self { reason, source: query.source.or(said.source) })
    }
}

impl Removal {
    /// The reason of a removal that is no source's.
    ///
    /// # Errors
    /// 400 when a source is named: whoever does so means something else.
    pub(super) fn of_all(self) -> Result<String, Problem> {
        match self.source {
            None => Ok(self.reason),
            Some(_) => Err(Problem::bad_request("query", "There is no source in this; leave it out.")),
        }
    }
}

/// Refuses a body that names another range than the path.
///
/// # Errors
/// 422.
pub(super) fn same_range(path: IpRange, body: IpRange) -> Result<(), Problem> {
    match path == body {
        true => Ok(()),
        false => {
            Err(Problem::unprocessable("ip_mismatch", format!("The path says {path}, the body {body}.")))
        }
    }
}
