//! Follows the engine and takes every feed to its newest generation, off the request path.

use super::feed::{Feed, Feeds};
use crate::engine::{Condition, Engine};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
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
    let whole = !matches!(engine.condition(), Condition::ReadOnly { .. });
    for feed in feeds.iter() {
        each_alone(feed, engine, || feed.refresh(&snapshot, whole, engine.now()));
    }
}

/// A panic in one feed is that feed's trouble.
fn each_alone(feed: &Feed, engine: &Engine, refresh: impl FnOnce()) {
    // A feed is changed in single steps, so that a panic between two leaves nothing half done.
    if catch_unwind(AssertUnwindSafe(refresh)).is_err() {
        feed.fail("rendering it panicked".to_owned(), engine.now());
    }
}

/// Rendering computes and waits for the disk, so it gets a thread; its own, since those that the runtime keeps for
/// such work may all be at work for readers.
async fn refresh_aside(feeds: &Arc<Feeds>, engine: &Engine) {
    let (inner, reader) = (Arc::clone(feeds), engine.clone());
    let (done, end) = oneshot::channel();
    let work = move || {
        // Behind those who answer; where that is not allowed, beside them.
        let _ = rustix::process::nice(10);
        refresh(&inner, &reader);
        // Nobody waits for it when the service stops.
        let _ = done.send(());
    };
    match std::thread::Builder::new().name("feeds".into()).spawn(work) {
        // What the thread could fail with is caught in it.
        Ok(_) => end.await.unwrap_or_default(),
        Err(error) => feeds.iter().for_each(|feed| feed.fail(format!("no thread: {error}"), engine.now())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Medium;
    use crate::engine::Options;
    use crate::publish::Profile;

    #[test]
    fn a_panic_in_one_feed_leaves_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(Options::new(Medium::folder(folder.path()))).unwrap();
        let profiles = ["a", "b"].map(|name| Profile { name: name.into(), ..Profile::fortigate() });
        let feeds = Feeds::open(folder.path(), profiles.into(), engine.now()).unwrap();
        for feed in feeds.iter() {
            each_alone(feed, &engine, || assert_ne!(feed.profile().name, "a"));
        }
        let fault = |name| feeds.get(name).unwrap().status().fault;
        assert_eq!(
            (fault("a").map(|fault| fault.what), fault("b")),
            (Some("rendering it panicked".into()), None)
        );
    }
}
