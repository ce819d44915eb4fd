//! Follows the engine and takes every feed to its newest generation, off the request path.

use super::annotate::annotate;
use super::feeds::Feeds;
use super::release::Released;
use super::rendition::Rendition;
use super::select::Scene;
use crate::engine::Engine;
use crate::model::Document;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// After a fault the feeds are tried again, a new generation or not: a full disk may have room by then.
const RETRY: Duration = Duration::from_secs(10);

/// Keeps `feeds` at the newest generation of `engine` until `stop` is done.
///
/// A generation is rendered at once; those that come while one is rendered are taken together, the newest
/// standing for all. Under a stream of changes half of one core's time at most goes into feeds, and as much into
/// compressing them, which holds nothing up.
pub async fn follow(feeds: Arc<Feeds>, engine: Engine, stop: impl Future<Output = ()>) {
    tokio::select! {
        () = stop => {}
        () = refresh_for_ever(&feeds, &engine) => {}
        () = compress_for_ever(&feeds) => {}
    }
}

async fn refresh_for_ever(feeds: &Arc<Feeds>, engine: &Engine) {
    let mut generations = engine.generations();
    loop {
        generations.borrow_and_update();
        let began = Instant::now();
        let (inner, reader) = (Arc::clone(feeds), engine.clone());
        if let Err(error) = aside("feeds", move || inner.refresh(&reader)).await {
            let what = format!("the feeds' thread: {error}");
            feeds.all().values().for_each(|feed| feed.fail(what.clone(), engine.now()));
        }
        let pause = if feeds.faults().next().is_some() { RETRY } else { Duration::MAX };
        sleep(began.elapsed()).await;
        tokio::select! {
            _ = generations.changed() => {}
            () = sleep(pause) => {}
        }
    }
}

async fn compress_for_ever(feeds: &Arc<Feeds>) {
    let mut releases = feeds.releases();
    loop {
        releases.borrow_and_update();
        let began = Instant::now();
        let inner = Arc::clone(feeds);
        if let Err(error) = aside("compress", move || inner.compress()).await {
            tracing::warn!(%error, "feeds go out as they are: the thread that compresses them failed");
        }
        sleep(began.elapsed()).await;
        if releases.changed().await.is_err() {
            return;
        }
    }
}

/// Does work that computes and waits for the disk on a thread of its own: those that the runtime keeps for such work
/// may all be at work for readers.
async fn aside(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let (done, end) = oneshot::channel();
    let run = move || {
        // Behind those who answer; where that is not allowed, beside them.
        let _ = rustix::process::nice(10);
        work();
        // Nobody waits for it when the service stops.
        let _ = done.send(());
    };
    std::thread::Builder::new().name(name.into()).spawn(run)?;
    end.await.map_err(|_| std::io::Error::other("it panicked"))
}

/// A document that nobody has asked for before; `None` where the feed has no such part or document. Blocks on the disk,
/// and computes for a second where a million entries are told with all that is known of them.
///
/// # Errors
/// What went wrong, and where.
pub fn write(
    engine: &Engine,
    released: &Released,
    part: u16,
    document: Document,
) -> Result<Option<Arc<Rendition>>, String> {
    let profile = &released.profile;
    let facts = match profile.format.needs_facts() {
        false => None,
        true => {
            let set = released.release.set.unpack();
            let told = engine.together(|snapshot, view| {
                annotate(Scene { snapshot, view }, &profile.filter, &set).map_err(|error| error.to_string())
            });
            Some(told.map_err(|error| error.to_string())??)
        }
    };
    let Some(set) = released.set(part) else { return Ok(None) };
    let made = released.make(part, document, &set, facts.as_ref()).map_err(|error| error.to_string())?;
    Ok(made.cloned())
}
