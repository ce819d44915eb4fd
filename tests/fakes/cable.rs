//! What lies between the program and a fake: it can be cut, and it can speak TLS for who does not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// Leads connections to a server; it ends with this.
pub(crate) struct Cable {
    address: SocketAddr,
    cuts: Cuts,
    stop: Option<oneshot::Sender<()>>,
}

/// After how many bytes that the caller sends the next connections break, one each.
type Cuts = Arc<Mutex<VecDeque<u64>>>;

/// What a server shows for itself, and what vouches for it.
pub(crate) struct Identity {
    acceptor: TlsAcceptor,
    /// The certificate of its authority, PEM.
    pub(crate) authority: String,
    /// The SHA-256 of its own, in hexadecimal.
    pub(crate) fingerprint: String,
}

impl Identity {
    /// A server on this machine, by an authority that nobody else knows.
    pub(crate) fn new() -> Self {
        use sha2::Digest as _;
        let key = || rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let (above, own) = (key(), key());
        let pem = authority.self_signed(&above).unwrap().pem();
        let issuer = rcgen::Issuer::new(authority, above);
        let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&own, &issuer).unwrap();
        let shown = certificate.der().clone();
        let fingerprint = sha2::Sha256::digest(&shown).iter().map(|byte| format!("{byte:02x}")).collect();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(own.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![shown], key).unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority: pem, fingerprint }
    }
}

impl Cable {
    /// A cable to the server at `url`, by TLS if an identity is given.
    pub(crate) fn to(url: &str, identity: Option<&Identity>) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, acceptor) = (Cuts::default(), identity.map(|identity| identity.acceptor.clone()));
        let (pending, (stop, stopped)) = (Arc::clone(&cuts), oneshot::channel());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    () = carry_all(listener, server, acceptor, pending) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, cuts, stop: Some(stop) }
    }

    /// The next connections break after so many bytes, one each.
    pub(crate) fn cut(&self, after: &[u64]) {
        self.cuts.lock().unwrap().extend(after);
    }

    /// How many cuts are still to come.
    pub(crate) fn to_cut(&self) -> usize {
        self.cuts.lock().unwrap().len()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // One that has ended already needs no word.
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}

async fn carry_all(
    listener: std::net::TcpListener,
    server: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    cuts: Cuts,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        let (cut, acceptor) = (cuts.lock().unwrap().pop_front(), acceptor.clone());
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(server).await else { return };
            match acceptor {
                None => carry(near, far, cut).await,
                // Whoever does not believe the certificate breaks off.
                Some(acceptor) => {
                    if let Ok(near) = acceptor.accept(near).await {
                        carry(near, far, cut).await;
                    }
                }
            }
        });
    }
}

/// Both ways until one end is closed or the cut comes.
async fn carry(near: impl AsyncRead + AsyncWrite, far: TcpStream, cut: Option<u64>) {
    let ((near, mut to_near), (mut from_far, mut far)) = (split(near), far.into_split());
    let mut near = near.take(cut.unwrap_or(u64::MAX));
    tokio::select! {
        _ = copy(&mut near, &mut far) => {}
        _ = copy(&mut from_far, &mut to_near) => {}
    }
}
