//! The ports of the service: bound, protected, and what comes on their connections before HTTP.

use super::folder::SOCKET;
use super::settings::Settings;
use crate::web::Role;
use crate::web::listener::{self, Listener, Prelude};
use crate::web::proxy::Proxies;
use crate::web::tls::{Target, Tls};
use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Takes as many file descriptors as this user may have: a shell gives fewer than there may be connections.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused there are as many as before.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Ports are bound before anything is opened, so that a second service fails at once, and so that
/// connections wait in the kernel while the store opens. systemd may hand sockets over.
///
/// # Errors
/// A port is taken, or would be open to a network without protection.
pub(super) async fn bind(settings: &Settings) -> anyhow::Result<Vec<(Role, Listener)>> {
    let mut handed = listenfd::ListenFd::from_env();
    let mut bound = Vec::new();
    for (at, role) in settings.roles.iter().enumerate() {
        let wanted = settings.listen(*role);
        let listener = match handed.take_tcp_listener(at)? {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)?
            }
            None => listener::bind(wanted).with_context(|| {
                format!(
                    "the {} role cannot listen on {wanted}; set listen.{} or stop what is there",
                    role.name(),
                    role.name()
                )
            })?,
        };
        // A socket that was handed over is somebody's choice, too, and may be open.
        settings.refuse_open(*role, listener.local_addr()?)?;
        bound.push((*role, Listener::Tcp(listener)));
    }
    Ok(bound)
}

/// The port that leads to TLS, and where to.
///
/// # Errors
/// It is taken.
pub(super) async fn redirect(settings: &Settings) -> anyhow::Result<Option<(Listener, Target)>> {
    let Some((wanted, target)) = settings.tls.as_ref().and_then(|tls| tls.redirect.clone()) else {
        return Ok(None);
    };
    let place = || format!("cannot listen on {wanted}; set tls.redirect or stop what is there");
    let listener = listener::bind(wanted).with_context(place)?;
    Ok(Some((Listener::Tcp(listener), target)))
}

/// The TLS of the ports, if they speak it.
///
/// # Errors
/// A file of it is none.
pub(super) async fn tls(settings: &Settings) -> anyhow::Result<Option<Arc<Tls>>> {
    let Some(files) = settings.tls.as_ref().map(|tls| tls.files.clone()) else { return Ok(None) };
    let tls = tokio::task::spawn_blocking(|| Tls::open(files)).await?;
    Ok(Some(Arc::new(tls.context("there is no TLS with what the settings [tls] name")?)))
}

/// What comes before HTTP on the connections of a port.
pub(super) fn prelude(settings: &Settings, tls: Option<Arc<Tls>>) -> Prelude {
    let proxies = || Arc::new(Proxies::new(settings.proxy.trusted.clone()));
    Prelude { proxies: settings.proxy.protocol.then(proxies), tls }
}

/// Where it is, for the log.
pub(super) fn address(listener: &Listener) -> String {
    match listener {
        Listener::Tcp(listener) => listener.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string()),
        Listener::Unix(_) => SOCKET.to_owned(),
    }
}
