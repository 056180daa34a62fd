//! Figures of the whole console in a terminal, with 10,000 nodes and 50,000 lines of output a second; for docs/performance.md.
//! `PROX=target/release/prox-orchestrator cargo test --test it pty::figures -- --ignored --nocapture` (some minutes).

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use super::super::rig::{Project, Rack, Settings, let_pass, until_within};
use super::super::terminal::{Console, Terminal};

/// Machines that have asked.
const NODES: usize = 10_000;

/// Machines that ask at the same time.
const BATCH: usize = 500;

/// Keys that are pressed.
const KEYS: usize = 200;

/// A piece with fewer bytes is the clock's.
const CLOCK: usize = 60;

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(20);

/// Time for all machines to have asked, or for a run to end.
const LONG: Duration = Duration::from_mins(5);

/// Stands in for Ansible: 50,000 lines a second for two minutes.
const FLOOD: &str = r#"#!/usr/bin/env python3
import sys, time
if "--version" in sys.argv:
    print("ansible-playbook [core 2.19.14]")
    sys.exit()
line = "\x1b[0;32mok: [pve-0001.rack.example] => item number %d\x1b[0m\n"
begun, sent = time.time(), 0
while sent < 120 * 50000:
    sys.stdout.write("".join(line % (sent + n) for n in range(2500)))
    sys.stdout.flush()
    sent += 2500
    time.sleep(max(0, begun + sent / 50000 - time.time()))
"#;

/// A folder whose engine knows so many machines that wait, and one that is ready as long as its rack is there.
fn project(waiting: usize) -> (Project, Rack) {
    let ansible = "start = \"by-hand\"\ncommand = \"./flood\"\nplaybook = \"site.yml\"";
    let project = Project::new(Settings { server: "max_held = 20000\nhold = \"30s\"", ansible, rest: "" });
    project.write("flood", FLOOD);
    std::fs::set_permissions(project.at("flood"), std::fs::Permissions::from_mode(0o755)).unwrap();
    project.write("site.yml", "- hosts: all\n");
    let mut engine = project.serve();
    let rack = project.simulate(&engine, 1, &[]);
    project.until_all(1, "waiting");
    project.ok(["approve", "m1"]);
    project.until_all(1, "ready");
    // Not all at once: on a busy machine, or with a slow build, they would give up before they are heard.
    for asked in (0..waiting).step_by(BATCH) {
        let (first, count) = ((asked + 2).to_string(), BATCH.min(waiting - asked));
        let _others = project.simulate(&engine, count, &["--first", &first, "--answers-only", "--quiet"]);
        until_within(LONG, "all of them have asked", || {
            let status: serde_json::Value = serde_json::from_str(&project.ok(["status", "--json"])).unwrap();
            (status["nodes"]["waiting"] == asked + count).then_some(())
        });
    }
    engine.terminate();
    (project, rack)
}

/// p50 and p99 of the time from a key to the first piece that `fits`.
fn latencies(console: &Console, pressed: &[Duration], fits: impl Fn(&[u8]) -> bool) -> String {
    let pieces = console.pieces();
    let answer = |key: &Duration| {
        pieces.iter().find(|(at, bytes)| at >= key && fits(bytes)).map(|(at, _)| at.saturating_sub(*key))
    };
    let mut times: Vec<_> = pressed.iter().filter_map(answer).collect();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1_000.0;
    format!("{:.1} ms | {:.1} ms", at(50), at(99))
}

/// CPU time and memory of the program.
fn spent(console: &Console) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", console.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", console.pid())).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    // A tick is a hundredth of a second on every Linux there is.
    (ticks / 100.0, kib.trim().trim_end_matches(" kB").parse().unwrap())
}

/// What keys cost: their time to the frame, CPU and bytes each; everything the program does meanwhile counts.
fn tell(console: &Console, what: &str, pressed: &[Duration], fits: impl Fn(&[u8]) -> bool, before: (f64, usize)) {
    let count = u32::try_from(pressed.len()).unwrap();
    let cpu = (spent(console).0 - before.0) * 1_000.0 / f64::from(count);
    let each = (console.bytes() - before.1) / pressed.len();
    println!("| {what} | {} | {cpu:.1} ms | {each} |", latencies(console, pressed, fits));
}

#[test]
#[ignore = "a measurement"]
fn ten_thousand_nodes_and_fifty_thousand_lines_a_second() {
    println!("| a key, 80x24 and 250x70 | to its frame, p50 | p99 | CPU | bytes |\n|---|---|---|---|---|");
    let mut quiet = Vec::new();
    for waiting in [NODES, 0] {
        let (project, _rack) = project(waiting);
        for size in [(80, 24), (250, 70)] {
            quiet.push(one_console(&project, waiting, size));
            project.run(["cancel"]);
            for (pid, _) in project.processes() {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
    println!("\n| the console | first frame | idle, of a core | bytes a second | memory |\n|---|---|---|---|---|");
    for row in quiet {
        println!("{row}");
    }
}

/// A console from its start to its end. Returns what it takes while nothing happens.
fn one_console(project: &Project, waiting: usize, size: (u16, u16)) -> String {
    let nodes = if waiting == 0 { "1 node".to_owned() } else { format!("{} nodes", waiting + 1) };
    let what = format!("{}x{}, {nodes}", size.0, size.1);
    let mut console = Console::start_in(project, &[], Terminal { size, ..Terminal::default() });
    console.until_shows(&if waiting > 0 { format!("{waiting} WAITING") } else { "1 ready".to_owned() });
    let first = console.pieces().into_iter().find(|(_, bytes)| bytes.len() > 1_000).unwrap();
    let_pass(Duration::from_secs(5));
    let (before, bytes) = (spent(&console), console.bytes());
    let_pass(IDLE);
    let (cpu, kib) = spent(&console);
    let part = (cpu - before.0) / IDLE.as_secs_f64() * 100.0;
    let a_second = (console.bytes() - bytes) as u64 / IDLE.as_secs();
    let first = first.0.as_secs_f64();
    let row = format!("| {what} | {first:.2} s | {part:.2} % | {a_second} | {} MiB |", kib / 1024);
    if waiting > 0 {
        let (mut pressed, before) = (Vec::new(), (spent(&console).0, console.bytes()));
        for _ in 0..KEYS {
            pressed.push(console.now());
            console.press("j");
            let_pass(Duration::from_millis(200));
        }
        tell(&console, &format!("{what}: a row down"), &pressed, |bytes| bytes.len() > CLOCK, before);
    }
    flood(&mut console, &what);
    console.press("q");
    // It asks only while a run goes on or machines are held.
    until_within(LONG, "it asks or ends", || {
        (console.text().contains("Leave?") || console.is_restored()).then_some(())
    });
    if !console.is_restored() {
        console.press("y");
    }
    console.wait();
    row
}

/// The same while a run writes as fast as a run can.
fn flood(console: &mut Console, what: &str) {
    console.press("2r");
    console.until_shows("Run the playbook");
    console.press("\r");
    // Not the output of the run before.
    until_within(LONG, "the run writes", || {
        let text = console.text();
        (text.contains("running") && text.contains("item number")).then_some(())
    });
    let_pass(Duration::from_secs(3));
    let (mut pressed, before, begun) = (Vec::new(), (spent(console).0, console.bytes()), Instant::now());
    for _ in 0..KEYS / 4 {
        pressed.push(console.now());
        console.press(":");
        let_pass(Duration::from_millis(200));
        console.press("\u{1b}");
        let_pass(Duration::from_millis(200));
    }
    let opened =
        |bytes: &[u8]| [&b"Acti"[..], b"ctio", b"tion"].iter().any(|part| bytes.windows(4).any(|four| four == *part));
    tell(console, &format!("{what}, 50,000 lines/s: the palette"), &pressed, opened, before);
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (spent(console).0 - before.0) / seconds * 100.0;
    let rate = f64::from(u32::try_from(console.bytes() - before.1).unwrap()) / seconds / 1024.0;
    println!("| {what}, 50,000 lines/s: in all | | | {cpu:.0} % of a core | {rate:.0} KiB/s |");
}
