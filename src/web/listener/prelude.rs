//! What comes on a connection before HTTP: a proxy's word for whom it is, and TLS.

use crate::web::Peer;
use crate::web::proxy::Proxies;
use crate::web::tls::{Secured, Tls};
use sha2::{Digest as _, Sha256};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What is expected on each connection of a port.
#[derive(Clone, Default)]
pub struct Prelude {
    /// From these each connection begins with a PROXY header, and from nobody else.
    pub proxies: Option<Arc<Proxies>>,
    /// Then comes TLS.
    pub tls: Option<Arc<Tls>>,
}

/// A connection on which HTTP comes next.
pub(super) enum Opened<S> {
    Plain(S, Peer),
    Tls(Box<TlsStream<S>>, Peer, Secured),
}

impl Prelude {
    pub(super) fn is_nothing(&self) -> bool {
        self.proxies.is_none() && self.tls.is_none()
    }

    /// # Errors
    /// The connection broke, or something else came.
    pub(super) async fn open<S>(&self, mut stream: S, peer: Peer) -> io::Result<Opened<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let peer = match &self.proxies {
            Some(proxies) => proxies.introduced(&mut stream, peer).await?,
            None => peer,
        };
        let Some(tls) = &self.tls else { return Ok(Opened::Plain(stream, peer)) };
        let stream = TlsAcceptor::from(tls.config()).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let secured = Secured { certificate: shown.map(|certificate| Sha256::digest(certificate).into()) };
        Ok(Opened::Tls(Box::new(stream), peer, secured))
    }
}
