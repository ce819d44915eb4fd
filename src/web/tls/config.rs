//! From files to what a handshake is made with.

use super::{Ask, Files, TlsError, validity, wrong};
use crate::handshake::{Signatures, provider};
use chrono::{DateTime, Utc};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The files' bytes, to see whether they have changed.
#[derive(PartialEq, Eq)]
pub(super) struct Read {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    authority: Option<Vec<u8>>,
    ask: Ask,
}

impl Read {
    pub(super) fn of(files: &Files) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: bytes(&files.certificate)?,
            key: bytes(&files.key)?.into(),
            authority: files.authority.as_deref().map(bytes).transpose()?,
            ask: files.ask,
        })
    }

    #[cfg(test)]
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|error| TlsError::Unreadable { file: file.to_owned(), error })
}

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, and when the certificate ends.
pub(super) fn build(files: &Files, read: &Read) -> Result<(ServerConfig, DateTime<Utc>), TlsError> {
    let chain = certificates(&read.certificate, &files.certificate)?;
    let ends = chain.first().and_then(|certificate| validity::end(certificate));
    let ends = ends.ok_or_else(|| wrong(&files.certificate, "it is no certificate with an end"))?;
    let key = PrivateKeyDer::from_pem_slice(&read.key)
        .map_err(|error| wrong(&files.key, format!("no private key in PEM form: {error}")))?;
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| wrong(&files.key, error))?;
    let builder = match clients(files, read, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&files.certificate, format!("with {}: {error}", files.key.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    Ok((config, ends))
}

pub(super) fn certificates(pem: &[u8], file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| wrong(file, error))?;
    if found.is_empty() { Err(wrong(file, "it holds no certificate in PEM form")) } else { Ok(found) }
}

/// Who judges callers' certificates, if they are asked for them.
fn clients(
    files: &Files,
    read: &Read,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if files.ask == Ask::Nobody {
        return Ok(None);
    }
    let Some((file, pem)) = files.authority.as_deref().zip(read.authority.as_deref()) else {
        return Ok(Some(Arc::new(AnyCertificate { ask: files.ask, signatures: Signatures::of(provider) })));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, file)? {
        roots.add(certificate).map_err(|error| wrong(file, error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if files.ask == Ask::Demand { builder } else { builder.allow_unauthenticated() };
    builder.build().map(Some).map_err(|error| wrong(file, error))
}

/// Takes every certificate of whoever has its key. Nobody stands behind what it says: what counts is its digest, which
/// somebody has written down here.
#[derive(Debug)]
struct AnyCertificate {
    ask: Ask,
    signatures: Signatures,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.ask == Ask::Demand
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
