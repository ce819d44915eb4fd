//! Trust: the system's certificates, those that the operator names beside them, or one certificate alone.

use super::FetchError;
use crate::handshake::{Signatures, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Whose certificates are believed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// Those that the system trusts.
    #[default]
    System,
    /// And those in a file (PEM).
    File(PathBuf),
    /// And these (PEM).
    Pem(String),
    /// Only the very certificate with this SHA-256, whatever it says of itself.
    Fingerprint([u8; 32]),
}

/// A client's TLS.
///
/// # Errors
/// The file cannot be read, or there is no certificate in what should hold some.
pub(super) fn client(trust: &Trust) -> Result<ClientConfig, FetchError> {
    let provider = provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Setup(error.to_string()))?;
    let config = match trust {
        Trust::System => config.with_root_certificates(system()),
        Trust::File(file) => config.with_root_certificates(with_file(file)?),
        Trust::Pem(text) => config.with_root_certificates(with(text.as_bytes(), "the authority")?),
        Trust::Fingerprint(digest) => {
            let pinned = Arc::new(Pinned { digest: *digest, signatures: Signatures::of(provider) });
            config.dangerous().with_custom_certificate_verifier(pinned)
        }
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Believes one certificate. Who shows it must still sign with its key.
#[derive(Debug)]
struct Pinned {
    digest: [u8; 32],
    signatures: Signatures,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match Sha256::digest(shown)[..] == self.digest {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

/// The system's certificates, read once: each source has a client, and there may be hundreds.
fn system() -> Arc<RootCertStore> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "certificates of the system could not be read");
        }
        let (_, unusable) = roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            tracing::warn!(
                unusable,
                "the system trusts no certificate, so no https source can be reached; install ca-certificates or set a CA file"
            );
        }
        Arc::new(roots)
    };
    SYSTEM.get_or_init(read).clone()
}

fn with_file(file: &Path) -> Result<Arc<RootCertStore>, FetchError> {
    let place = format!("CA file {}", file.display());
    let bytes = std::fs::read(file).map_err(|error| FetchError::Setup(format!("{place}: {error}")))?;
    with(&bytes, &place)
}

/// The system's certificates and those in `pem`.
fn with(pem: &[u8], place: &str) -> Result<Arc<RootCertStore>, FetchError> {
    let wrong = |why: String| FetchError::Setup(format!("{place}: {why}"));
    let mut roots = RootCertStore::clone(&system());
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(wrong("it holds no certificate in PEM form".to_owned()));
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "nothing").unwrap();
        for file in [file, folder.path().join("missing.pem")] {
            let error = client(&Trust::File(file.clone())).unwrap_err();
            assert_eq!(error.code(), "fetch_setup");
            assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        }
    }
}
