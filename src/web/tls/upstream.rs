//! TLS to other processes of ours: whom this one believes there, and what it shows for itself. Both are read again when a
//! connection is made, at most every few seconds, so that neither is ever older than its files.
//!
//! A file that is wrong never takes the place of one that was right. It must not know what is sent.

use super::config::certificates;
use super::{EVERY, TlsError, told, validity, wrong};
use crate::handshake::provider;
use crate::web::health::Check;
use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Whom this process believes, and as whom it asks; cheap to clone.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    config: Arc<ClientConfig>,
    kept: Arc<Kept>,
}

/// What a handshake asks about both.
#[derive(Debug)]
struct Kept {
    authorities: PathBuf,
    own: Option<(PathBuf, PathBuf)>,
    current: ArcSwap<Current>,
    looked: Mutex<Looked>,
}

/// When the files were looked at last, and what was wrong with them then.
#[derive(Debug)]
struct Looked {
    at: Instant,
    fault: Option<String>,
}

/// What is in use.
#[derive(Debug)]
struct Current {
    believed: Arc<WebPkiServerVerifier>,
    /// What is shown, and when it ends.
    own: Option<(Arc<CertifiedKey>, DateTime<Utc>)>,
}

impl UpstreamTls {
    /// Believes instances whose certificate one in `authorities` (PEM) has signed for their name, and shows the
    /// certificates of `own` with its key (PEM, the certificates first) where it is given.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(authorities: &Path, own: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let own = own.map(|(chain, key)| (chain.to_owned(), key.to_owned()));
        let current = ArcSwap::from_pointee(Current::of(authorities, own.as_ref())?);
        let looked = Mutex::new(Looked { at: Instant::now(), fault: None });
        let kept = Arc::new(Kept { authorities: authorities.to_owned(), own, current, looked });
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| wrong(authorities, error))?
            // It asks webpki, as the usual one does, with the authorities of now.
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&kept) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::clone(&kept) as Arc<dyn ResolvesClientCert>);
        // A session that is taken up again would ask nobody.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), kept })
    }

    /// As rustls has it, for as long as the process lives.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Reads the files again, and uses them if they are right. Blocks on the disk.
    pub fn renew(&self) {
        self.kept.look(&mut self.kept.looked.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How it stands with what is shown. Degraded at worst: a restart helps with none of it.
    pub fn check(&self) -> Check {
        let current = self.kept.current();
        let fault = self.kept.looked.lock().unwrap_or_else(PoisonError::into_inner).fault.clone();
        match (&current.own, fault) {
            (Some((_, ends)), fault) => told(*ends, fault, "other processes refuse it", "[upstream]"),
            (None, Some(fault)) => {
                Check::degraded(fault, "correct upstream.ca_file; it is read again by itself")
            }
            (None, None) => Check::healthy(""),
        }
    }
}

impl Kept {
    /// What is in use, after a look at the files where one is due; whoever comes meanwhile goes by the last one.
    fn current(&self) -> Arc<Current> {
        if let Ok(mut looked) = self.looked.try_lock()
            && looked.at.elapsed() >= EVERY
        {
            self.look(&mut looked);
        }
        self.current.load_full()
    }

    fn look(&self, looked: &mut Looked) {
        looked.at = Instant::now();
        let fault = match Current::of(&self.authorities, self.own.as_ref()) {
            Ok(current) => {
                self.current.store(Arc::new(current));
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = fault.as_ref().filter(|_| fault != looked.fault) {
            tracing::error!(error, "what other processes are believed by and shown stays as it was");
        }
        looked.fault = fault;
    }
}

impl Current {
    fn of(authorities: &Path, own: Option<&(PathBuf, PathBuf)>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in read(authorities)? {
            roots.add(certificate).map_err(|error| wrong(authorities, error))?;
        }
        let believed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let believed = believed.map_err(|error| wrong(authorities, error))?;
        Ok(Self { believed, own: own.map(|(chain, key)| shown(chain, key)).transpose()? })
    }
}

fn shown(chain_file: &Path, key_file: &Path) -> Result<(Arc<CertifiedKey>, DateTime<Utc>), TlsError> {
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| wrong(key_file, error))?;
    let chain = read(chain_file)?;
    let ends = chain.first().and_then(|certificate| validity::end(certificate));
    let ends = ends.ok_or_else(|| wrong(chain_file, "it is no certificate with an end"))?;
    let own = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| wrong(key_file, error))?;
    Ok((Arc::new(own), ends))
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(file).map_err(|error| TlsError::Unreadable { file: file.to_owned(), error })?;
    certificates(&pem, file)
}

impl ResolvesClientCert for Kept {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current().own.as_ref().map(|(own, _)| Arc::clone(own))
    }

    fn has_certs(&self) -> bool {
        self.own.is_some()
    }
}

impl ServerCertVerifier for Kept {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.current().believed.verify_server_cert(certificate, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().believed.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().believed.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().believed.supported_verify_schemes()
    }
}
