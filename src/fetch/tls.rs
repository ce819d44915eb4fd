//! Trust: the system's certificates, and those of a file that the operator names.

use super::FetchError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Makes the one TLS provider that of the process, for every library that asks for it. Call first
/// thing in `main`; a second call changes nothing.
pub fn install_provider() {
    // The error says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A client's TLS, trusting the system's certificates and those of `file` (PEM).
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub(super) fn client(file: Option<&Path>) -> Result<ClientConfig, FetchError> {
    let roots = match file {
        None => system(),
        Some(file) => {
            let mut roots = RootCertStore::clone(&system());
            add(&mut roots, file)?;
            Arc::new(roots)
        }
    };
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Setup(error.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
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

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), FetchError> {
    let wrong = |why: String| FetchError::Setup(format!("CA file {}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.len() == before { Err(wrong("it holds no certificate in PEM form".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_exactly_one_tls_provider() {
        // Panics when two are compiled in and neither is installed.
        let _ = ClientConfig::builder();
        install_provider();
        install_provider();
        assert!(CryptoProvider::get_default().is_some());
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "nothing").unwrap();
        for file in [file, folder.path().join("missing.pem")] {
            let error = client(Some(&file)).unwrap_err();
            assert_eq!(error.code(), "fetch_setup");
            assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        }
    }
}
