//! TAXII 2.1: discovery, one API root, a collection a feed, of its released list alone. Whoever asks for version 2.0, as
//! FortiGate does, gets a bundle of that version and no refusal. Whoever reads feeds reads their collections, and
//! with the same key. It must not know how an object is written.

use super::claim::{self, Showing};
use super::pieces::pieces;
use super::reply::blocking;
use crate::model::Time;
use crate::publish::taxii::{Behind, Collection, Filter, Item, bundle, collection_id};
use crate::publish::{Feed, Publisher, Reader, Released, Rolls};
use crate::web::Demand::Own;
use crate::web::sketch::{Sketched, Takes};
use crate::web::{Body, Caller, Path, Problem, Query, Response, Routes};
use axum::extract::{FromRequestParts, State};
use axum::handler::Handler;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Each path, plain and as the standard has it.
const COLLECTIONS: [&str; 2] = ["/taxii2/feeds/collections", "/taxii2/feeds/collections/"];
const COLLECTION: [&str; 2] = ["/taxii2/feeds/collections/{id}", "/taxii2/feeds/collections/{id}/"];
const MANIFEST: [&str; 2] =
    ["/taxii2/feeds/collections/{id}/manifest", "/taxii2/feeds/collections/{id}/manifest/"];
const OBJECTS: [&str; 2] =
    ["/taxii2/feeds/collections/{id}/objects", "/taxii2/feeds/collections/{id}/objects/"];
const OBJECT: [&str; 2] =
    ["/taxii2/feeds/collections/{id}/objects/{object}", "/taxii2/feeds/collections/{id}/objects/{object}/"];

/// Objects of an answer, unless fewer are asked for.
const LIMIT: usize = 1_000;

/// So long a reader should wait for what is not there yet, in seconds.
const SOON: u32 = 60;

const TAXII_21: &str = "application/taxii+json;version=2.1";
const STIX_21: &str = "application/stix+json;version=2.1";
const TAXII_20: &str = "application/vnd.oasis.taxii+json; version=2.0";
const STIX_20: &str = "application/vnd.oasis.stix+json; version=2.0";

const FIRST: HeaderName = HeaderName::from_static("x-taxii-date-added-first");
const LAST: HeaderName = HeaderName::from_static("x-taxii-date-added-last");

/// What collections are made from.
pub struct Taxii {
    publisher: Arc<Publisher>,
    rolls: Arc<Rolls>,
    /// The newest collection of each feed that somebody has read, by the feed's name.
    kept: Mutex<BTreeMap<String, Arc<Collection>>>,
}

type Shared = State<Arc<Taxii>>;

impl Taxii {
    /// Collections of all feeds.
    pub fn new(publisher: Arc<Publisher>, rolls: Arc<Rolls>) -> Self {
        Self { publisher, rolls, kept: Mutex::default() }
    }

    /// The routes. The standard ends its paths in a slash, and not everybody does.
    pub fn routes() -> Routes<Arc<Self>> {
        let routes = Routes::new();
        let routes = both(
            routes,
            ["/taxii2", "/taxii2/"],
            discovery,
            "Names the root under which feeds are collections.",
        );
        let routes = both(routes, ["/taxii2/feeds", "/taxii2/feeds/"], root, "Describes that root.");
        let routes =
            both(routes, COLLECTIONS, collections, "Lists the collections that the reader may read.");
        let routes = both(routes, COLLECTION, collection, "Describes a collection.");
        let routes = both(routes, MANIFEST, manifest, "Lists a collection's objects, without what they say.");
        let routes = both(routes, OBJECTS, objects, "Lists a collection's objects.");
        both(routes, OBJECT, object, "Shows one object.")
    }

    /// The feed whose collection has that id, or whose name is given instead, if it is for this reader.
    fn feed(&self, id: &str, reader: &Reader) -> Result<Arc<Feed>, Problem> {
        let missing = || Problem::not_found("unknown_collection", "There is no such collection.");
        let all = self.publisher.feeds().all();
        let by_id = || all.iter().find(|(name, _)| collection_id(name.as_str()) == id).map(|(_, feed)| feed);
        let found = all.values().find(|feed| feed.profile().name.as_str() == id).or_else(by_id);
        let feed = found.cloned().ok_or_else(missing)?;
        let is_theirs = self.publisher.reads(reader, &feed.profile().name);
        if is_theirs { Ok(feed) } else { Err(claim::other_feed()) }
    }

    fn note(&self, Asking { reader, caller, .. }: &Asking, released: &Released, has_all: bool) {
        let document = format!("{}/taxii", released.profile.name);
        claim::note(&self.publisher, (reader, caller), &document, &released.release, has_all);
    }

    /// The collection as of the feed's newest release. Computes for a second where a million entries are new.
    fn collection(&self, feed: &Feed, released: &Arc<Released>) -> Result<Arc<Collection>, Problem> {
        let long = |error| Problem::unavailable("feed_too_long", SOON).detail(format!("{error}."));
        let roll = self.rolls.of(released).map_err(long)?;
        // What is kept is replaced in one step, so that a panic elsewhere leaves nothing half done.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let name = released.profile.name.as_str();
        if let Some(collection) = kept.get(name).filter(|kept| Arc::ptr_eq(kept.roll(), &roll)) {
            return Ok(Arc::clone(collection));
        }
        let collection = Arc::new(Collection::new(roll, &feed.steps()));
        kept.insert(name.to_owned(), Arc::clone(&collection));
        Ok(collection)
    }
}

fn both<H: Handler<T, Arc<Taxii>> + Sketched<T> + Clone, T: 'static>(
    routes: Routes<Arc<Taxii>>,
    paths: [&'static str; 2],
    handler: H,
    text: &'static str,
) -> Routes<Arc<Taxii>> {
    let [plain, slashed] = paths;
    let kinds = &[TAXII_21, TAXII_20, STIX_20];
    let routes = routes.get(plain, Own, handler.clone(), text).writes(kinds).refuses(&[404]);
    routes.get(slashed, Own, handler, text).writes(kinds).refuses(&[404])
}

/// Somebody who may read something, and what they say beside that.
struct Asking {
    reader: Reader,
    caller: Caller,
    headers: HeaderMap,
}

impl Takes for Asking {}

impl FromRequestParts<Arc<Taxii>> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, taxii: &Arc<Taxii>) -> Result<Self, Problem> {
        let caller =
            parts.extensions.get::<Caller>().cloned().ok_or_else(|| Problem::internal("nobody asks"))?;
        let certificate = claim::certificate(&parts.extensions);
        let showing = Showing { caller: &caller, headers: &parts.headers, token: None, certificate };
        let reader = claim::anybody(&taxii.publisher, &showing)?;
        Ok(Self { reader, caller, headers: parts.headers.clone() })
    }
}

fn released(feed: &Feed) -> Result<Arc<Released>, Problem> {
    let empty = || {
        Problem::unavailable("feed_empty", SOON)
            .detail("The feed lists nothing now; a reader keeps what it has. /health says why.")
    };
    feed.released().ok_or_else(empty)
}

/// Whether the reader speaks the version before.
fn is_earlier(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepts.contains("vnd.oasis") && !accepts.contains("2.1")
}

fn answer(headers: &HeaderMap, document: &Value) -> Response {
    let kind = if is_earlier(headers) { TAXII_20 } else { TAXII_21 };
    of_type(Body::full(document.to_string()), kind)
}

fn of_type(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

async fn discovery(Asking { headers, .. }: Asking) -> Response {
    let root = "/taxii2/feeds/";
    answer(&headers, &json!({ "title": "Ironlist", "default": root, "api_roots": [root] }))
}

async fn root(Asking { headers, .. }: Asking) -> Response {
    let versions = if is_earlier(&headers) { ["taxii-2.0"] } else { [TAXII_21] };
    // Nothing is taken in; the standard wants a number above 0.
    answer(&headers, &json!({ "title": "Feeds", "versions": versions, "max_content_length": 1 }))
}

fn described(feed: &Feed, headers: &HeaderMap) -> Value {
    let profile = feed.profile();
    let name = profile.name.as_str();
    let media = if is_earlier(headers) { STIX_20 } else { STIX_21 };
    json!({
        "id": collection_id(name), "title": name, "alias": name,
        "can_read": true, "can_write": false, "media_types": [media],
    })
}

/// Those that the reader may read.
async fn collections(State(taxii): Shared, asking: Asking) -> Response {
    let Asking { reader, headers, .. } = &asking;
    let feeds = taxii.publisher.feeds().all();
    let theirs = feeds.iter().filter(|(name, _)| taxii.publisher.reads(reader, name));
    let all: Vec<Value> = theirs.map(|(_, feed)| described(feed, headers)).collect();
    answer(headers, &json!({ "collections": all }))
}

async fn collection(
    State(taxii): Shared,
    Path(id): Path<String>,
    asking: Asking,
) -> Result<Response, Problem> {
    let feed = taxii.feed(&id, &asking.reader)?;
    Ok(answer(&asking.headers, &described(&feed, &asking.headers)))
}

/// What a reader may ask for (TAXII 2.1, 3.4 and 3.5).
#[derive(Deserialize, Default, JsonSchema)]
struct Asked {
    added_after: Option<String>,
    limit: Option<String>,
    next: Option<String>,
    #[serde(rename = "match[id]")]
    id: Option<String>,
    #[serde(rename = "match[type]")]
    kind: Option<String>,
}

/// The same, understood.
struct Wanted {
    filter: Filter,
    behind: Option<Behind>,
    limit: usize,
}

impl Asked {
    fn wanted(self) -> Result<Wanted, Problem> {
        let wrong = |what| Problem::bad_request("query", format!("{what} cannot be read."));
        let after = self.added_after.map(|text| text.parse::<Time>()).transpose();
        let limit = self.limit.map(|text| text.parse::<usize>()).transpose();
        let limit = limit.ok().filter(|limit| *limit != Some(0)).ok_or_else(|| wrong("limit"))?;
        let behind = self.next.map(|text| text.parse::<Behind>()).transpose().map_err(|_| wrong("next"))?;
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<String>>();
        let others = self.kind.map(list).is_some_and(|kinds| kinds.iter().all(|kind| kind != "indicator"));
        let ids = if others { Some(Vec::new()) } else { self.id.map(list) };
        let filter = Filter { after: after.map_err(|_| wrong("added_after"))?, ids };
        Ok(Wanted { filter, behind, limit: limit.unwrap_or(LIMIT).min(LIMIT) })
    }
}

async fn manifest(
    State(taxii): Shared,
    Path(id): Path<String>,
    asking: Asking,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let wanted = asked.wanted()?;
    page(taxii, &asking, &id, wanted, What::Records).await
}

async fn objects(
    State(taxii): Shared,
    Path(id): Path<String>,
    asking: Asking,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    if !is_earlier(&asking.headers) {
        return page(taxii, &asking, &id, asked.wanted()?, What::Objects).await;
    }
    let released = released(&*taxii.feed(&id, &asking.reader)?)?;
    let (rolls, of) = (Arc::clone(&taxii.rolls), Arc::clone(&released));
    let roll = blocking(move || Ok(rolls.of(&of))).await?;
    let roll =
        roll.map_err(|error| Problem::unavailable("feed_too_long", SOON).detail(format!("{error}.")))?;
    taxii.note(&asking, &released, true);
    let mut response = pieces(bundle(roll), &asking.headers);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(STIX_20));
    Ok(response)
}

async fn object(
    State(taxii): Shared,
    Path((id, object)): Path<(String, String)>,
    asking: Asking,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let asked = Asked { id: Some(object), kind: None, ..asked };
    page(taxii, &asking, &id, asked.wanted()?, What::Objects).await
}

/// What stands in a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// The objects themselves.
    Objects,
    /// What a manifest says of them.
    Records,
}

/// An answer in parts: objects between `{"objects":[` and `]}`, and where the next one begins.
async fn page(
    taxii: Arc<Taxii>,
    asking: &Asking,
    id: &str,
    wanted: Wanted,
    what: What,
) -> Result<Response, Problem> {
    let feed = taxii.feed(id, &asking.reader)?;
    let released = released(&feed)?;
    let (of, release) = (Arc::clone(&taxii), Arc::clone(&released));
    let is_list = what == What::Objects && wanted.filter.ids.is_none();
    let write = match what {
        What::Objects => Collection::object,
        What::Records => |collection: &Collection, item: &Item<'_>| {
            serde_json::to_vec(&collection.record(item)).unwrap_or_default()
        },
    };
    let (response, more) = blocking(move || {
        let collection = of.collection(&feed, &release)?;
        let (items, more) = collection.page(&wanted.filter, wanted.behind, wanted.limit);
        let objects: Vec<Vec<u8>> = items.iter().map(|item| write(&collection, item)).collect();
        let next = items.last().filter(|_| more).map(|item| item.behind().to_string());
        let mut response = of_type(Body::full(envelope(&objects, next)), TAXII_21);
        for (name, item) in [(FIRST, items.first()), (LAST, items.last())] {
            let value = item.and_then(|item| HeaderValue::try_from(item.added()).ok());
            response.headers_mut().extend(value.map(|value| (name, value)));
        }
        Ok((response, more))
    })
    .await?;
    taxii.note(asking, &released, is_list && !more);
    Ok(response)
}

/// What stands before the objects of a page.
#[derive(Serialize, JsonSchema)]
struct Head {
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Objects that are JSON already are not read again to be written.
fn envelope(objects: &[Vec<u8>], next: Option<String>) -> Vec<u8> {
    let head = serde_json::to_vec(&Head { more: next.is_some(), next }).unwrap_or_default();
    if objects.is_empty() {
        return head;
    }
    let mut body = head[..head.len().saturating_sub(1)].to_vec();
    body.extend_from_slice(b",\"objects\":[");
    body.extend_from_slice(&objects.join(&b",\n"[..]));
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests;
