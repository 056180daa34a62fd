//! The console in a real terminal: finding, orders to many, resizing, stopping and going on, slow lines, plain lines.

mod walk;

use nix::sys::signal::Signal;

use super::rig::{Project, Rack, Settings, until};
use super::terminal::{Console, Terminal};

mod cast;
mod figures;
mod lost;
mod serial;
mod work;

/// No run starts by itself, and a hold lasts for the whole test.
const BY_HAND: Settings<'static> = Settings { server: "", ansible: "start = \"by-hand\"", rest: "" };

/// Machines for the console's engine.
fn plug_in(project: &Project, count: usize) -> Rack {
    plug_in_with(project, count, &[])
}

/// The same with options of the simulation.
fn plug_in_with(project: &Project, count: usize, options: &[&str]) -> Rack {
    let status: serde_json::Value = serde_json::from_str(&project.ok(["status", "--json"])).unwrap();
    let url = format!("{}/answer", status["url"].as_str().unwrap());
    project.simulate_at(&url, status["fingerprint"].as_str(), count, options)
}

#[test]
fn fifty_machines_are_found_marked_and_approved_at_once() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    let _rack = plug_in(&project, 50);
    console.until_shows("50 WAITING");
    console.press("/phase:waiting");
    console.until_shows("50 of 50 rows");
    console.press("\r*a");
    console.until_shows("Approve 50 nodes");
    console.press("y");
    // The word that they are approved does not stand long: the rows go on by themselves.
    until("every one of them is installed", || project.nodes().iter().all(|row| row["phase"] == "ready").then_some(()));
    console.until_shows("50 ready");
    console.press("q");
    assert_eq!(console.wait(), 0);
    assert!(console.is_restored());
}

#[test]
fn a_storm_of_sizes_loses_neither_selection_nor_screen() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    for step in 0..60_u16 {
        console.resize(40 + step * 7 % 200, 10 + step * 3 % 60);
    }
    console.resize(50, 12);
    console.until_shows("Make it larger");
    console.resize(100, 30);
    console.until_shows("No machine has asked yet");
    console.press("4");
    console.until_shows("prepare-iso");
    console.press("q");
    assert_eq!(console.wait(), 0);
}

#[test]
fn it_stops_goes_on_and_is_as_before() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    console.press("4");
    console.until_shows("prepare-iso");
    // A terminal without a shell: nobody stops the program, and it takes the terminal back by itself.
    let taken = |times: usize| {
        let is_taken = || console.raw().matches("\u{1b}[?1049h").count() == times && console.is_taken();
        until("the terminal is taken again", || is_taken().then_some(()));
    };
    console.press("\u{1a}");
    taken(2);
    console.until_shows("prepare-iso");
    // Stopped and continued from outside, with the terminal changed meanwhile, as a shell does.
    console.signal(Signal::SIGSTOP);
    console.wipe();
    console.signal(Signal::SIGCONT);
    taken(3);
    console.until_shows("prepare-iso");
    console.press("q");
    assert_eq!(console.wait(), 0);
    assert!(console.is_restored());
}

#[test]
fn a_signal_ends_it_with_last_words_and_a_usable_terminal() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let project = Project::new(BY_HAND);
        let mut console = Console::start(&project, &[]);
        console.until_shows("No machine has asked yet");
        console.signal(signal);
        assert_eq!(console.wait(), 0, "{signal}");
        console.until_shows("its state is safe");
        console.until_shows(".prox-orchestrator/log");
        assert!(console.is_restored());
    }
}

#[test]
fn the_self_test_passes_and_leaves_no_row() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    console.press("4t");
    console.until_shows("got the retry answer in");
    assert!(project.nodes().is_empty());
    console.press("1");
    console.until_shows("No machine has asked yet");
    console.press("q");
    assert_eq!(console.wait(), 0);
}

#[test]
fn a_dumb_terminal_gets_lines_and_approves_by_code() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start_in(&project, &[], Terminal { term: "dumb", ..Terminal::default() });
    console.until_shows("Plain lines.");
    let _rack = plug_in(&project, 1);
    console.until_shows("WAITS");
    let row = project.node("m1");
    let code = row["claim_code"].as_str().unwrap();
    console.until_shows(&format!("then type {code}"));
    console.press(&format!("{}\n", code.to_lowercase()));
    project.until_phase("m1", "ready");
    console.press("q\n");
    assert_eq!(console.wait(), 0);
}

#[test]
fn a_slow_line_is_not_flooded() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &["--slow", "--ascii"]);
    console.until_shows("No machine has asked yet");
    let (before, started) = (console.bytes(), std::time::Instant::now());
    // Each key changes the whole screen.
    for key in ["4", "3", "2", "1"].repeat(4) {
        console.press(key);
    }
    console.press("4");
    console.until_shows("prepare-iso");
    let seconds = started.elapsed().as_secs_f64();
    let bytes = f64::from(u32::try_from(console.bytes() - before).unwrap());
    // One frame is sent at once, whatever it costs; after it the line's pace holds.
    assert!(bytes < 6_000.0 + 1_000.0 * seconds, "{bytes} bytes in {seconds} s");
    console.press("q");
    assert_eq!(console.wait(), 0);
}

#[test]
fn without_files_the_first_ones_are_offered() {
    let project = Project::empty();
    let mut console = Console::start(&project, &["--listen", "127.0.0.1:0"]);
    console.until_shows("Write the first files now?");
    console.press("n\n");
    console.until_shows("No machine has asked yet");
    console.press("q");
    assert_eq!(console.wait(), 0);
    assert!(!project.at("config.toml").exists());
}

#[test]
fn esc_and_a_key_that_come_in_one_piece_are_both_pressed() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    console.press("T");
    console.until_shows("Tickets and bans");
    console.press("\u{1b}4");
    console.until_shows("prepare-iso");
    console.press("?");
    console.until_shows("let the machine be installed");
    // The next way to tell machines: of Esc and an arrow the library makes Esc and two letters.
    console.press("\u{1b}\u{1b}[C");
    console.until("shows the next way", |text| !text.contains("let the machine") && text.contains("txt-record="));
    console.press("q");
    assert_eq!(console.wait(), 0);
}

#[test]
fn mouse_and_bell_follow_the_configuration() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    let until_written = |what: &str, times: usize| {
        until(what, || (console.raw().matches(what).count() == times).then_some(()));
    };
    let (on, off) = ("\u{1b}[?1000h", "\u{1b}[?1000l");
    until_written(on, 1);
    let before = std::fs::read_to_string(project.at("config.toml")).unwrap();
    project.write("config.toml", &format!("{before}\n[console]\nmouse = false\nbell = false\n"));
    until_written(off, 1);
    until_written("\u{1b}[23;2t", 1);
    project.write("config.toml", &before);
    until_written(on, 2);
    until_written("\u{1b}[22;2t", 2);
    assert!(!console.raw().contains("takes effect after a restart"));
    console.press("q");
    assert_eq!(console.wait(), 0);
    assert!(console.is_restored());
}

#[test]
fn the_first_files_are_written_and_the_console_opens_by_itself() {
    let project = Project::empty();
    let mut console = Console::start(&project, &["--listen", "127.0.0.1:0"]);
    console.until_shows("Write the first files now?");
    console.press("y\n");
    until("every question has its answer", || {
        console.press("\n");
        console.raw().contains("Enter opens it now.").then_some(())
    });
    console.press("\n");
    console.until_shows("No machine has asked yet");
    let said = console.raw();
    assert!(said.contains("checked: the engine takes these files") && !said.contains("next: "), "{said}");
    console.press("q");
    assert_eq!(console.wait(), 0);
    assert!(project.at("config.toml").exists() && project.at("default.toml").exists());
}
