//! A list at a URL: one download, asked for only if it changed.

use super::failed;
use crate::collect::collector::deliver::{Delivered, Delivery};
use crate::collect::collector::ending::Ending;
use crate::collect::collector::job::Job;
use crate::collect::feed::{Credentials, Download, FeedError, Memory, download};
use crate::disk::hex;
use crate::fetch::Failure;
use crate::fetch::{Fetcher, Url};

pub(super) async fn run(job: &mut Job) -> Result<(), Ending> {
    let url = url(job)?;
    job.step(format!("downloading from {}", url.host_str().unwrap_or_default()), 0, None);
    let known = if job.wants_bytes() { Memory::default() } else { remembered(job) };
    let memory = match ask(job, &url, &known).await? {
        Download::Unchanged(memory) => {
            job.seen().await?;
            memory
        }
        Download::Fetched { bytes, memory } => {
            let (name, dated) = (file_name(&url), memory.dated);
            let delivery = Delivery { name, dated, ..Delivery::new("list".to_owned(), bytes) };
            match job.deliver(delivery).await? {
                // It is asked for again, and judged anew when it is another.
                Delivered::Held | Delivered::Rejected => return Ok(()),
                Delivered::Taken(_) | Delivered::Unchanged => memory,
            }
        }
    };
    job.remember(&memory)
}

/// Asks the server as a run would, and throws away what comes.
pub(super) async fn probe(job: &mut Job) -> Result<(), Ending> {
    let url = url(job)?;
    let known = remembered(job);
    ask(job, &url, &known).await.map(drop)
}

async fn ask(job: &Job, url: &Url, known: &Memory) -> Result<Download, Ending> {
    let fetcher = Fetcher::new(job.inner().fetch.clone()).map_err(|error| ending(&error.into()))?;
    let credentials: Option<Credentials> = job.credentials().await?;
    let asked = job.until_stopped(download(&fetcher, url, credentials.as_ref(), known)).await?;
    asked.map_err(|error| ending(&error))
}

/// What the last download left; nothing, where something else is listed: the definition has changed since,
/// a person brought a file, consented to what was held, or had an earlier run read again.
fn remembered(job: &Job) -> Memory {
    if job.run.wish.force {
        return Memory::default();
    }
    let memory: Memory = job.recall().unwrap_or_default();
    let is_listed = memory.digest.is_some_and(|digest| job.memory.digest == Some(hex(&digest)));
    if is_listed { memory } else { Memory::default() }
}

/// What the end of the path says of the form. The rest of it may be a key, and a run is told to many.
fn file_name(url: &Url) -> Option<String> {
    let (_, form) = url.path().rsplit_once('.')?;
    let is_form = (1..=5).contains(&form.len()) && form.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_form.then(|| format!("list.{form}"))
}

fn url(job: &Job) -> Result<Url, Ending> {
    let url = job.definition.url.as_deref().unwrap_or_default();
    Url::parse(url).map_err(|error| failed(Failure::Attention, "bad_url", &error))
}

fn ending(error: &FeedError) -> Ending {
    failed(error.kind(), error.code(), error)
}
