//! TLS to other processes of ours: whom this one believes there, and what it shows for itself.
//!
//! It must not know what is sent.

use super::config::certificates;
use super::{TlsError, wrong};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Whom this process believes, and as whom it asks.
#[derive(Clone, Debug)]
pub struct UpstreamTls(Arc<ClientConfig>);

impl UpstreamTls {
    /// Believes instances whose certificate one in `authorities` (PEM) has signed for their name, and shows the
    /// certificates of `own` with its key (PEM, the certificates first) where it is given.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(authorities: &Path, own: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in read(authorities)? {
            roots.add(certificate).map_err(|error| wrong(authorities, error))?;
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some((chain, key_file)) => {
                let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| wrong(key_file, error))?;
                let chain = read(chain)?;
                config.with_client_auth_cert(chain, key).map_err(|error| wrong(key_file, error))?
            }
        };
        Ok(Self(Arc::new(config)))
    }

    /// As rustls has it.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(file).map_err(|error| TlsError::Unreadable { file: file.to_owned(), error })?;
    certificates(&pem, file)
}
