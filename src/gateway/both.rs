//! Lists that two roles keep a part of: what is held, and the audit. The door asks both, and lays one beside the other.
//!
//! It knows that such a list has `data`, `total` and `cursor`, and nothing of its rows.

use super::upstream::Upstream;
use super::{Desk, hop};
use crate::web::{Caller, Json, Problem, Query, Response, Role};
use axum::Extension;
use axum::extract::State;
use http::request::Parts;
use http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The paths of such lists.
pub(super) const PATHS: [&str; 2] = ["/api/v1/holds", "/api/v1/audit"];

/// Who keeps a part, in the order of the answer.
const ROLES: [Role; 2] = [Role::Blacklist, Role::Collection];

/// What stands in a cursor for a list that is at its end.
const END: &str = "-";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A page of one role's part.
#[derive(Deserialize, JsonSchema)]
struct Part {
    data: Vec<Value>,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    cursor: Option<String>,
}

/// A page of both; it has up to the asked number of rows of each.
#[derive(Serialize, JsonSchema)]
pub(super) struct Both {
    status: &'static str,
    data: Vec<Value>,
    total: u64,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
    request: axum::extract::Request,
) -> Result<Json<Both>, Problem> {
    let (asker, _) = request.into_parts();
    let cursors = cursors(asked.cursor.as_deref())?;
    let mut both = Both { status: "success", data: Vec::new(), total: 0, cursor: None };
    let mut next = Vec::new();
    for (role, cursor) in ROLES.into_iter().zip(cursors) {
        let Some(upstream) = desk.upstreams.get(&role) else {
            next.push(END.to_owned());
            continue;
        };
        // A part that is at its end is asked all the same, for its total.
        let limit = if cursor == END { 1 } else { asked.limit.unwrap_or(50) };
        let part = ask(upstream, &asker, limit, &cursor, &caller).await?;
        both.total += part.total;
        if cursor == END {
            next.push(END.to_owned());
        } else {
            both.data.extend(part.data);
            next.push(part.cursor.unwrap_or_else(|| END.to_owned()));
        }
    }
    both.cursor = next.iter().any(|cursor| cursor != END).then(|| next.join("."));
    Ok(Json(both))
}

/// Where to go on in each part.
///
/// # Errors
/// 400 for anything but a cursor of ours.
fn cursors(cursor: Option<&str>) -> Result<[String; 2], Problem> {
    let Some(cursor) = cursor else { return Ok([String::new(), String::new()]) };
    let is_plain = |part: &str| part == END || part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = cursor.split_once('.').filter(|(first, second)| is_plain(first) && is_plain(second));
    let wrong = || Problem::bad_request("query", "This is no cursor of ours.");
    parts.map(|(first, second)| [first.to_owned(), second.to_owned()]).ok_or_else(wrong)
}

async fn ask(
    upstream: &Upstream,
    asker: &Parts,
    limit: usize,
    cursor: &str,
    caller: &Caller,
) -> Result<Part, Problem> {
    let more = if cursor.is_empty() || cursor == END { String::new() } else { format!("&cursor={cursor}") };
    let target = format!("{}?limit={limit}{more}", asker.uri.path());
    let target = Uri::try_from(target).map_err(Problem::internal)?;
    let response: Response =
        upstream.call(hop::copy(&asker.headers, &asker.extensions, target), caller).await?;
    let status = response.status();
    let body = response.into_body().read().await.map_err(|error| Problem::of_body(&error))?;
    match status {
        StatusCode::OK => serde_json::from_slice(&body).map_err(Problem::internal),
        // Not the right to see it: for one part as for both.
        StatusCode::UNAUTHORIZED => Err(Problem::new(status, "key_missing")),
        StatusCode::FORBIDDEN => Err(Problem::new(status, "right_missing")),
        StatusCode::BAD_REQUEST => Err(Problem::bad_request("query", "The limit or the cursor is wrong.")),
        _ => Err(Problem::unavailable("role_failed", 10)
            .detail("One of the roles that keep this list does not answer.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_where_each_part_goes_on() {
        assert_eq!(cursors(None).unwrap(), ["", ""]);
        assert_eq!(cursors(Some("-.3139")).unwrap(), ["-", "3139"]);
        for wrong in ["", "31", "a.b&x=1", "../x", "31.32.33"] {
            assert!(cursors(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
