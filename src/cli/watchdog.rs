//! Whether the threads that answer still do, for whoever watches the process.
//!
//! The thread that says so is another one: a word of its own would be true while nobody is answered.

use std::time::Duration;

/// Whether a task is done within that time by the threads that answer.
pub(super) async fn turns(within: Duration) -> bool {
    let task = tokio::spawn(std::future::ready(()));
    tokio::time::timeout(within, task).await.is_ok_and(|done| done.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn threads_that_are_stuck_do_not_turn_and_those_that_are_free_again_do() {
        assert!(turns(Duration::from_secs(30)).await);
        let (free, stuck) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let _ = begun.send(());
            let _ = stuck.recv();
        });
        begins.await.unwrap();
        assert!(!turns(Duration::from_millis(50)).await);
        drop(free);
        assert!(turns(Duration::from_secs(30)).await);
    }
}
