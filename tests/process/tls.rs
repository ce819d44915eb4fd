//! TLS as its callers see it: both versions, a certificate that is renewed while it runs, and the port that leads there.

use super::house::{House, Plan, told, until};
use super::http::{self, Answer, head};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "ironlist.example";

/// A certificate that signed itself, with its key.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::of(NAME)
    }

    /// One for that name.
    pub(crate) fn of(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let wanted = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let made = wanted.self_signed(&key).unwrap();
        Self { certificate: made.pem(), key: key.serialize_pem() }
    }

    /// The SHA-256 of the certificate, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        Sha256::digest(&der).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Writes both into a folder, and gives their paths.
    pub(crate) fn write(&self, folder: &Path) -> [PathBuf; 2] {
        let paths = ["cert.pem", "key.pem"].map(|name| folder.join(name));
        std::fs::write(&paths[0], &self.certificate).unwrap();
        std::fs::write(&paths[1], &self.key).unwrap();
        paths
    }
}

/// A service whose gateway speaks TLS with the pair.
pub(crate) fn encrypted(plan: Plan, folder: &Path, pair: &Pair) -> Plan {
    everywhere(plan, folder, pair).set("IRONLIST_TLS_ROLES", "gateway").encrypted("gateway")
}

/// A service that speaks TLS with the pair on every port, once its roles are not asked in the clear.
pub(crate) fn everywhere(plan: Plan, folder: &Path, pair: &Pair) -> Plan {
    let [certificate, key] = pair.write(folder);
    plan.set("IRONLIST_TLS_CERTIFICATE", certificate.to_str().unwrap())
        .set("IRONLIST_TLS_KEY", key.to_str().unwrap())
}

/// A connection of a client that trusts this pair and shows another.
pub(crate) fn connect(
    to: SocketAddr,
    trusted: &Pair,
    shown: Option<&Pair>,
    version: &'static SupportedProtocolVersion,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let name = ServerName::try_from(NAME).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, http::connect(to)?))
}

fn get(house: &House, trusted: &Pair, path: &str) -> io::Result<Answer> {
    send(house, trusted, None, "GET", path, b"")
}

/// Sends a request with that certificate to the gateway.
fn send(
    house: &House,
    trusted: &Pair,
    shown: Option<&Pair>,
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<Answer> {
    exchange((house.address("gateway"), trusted, shown), method, path, body)
}

/// Sends a request over a connection of its own, as [`connect`] makes it.
pub(crate) fn exchange(
    (to, trusted, shown): (SocketAddr, &Pair, Option<&Pair>),
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = connect(to, trusted, shown, &TLS13)?;
    let headers = [("content-type", "application/json"), ("content-length", &*body.len().to_string())];
    stream.write_all(&[&head(&to.to_string(), method, path, &headers), body].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    http::parse(&bytes, method).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn tls_check(house: &House) -> serde_json::Value {
    house.get("blacklist", "/health").json()["checks"]["tls"].clone()
}

#[test]
fn a_certificate_is_renewed_while_it_runs_and_a_bad_one_is_refused() {
    let (folder, first, second) = (tempfile::tempdir().unwrap(), Pair::new(), Pair::new());
    let plan = encrypted(Plan::new(&folder.path().join("data")), folder.path(), &first);
    let house = plan.start();
    let health = get(&house, &first, "/health").unwrap();
    assert_eq!(health.header("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(health.header("x-content-type-options"), Some("nosniff"));
    connect(house.address("gateway"), &first, None, &TLS12).unwrap().write_all(b"GET").unwrap();
    assert!(get(&house, &second, "/health").is_err(), "it is the first certificate that is shown");

    std::fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    house.signal(Signal::HUP);
    until("the bad one is told", || (tls_check(&house)["status"] == "degraded").then_some(()));
    assert!(tls_check(&house)["detail"].as_str().unwrap().contains("cert.pem"));
    get(&house, &first, "/health").unwrap();

    second.write(folder.path());
    until("the new one is seen without a word", || get(&house, &second, "/health").ok());
    assert_eq!(tls_check(&house)["status"], "healthy");
    let metrics = house.get("blacklist", "/metrics");
    assert!(metrics.text().contains("ironlist_tls_certificate_expiry_timestamp_seconds "));
    assert!(house.stop().success());
}

#[test]
fn the_port_beside_it_leads_to_https_and_takes_nothing() {
    let (folder, pair) = (tempfile::tempdir().unwrap(), Pair::new());
    let plan = encrypted(Plan::new(&folder.path().join("data")), folder.path(), &pair);
    let plan = plan.set("IRONLIST_TLS_REDIRECT", "127.0.0.1:0");
    let house = plan.set("IRONLIST_TLS_ORIGIN", "https://ironlist.example").start();
    let ask = |method: &str| house.ask("redirect", method, "/feeds/x?y=1", &[], b"").unwrap();
    let led = ask("GET");
    assert_eq!((led.status, led.header("location")), (308, Some("https://ironlist.example/feeds/x?y=1")));
    assert_eq!(ask("POST").problem(), (403, "tls_required".to_owned()));
    let plain = house.ask("gateway", "GET", "/health", &[], b"");
    assert!(plain.is_err(), "nothing is answered in the clear: {plain:?}");
}

#[test]
fn an_open_listener_is_refused_until_it_is_protected() {
    let folder = tempfile::tempdir().unwrap();
    let (data, pair) = (folder.path().join("data"), Pair::new());
    let mut command = super::house::ironlist(&data);
    let open = command.arg("serve").env("IRONLIST_LISTEN_BLACKLIST", "0.0.0.0:0").output().unwrap();
    let (code, _, errors) = told(&open);
    assert_eq!(code, 78, "{errors}");
    for cure in ["tls.certificate", "proxy.trusted", "--insecure-listen"] {
        assert!(errors.contains(cure), "{errors}");
    }
    let house =
        encrypted(Plan::new(&data), folder.path(), &pair).set("IRONLIST_LISTEN_GATEWAY", "0.0.0.0:0").start();
    let port = house.address("gateway").port();
    let mut stream = connect(([127, 0, 0, 1], port).into(), &pair, None, &TLS13).unwrap();
    stream.write_all(&head("localhost", "GET", "/health", &[])).unwrap();
}

#[test]
fn a_device_is_known_by_its_certificate_wherever_feeds_are_read() {
    let (folder, own) = (tempfile::tempdir().unwrap(), Pair::new());
    let (firewall, stranger) = (Pair::new(), Pair::new());
    let plan = Plan::new(&folder.path().join("data")).set("IRONLIST_PUBLISH_OPEN", "192.0.2.0/24");
    let plan = encrypted(plan, folder.path(), &own).set("IRONLIST_TLS_CLIENTS", "ask");
    let house = plan.start();
    house.post("blacklist", "/api/v1/blacklist/import?source=a", "text/plain", "20.0.0.1\n").ok();
    let run = |line: &str| told(&house.run(line.split(' ')));
    let digest = firewall.digest();
    let add = format!("device add hq --feed fortigate --certificate {digest} --reason pilot");
    assert_eq!(run(&add).0, 0, "{add}");
    let (code, _, err) = run(&add.replace("hq", "other"));
    assert!(code == 2 && err.contains("device hq has that certificate"), "{err}");
    assert_eq!(run("device add other --certificate abc --reason pilot").0, 64);
    run("feeds add lan --reason pilot");
    let get = |shown: Option<&Pair>, path: &str| send(&house, &own, shown, "GET", path, b"").unwrap();
    until("it is published", || (get(Some(&firewall), "/feeds/fortigate").status == 200).then_some(()));
    let decisions = "/v1/decisions/stream?startup=true";
    for path in ["/feeds/fortigate.txt", "/api/v1/blacklist/fortigate", "/taxii2/", decisions] {
        let statuses = [Some(&firewall), Some(&stranger), None].map(|shown| get(shown, path).status);
        assert_eq!(statuses, [200, 401, 401], "{path}");
    }
    assert_eq!(get(Some(&firewall), "/feeds/lan").status, 403, "it does not read that one");
    let shown = house.ask("blacklist", "GET", "/api/v1/devices/hq", &[("x-api-key", &house.key())], b"");
    let shown = shown.unwrap().json();
    assert_eq!(
        (&shown["certificates"][0], &shown["pulls"][0]["document"]),
        (&digest.into(), &"fortigate".into())
    );
    assert_eq!(run("device set hq --clear certificates --reason lost").0, 0);
    assert_eq!(get(Some(&firewall), "/feeds/fortigate").status, 401, "at once");
}

#[test]
fn a_certificate_is_a_key_also_behind_a_gateway_elsewhere_and_nobody_else_can_say_so() {
    let (folder, own) = (tempfile::tempdir().unwrap(), Pair::new());
    let (pump, stranger) = (Pair::new(), Pair::new());
    let at = |name: &str| folder.path().join(name);
    let blacklist = Plan::new(&at("blacklist")).roles("blacklist").start();
    std::fs::create_dir(at("gateway")).unwrap();
    std::fs::copy(blacklist.data().join("admin.key"), at("gateway/admin.key")).unwrap();
    let url = format!("http://{}", blacklist.address("blacklist"));
    let gateway = Plan::new(&at("gateway")).roles("gateway").set("IRONLIST_UPSTREAM_BLACKLIST", &url);
    let gateway = encrypted(gateway, folder.path(), &own).set("IRONLIST_TLS_CLIENTS", "ask").start();

    let digest = pump.digest();
    let add = [
        "key",
        "add",
        "pump",
        "--right",
        "read",
        "--right",
        "write",
        "--certificate",
        &digest,
        "--reason",
        "x",
    ];
    let (code, out, errors) = told(&blacklist.run(add));
    assert_eq!(code, 0, "{out}{errors}");
    let list = |shown: Option<&Pair>, ip: &str| {
        let body = format!("{{\"ip\":\"{ip}\",\"reason\":\"seen\"}}");
        send(&gateway, &own, shown, "POST", "/api/v1/blacklist/ips", body.as_bytes()).unwrap().status
    };
    until("the key is known at the door", || (list(Some(&pump), "45.1.2.3") < 300).then_some(()));
    assert_eq!((list(Some(&stranger), "45.1.2.4"), list(None, "45.1.2.4")), (401, 401));

    // What a gateway says needs its word.
    let said = format!("secured certificate={digest}");
    for word in [None, Some(("x-ironlist-gateway", "0"))] {
        let said = [("x-forwarded-for", "127.0.0.1"), ("x-ironlist-caller", &*said)];
        let headers: Vec<(&str, &str)> =
            said.into_iter().chain(word).chain([("content-type", "application/json")]).collect();
        let body = br#"{"ip":"45.1.2.5","reason":"seen"}"#;
        let answer = blacklist.ask("blacklist", "POST", "/api/v1/blacklist/ips", &headers, body).unwrap();
        assert_eq!(answer.status, 401, "{word:?}");
    }
}
