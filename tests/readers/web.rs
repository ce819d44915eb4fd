//! nginx and HAProxy, asked address by address over a socket of the test's own.

use super::{List, Running, succeed, until};
use ironlist::model::{Format, Lines};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the server answers about an address: `1` or `0`.
fn ask(socket: &Path, address: IpAddr) -> Option<bool> {
    let mut stream = UnixStream::connect(socket).ok()?;
    write!(stream, "GET /?a={address} HTTP/1.0\r\nHost: test\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    match answer.rsplit("\r\n\r\n").next()?.trim() {
        "1" => Some(true),
        "0" => Some(false),
        _ => panic!("{answer}"),
    }
}

/// Lets the server check its configuration, then starts it and asks it about all probes.
fn agrees(list: &List, check: &mut Command, start: &mut Command) {
    let socket = list.folder.path().join("socket");
    succeed(check);
    let _server = Running::start(start.stderr(Stdio::null()));
    until("a server that answers", || UnixStream::connect(&socket).ok());
    list.agrees(|address| ask(&socket, address).unwrap());
}

/// Runs without root and without a folder of the system's.
fn nginx(list: &List) {
    let (file, _) = list.publish(Format::Nginx, Lines::Cidrs);
    let folder = list.folder.path();
    let (folder, file, config) = (folder.display(), file.display(), folder.join("server.conf"));
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};"));
    let text = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\n{}\naccess_log off;\n\
         geo $arg_a $listed {{ default 0; include {file}; }}\n\
         server {{ listen unix:{folder}/socket; location / {{ return 200 $listed; }} }}\n}}\n",
        temp.concat()
    );
    std::fs::write(&config, text).unwrap();
    let program = || {
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).args(["-e", "stderr"]);
        command
    };
    agrees(list, program().arg("-t"), &mut program());
}

fn haproxy(list: &List) {
    let (file, _) = list.publish(Format::Haproxy, Lines::Cidrs);
    let folder = list.folder.path();
    let config = folder.join("server.cfg");
    let text = format!(
        "defaults\n  mode http\n  timeout client 9s\n  timeout server 9s\n  timeout connect 9s\n\
         frontend test\n  bind unix@{}/socket\n  acl listed urlp(a) -m ip -f {}\n\
         \x20 http-request return status 200 content-type text/plain string 1 if listed\n\
         \x20 http-request return status 200 content-type text/plain string 0\n",
        folder.display(),
        file.display()
    );
    std::fs::write(&config, text).unwrap();
    let program = || {
        let mut command = Command::new("haproxy");
        command.arg("-f").arg(&config);
        command
    };
    agrees(list, program().arg("-c"), program().arg("-db").stdout(Stdio::null()));
}

#[test]
fn nginx_knows_just_the_addresses_of_the_list() {
    nginx(&List::new(1, 600));
    nginx(&List::empty());
}

#[test]
fn haproxy_knows_just_the_addresses_of_the_list() {
    haproxy(&List::new(1, 600));
    haproxy(&List::empty());
}
