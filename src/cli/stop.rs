//! The word that the service stops: said once, heard by every task.

use tokio::sync::watch;

/// Ends when it is said.
pub(super) async fn raised(mut stopped: watch::Receiver<bool>) {
    // The sender outlives every task; were it gone, stopping is right as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
