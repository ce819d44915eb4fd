//! Name servers: BIND's checker reads the policy zone, rbldnsd answers from its data.

use super::{List, Running, succeed, until};
use ironlist::model::{Format, Lines};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn bind_reads_every_trigger_of_a_policy_zone() {
    for list in [List::new(1, 600), List::empty()] {
        let (file, counts) = list.publish(Format::Rpz, Lines::Cidrs);
        let zone =
            succeed(Command::new("named-checkzone").args(["-D", "-q", "-o", "-", "rpz.test"]).arg(&file));
        let names = |text: &str, after: &str| {
            let mut names: Vec<_> =
                text.lines().filter_map(|line| Some(line.split_once(after)?.0.to_owned())).collect();
            names.sort();
            names
        };
        let read = names(&zone, ".rpz-ip.rpz.test.");
        assert_eq!(read.len() as u64, counts.entries);
        assert_eq!(read, names(&std::fs::read_to_string(file).unwrap(), ".rpz-ip CNAME ."));
        let soa = zone.lines().find(|line| line.contains(" IN SOA")).unwrap();
        assert!(soa.ends_with("localhost. hostmaster.localhost. 1790000000 300 60 604800 60"), "{soa}");
    }
}

/// The address turned round, by octets or by nibbles, as a list of names is asked (RFC 5782).
fn turned(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(address) => address.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect()
        }
    }
}

/// The question for the A record of an address in the zone `bl.test`.
fn question(address: IpAddr) -> Vec<u8> {
    let mut question = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in turned(address).iter().map(String::as_str).chain(["bl", "test"]) {
        question.push(label.len() as u8);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    question
}

/// Whether the server says that the address is listed; none: it does not answer.
fn ask(socket: &UdpSocket, address: IpAddr) -> Option<bool> {
    socket.send(&question(address)).ok()?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).ok()?;
    match (answer[3] & 15, answer[7]) {
        (0, 1) => Some(answer[..length].windows(4).any(|bytes| bytes == [127, 0, 0, 2])),
        (3, 0) => Some(false),
        other => panic!("{address}: {other:?}"),
    }
}

/// A port that nobody had a moment ago.
fn free_port() -> SocketAddr {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn rbldnsd(list: &List) {
    let (file, _) = list.publish(Format::Rbldnsd, Lines::Cidrs);
    let (folder, server) = (list.folder.path(), free_port());
    // As root it becomes another user before it reads.
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new("rbldnsd");
    command.arg("-n").arg("-b").arg(format!("{}/{}", server.ip(), server.port())).arg("-w").arg(folder);
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    command.arg(format!("bl.test:combined:{}", file.file_name().unwrap().display()));
    let _server = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let test = |text: &str| until("a server that answers", || ask(&socket, text.parse().unwrap()));
    assert!(test("127.0.0.2") && test("::ffff:127.0.0.2"), "by these a reader sees that the list works");
    assert!(!test("127.0.0.1") && !test("::ffff:127.0.0.1"));
    list.agrees(|address| until("an answer", || ask(&socket, address)));
}

#[test]
fn rbldnsd_lists_just_the_addresses_of_the_list() {
    rbldnsd(&List::new(1, 600));
    rbldnsd(&List::empty());
}
