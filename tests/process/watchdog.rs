//! What a service manager hears: that it is ready, that it answers, that nobody does, and that it stops.

use super::house::{ironlist, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

/// Without a word for so long the manager would start it anew.
const PATIENCE: Duration = Duration::from_millis(900);

/// The manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        Self(socket)
    }

    /// The next word; none when none comes for too long.
    fn hears(&self) -> Option<String> {
        let mut word = [0; 512];
        match self.0.recv(&mut word) {
            Ok(length) => Some(String::from_utf8(word[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn waits_for(&self, word: &str) {
        until(word, || (self.hears()?.lines().any(|line| line == word)).then_some(()));
    }
}

/// It is killed when it goes out of scope.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the gateway listens, from the log.
fn gateway(log: &mut BufReader<ChildStderr>) -> SocketAddr {
    log.lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .find(|event| event["message"] == "listening" && event["role"] == "gateway")
        .and_then(|event| event["address"].as_str()?.parse().ok())
        .unwrap()
}

/// Asks for something that is logged, and does not wait for the answer.
fn ask(gateway: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(gateway).unwrap();
    stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

/// Nobody reads the log, so that whoever writes a line waits, and in the end every thread does.
#[test]
fn the_manager_hears_nothing_while_every_thread_is_stuck_and_again_when_they_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = Manager::at(&socket);
    let mut command = ironlist(&folder.path().join("data"));
    command.arg("serve").env("NOTIFY_SOCKET", &socket);
    command.env("WATCHDOG_USEC", PATIENCE.as_micros().to_string());
    let mut house = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(house.0.stderr.take().unwrap());
    let gateway = gateway(&mut log);
    manager.waits_for("READY=1");
    for _ in 0..3 {
        manager.waits_for("WATCHDOG=1");
    }

    let mut unanswered = Vec::new();
    until("every thread waits for the log", || {
        unanswered.extend((0..100).map(|_| ask(gateway)));
        // What was said before that is heard first.
        std::iter::from_fn(|| manager.hears()).take(2).count().eq(&0).then_some(())
    });
    assert_eq!(manager.hears(), None);

    let reader = std::thread::spawn(move || log.lines().map_while(Result::ok).count());
    manager.waits_for("WATCHDOG=1");
    kill_process(Pid::from_child(&house.0), Signal::TERM).unwrap();
    manager.waits_for("STOPPING=1");
    assert!(until("it ends", || house.0.try_wait().unwrap()).success());
    assert!(reader.join().unwrap() > 0);
}
