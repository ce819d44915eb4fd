//! `POST …/search`: entries by what is said of them.

use super::super::reply::{blocking, range};
use super::Blacklist;
use super::active::Cursor;
use super::listing::Listing;
use crate::addr::IpRange;
use crate::engine::{Engine, EngineError, Snapshot};
use crate::model::{Country, Day, Detail, SourceId, SourceName};
use crate::store::Entry;
use crate::web::{Body, Json, Problem, Response};
use axum::extract::State;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const LIMIT: usize = 100;
const MOST: usize = 10_000;

/// What is looked for; all that is given must hold for one and the same listing.
#[derive(Deserialize, Default)]
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

#[derive(Serialize)]
struct Page {
    status: &'static str,
    data: Vec<Hit>,
    count: usize,
    total: u64,
    cursor: Option<Cursor>,
    generation: u64,
}

#[derive(Serialize)]
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
    let page = blocking(move || Ok(page(&role.engine, &question, around, inside)?)).await?;
    Ok(Json(page).into_response().map(Body::from))
}

fn page(
    engine: &Engine,
    question: &Question,
    around: Option<IpRange>,
    inside: Option<IpRange>,
) -> Result<Page, EngineError> {
    let snapshot = Arc::clone(&engine.snapshot());
    let limit = question.limit.unwrap_or(LIMIT).clamp(1, MOST);
    let counted = question.cursor.map(|cursor| cursor.total);
    let (mut data, mut total, mut last, mut more) = (Vec::new(), 0, None, false);
    let zone = engine.zone();
    engine.view(|view| {
        view.each_entry(question.cursor.map(|cursor| cursor.after), |entry| {
            let placed = around.is_none_or(|address| entry.range.covers(address))
                && inside.is_none_or(|outer| outer.covers(entry.range));
            let fits = |(id, detail): &(SourceId, Detail)| question.fits(&snapshot, *id, detail, zone);
            if !placed || !entry.listings.iter().any(fits) {
                return true;
            }
            total += 1;
            more = data.len() >= limit;
            if !more {
                last = Some(entry.range);
                data.push(hit(&snapshot, entry));
            }
            !(more && counted.is_some())
        })
    })?;
    let total = counted.unwrap_or(total);
    let cursor = last.filter(|_| more).map(|after| Cursor { after, total });
    Ok(Page { status: "success", count: data.len(), data, total, cursor, generation: snapshot.generation })
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

fn hit(snapshot: &Snapshot, entry: Entry) -> Hit {
    let range = entry.range.to_string();
    let listing = |(id, detail): (SourceId, Detail)| {
        let source = snapshot.sources.get(&id)?;
        let suppressed = snapshot.suppressions.iter().any(|s| s.ends(&source.name, entry.range));
        Some(Listing::new(source, range.clone(), detail, suppressed))
    };
    Hit { listings: entry.listings.into_iter().filter_map(listing).collect(), range: range.clone() }
}
