//! What health says of a process: each check with its cause and its cure.
//!
//! It looks and judges, and changes nothing.

use crate::cli::follow::Following;
use crate::cli::named::Named;
use crate::cli::settings::Settings;
use crate::cli::{hooking, published, pushing};
use crate::engine::{Condition, Engine};
use crate::publish::{Fault, Feed, Feeds, Offer, Publisher};
use crate::service::collection::Watch;
use crate::web::Role;
use crate::web::health::{Check, Health};
use crate::web::tls::{Tls, UpstreamTls};
use std::sync::Arc;

/// The checks that belong to `role` alone.
pub(super) fn of_role(
    role: Role,
    engine: &Engine,
    publisher: Option<&Arc<Publisher>>,
    troubles: &Arc<Vec<String>>,
) -> Health {
    let (store, clock) = (engine.clone(), engine.clone());
    let health = Health::new(role.name())
        .check("store", move || condition(&store))
        .check("expiry", move || expiry(&clock));
    if role == Role::Blacklist
        && let Some(publisher) = publisher
    {
        let (feeds, publisher) = (Arc::clone(publisher.feeds()), Arc::clone(publisher));
        let [hooks, readers, silent, keeper] = std::array::from_fn(|_| Arc::clone(&publisher));
        let (troubles, engine) = (Arc::clone(troubles), engine.clone());
        return health
            .check("book", move || book(&keeper))
            .check("push", move || pushing::check(&publisher))
            .check("devices", move || pushing::blocked(&readers))
            .check("webhooks", move || hooking::check(&hooks))
            .check("silent_devices", move || published::check(&silent))
            .check("feeds", move || released(&feeds, &engine))
            .check("import", move || imported(&troubles));
    }
    health
}

/// The feeds that settings name; one that is missing may come at any time.
pub(super) fn names(health: Health, publisher: Option<&Arc<Publisher>>, settings: &Settings) -> Health {
    let Some(publisher) = publisher else { return health };
    let (named, feeds) = (Named::of(settings), Arc::clone(publisher.feeds()));
    health.check("named_feeds", move || named.check(&feeds))
}

/// How collection stands.
pub(super) fn collects(health: Health, is_open: bool, watch: &Arc<Watch>) -> Health {
    let watch = Arc::clone(watch);
    health.check("sources", move || watch.check()).check("ledger", move || match is_open {
        true => Check::healthy(""),
        false => Check::degraded(
            "the ledger of collection cannot be used; nothing is fetched",
            "the log says why: restore collection.redb from a backup, or move it away and define sources anew",
        ),
    })
}

/// The sources that were taken back to an earlier generation, and wait for an administrator.
pub(super) fn taken_back(health: Health, engine: &Engine) -> Health {
    let engine = engine.clone();
    health.check("rollback", move || {
        let snapshot = engine.snapshot();
        let held = snapshot.sources.values().filter_map(|source| {
            let held = source.held.as_ref()?;
            let generation = held.generation;
            Some(format!("{} (back at generation {generation} since {})", source.name, held.since))
        });
        let held: Vec<String> = held.collect();
        if held.is_empty() {
            return Check::healthy("");
        }
        let cure = "when its lists are right again: ironlist source enable NAME";
        Check::degraded(format!("held, nothing of it is taken in: {}", held.join(", ")), cure)
    })
}

/// The certificates, where there are any: that of the ports, and what other processes are shown.
pub(super) fn encrypted(health: Health, tls: Option<Arc<Tls>>, shown: Option<UpstreamTls>) -> Health {
    let health = match tls {
        Some(tls) => health.check("tls", move || tls.check()),
        None => health,
    };
    match shown {
        Some(shown) => health.check("upstream_tls", move || shown.check()),
        None => health,
    }
}

/// Whether another process is followed.
pub(super) fn follows(health: Health, engine: &Engine, following: &Arc<Following>) -> Health {
    let (engine, following) = (engine.clone(), Arc::clone(following));
    health.check("follows", move || following.check(engine.snapshot().generation))
}

/// What publishing must not forget.
fn book(publisher: &Publisher) -> Check {
    let Some(why) = publisher.bookless() else { return Check::healthy("") };
    Check::degraded(
        format!("keys of devices are answered with 503, and pushing and webhooks stand still: {why}"),
        "restore publishing.redb from a backup, or move it away and make new keys, then start again: ironlist device key NAME",
    )
}

fn condition(engine: &Engine) -> Check {
    match engine.condition() {
        Condition::Writable => Check::healthy(format!("generation {}", engine.snapshot().generation)),
        Condition::Failing(why) => Check::degraded(why, "it is tried again at the next change; see the log"),
        Condition::Stopped(why) => Check::degraded(why, "restart ironlist, and report what its log says"),
        Condition::ReadOnly { why, cure } => Check::degraded(why, cure),
    }
}

fn expiry(engine: &Engine) -> Check {
    if engine.expiry_is_held() {
        let cure = "set the clock right, or let it run: PUT /api/v1/blacklist/expire";
        return Check::degraded("the wall clock jumped; what is due waits", cure);
    }
    Check::healthy("")
}

fn imported(troubles: &[String]) -> Check {
    if troubles.is_empty() {
        return Check::healthy("");
    }
    Check::degraded(troubles.join("; "), "what was there before is served; correct it, then start again")
}

/// Before the first source nothing is expected of a feed; from then on an empty one is worth a look.
fn released(feeds: &Feeds, engine: &Engine) -> Check {
    let all = feeds.all();
    let faults: Vec<(String, Fault)> = feeds.faults().collect();
    if let Some((_, fault)) = faults.iter().max_by_key(|(_, fault)| fault.is_loss) {
        let tell =
            |(name, fault): &(String, Fault)| format!("{name}: {} (since {})", fault.what, fault.since);
        return Check::degraded(faults.iter().map(tell).collect::<Vec<_>>().join("; "), fault.cure());
    }
    let whole = feeds.whole().status().hold.map(|hold| format!("all feeds together (since {})", hold.since));
    let holds = all.iter().filter_map(|(name, feed)| {
        let hold = feed.status().hold.filter(|hold| hold.rejected.is_none())?;
        Some(format!("{name} (since {})", hold.since))
    });
    let holds: Vec<String> = whole.into_iter().chain(holds).collect();
    if !holds.is_empty() {
        return Check::degraded(
            format!("held, with the last good list served: {}", holds.join(", ")),
            "look what would change, then consent or reject: ironlist hold list",
        );
    }
    let is_empty = |feed: &Arc<Feed>| matches!(&**feed.offer(), Offer::Empty(_));
    let cut = all.iter().filter(|(_, feed)| is_empty(feed) && feed.status().cut.is_some());
    let cut: Vec<&str> = cut.map(|(name, _)| name.as_str()).collect();
    if !cut.is_empty() {
        return Check::degraded(
            format!("nothing is left of what a budget cuts, so that readers get 503: {}", cut.join(", ")),
            "give the device or the feed more room, or the feed another priority: ironlist feeds report NAME",
        );
    }
    if all.values().any(is_empty) && !engine.snapshot().sources.is_empty() {
        let cure = "import a list, or see what expired or was allowed: ironlist generation list";
        return Check::degraded("nothing is listed: readers get 503 and keep their last list", cure);
    }
    Check::healthy("")
}
