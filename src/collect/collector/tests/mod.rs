//! The collector with scripted flows: what a run may do to its source, to the ledger and to the
//! blacklist, whatever its craft.

mod accounts;
mod configured;
mod flows;
mod holds;
mod logins;
mod losses;
mod release;
mod resume;
mod runs;
mod schedule;

use super::begin::Beginning;
use super::deliver::{Delivered, Delivery};
use super::ending::Ending;
use super::job::Job;
use super::*;
use crate::analyze::fixture::House;
use crate::collect::definition::{Definition, Kind};
use crate::collect::gate::Ground;
use crate::collect::ledger::{Answer, How};
use crate::collect::run::{Fault, State, Trigger, Wish};
use crate::fetch::Failure;
use crate::vault::KeySource;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a scripted run does.
type Script = Arc<dyn for<'j> Fn(&'j mut Job) -> BoxFuture<'j, Result<(), Ending>> + Send + Sync>;

fn script<F>(act: F) -> Script
where
    F: for<'j> Fn(&'j mut Job) -> BoxFuture<'j, Result<(), Ending>> + Send + Sync + 'static,
{
    Arc::new(act)
}

/// Runs that deliver one list after the other, and then the last again and again.
fn lists<const N: usize>(lists: [&'static str; N]) -> Script {
    let turn = Arc::new(AtomicUsize::new(0));
    script(move |job| {
        let list = lists[turn.fetch_add(1, Ordering::Relaxed).min(N - 1)];
        Box::pin(async move { deliver(job, list).await.map(drop) })
    })
}

async fn deliver(job: &mut Job, list: &str) -> Result<Delivered, Ending> {
    job.deliver(Delivery::new("list".to_owned(), list.to_owned().into())).await
}

fn fails(kind: Failure) -> Script {
    script(move |_| Box::pin(async move { Err(Ending::new(kind, "scripted", "it fails")) }))
}

fn name(text: &str) -> SourceName {
    text.parse().unwrap()
}

fn feed(more: &str) -> Definition {
    toml::from_str(&format!("kind = 'feed'\nurl = 'https://lists.example/a'\n{more}")).unwrap()
}

fn open(house: &House, work: Script) -> Collector {
    Collector::with_work(options(house), work.clone(), work).unwrap()
}

fn options(house: &House) -> Options {
    let medium = Medium::folder(house.folder.path());
    let vault = Vault::new(KeySource::find(house.folder.path(), None, |_| None));
    let configured = [
        (name("list"), feed("")),
        (name("account"), Definition::new(Kind::Regtech)),
        (name("files"), Definition::new(Kind::Upload)),
    ];
    Options { configured: configured.into(), ..Options::new(house.engine().clone(), medium, vault) }
}

async fn run(collector: &Collector, source: &str) -> Run {
    let id = collector.trigger(name(source), "tester", Wish::default()).await.unwrap();
    over(collector, id).await
}

/// Waits for the end of a run, written down and all.
async fn over(collector: &Collector, id: Uuid) -> Run {
    for _ in 0..2_000 {
        if collector.0.live.find(id).is_none() {
            return collector.run(id).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the run does not end: {:?}", collector.run(id).await)
}

async fn standing(collector: &Collector, source: &str) -> crate::collect::ledger::Standing {
    let source = name(source);
    collector.0.look(move |look| look.standing(&source)).await.unwrap()
}

async fn set_account(collector: &Collector) {
    let account = json!({"username": "u", "password": "p"});
    collector.set_credentials(&name("account"), account, "tester").await.unwrap();
}

const TWO: &str = "20.0.0.1\n20.0.0.2\n";

/// The process is gone from one instruction to the next: nothing is written down any more.
async fn crash(collector: Collector) {
    locked(&collector.0.tasks).abort_all();
    let mut tasks = std::mem::take(&mut *locked(&collector.0.tasks));
    while tasks.join_next().await.is_some() {}
}
