//! Bytes that are there already: files that people bring, and what is read again.

use crate::collect::collector::ending::Ending;
use crate::collect::collector::error::CollectError;
use crate::collect::collector::job::Job;
use crate::fetch::Failure;

/// Delivers the documents of a run: its own, which were brought, or once more those of an earlier one.
pub(super) async fn run(job: &mut Job) -> Result<(), Ending> {
    let run = job.run.wish.again.unwrap_or(job.run.id);
    let documents = job.inner().look(move |look| look.run(run)).await?.map(|run| run.documents);
    let documents = documents.unwrap_or_default();
    let total = documents.len() as u64;
    let kept: Vec<_> = documents.iter().enumerate().filter(|(_, document)| document.kept).collect();
    if kept.is_empty() {
        return Err(gone(&CollectError::NoRaw(run)));
    }
    for (index, document) in kept {
        job.step(format!("reading {}", document.label), index as u64, Some(total));
        let inner = job.inner();
        let delivery = job.until_stopped(inner.kept(run, index, document)).await?;
        let delivery = delivery.map_err(|error| match error {
            CollectError::Disk(error) => error.into(),
            other => gone(&other),
        })?;
        if run == job.run.id {
            job.deliver_kept(index, delivery, document.digest.clone()).await?;
        } else {
            job.deliver(delivery).await?;
        }
    }
    Ok(())
}

fn gone(error: &CollectError) -> Ending {
    Ending::new(Failure::Broken, "raw_gone", error.to_string())
}
