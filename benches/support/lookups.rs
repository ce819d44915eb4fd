//! Look-ups at a pace, one after the other, and how long the slowest of them take. The service has one core and who asks
//! has the other, so that the load does not take what is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Between two look-ups.
const PACE: Duration = Duration::from_micros(500);

/// The 99th percentile of look-ups of an address, one after the other on one connection, until it is time.
pub(crate) fn p99(service: SocketAddr, ip: &str, is_time: impl Fn(Duration) -> bool) -> Duration {
    let mut stream = TcpStream::connect(service).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET /api/v1/blacklist/check/{ip} HTTP/1.1\r\nHost: {service}\r\n\r\n");
    let (begin, mut times, mut buffer) = (Instant::now(), Vec::new(), [0; 1024]);
    while !is_time(begin.elapsed()) {
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        assert!(stream.read(&mut buffer).unwrap() > 0, "the service closed the connection");
        times.push(asked.elapsed());
        std::thread::sleep(PACE);
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Prints both, and what the second may be.
pub(crate) fn compare(idle: Duration, busy: Duration) {
    println!("look-ups, p99: idle {} µs, meanwhile {} µs", idle.as_micros(), busy.as_micros());
    println!("target: at most {} µs (twice, and 5 ms)", (idle * 2 + Duration::from_millis(5)).as_micros());
}

/// Binds this thread, and what it starts from now on, to a core, where that can be chosen.
pub(crate) fn pin(core: &str) {
    let id = std::process::id().to_string();
    let quiet = Command::new("taskset").args(["-p", "-c", core, &id]).stdout(Stdio::null()).status();
    if !quiet.is_ok_and(|status| status.success()) {
        println!("cores cannot be chosen here: both sides share them");
    }
}
