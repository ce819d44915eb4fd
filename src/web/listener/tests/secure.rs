//! What comes before HTTP, as clients of every kind begin it.

use super::*;
use crate::web::proxy::{Networks, Proxies};
use crate::web::tls::tests::Made;
use crate::web::tls::{Ask, Files, Tls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const NAME: &str = "ironlist.example";

/// A port with TLS, and what it is made of.
struct Secure {
    served: Served,
    own: Made,
    _folder: TempDir,
}

async fn secure(change: impl FnOnce(Files, &TempDir) -> Files) -> Secure {
    let (folder, own) = (TempDir::new().unwrap(), Made::new(NAME));
    let files = change(own.write(&folder), &folder);
    let tls = Some(Arc::new(Tls::open(files).unwrap()));
    let served = served_after(Prelude { proxies: None, tls }, quick()).await;
    Secure { served, own, _folder: folder }
}

fn client(
    trusted: &Made,
    shown: Option<&Made>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(trusted.der.clone())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    let Some(shown) = shown else { return builder.with_no_client_auth() };
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    builder.with_client_auth_cert(vec![shown.der.clone().into()], key).unwrap()
}

async fn shake(stream: TcpStream, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

impl Secure {
    async fn ask(&self, path: &str, config: ClientConfig) -> io::Result<String> {
        let mut stream = shake(self.served.connect().await, config).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\n{CLOSE}").as_bytes()).await?;
        let mut bytes = Vec::new();
        timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes)).await.expect("in time")?;
        Ok(String::from_utf8(bytes).unwrap())
    }
}

fn digest(made: &Made) -> String {
    let digest: [u8; 32] = Sha256::digest(&made.der).into();
    format!("Some(Secured {{ certificate: Some({digest:?}) }})")
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_requests_are_known_to_be_secured() {
    let secure = secure(|files, _| files).await;
    for version in [&TLS12, &TLS13] {
        let answer = secure.ask("/secured", client(&secure.own, None, &[version])).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nSome(Secured { certificate: None })"), "{answer}");
    }
    let plain = served(quick()).await;
    assert!(plain.exchange(&format!("GET /secured HTTP/1.1\r\n{CLOSE}")).await.ends_with("\r\n\r\nNone"));
}

#[tokio::test]
async fn any_certificate_is_known_by_its_digest_also_when_a_session_is_taken_up_again() {
    let secure = secure(|files, _| Files { ask: Ask::Everybody, ..files }).await;
    let (one, other) = (Made::new("one"), Made::until("other", 2020));
    for version in [&TLS12, &TLS13] {
        for shown in [&one, &other] {
            let config = client(&secure.own, Some(shown), &[version]);
            for _ in 0..3 {
                let answer = secure.ask("/secured", config.clone()).await.unwrap();
                assert!(answer.ends_with(&digest(shown)), "{answer}");
            }
        }
        let answer = secure.ask("/secured", client(&secure.own, None, &[version])).await.unwrap();
        assert!(answer.ends_with("Some(Secured { certificate: None })"), "{answer}");
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_nobodys() {
    let secure = secure(|files, _| Files { ask: Ask::Everybody, ..files }).await;
    let (one, other) = (Made::new("one"), Made::new("other"));
    // The certificate of one with the key of the other: the library builds it only without looking.
    let stolen = rustls::sign::CertifiedKey::new(
        vec![one.der.clone().into()],
        rustls::crypto::aws_lc_rs::sign::any_supported_type(
            &PrivateKeyDer::from_pem_slice(other.key.as_bytes()).unwrap(),
        )
        .unwrap(),
    );
    for version in [&TLS12, &TLS13] {
        let mut config = client(&secure.own, Some(&one), &[version]);
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(stolen.clone()));
        assert!(secure.ask("/secured", config).await.is_err());
    }
}

#[tokio::test]
async fn with_an_authority_only_what_it_signed_is_taken() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(Vec::new()).unwrap();
    wanted.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = wanted.self_signed(&authority).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(wanted, authority);
    let leaf = rcgen::CertificateParams::new(["pump".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let signed = Made { der: leaf.der().to_vec(), certificate: leaf.pem(), key: key.serialize_pem() };
    let stranger = Made::new("pump");
    for (ask, without) in [(Ask::Everybody, true), (Ask::Demand, false)] {
        let secure = secure(|files, folder| {
            let authority = folder.path().join("ca.pem");
            std::fs::write(&authority, root.pem()).unwrap();
            Files { ask, authority: Some(authority), ..files }
        })
        .await;
        let ask = async |shown| secure.ask("/secured", client(&secure.own, shown, &[&TLS13, &TLS12])).await;
        assert!(ask(Some(&signed)).await.unwrap().ends_with(&digest(&signed)));
        assert!(ask(Some(&stranger)).await.is_err());
        assert_eq!(ask(None).await.is_ok(), without);
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off_and_counted() {
    let secure = secure(|files, _| files).await;
    for opening in ["", "\x16\x03\x01\x02\x00\x01", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let began = Instant::now();
        assert!(!secure.served.exchange(opening).await.contains("200 OK"));
        assert!(opening.starts_with('G') || began.elapsed() >= Duration::from_millis(150), "{opening:?}");
    }
    let series = "ironlist_connection_failures_total{role=\"blacklist\"} 3\n";
    assert!(secure.served.metrics.render().contains(series));
}

#[tokio::test]
async fn draining_does_not_wait_for_handshakes() {
    let (folder, own) = (TempDir::new().unwrap(), Made::new(NAME));
    let tls = Some(Arc::new(Tls::open(own.write(&folder)).unwrap()));
    let limits = Limits { head: Duration::from_secs(30), ..quick() };
    let served = served_after(Prelude { proxies: None, tls }, limits).await;
    let mut silent = served.connect().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    served.stop.send(()).unwrap();
    assert_eq!(rest(&mut silent).await, "");
    served.done.await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_reader_over_tls_that_stops_reading_loses_its_connection() {
    let secure = secure(|files, _| files).await;
    let config = client(&secure.own, None, &[&TLS13]);
    let mut stream = shake(secure.served.connect().await, config).await.unwrap();
    stream.write_all(format!("GET /large HTTP/1.1\r\n{CLOSE}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(rest(&mut stream).await.len() < 32 << 20, "the whole answer came in spite of the stall");
}

#[tokio::test]
async fn a_proxy_that_is_declared_says_for_whom_each_connection_is() {
    let here: IpAddr = [127, 0, 0, 1].into();
    let proxies = |networks: &[(IpAddr, IpAddr)]| {
        Some(Arc::new(Proxies::new(networks.iter().copied().collect::<Networks>())))
    };
    let request = format!("GET /peer HTTP/1.1\r\n{CLOSE}");
    let served = served_after(Prelude { proxies: proxies(&[(here, here)]), tls: None }, quick()).await;
    let answer = served.exchange(&format!("PROXY TCP4 192.0.2.7 10.0.0.1 1234 80\r\n{request}")).await;
    assert!(answer.ends_with("Tcp(192.0.2.7:1234)"), "{answer}");
    for opening in ["", "PROXY TCP4 192.0.2.7"] {
        assert_eq!(served.exchange(opening).await, "", "it is waited for, and not for ever");
    }
    assert!(!served.exchange(&request).await.contains("200 OK"), "each connection says it");
    let elsewhere: IpAddr = [192, 0, 2, 1].into();
    let served =
        served_after(Prelude { proxies: proxies(&[(elsewhere, elsewhere)]), tls: None }, quick()).await;
    assert!(served.exchange(&request).await.contains("(127.0.0.1:"), "nobody else has to");
    let claimed = format!("PROXY TCP4 192.0.2.7 10.0.0.1 1234 80\r\n{request}");
    assert!(!served.exchange(&claimed).await.contains("200 OK"), "nor may");
}

#[tokio::test]
async fn a_proxy_header_stands_before_tls() {
    let here: IpAddr = [127, 0, 0, 1].into();
    let (folder, own) = (TempDir::new().unwrap(), Made::new(NAME));
    let tls = Some(Arc::new(Tls::open(own.write(&folder)).unwrap()));
    let proxies = Some(Arc::new(Proxies::new([(here, here)].into_iter().collect())));
    let served = served_after(Prelude { proxies, tls }, quick()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"PROXY TCP6 2001:db8::7 ::1 1234 443\r\n").await.unwrap();
    let mut stream = shake(stream, client(&own, None, &[&TLS13])).await.unwrap();
    stream.write_all(format!("GET /peer HTTP/1.1\r\n{CLOSE}").as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.ends_with("Tcp([2001:db8::7]:1234)"));
}
