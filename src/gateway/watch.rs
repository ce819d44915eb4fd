//! Asks every instance elsewhere, every few seconds, whether it is ready: one that is not is left out before
//! anybody's request finds that out.
//!
//! It must not judge what an instance says of itself, only whether it says it.

use super::Upstreams;
use super::instance::Instance;
use super::pool::Remote;
use super::upstream::Place;
use crate::web::{Body, Peer, Request};
use http::{StatusCode, Uri};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// The gateway itself, as a caller of no rights.
pub(super) const ANYBODY: Peer = Peer::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));

/// Looks after all instances, each about as often as `every` says; ends never.
pub async fn watch(upstreams: &Upstreams, every: Duration) {
    let remotes = upstreams.values().filter_map(|upstream| match upstream.place() {
        Place::Remote(remote) => Some(&**remote),
        Place::Local(_) => None,
    });
    let each = remotes.flat_map(|remote| remote.instances().iter().map(move |instance| (remote, instance)));
    futures_util::future::join_all(each.map(|(remote, instance)| look_after(remote, instance, every))).await;
    // Without instances elsewhere there is nothing to end, either.
    std::future::pending::<()>().await;
}

async fn look_after(remote: &Remote, instance: &Instance, every: Duration) {
    loop {
        // Instances and gateways that start together do not ask together for ever.
        tokio::time::sleep(every.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        let is_ready = asked(remote, instance).await;
        if is_ready != instance.is_ready() {
            tracing::debug!(instance = instance.url(), is_ready, "asked whether it is ready");
        }
        instance.was_asked(is_ready);
    }
}

async fn asked(remote: &Remote, instance: &Instance) -> bool {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static("/ready");
    let answer = timeout(PATIENCE, remote.look(instance, request, ANYBODY)).await;
    matches!(answer, Ok(Ok(answer)) if answer.status() == StatusCode::OK)
}
