//! Starts the program, finds its ports, talks to it, and ends it, whatever becomes of the test.

use super::http::{self, Answer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough for a busy machine; nothing waits so long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

const ROLES: [&str; 4] = ["collection", "blacklist", "analytics", "gateway"];

/// Asks again and again until there is something, or fails.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("in vain: {what}");
}

/// The program with an environment of its own, over the data folder.
pub(crate) fn ironlist(data: &Path) -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_ironlist")), data)
}

/// Any command with the environment that the program gets.
pub(crate) fn clean(mut command: Command, data: &Path) -> Command {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("IRONLIST_DATA", data).env("IRONLIST_LOG_FORMAT", "json").stdin(Stdio::null());
    for role in ROLES {
        command.env(format!("IRONLIST_LISTEN_{}", role.to_uppercase()), "127.0.0.1:0");
    }
    command
}

/// Runs a command of the program to its end.
pub(crate) fn run<I: AsRef<OsStr>>(data: &Path, arguments: impl IntoIterator<Item = I>) -> Output {
    ironlist(data).args(arguments).output().unwrap()
}

/// Runs a command that takes a secret, through a pipe, and sees that it prints none of it.
pub(crate) fn say(mut command: Command, secret: &str) -> (i32, String, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{secret}\n").as_bytes()).unwrap();
    let (code, out, err) = told(&child.wait_with_output().unwrap());
    assert!(!out.contains(secret) && !err.contains(secret), "{out}{err}");
    (code, out, err)
}

/// The exit code and both streams of a command.
pub(crate) fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// How the service is started.
pub(crate) struct Plan {
    command: Command,
    data: PathBuf,
    roles: Vec<String>,
    /// Those that are not asked in the clear.
    encrypted: Vec<String>,
}

impl Plan {
    /// All roles over the data folder.
    pub(crate) fn new(data: &Path) -> Self {
        let mut command = ironlist(data);
        command.arg("serve");
        Self {
            command,
            data: data.to_owned(),
            roles: ROLES.map(str::to_owned).to_vec(),
            encrypted: Vec::new(),
        }
    }

    /// The same in namespaces of its own, after `script` has been run in a shell there.
    pub(crate) fn behind(data: &Path, script: &str) -> Self {
        let mut command = clean(Command::new("unshare"), data);
        let program = env!("CARGO_BIN_EXE_ironlist");
        command.args(["--map-root-user", "--mount", "sh", "-c"]);
        command.arg(format!("{script} && exec \"$0\" serve")).arg(program);
        Self { command, ..Self::new(data) }
    }

    /// These roles only, with commas between.
    pub(crate) fn roles(mut self, roles: &str) -> Self {
        self.command.args(["--roles", roles]);
        self.roles = roles.split(',').map(str::to_owned).collect();
        self
    }

    /// A setting of the environment.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// A role whose port is not spoken to plainly.
    pub(crate) fn encrypted(mut self, role: &str) -> Self {
        self.encrypted.push(role.to_owned());
        self
    }

    /// Nobody asks its ports whether they are ready.
    pub(crate) fn unasked(self) -> Self {
        ROLES.into_iter().fold(self, Self::encrypted)
    }

    /// One more argument.
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Starts it, and waits until every role is ready and the socket is there.
    pub(crate) fn start(mut self) -> House {
        let mut child = self.command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Log::default();
        let stderr = child.stderr.take().unwrap();
        let reader = log.clone();
        std::thread::spawn(move || reader.follow(stderr));
        let mut house = House { child, data: self.data, addresses: BTreeMap::new(), log };
        until("every role listens", || {
            house.expect_running();
            house.addresses = house.log.addresses();
            self.roles.iter().all(|role| house.addresses.contains_key(role)).then_some(())
        });
        for role in self.roles.iter().filter(|role| !self.encrypted.contains(role)) {
            until("every role is ready", || (house.get(role, "/ready").status == 200).then_some(()));
        }
        until("commands are taken", || UnixStream::connect(house.data().join("ironlist.sock")).ok());
        house
    }
}

/// The log of the service, as far as it has come.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn follow(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            self.0.lock().unwrap().push(line);
        }
    }

    /// The first line that is an event for which `is_it`.
    fn event(&self, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).find(is_it)
    }

    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// The ports, from the lines that say so.
    fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let lines = self.0.lock().unwrap();
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let listening = events.filter(|event| event["message"] == "listening");
        let address = |event: Value| {
            let role = event["role"].as_str()?.to_owned();
            Some((role, event["address"].as_str()?.parse().ok()?))
        };
        listening.filter_map(address).collect()
    }
}

/// A running service. It is killed when it goes out of scope.
pub(crate) struct House {
    child: Child,
    data: PathBuf,
    addresses: BTreeMap<String, SocketAddr>,
    log: Log,
}

impl House {
    /// Where a role listens.
    pub(crate) fn address(&self, role: &str) -> SocketAddr {
        self.addresses[role]
    }

    /// The data folder, as the running process sees it: it may have mounted something there.
    pub(crate) fn data(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(self.data.strip_prefix("/").unwrap())
    }

    /// The administrator's key.
    pub(crate) fn key(&self) -> String {
        std::fs::read_to_string(self.data().join("admin.key")).unwrap().trim().to_owned()
    }

    /// Asks without a key.
    pub(crate) fn get(&self, role: &str, path: &str) -> Answer {
        self.ask(role, "GET", path, &[], b"").unwrap()
    }

    /// Asks with the administrator's key.
    pub(crate) fn look(&self, role: &str, path: &str) -> Answer {
        self.ask(role, "GET", path, &[("x-api-key", &self.key())], b"").unwrap()
    }

    /// Sends a body of type `kind` with the administrator's key.
    pub(crate) fn post(&self, role: &str, path: &str, kind: &str, body: impl AsRef<[u8]>) -> Answer {
        let key = self.key();
        self.ask(role, "POST", path, &[("x-api-key", &key), ("content-type", kind)], body.as_ref()).unwrap()
    }

    /// Sends any request to a role's port.
    pub(crate) fn ask(
        &self,
        role: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        http::ask(self.address(role), method, path, headers, body)
    }

    /// The blacklist's generation.
    pub(crate) fn generation(&self) -> u64 {
        let answer = self.get("blacklist", "/api/v1/blacklist/check/192.0.2.1").ok();
        answer.json()["generation"].as_u64().unwrap()
    }

    /// Runs a command over the same data folder.
    pub(crate) fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Output {
        run(&self.data, arguments)
    }

    /// The same for one that takes a secret.
    pub(crate) fn say(&self, line: &str, secret: &str) -> (i32, String, String) {
        let mut command = ironlist(&self.data);
        command.args(line.split(' '));
        say(command, secret)
    }

    /// The memory that it has now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.amount("VmRSS:")
    }

    /// The most that it ever had.
    pub(crate) fn most_memory(&self) -> u64 {
        self.amount("VmHWM:")
    }

    fn amount(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Connections that are open at a role, by its own count.
    pub(crate) fn connections(&self, role: &str) -> u64 {
        let metrics = self.get(role, "/metrics").ok();
        let name = format!("ironlist_http_connections{{role=\"{role}\"}} ");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    }

    /// Waits until the log says so.
    pub(crate) fn logged(&self, text: &str) {
        until(text, || self.log.has(text).then_some(()));
    }

    /// Waits for an event of the log for which `is_it`.
    pub(crate) fn event(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        until("an event of the log", || self.log.event(&is_it))
    }

    /// Whether the log says so.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        self.log.has(text)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as a service manager does, and waits.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    fn wait(&mut self) -> ExitStatus {
        until("it ends", || self.child.try_wait().unwrap())
    }

    /// Ends it as a power cut does: with no last word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn expect_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended with {status}: {:#?}", self.log.0.lock().unwrap());
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
