//! `GET …/ips/{ip}`: every listing that covers an address, and what exempts it.

use super::super::reply::{bad_address, blocking, view};
use super::Blacklist;
use super::listing::Listing;
use crate::addr::parse_address;
use crate::engine::Snapshot;
use crate::model::{Allow, Exemption};
use crate::publish::Feeds;
use crate::web::{Json, Path, Problem};
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// The whole story of an address.
#[derive(Serialize, JsonSchema)]
pub(super) struct Story {
    ip: IpAddr,
    listed: bool,
    sources: Vec<String>,
    exempt: Option<&'static str>,
    generation: u64,
    listings: Vec<Listing>,
    allowed_by: Vec<Allow>,
    /// The feeds whose list, as firewalls get it now, blocks it.
    feeds: Vec<String>,
}

pub(super) async fn tell(
    State(role): State<Blacklist>,
    Path(ip): Path<String>,
) -> Result<Json<Story>, Problem> {
    let address = parse_address(ip.as_bytes()).map_err(|fault| bad_address(&ip, fault))?;
    let snapshot = Arc::clone(&role.engine.snapshot());
    let listings = listings(&role, &snapshot, address).await?;
    let standing = snapshot.check(address);
    Ok(Json(Story {
        ip: address,
        listed: standing.is_listed(),
        sources: standing.sources.iter().map(ToString::to_string).collect(),
        exempt: standing.exempt().map(Exemption::as_str),
        generation: snapshot.generation,
        listings,
        allowed_by: snapshot.allows.iter().filter(|allow| allow.range.contains(address)).cloned().collect(),
        feeds: feeds(role.feeds.clone(), address).await?,
    }))
}

/// The feeds whose list, as it is handed out at this moment, holds the address.
async fn feeds(feeds: Option<Arc<Feeds>>, address: IpAddr) -> Result<Vec<String>, Problem> {
    let Some(feeds) = feeds else { return Ok(Vec::new()) };
    blocking(move || {
        let all = feeds.all();
        let holding = all.iter().filter(|(_, feed)| feed.released().is_some_and(|list| list.holds(address)));
        Ok(holding.map(|(name, _)| name.to_string()).collect())
    })
    .await
}

async fn listings(
    role: &Blacklist,
    snapshot: &Arc<Snapshot>,
    address: IpAddr,
) -> Result<Vec<Listing>, Problem> {
    let snapshot = Arc::clone(snapshot);
    view(&role.engine, move |view| {
        let mut listings = Vec::new();
        for source in snapshot.sources.values() {
            for found in view.covering(source.id, address)? {
                let suppressed = snapshot.suppressions.iter().any(|s| s.ends(&source.name, found.range));
                listings.push(Listing::new(source, found.range.to_string(), found.detail, suppressed));
            }
        }
        Ok(listings)
    })
    .await
}
