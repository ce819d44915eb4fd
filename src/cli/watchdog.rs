//! What systemd's watchdog hears: that the threads that answer still do.
//!
//! A thread of its own says so. A task would say it while nobody is answered, or, with every thread stuck, could not even
//! say that. It must not know what the threads do.

use sd_notify::NotifyState;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::runtime::Handle;

/// Tells systemd that `threads` answer, where it wants to know, until they are no more.
///
/// # Errors
/// There is no thread for it.
pub(super) fn start(threads: Handle) -> std::io::Result<()> {
    let Some(patience) = sd_notify::watchdog_enabled() else { return Ok(()) };
    let every = patience / 3;
    let tell = move || {
        loop {
            match turn(&threads, every / 2) {
                Turn::Done => announce(&[NotifyState::Watchdog]),
                Turn::Stuck => tracing::error!("no thread is free to answer; the watchdog is not told"),
                Turn::Over => return,
            }
            std::thread::sleep(every);
        }
    };
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(tell).map(drop)
}

/// Tells systemd how the service stands, where it runs under it.
pub(super) fn announce(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "could not tell systemd");
    }
}

/// What became of a task.
#[derive(PartialEq, Eq, Debug)]
enum Turn {
    Done,
    Stuck,
    Over,
}

/// Gives `threads` something to do, and waits for it that long.
fn turn(threads: &Handle, within: Duration) -> Turn {
    let (done, is_done) = sync_channel(1);
    threads.spawn(async move {
        // Nobody waits any more who has waited long enough.
        let _ = done.send(());
    });
    match is_done.recv_timeout(within) {
        Ok(()) => Turn::Done,
        Err(RecvTimeoutError::Timeout) => Turn::Stuck,
        Err(RecvTimeoutError::Disconnected) => Turn::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn threads_that_are_stuck_do_not_turn_and_those_that_are_free_again_do() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let threads = runtime.handle().clone();
        assert_eq!(turn(&threads, LONG), Turn::Done);
        let (free, stuck) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            begun.send(()).unwrap();
            let _ = stuck.recv();
        });
        begins.recv().unwrap();
        assert_eq!(turn(&threads, Duration::from_millis(50)), Turn::Stuck);
        drop(free);
        assert_eq!(turn(&threads, LONG), Turn::Done);
        drop(runtime);
        assert_eq!(turn(&threads, LONG), Turn::Over);
    }
}
