//! What every test needs: a project folder, the program in it, simulated machines, and waiting with a deadline.
//!
//! Whatever a test starts ends with it, also runs of Ansible, which live in sessions of their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::outside::{conformance, skip};
use super::process::{Process, Ran};

/// Time anything that is not held up on purpose may take. Long: it is only ever used up by a defect.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(50);

/// The base answer of the tests: static addresses, whatever the simulated machines' NICs and disks are called.
pub(crate) const DEFAULT_TOML: &str = r#"[global]
country = "us"
keyboard = "en-us"
timezone = "UTC"
mailto = "root@localhost"
root-password = "test-password"

[network]
source = "from-answer"
filter.INTERFACE = "*"

[disk-setup]
filesystem = "ext4"
filter.DEVNAME = "/dev/*"
"#;

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// The same for what may take longer.
#[track_caller]
pub(crate) fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < patience, "waited {} s in vain until {what}", patience.as_secs());
        pause();
    }
}

/// Lets so much time go by, where that is what a test or a measurement is about.
#[track_caller]
pub(crate) fn let_pass(time: Duration) {
    let begun = Instant::now();
    until_within(time + PATIENCE, "time goes by", || (begun.elapsed() >= time).then_some(()));
}

#[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition that has a deadline")]
fn pause() {
    thread::sleep(PAUSE);
}

/// The `sshd` to test with.
pub(crate) fn sshd() -> Option<PathBuf> {
    let found = std::env::var_os("PROX_SSHD").map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        skip("no OpenSSH server; PROX_SSHD names one, ./test.sh brings it");
    }
    found
}

/// The requests of real installers.
pub(crate) fn captures() -> Option<PathBuf> {
    conformance().map(|folder| folder.join("captures"))
}

/// A port that was free a moment ago on every loopback address.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port()
}

/// The first of 16 loopback addresses that no other test uses now, whatever process it is in.
fn rack_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let block = std::process::id() * 64 + NEXT.fetch_add(1, Ordering::Relaxed) % 64;
    // Fourteen blocks in the last octet, and 127.100.x.y to 127.227.x.y.
    let [_, _, high, low] = (block / 14 % (128 * 256)).to_be_bytes();
    Ipv4Addr::new(127, 100 + high, low, u8::try_from(block % 14 * 16 + 1).unwrap())
}

/// The program under test; measurements name another build of it by `PROX`.
pub(crate) fn program() -> OsString {
    std::env::var_os("PROX").unwrap_or_else(|| env!("CARGO_BIN_EXE_prox-orchestrator").into())
}

/// Variables of this process that a program under test must not see: they would decide what it does.
pub(crate) fn deciding_variables() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        ["ANSIBLE_", "PROX_", "SSH_"].iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Lines added to tables of `config.toml`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings<'a> {
    pub(crate) server: &'a str,
    pub(crate) ansible: &'a str,
    pub(crate) rest: &'a str,
}

/// A folder with a configuration.
#[derive(Debug)]
pub(crate) struct Project {
    folder: TempDir,
    /// Address of the first simulated machine.
    pub(crate) rack: Ipv4Addr,
    /// The simulated machines' SSH port.
    pub(crate) ssh_port: u16,
}

impl Project {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        // Short, and without characters that need quoting in playbooks.
        let folder = tempfile::Builder::new().prefix("pxt-").tempdir().unwrap();
        Self { folder, rack: rack_address(), ssh_port: free_port() }
    }

    /// A folder with a configuration that serves simulated machines.
    pub(crate) fn new(settings: Settings<'_>) -> Self {
        let project = Self::empty();
        let Settings { server, ansible, rest } = settings;
        // Few tests are about taking decisions back; the others need not wait for it.
        let approval = if rest.contains("[approval]") { "" } else { "[approval]\nundo_window = \"0s\"\n" };
        let config = format!(
            "machine_template_name = \"pve-\"\nmachine_net_dn = \"rack.example\"\nmachine_net_mask = \"8\"\n\
             machine_net_dns = \"127.0.0.53\"\nmachine_net_gateway = \"127.0.0.254\"\n\n\
             [server]\nlisten = \"127.0.0.1:0\"\n{server}\n\n[ansible]\nssh_port = {}\n{ansible}\n\n{approval}\n{rest}\n",
            project.ssh_port
        );
        project.write("config.toml", &config);
        project.write("default.toml", DEFAULT_TOML);
        // Nothing of this user's own settings, keys or folders takes part.
        let ansible = format!(
            "[defaults]\nlocal_tmp = {0}/ansible-local\nremote_tmp = {0}/ansible-remote\n\n[ssh_connection]\n\
             ssh_args = -F /dev/null -C -o ControlMaster=auto -o ControlPersist=60s\n",
            project.path().display()
        );
        project.write("ansible.cfg", &ansible);
        project
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file of the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// Reads a file of the folder.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program in this folder, in an environment that decides nothing.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command_of(program());
        command.args(args);
        command
    }

    /// Another program in this folder, in the same environment.
    pub(crate) fn command_of(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).stdin(Stdio::null());
        for name in deciding_variables() {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        let mut process = Process::start(&mut self.command(args));
        let status = process.wait();
        Ran { code: status.code(), out: process.out.text(), err: process.err.text() }
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.out
    }

    /// Starts `serve` and waits until it serves.
    pub(crate) fn serve(&self) -> Engine {
        self.serve_with(&[])
    }

    /// Starts `serve` with options.
    pub(crate) fn serve_with(&self, options: &[&str]) -> Engine {
        Self::greeted(Process::start(&mut self.command(["serve"].iter().chain(options))))
    }

    /// Starts `serve` where no file can grow beyond this size, as on a disk that fills up.
    pub(crate) fn serve_on_a_small_disk(&self, kib: u32) -> Engine {
        // `ulimit -f` counts in blocks of 512 bytes; a write beyond it fails where its signal is ignored.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" serve", kib * 2);
        let mut shell = self.command_of("sh");
        Self::greeted(Process::start(shell.args(["-c", &script, env!("CARGO_BIN_EXE_prox-orchestrator")])))
    }

    fn greeted(process: Process) -> Engine {
        let greeting = until("the engine greets", || {
            let text = process.out.text();
            assert!(!process.out.is_closed() || text.contains("nodes known"), "it ended: {}", process.err.text());
            text.contains("nodes known").then_some(text)
        });
        let word = |label: &str| greeting.lines().find_map(|line| line.strip_prefix(label)).map(str::to_owned);
        Engine { url: word("serving ").unwrap(), fingerprint: word("certificate fingerprint "), process }
    }

    /// Switches on `count` machines that ask at `url`, with further options.
    pub(crate) fn simulate(&self, engine: &Engine, count: usize, options: &[&str]) -> Rack {
        self.simulate_at(&engine.url, engine.fingerprint.as_deref(), count, options)
    }

    /// The same, for an engine known by URL and fingerprint.
    pub(crate) fn simulate_at(&self, url: &str, fingerprint: Option<&str>, count: usize, options: &[&str]) -> Rack {
        let mut command = self.command(["simulate", "--url", url, "--speed", "600"]);
        command.args(["--count", &count.to_string(), "--base-address", &self.rack.to_string()]);
        command.args(["--ssh-port", &self.ssh_port.to_string()]);
        command.args(fingerprint.map(|hex| format!("--fingerprint={hex}")));
        Rack { process: Process::start(command.args(options)) }
    }

    /// What `nodes --json` prints; `None` while no engine answers.
    pub(crate) fn listing(&self) -> Option<Value> {
        let ran = self.run(["nodes", "--json"]);
        (ran.code == Some(0)).then(|| serde_json::from_str(&ran.out).unwrap())
    }

    /// The rows.
    pub(crate) fn nodes(&self) -> Vec<Value> {
        let listing = self.listing().unwrap_or_default();
        listing["nodes"].as_array().cloned().unwrap_or_default()
    }

    /// Id and phase of every row.
    pub(crate) fn phases(&self) -> BTreeMap<String, String> {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.nodes().iter().map(|node| (word(&node["id"]), word(&node["phase"]))).collect()
    }

    /// Waits until there are `count` rows and all of them are in this phase.
    #[track_caller]
    pub(crate) fn until_all(&self, count: usize, phase: &str) {
        self.until_phases(&format!("{count} nodes are {phase}"), |phases| {
            phases.len() == count && phases.values().all(|other| other == phase)
        });
    }

    /// Waits until this row is in this phase.
    #[track_caller]
    pub(crate) fn until_phase(&self, id: &str, phase: &str) {
        self.until_phases(&format!("{id} is {phase}"), |phases| phases.get(id).is_some_and(|other| other == phase));
    }

    #[track_caller]
    fn until_phases(&self, what: &str, fits: impl Fn(&BTreeMap<String, String>) -> bool) {
        let mut last = BTreeMap::new();
        let started = Instant::now();
        while !fits(&last) {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}: {:#?}", self.nodes());
            pause();
            last = self.phases();
        }
    }

    /// The row with this id.
    #[track_caller]
    pub(crate) fn node(&self, id: &str) -> Value {
        let found = self.nodes().into_iter().find(|node| node["id"] == id);
        found.unwrap_or_else(|| panic!("no row {id}"))
    }

    /// The inventory's variables of every host.
    pub(crate) fn inventory(&self) -> BTreeMap<String, Value> {
        let inventory: Value = serde_json::from_str(&self.read("nodes/dynamic-inventory.json")).unwrap();
        let groups = inventory["all"]["children"].as_object().unwrap();
        let hosts = groups.values().filter_map(|group| group["hosts"].as_object()).flatten();
        hosts.map(|(name, vars)| (name.clone(), vars.clone())).collect()
    }

    /// Waits until every host of the inventory has this status.
    #[track_caller]
    pub(crate) fn until_inventory(&self, count: usize, status: &str) {
        until(&format!("the inventory has {count} hosts that are {status}"), || {
            let hosts = self.inventory();
            (hosts.len() == count && hosts.values().all(|vars| vars["status"] == status)).then_some(())
        });
    }

    /// Starts the sshd of a simulated node that has its files in `folder`.
    pub(crate) fn start_sshd(&self, sshd: &Path, folder: &Path) -> Process {
        let mut command = self.command_of(sshd);
        command.arg("-D").arg("-f").arg(folder.join("sshd_config")).arg("-E").arg(folder.join("sshd.log"));
        Process::start(&mut command)
    }

    /// Ends it, and every connection to it.
    pub(crate) fn end_sshd(&self, folder: &Path) {
        let folder = format!("{}/", folder.display());
        until("its sshd has ended", || {
            let of_node = |(_, line): &(i32, String)| line.contains("sshd") && line.contains(&folder);
            let found: Vec<_> = self.processes().into_iter().filter(of_node).collect();
            for (pid, _) in &found {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            found.is_empty().then_some(())
        });
    }

    /// Living processes whose command line or environment names this folder, such as a run's.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let marker = self.path().to_str().unwrap().as_bytes().to_vec();
        let names_us = |bytes: &[u8]| bytes.windows(marker.len()).any(|part| part == marker);
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| *pid != Pid::this().as_raw())
            .filter_map(|pid: i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                let found = names_us(&line) || names_us(&fs::read(format!("/proc/{pid}/environ")).ok()?);
                found.then(|| (pid, String::from_utf8_lossy(&line).replace('\0', " ")))
            })
            .collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for (pid, _) in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A running `serve`.
#[derive(Debug)]
pub(crate) struct Engine {
    /// The answer URL.
    pub(crate) url: String,
    pub(crate) fingerprint: Option<String>,
    pub(crate) process: Process,
}

impl Engine {
    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> &str {
        self.url.split("://").nth(1).unwrap().trim_end_matches("/answer")
    }

    /// Waits until a line with these words was printed, and returns it.
    #[track_caller]
    pub(crate) fn until_says(&self, words: &str) -> String {
        until(&format!("the engine says `{words}`"), || {
            self.process.out.text().lines().find(|line| line.contains(words)).map(str::to_owned)
        })
    }

    /// Ends it as a service manager would, and waits for its end.
    #[track_caller]
    pub(crate) fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM);
        assert_eq!(self.process.wait().code(), Some(0), "{}", self.process.err.text());
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait();
    }
}

/// Running simulated machines.
#[derive(Debug)]
pub(crate) struct Rack {
    process: Process,
}

impl Rack {
    /// Process id of all machines together.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// What its machines did so far.
    pub(crate) fn text(&self) -> String {
        self.process.out.text()
    }

    /// Waits until a machine did this so many times.
    #[track_caller]
    pub(crate) fn until_did(&self, count: usize, words: &str) {
        until(&format!("machines did {count} times: {words}"), || {
            let text = self.text();
            assert!(!self.process.out.is_closed() || text.matches(words).count() >= count, "{text}");
            (text.matches(words).count() >= count).then_some(())
        });
    }

    /// Switches the machines off, and returns the figures at the end.
    #[track_caller]
    pub(crate) fn switch_off(mut self) -> Figures {
        self.process.signal(Signal::SIGTERM);
        self.settled()
    }

    /// Waits for the end of machines that end by themselves.
    #[track_caller]
    pub(crate) fn settled(&mut self) -> Figures {
        let code = self.process.wait().code();
        Figures { code, text: self.text() }
    }
}

/// The figures a rack prints at its end.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Figures {
    /// One of them; 0 where it is not listed.
    #[track_caller]
    pub(crate) fn count(&self, what: &str) -> u64 {
        let fits = |line: &&str| line.get(..22).is_some_and(|label| label.trim_end() == what);
        let line = self.text.lines().find(fits);
        line.map_or(0, |line| line[22..].trim().parse().unwrap_or_else(|_| panic!("no number: {line}")))
    }
}
