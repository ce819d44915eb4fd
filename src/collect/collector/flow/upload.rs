//! Files that people bring, and bytes that are read again.

use crate::collect::collector::deliver::Delivery;
use crate::collect::collector::ending::Ending;
use crate::collect::collector::error::CollectError;
use crate::collect::collector::job::Job;
use crate::collect::run::Document;
use crate::fetch::Failure;
use bytes::Bytes;
use uuid::Uuid;

/// Takes a file in.
pub(super) async fn file(job: &mut Job, name: Option<String>, bytes: Bytes) -> Result<(), Ending> {
    let label = name.clone().unwrap_or_else(|| "upload".to_owned());
    job.deliver(Delivery { name, ..Delivery::new(label, bytes) }).await.map(drop)
}

/// Delivers the documents of an earlier run once more.
pub(super) async fn again(job: &mut Job, run: Uuid, documents: Vec<Document>) -> Result<(), Ending> {
    let total = documents.len() as u64;
    for (index, document) in documents.iter().enumerate().filter(|(_, document)| document.kept) {
        job.step(format!("reading {} again", document.label), index as u64, Some(total));
        let delivery = job.inner().kept(run, index, document).await.map_err(|error| match error {
            CollectError::Disk(error) => error.into(),
            other => Ending::new(Failure::Broken, "raw_gone", other.to_string()),
        })?;
        job.deliver(delivery).await?;
    }
    Ok(())
}
