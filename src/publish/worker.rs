//! Follows the engine and takes every feed to its newest generation, off the request path.

use super::feed::Feeds;
use crate::engine::{Condition, Engine};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// After a fault the feeds are tried again, a new generation or not: a full disk may have room by then.
const RETRY: Duration = Duration::from_secs(10);

/// Keeps `feeds` at the newest generation of `engine` until `stop` is done.
///
/// A generation is rendered at once; those that come while one is rendered are taken together, the newest
/// standing for all. Under a stream of changes half of one core's time at most goes into feeds.
pub async fn follow(feeds: Arc<Feeds>, engine: Engine, stop: impl Future<Output = ()>) {
    let mut generations = engine.generations();
    let mut stop = std::pin::pin!(stop);
    loop {
        generations.borrow_and_update();
        let began = Instant::now();
        refresh_aside(&feeds, &engine).await;
        let pause =
            if feeds.iter().any(|feed| feed.status().fault.is_some()) { RETRY } else { Duration::MAX };
        let news = async {
            sleep(began.elapsed()).await;
            tokio::select! {
                _ = generations.changed() => {}
                () = sleep(pause) => {}
            }
        };
        tokio::select! {
            () = &mut stop => return,
            () = news => {}
        }
    }
}

/// Takes every feed to the newest generation. Blocks on the disk.
pub fn refresh(feeds: &Feeds, engine: &Engine) {
    let snapshot = Arc::clone(&engine.snapshot());
    let whole = !matches!(engine.condition(), Condition::ReadOnly(_));
    feeds.iter().for_each(|feed| feed.refresh(&snapshot, whole, engine.now()));
}

/// Rendering computes and waits for the disk, so it gets a thread; a panic in it is one feed's trouble.
async fn refresh_aside(feeds: &Arc<Feeds>, engine: &Engine) {
    let (inner, reader) = (Arc::clone(feeds), engine.clone());
    let done = tokio::task::spawn_blocking(move || refresh(&inner, &reader));
    if let Err(error) = done.await {
        feeds.iter().for_each(|feed| feed.fail(format!("rendering ended: {error}"), engine.now()));
    }
}
