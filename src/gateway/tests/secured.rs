//! Instances behind TLS: whom the door believes, and what it shows for itself.

use super::*;
use crate::web::tls::UpstreamTls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// An authority with its file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// A certificate for `name` and its key, also as files.
    fn issue(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.folder.path().join("own.pem"), certificate.pem()).unwrap();
        std::fs::write(self.folder.path().join("own.key"), key.serialize_pem()).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn tls(&self, shows_itself: bool) -> UpstreamTls {
        let at = |name: &str| self.folder.path().join(name);
        let (chain, key) = (at("own.pem"), at("own.key"));
        UpstreamTls::read(&at("ca.pem"), shows_itself.then_some((&*chain, &*key))).unwrap()
    }

    /// An instance for `name` that asks for a certificate of this authority, and answers everything alike.
    async fn instance(&self, name: &str) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let (certificate, key) = self.issue(name);
        let config = ServerConfig::builder().with_client_cert_verifier(verifier);
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, acceptor) = (listener.accept().await.unwrap().0, acceptor.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await);
                    }
                });
            }
        });
        format!("https://localhost:{port}")
    }
}

fn through(url: &str, tls: Option<UpstreamTls>) -> Result<Arc<App>, UpstreamError> {
    let way = Way { patience: Duration::from_secs(3), tls, ..Way::default() };
    Remote::over(&[url], &way).map(|remote| door(Upstream::remote(remote)))
}

const TARGET: &str = "/api/v1/blacklist/fortigate";

#[tokio::test]
async fn an_instance_with_the_right_name_and_authority_is_asked_and_no_other() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (right, wrong) = (ours.instance("localhost").await, theirs.instance("localhost").await);
    let misnamed = ours.instance("elsewhere.example").await;
    let door = through(&right, Some(ours.tls(true))).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&door, TARGET).await.1, "secret");
    }
    for url in [wrong, misnamed] {
        let door = through(&url, Some(ours.tls(true))).unwrap();
        assert_eq!(code(&door, TARGET).await, (503, "role_unreachable".into()), "{url}");
    }
    let nobody = through(&right, Some(ours.tls(false))).unwrap();
    assert!((502..=503).contains(&code(&nobody, TARGET).await.0), "it shows nothing for itself");
    assert!(through(&right, None).is_err(), "nobody to believe");
}

#[tokio::test]
async fn what_is_shown_and_who_is_believed_are_read_again_and_a_wrong_file_changes_nothing() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let url = ours.instance("localhost").await;
    theirs.issue("door");
    let take = |name: &str| {
        std::fs::copy(theirs.folder.path().join(name), ours.folder.path().join(name)).unwrap();
    };
    take("own.pem");
    take("own.key");
    let tls = ours.tls(true);
    let asked = async || ask(&through(&url, Some(tls.clone())).unwrap(), TARGET).await.0.as_u16();
    assert!((502..=503).contains(&asked().await), "who is shown is another's");
    ours.issue("door");
    tls.renew();
    assert_eq!((asked().await, tls.check().status), (200, health::Status::Healthy));
    std::fs::write(ours.folder.path().join("own.pem"), "none").unwrap();
    tls.renew();
    assert_eq!((asked().await, tls.check().status), (200, health::Status::Degraded));
    ours.issue("door");
    take("ca.pem");
    tls.renew();
    assert_eq!(asked().await, 503, "nobody there is believed any more");
}

#[test]
fn a_file_that_holds_something_else_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "none").unwrap();
    assert!(UpstreamTls::read(&file, None).unwrap_err().to_string().contains("ca.pem"));
    assert!(UpstreamTls::read(&folder.path().join("gone"), None).is_err());
}
