//! `POST …/search`: entries by what is said of them.

use super::super::paging::limit;
use super::super::reply::range;
use super::Blacklist;
use super::listing::Listing;
use super::pages::{Cursor, Pager, Scope};
use crate::engine::Snapshot;
use crate::model::{Country, Day, Detail, SourceId, SourceName};
use crate::store::{Entry, View};
use crate::web::{Body, Json, Problem, Response};
use axum::extract::State;
use axum::response::IntoResponse as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const LIMIT: usize = 100;
const MOST: usize = 10_000;

/// What is looked for; all that is given must hold for one and the same listing.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The earlier system's question: are these listed?
    ips: Option<Vec<String>>,
    /// Entries around this address.
    address: Option<String>,
    /// Entries inside this prefix or range.
    prefix: Option<String>,
    source: Option<SourceName>,
    country: Option<Country>,
    threat_type: Option<String>,
    /// Part of the reason, in any case.
    reason: Option<String>,
    /// Listed or detected on this day or later, by the source; else learned of.
    from: Option<Day>,
    /// The same, or earlier.
    to: Option<Day>,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

#[derive(Serialize, JsonSchema)]
struct Hit {
    range: String,
    listings: Vec<Listing>,
}

pub(super) async fn search(
    State(role): State<Blacklist>,
    Json(question): Json<Question>,
) -> Result<Response, Problem> {
    if let Some(ips) = question.ips {
        return Ok(super::entry::found(&role, ips).await?.into_response().map(Body::from));
    }
    let around = question.address.as_deref().map(range).transpose()?;
    let inside = question.prefix.as_deref().map(range).transpose()?;
    let scope = match (around, inside) {
        (Some(inner), _) => Scope::Around(inner),
        (None, Some(outer)) => Scope::Inside(outer),
        (None, None) => Scope::Everything,
    };
    let limit = limit(question.limit, LIMIT, MOST)?;
    let pager = Pager { scope, cursor: question.cursor, limit, count: true, ..Pager::default() };
    let zone = role.engine.zone();
    let cut = move |pager: &Pager, snapshot: &Snapshot, view: &View| {
        let wanted = |entry: &Entry| {
            let fits = |(id, detail): &(SourceId, Detail)| question.fits(snapshot, *id, detail, zone);
            let inside = inside.is_none_or(|outer| outer.covers(entry.range));
            if inside && entry.listings.iter().any(fits) { vec![entry.range] } else { Vec::new() }
        };
        pager.cut(snapshot, view, wanted, |entry, _| hit(snapshot, entry))
    };
    Ok(Json(pager.read(&role.engine, cut).await?).into_response().map(Body::from))
}

/// The shape of either answer.
pub(super) fn found(generator: &mut SchemaGenerator) -> Schema {
    let page = generator.subschema_for::<super::pages::Page<Hit>>();
    let earlier = generator.subschema_for::<Vec<super::entry::Found>>();
    json_schema!({ "anyOf": [page, earlier] })
}

impl Question {
    fn fits(&self, snapshot: &Snapshot, id: SourceId, detail: &Detail, zone: chrono_tz::Tz) -> bool {
        let of = |name: &SourceName| snapshot.sources.get(&id).is_some_and(|source| source.name == *name);
        let holds = |reason: &String| {
            detail.reason.as_deref().is_some_and(|text| text.to_lowercase().contains(&reason.to_lowercase()))
        };
        let day = detail.listed.or(detail.detected).unwrap_or_else(|| detail.first_seen.day_in(zone));
        self.source.as_ref().is_none_or(of)
            && self.country.is_none_or(|country| detail.country == Some(country))
            && self.threat_type.as_ref().is_none_or(|threat| detail.threat.as_deref() == Some(threat))
            && self.reason.as_ref().is_none_or(holds)
            && self.from.is_none_or(|from| day >= from)
            && self.to.is_none_or(|to| day <= to)
    }
}

fn hit(snapshot: &Snapshot, entry: &Entry) -> Hit {
    let range = entry.range.to_string();
    let listing = |(id, detail): &(SourceId, Detail)| {
        let source = snapshot.sources.get(id)?;
        let suppressed = snapshot.suppressions.iter().any(|s| s.ends(&source.name, entry.range));
        Some(Listing::new(source, range.clone(), detail.clone(), suppressed))
    };
    Hit { listings: entry.listings.iter().filter_map(listing).collect(), range: range.clone() }
}
