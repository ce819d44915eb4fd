//! A task a device: one push at a time, the newest release always first, growing pauses after a fault.

use super::pusher::{Line, Live, Pace, Pusher};
use super::round::{Next, Seen};
use super::standing::Standing;
use super::target::Target;
use crate::model::OutputName;
use crate::publish::outgoing::pause;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;
use tokio::time::sleep;

impl Pusher {
    /// Pushes until `stop` is done.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        let (mut news, mut generations) = (self.ledger().news(), self.publisher.engine().generations());
        let mut stop = std::pin::pin!(stop);
        loop {
            news.borrow_and_update();
            generations.borrow_and_update();
            self.staff(&mut tasks);
            tokio::select! {
                () = &mut stop => return,
                _ = news.changed() => {}
                _ = generations.changed() => {}
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            }
        }
    }

    /// A task for every device that has a target, and none for others.
    fn staff(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        let snapshot = Arc::clone(&self.publisher.engine().snapshot());
        let mut targets = self.ledger().targets();
        targets.retain(|name, _| snapshot.devices().any(|device| device.name == *name));
        let mut live = self.live();
        live.retain(|name, live| {
            let stays = targets.get(name) == Some(&live.target) && !live.task.is_finished();
            if !stays {
                live.task.abort();
            }
            stays
        });
        for (name, target) in targets {
            live.entry(name.clone()).or_insert_with(|| {
                let line = Arc::<Line>::default();
                let work = Arc::clone(self).attend(name, target.clone(), Arc::clone(&line));
                Live { target, line, task: tasks.spawn(work) }
            });
        }
    }

    /// Looks after one device for ever.
    async fn attend(self: Arc<Self>, device: OutputName, target: Target, line: Arc<Line>) {
        let mut releases = self.publisher.feeds().releases();
        let (mut faults, mut seen) = (0, Seen::new());
        let Pace { first, most, .. } = self.settings.pace;
        // What stopped before a restart stays so.
        let stopped = |standing: &Standing| standing.trouble.as_ref().is_some_and(|trouble| trouble.stopped);
        if self.ledger().standings(&device).values().any(stopped) {
            line.kick.notified().await;
        }
        loop {
            releases.borrow_and_update();
            line.busy.store(true, Ordering::Release);
            let whole = line.whole.swap(false, Ordering::AcqRel);
            let next = self.round(&device, &target, whole, &mut seen).await;
            line.busy.store(false, Ordering::Release);
            match next {
                Next::Wait => {
                    faults = 0;
                    tokio::select! {
                        _ = releases.changed() => {}
                        () = line.kick.notified() => {}
                        () = sleep(self.settings.pace.look) => {}
                    }
                }
                Next::Again => {
                    faults += 1;
                    tokio::select! {
                        () = sleep(pause(first, most, faults)) => {}
                        () = line.kick.notified() => {}
                    }
                }
                Next::Stop => line.kick.notified().await,
            }
        }
    }
}
