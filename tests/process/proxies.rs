//! Proxies before the door: those that are declared are believed, and through any other everything is shut, be it on this
//! machine and silent.

use super::house::{House, Plan, until};
use super::http::{self, Answer};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const FEED: &str = "/feeds/fortigate.txt";
/// A path of the earlier system that changes something, at the gateway.
const EARLIER_WRITE: &str = "/api/v1/collection/sources/nobody/enable";

/// A service with a list, whose feeds are open to this machine and to one network.
fn listed(plan: Plan) -> House {
    let house = plan.set("IRONLIST_PUBLISH_OPEN", "127.0.0.0/8,203.0.113.0/24").start();
    house
        .post("blacklist", "/api/v1/blacklist/import?source=partner&replace=true", "text/plain", "45.1.2.3\n")
        .ok();
    until("it is published", || (house.get("blacklist", FEED).status == 200).then_some(()));
    house
}

/// A web server of Debian's, ended with the test.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// nginx in front of the gateway, with these directives beside `proxy_pass`.
fn nginx(folder: &Path, house: &House, directives: &str) -> (Proxy, SocketAddr) {
    let (address, root) = (free_port(), folder.display());
    let mut text = String::new();
    let gateway = house.address("gateway");
    write!(
        text,
        "daemon off; master_process off; pid {root}/pid; error_log {root}/error;\n\
         events {{}}\nhttp {{ access_log off; client_body_temp_path {root}/a; proxy_temp_path {root}/b; \
         fastcgi_temp_path {root}/c; uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;\n\
         server {{ listen {address}; location / {{ proxy_pass http://{gateway}; {directives} }} }} }}\n"
    )
    .unwrap();
    let config = folder.join("nginx.conf");
    std::fs::write(&config, text).unwrap();
    (started(Command::new("nginx").args(["-c".as_ref(), config.as_os_str()]), address), address)
}

/// HAProxy in front of the gateway, which passes bytes on and says for whom.
fn haproxy(folder: &Path, house: &House, version: &str) -> (Proxy, SocketAddr) {
    let (address, gateway) = (free_port(), house.address("gateway"));
    let text = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         listen front\n bind {address}\n server gateway {gateway} {version}\n"
    );
    let config = folder.join("haproxy.cfg");
    std::fs::write(&config, text).unwrap();
    (
        started(Command::new("haproxy").args(["-db".as_ref(), "-f".as_ref(), config.as_os_str()]), address),
        address,
    )
}

fn started(command: &mut Command, address: SocketAddr) -> Proxy {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let child =
        command.env("PATH", path).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
    let proxy = Proxy(child.unwrap());
    until("the proxy listens", || TcpStream::connect(address).ok());
    proxy
}

fn through(proxy: SocketAddr, headers: &[(&str, &str)]) -> Answer {
    http::ask(proxy, "GET", FEED, headers, b"").unwrap()
}

#[test]
fn a_plain_web_server_on_this_machine_opens_nothing_to_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let house = listed(Plan::new(&folder.path().join("data")));
    assert_eq!(house.get("gateway", FEED).status, 200, "whoever asks here may read");
    for directives in [
        "",
        "proxy_http_version 1.1; proxy_set_header Host $host.example;",
        "proxy_http_version 1.1; proxy_set_header Host $host;",
        "proxy_http_version 1.1; proxy_set_header Host $http_host;",
        "proxy_http_version 1.1; proxy_set_header Host 203.0.113.9:$proxy_port;",
        "proxy_http_version 1.1; proxy_set_header X-Forwarded-For $remote_addr;",
    ] {
        let (_proxy, address) = nginx(folder.path(), &house, directives);
        assert_eq!(through(address, &[]).problem(), (401, "key_missing".to_owned()), "{directives}");
        assert_eq!(through(address, &[("x-forwarded-for", "127.0.0.1")]).status, 401, "{directives}");
        let write = http::ask(address, "PUT", EARLIER_WRITE, &[], b"").unwrap();
        assert_eq!(write.problem(), (401, "key_missing".to_owned()), "{directives}");
    }
}

#[test]
fn only_what_names_this_machine_and_this_port_is_from_here() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let to = house.address("blacklist");
    let body = br#"{"ip":"198.51.100.78","source":"x","reason":"t"}"#;
    let write = |host: &str, more: &[(&str, &str)]| {
        let headers = [&[("host", host), ("content-type", "application/json")], more].concat();
        http::ask(to, "POST", "/api/v1/ips", &headers, body).unwrap().status
    };
    for host in ["203.0.113.9:8001", "[evil]", "a.example", "127.0.0.1", "localhost:1"] {
        assert_eq!(write(host, &[]), 401, "{host}");
    }
    assert_eq!(write(&to.to_string(), &[("via", "1.1 x")]), 401, "a proxy says so");
    assert_eq!(write(&format!("localhost:{}", to.port()), &[]), 200);
    house.logged("something that is not declared");
}

#[test]
fn what_a_proxy_forwards_for_its_own_machine_is_not_from_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).set("IRONLIST_PROXY_TRUSTED", "127.0.0.64/26").start();
    let to = house.address("blacklist");
    for from in ["127.0.0.1", "127.0.0.1, 127.0.0.80", "::ffff:127.0.0.1", "::1"] {
        let headers = [("x-forwarded-for", from)];
        let answer = http::ask_from([127, 0, 0, 70], to, "DELETE", "/api/v1/cleanup", &headers, b"").unwrap();
        assert_eq!(answer.problem(), (401, "key_missing".to_owned()), "{from}");
    }
}

#[test]
fn a_page_that_gives_itself_a_name_of_ours_is_let_in_nowhere_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    // A network that is not this machine's own word for itself: a declared proxy speaks for it.
    let plan = Plan::new(folder.path()).set("IRONLIST_PROXY_TRUSTED", "127.0.0.1");
    let plan = plan.set("IRONLIST_ACCESS_LEGACY_NETWORKS", "192.0.2.0/24");
    let house = plan.set("IRONLIST_LISTEN_NAMES", "ironlist.corp").start();
    let to = house.address("blacklist");
    let body = br#"{"ip":"198.51.100.78","source":"x","reason":"t"}"#;
    let write = |host: &str, page: &[(&str, &str)]| {
        let proxy = [("host", host), ("x-forwarded-for", "192.0.2.7"), ("content-type", "application/json")];
        http::ask(to, "POST", "/api/v1/ips", &[&proxy, page].concat(), body).unwrap().status
    };
    let page = |host| format!("http://{host}");
    let evil = page("evil.example:58001");
    let signs = [("origin", evil.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(write("evil.example:58001", &signs), 401);
    let ours = page("ironlist.corp:58001");
    assert_eq!(write("ironlist.corp:58001", &[("origin", ours.as_str())]), 200);
    assert_eq!(write("blacklist.corp", &[]), 200, "the earlier system's scripts ask by any name");
}

#[test]
fn behind_a_proxy_that_encrypts_nobody_is_answered_in_the_clear() {
    let Some(outside) = outside("behind_a_proxy_that_encrypts_nobody_is_answered_in_the_clear") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(folder.path()).set("IRONLIST_PROXY_TRUSTED", "127.0.0.1");
    let plan = plan.set("IRONLIST_PROXY_TLS", "true").set("IRONLIST_LISTEN_GATEWAY", "0.0.0.0:0");
    let house = plan.start();
    let to = SocketAddr::new(outside, house.address("gateway").port());
    let key = house.key();
    let answer = http::ask(to, "GET", "/api/v1/auth/users", &[("x-api-key", &key)], b"").unwrap();
    assert_eq!(answer.problem(), (403, "not_encrypted".to_owned()));
    assert_eq!(http::ask(to, "GET", "/health", &[], b"").unwrap().status, 200, "probers say nothing secret");
    assert_eq!(house.look("gateway", "/api/v1/auth/users").status, 200);
}

/// An address of this machine that is not loopback. Not every machine has one, so the test runs once more in a network of
/// its own where there is; none: it has, and has passed.
fn outside(test: &str) -> Option<IpAddr> {
    const OUTSIDE: &str = "203.0.113.77";
    if std::env::var_os("IN_ITS_OWN_NETWORK").is_some() {
        return Some(OUTSIDE.parse().unwrap());
    }
    let script = format!("ip link set lo up && ip address add {OUTSIDE}/32 dev lo && exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-euc", &script]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("proxies::{test}")]).env("IN_ITS_OWN_NETWORK", "yes");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}{errors}");
    None
}

#[test]
fn a_declared_proxy_says_for_whom_it_asks_and_callers_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(&folder.path().join("data")).set("IRONLIST_PROXY_TRUSTED", "127.0.0.1");
    let house = plan.set("IRONLIST_PUBLISH_OPEN", "203.0.113.0/24").start();
    let key = house.key();
    let list = house.ask(
        "blacklist",
        "POST",
        "/api/v1/blacklist/import?source=p",
        &[("x-api-key", &key)],
        b"45.1.2.3\n",
    );
    list.unwrap().ok();
    let ask =
        |from: &str| house.ask("gateway", "GET", FEED, &[("x-forwarded-for", from)], b"").unwrap().status;
    until("it is published", || (ask("203.0.113.9") == 200).then_some(()));
    assert_eq!(ask("203.0.113.9, 127.0.0.1"), 200, "hops of ours are passed over");
    for from in ["198.51.100.7", "203.0.113.9, 198.51.100.7", "unknown", "203.0.113.9,", ""] {
        assert_eq!(ask(from), 401, "{from:?}");
    }
    assert_eq!(house.get("gateway", FEED).status, 401, "a proxy that says nothing asks for nobody");
    for n in 0..200 {
        // However it changes, it stays one reader.
        assert_eq!(ask(&format!("192.0.2.{n}, 203.0.113.9")), 200);
    }
    let pulls = house.look("gateway", "/api/v1/pulls").ok().json();
    let readers: Vec<_> = pulls["data"].as_array().unwrap().iter().map(|pull| &pull["reader"]).collect();
    assert!(!readers.is_empty() && readers.iter().all(|reader| *reader == "address 203.0.113.9"), "{pulls}");
}

/// A wrong login for which a proxy says that `forwarded` asked: its status and code.
fn guess(house: &House, forwarded: &str) -> (u16, String) {
    let headers = [("x-forwarded-for", forwarded), ("content-type", "application/json")];
    let body = br#"{"username": "kim", "password": "guessed"}"#;
    house.ask("gateway", "POST", "/api/v1/auth/login", &headers, body).unwrap().problem()
}

#[test]
fn whoever_changes_what_is_forwarded_pays_from_one_bucket_and_waits_in_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |name: &str| Plan::new(&folder.path().join(name));
    let (wrong, spent) = ((401, "login_wrong".to_owned()), (429, "too_many_requests".to_owned()));
    let turn = |n: u8| format!("192.0.2.{n}, 203.0.113.9");

    // Declared: what the proxy itself says last counts, whatever stands before it.
    let believed = plan("believed").set("IRONLIST_PROXY_TRUSTED", "127.0.0.1");
    let house = believed.set("IRONLIST_RATE_AUTH", "3/h").start();
    let guesses: Vec<_> = (0..5).map(|n| guess(&house, &turn(n))).collect();
    assert_eq!(guesses, [&wrong, &wrong, &wrong, &spent, &spent].map(Clone::clone));
    assert_eq!(guess(&house, "192.0.2.0, 203.0.113.10"), wrong, "somebody else has a bucket");
    drop(house);

    // Not declared: nothing of it counts.
    let house = plan("plain").set("IRONLIST_RATE_AUTH", "3/h").start();
    let guesses: Vec<_> = (0..5).map(|n| guess(&house, &format!("203.0.113.{n}"))).collect();
    assert_eq!(guesses, [&wrong, &wrong, &wrong, &spent, &spent].map(Clone::clone));
    drop(house);

    // With buckets enough, the sixth wrong password from one place makes wait.
    let house = plan("delayed").set("IRONLIST_PROXY_TRUSTED", "127.0.0.1").start();
    let guesses: Vec<_> = (0..8).map(|n| guess(&house, &turn(n))).collect();
    assert!(guesses[..5].iter().all(|guess| *guess == wrong), "{guesses:?}");
    assert_eq!(guesses[7], (429, "login_delayed".to_owned()), "{guesses:?}");
    assert_eq!(guess(&house, "192.0.2.0, 203.0.113.10"), wrong, "it is no lock");
}

#[test]
fn haproxy_says_for_whom_a_connection_is_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(&folder.path().join("data"));
    let plan = plan.set("IRONLIST_PROXY_TRUSTED", "127.0.0.1").set("IRONLIST_PROXY_PROTOCOL", "true");
    // Each connection from this machine has to begin so; only the proxy's do.
    let house = plan.unasked().start();
    for version in ["send-proxy", "send-proxy-v2"] {
        let (_proxy, address) = haproxy(folder.path(), &house, version);
        let answer = http::ask(address, "GET", "/health", &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{version}");
    }
    assert!(house.ask("gateway", "GET", "/health", &[], b"").is_err());
}

#[test]
fn a_page_of_elsewhere_changes_nothing_here() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(&folder.path().join("data"));
    let house = listed(plan.set("IRONLIST_CORS_ORIGINS", "https://soc.example.com"));
    let key = house.key();
    let send = |page: &[(&str, &str)]| {
        let headers = [&[("x-api-key", &*key), ("content-type", "application/json")], page].concat();
        let body = br#"{"ip":"45.1.2.9","reason":"a page"}"#;
        ["gateway", "blacklist"]
            .map(|role| house.ask(role, "POST", "/api/v1/blacklist/ips", &headers, body).unwrap())
    };
    for page in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")] {
        for answer in send(&[page]) {
            assert_eq!(answer.problem(), (403, "cross_site".to_owned()), "{page:?}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    for answer in send(&[("origin", "https://soc.example.com"), ("sec-fetch-site", "cross-site")]) {
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://soc.example.com"),
            "{answer:?}"
        );
        assert!(answer.status < 300, "{answer:?}");
    }
    let asked = |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        house.ask("gateway", "OPTIONS", "/api/v1/blacklist/ips", &headers, b"").unwrap()
    };
    let may = asked("https://soc.example.com");
    assert_eq!(
        (may.status, may.header("access-control-allow-origin")),
        (204, Some("https://soc.example.com"))
    );
    assert!(may.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(asked("https://evil.example").header("access-control-allow-origin"), None);
    let look = |origin: &str| {
        house
            .ask("gateway", "GET", "/api/v1/blacklist/check/45.1.2.3", &[("origin", origin)], b"")
            .unwrap()
            .ok()
    };
    assert!(look("https://soc.example.com").header("access-control-allow-origin").is_some());
    assert!(look("https://evil.example").header("access-control-allow-origin").is_none());
}
