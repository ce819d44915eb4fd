//! CrowdSec's own bouncer for firewalls, as Debian has it, and the program, in a network of their own: what the kernel
//! blocks there is what is listed.

use super::house::{ironlist, run, told, until};
use super::tls::Pair;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `tests/run` puts it here: installing it would start it.
const BOUNCER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/readers/debian/usr/bin/crowdsec-firewall-bouncer");

/// The folder is the working directory of everything.
const SCRIPT: &str = r#"
ip link set lo up
"$0" serve --import list.txt 2> serve.log &
until "$0" status > status.log 2>&1; do sleep 0.1; done
if [ -n "$2" ]; then "$0" device add edge --certificate "$2" --reason pilot > device.log 2>&1; fi
"$1" -c bouncer.yaml > bouncer.log 2>&1 &
while sleep 0.1; do nft -j list ruleset > rules.new && mv rules.new rules.json; done
"#;

const CONFIGURATION: &str = r"
mode: nftables
pid_dir: .
update_frequency: 1s
daemonize: false
log_mode: stdout
log_level: info
WHERE
deny_action: DROP
supported_decisions_types: [ban]
blacklists_ipv4: ours4
blacklists_ipv6: ours6
nftables:
  ipv4: {enabled: true, set-only: false, table: crowdsec, chain: crowdsec-chain}
  ipv6: {enabled: true, set-only: false, table: crowdsec6, chain: crowdsec6-chain}
prometheus: {enabled: false}
";

const BY_KEY: &str = "api_url: http://127.0.0.1:8080/\napi_key: the bouncer's own";
const BY_CERTIFICATE: &str =
    "api_url: https://localhost:8080/\nca_cert_path: cert.pem\ncert_path: bouncer.pem
key_path: bouncer.key";

/// The network with all its processes, gone with the value.
struct Network(Child);

impl Network {
    /// With a device of that certificate, where there is one, and these settings.
    fn start(folder: &Path, certificate: &str, settings: &[(&str, &str)]) -> Self {
        let program = ironlist(Path::new("data"));
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--pid", "--fork", "--kill-child", "sh", "-uc", SCRIPT]);
        command.arg(program.get_program()).args([BOUNCER, certificate]).current_dir(folder);
        command.env("IRONLIST_DATA", "data").envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The addresses in the kernel's sets, as far as there are any.
fn blocked(folder: &Path) -> BTreeSet<String> {
    let rules = std::fs::read(folder.join("rules.json")).unwrap_or_default();
    let rules: serde_json::Value = serde_json::from_slice(&rules).unwrap_or_default();
    let objects = rules["nftables"].as_array().into_iter().flatten();
    let elements = objects.filter_map(|object| object["set"]["elem"].as_array()).flatten();
    elements.filter_map(|element| element["elem"]["val"].as_str().map(str::to_owned)).collect()
}

/// Writes what only its owner may read.
fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.join(name), private).unwrap();
}

fn prepare(folder: &Path, way: &str) {
    assert!(Path::new(BOUNCER).exists(), "tests/run gets it from Debian");
    write(folder, "list.txt", "20.0.0.1\n20.0.0.7\n30.0.0.9\n2a00::1\n");
    write(folder, "bouncer.yaml", &CONFIGURATION.replace("WHERE", way));
}

fn expect(folder: &Path, addresses: &[&str]) {
    let addresses: BTreeSet<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
    until(&format!("{addresses:?} are blocked"), || (blocked(folder) == addresses).then_some(()));
}

fn allow(folder: &Path, word: &str) {
    let arguments = ["allow", word, "20.0.0.0/29", "--reason", "a customer"];
    let (code, _, errors) = told(&run(&folder.join("data"), arguments));
    assert_eq!(code, 0, "{errors}");
}

#[test]
fn a_bouncer_blocks_what_is_listed_and_lets_go_what_is_allowed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    prepare(folder, BY_KEY);
    write(folder, "keys", "# of tests\nthe bouncer's own\n");
    let _network = Network::start(folder, "", &[("IRONLIST_CROWDSEC_KEYS_FILE", "keys")]);
    expect(folder, &["20.0.0.1", "20.0.0.7", "30.0.0.9", "2a00::1"]);
    allow(folder, "add");
    expect(folder, &["30.0.0.9", "2a00::1"]);
    allow(folder, "remove");
    expect(folder, &["20.0.0.1", "20.0.0.7", "30.0.0.9", "2a00::1"]);
}

#[test]
fn a_bouncer_with_the_certificate_of_a_device_needs_no_key_and_is_seen_as_that_device() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let (own, bouncer) = (Pair::of("localhost"), Pair::of("bouncer"));
    prepare(folder, BY_CERTIFICATE);
    own.write(folder);
    write(folder, "bouncer.pem", &bouncer.certificate);
    write(folder, "bouncer.key", &bouncer.key);
    let settings = [
        ("IRONLIST_TLS_CERTIFICATE", "cert.pem"),
        ("IRONLIST_TLS_KEY", "key.pem"),
        ("IRONLIST_TLS_ROLES", "gateway"),
        ("IRONLIST_TLS_CLIENTS", "ask"),
    ];
    let _network = Network::start(folder, &bouncer.digest(), &settings);
    expect(folder, &["20.0.0.1", "20.0.0.7", "30.0.0.9", "2a00::1"]);
    let (code, told, errors) = told(&run(&folder.join("data"), ["device", "show", "edge"]));
    assert!(code == 0 && told.contains("fortigate/decisions"), "{told}{errors}");
    allow(folder, "add");
    expect(folder, &["30.0.0.9", "2a00::1"]);
}
