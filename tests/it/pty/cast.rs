//! Records `docs/screens/demo.cast`: the demo in a terminal, driven as a person would.
//! `cargo test --test it pty::cast -- --ignored`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::outside::ansibles;
use super::super::rig::{Project, let_pass, until_within};
use super::super::terminal::{Console, Terminal};

/// Columns and rows.
const SIZE: (u16, u16) = (80, 24);

/// A wait that took longer lasts so long when it is played.
const WAIT: Duration = Duration::from_secs(3);

/// The console, and when something was waited for: nobody watches that for its real time.
struct Take {
    console: Console,
    waits: Vec<(Duration, Duration)>,
}

impl Take {
    /// Waits until these words are shown; played, it is short.
    fn wait(&mut self, words: &str) {
        let from = self.console.now();
        until_within(Duration::from_mins(5), &format!("the screen shows `{words}`"), || {
            self.console.text().contains(words).then_some(())
        });
        self.waits.push((from, self.console.now()));
    }

    /// Presses a key and waits for what it leads to.
    fn press(&self, key: &str, words: &str) {
        self.console.press(key);
        self.console.until_shows(words);
    }

    /// When something that came at this time is played.
    fn played(&self, at: Duration) -> Duration {
        self.waits.iter().fold(at, |played, (from, to)| {
            let (waited, spent) = (to.saturating_sub(*from), at.clamp(*from, *to).saturating_sub(*from));
            if waited > WAIT {
                played.saturating_sub(spent) + spent.mul_f64(WAIT.div_duration_f64(waited))
            } else {
                played
            }
        })
    }
}

/// Lets whoever watches read.
fn read(seconds: u64) {
    let_pass(Duration::from_secs(seconds));
}

#[test]
#[ignore = "writes docs/screens/demo.cast"]
fn record() {
    assert!(!ansibles().is_empty(), "the recording shows a real run");
    let project = Project::empty();
    let terminal = Terminal { size: SIZE, ..Terminal::default() };
    let console = Console::start_in(&project, &["demo", "-n", "4", "--speed", "30"], terminal);
    let mut take = Take { console, waits: Vec::new() };
    take.wait("4 WAITING");
    read(3);
    take.press("\r", "Serial");
    read(4);
    take.press("a", "approved `");
    read(2);
    // The hints take two rows; whoever watches has seen the first.
    take.press("X", "no more hints");
    take.wait("1 installing");
    take.press("\u{1b}", "HOSTNAME");
    read(1);
    take.press("/waiting", "3 of 4 rows");
    read(1);
    take.press("\r", "3 of 4");
    take.press("*", "* ?");
    read(2);
    take.press("a", "Approve 3 nodes");
    read(4);
    take.press("y", "3 nodes approved");
    read(2);
    take.press("\u{1b}", "HOSTNAME");
    take.press("4", "prepare-iso");
    read(4);
    take.press("1", "HOSTNAME");
    take.wait("playbook starts");
    read(2);
    take.wait("4 configuring");
    take.press("2", "TASK");
    read(2);
    take.press("\r", "hosts and tasks of");
    take.wait("succeeded");
    read(3);
    take.press("1", "4 configured");
    read(3);
    take.console.press("q");
    assert_eq!(take.console.wait(), 0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screens/demo.cast");
    std::fs::write(path, cast(&take)).unwrap();
}

/// What was drawn as asciicast v2: a header, then a line per piece with its time. It begins when the console takes the
/// terminal, and ends when it gives it back: what is said around that names a folder of this machine.
fn cast(take: &Take) -> String {
    let title = "prox-orchestrator: four machines from the first request to configured nodes";
    let header = serde_json::json!({ "version": 2, "width": SIZE.0, "height": SIZE.1, "title": title });
    let mut cast = format!("{header}\n");
    let pieces = take.console.pieces();
    let has = |mark: &str, bytes: &[u8]| String::from_utf8_lossy(bytes).contains(mark);
    let taken = pieces.iter().position(|(_, bytes)| has("\u{1b}[?1049h", bytes)).unwrap();
    let given = pieces.iter().position(|(_, bytes)| has("\u{1b}[?1049l", bytes)).unwrap();
    let begin = take.played(pieces[taken].0);
    let mut rest = Vec::new();
    for (at, bytes) in &pieces[taken..given] {
        rest.extend_from_slice(bytes);
        // A letter may come in two pieces.
        let whole = std::str::from_utf8(&rest).map_or_else(|error| error.valid_up_to(), str::len);
        let text = String::from_utf8(rest.drain(..whole).collect()).unwrap();
        if !text.is_empty() {
            let seconds =
                f64::from(u32::try_from(take.played(*at).saturating_sub(begin).as_millis()).unwrap()) / 1_000.0;
            let _ = writeln!(cast, "{}", serde_json::json!([seconds, "o", text]));
        }
    }
    cast
}
