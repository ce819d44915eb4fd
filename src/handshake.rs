//! What every TLS handshake of this process rests on: one provider of cryptography, and its proof that who shows a
//! certificate has the key to it. It must not know whose certificates are believed.

use rustls::DigitallySignedStruct;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::CertificateDer;
use rustls::{Error, SignatureScheme};
use std::sync::Arc;

/// Makes the one TLS provider that of the process, for every library that asks for it. Call first
/// thing in `main`; a second call changes nothing.
pub fn install_provider() {
    // The error says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The provider of the process.
pub fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// Judges the signatures with which somebody proves to hold a certificate's key; for whoever judges the certificate
/// itself in a way of its own.
#[derive(Debug)]
pub struct Signatures(Arc<CryptoProvider>);

impl Signatures {
    /// Those that `provider` can judge.
    pub fn of(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }

    /// One of TLS 1.2.
    ///
    /// # Errors
    /// It is not made with that key, or in a way that is not known.
    pub fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    /// One of TLS 1.3.
    ///
    /// # Errors
    /// As [`Signatures::tls12`].
    pub fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    /// The ways of signing that are known.
    pub fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_exactly_one_tls_provider() {
        // Panics when two are compiled in and neither is installed.
        let _ = rustls::ClientConfig::builder();
        install_provider();
        install_provider();
        assert!(CryptoProvider::get_default().is_some());
    }
}
