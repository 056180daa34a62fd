//! A terminal of 80x24 with the console in it: keys go in, the screen is read back.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::rig::{Project, deciding_variables, until};

/// What a program writes to ask where the cursor is.
const WHERE: &[u8] = b"\x1b[6n";

/// A console in a terminal; it is killed when the test ends.
pub(crate) struct Console {
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    keys: Arc<Mutex<Box<dyn std::io::Write + Send>>>,
    /// Every byte that was written to the terminal.
    raw: Arc<Mutex<Vec<u8>>>,
    /// Our own view of the terminal's line settings.
    line: File,
    master: Box<dyn MasterPty + Send>,
}

/// What kind of terminal it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// `TERM`.
    pub(crate) term: &'static str,
}

impl Default for Terminal {
    fn default() -> Self {
        Self { term: "xterm-256color" }
    }
}

impl Console {
    /// Starts the program in a new terminal.
    pub(crate) fn start(project: &Project, args: &[&str]) -> Self {
        Self::start_in(project, args, Terminal::default())
    }

    /// Starts the program in a new terminal of a certain kind.
    pub(crate) fn start_in(project: &Project, args: &[&str], terminal: Terminal) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_prox-orchestrator"));
        command.args(args);
        command.cwd(project.path());
        for name in deciding_variables() {
            command.env_remove(name);
        }
        command.env("TERM", terminal.term);
        command.env("LC_ALL", "C.UTF-8");
        let name: PathBuf = pair.master.tty_name().unwrap();
        let line = OpenOptions::new().read(true).custom_flags(OFlag::O_NOCTTY.bits()).open(name).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let keys = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let screen = Arc::new(Mutex::new(vt100::Parser::default()));
        let (shown, answers) = (Arc::clone(&screen), Arc::clone(&keys));
        let from = pair.master.try_clone_reader().unwrap();
        let raw = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&raw);
        thread::spawn(move || be_a_terminal(from, &shown, &answers, &written));
        Self { child, screen, keys, raw, line, master: pair.master }
    }

    /// What is on the screen, line by line.
    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Everything that was written to the terminal so far.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned()
    }

    /// Presses keys.
    pub(crate) fn press(&self, keys: &str) {
        let mut writer = self.keys.lock().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Waits until the screen shows these words.
    #[track_caller]
    pub(crate) fn until_shows(&self, words: &str) {
        self.until(&format!("shows `{words}`"), |text| text.contains(words));
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&str) -> bool) {
        until(&format!("the screen {what}"), || fits(&self.text()).then_some(()));
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, cols: u16, rows: u16) {
        let size = [rows, cols].map(|side| NonZeroU16::new(side).unwrap());
        self.screen.lock().unwrap().screen_mut().set_size(size[0], size[1]);
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Makes the terminal what a shell would have made of it meanwhile.
    pub(crate) fn wipe(&self) {
        self.screen.lock().unwrap().process(b"\x1bc$ ");
        let mut settings = tcgetattr(&self.line).unwrap();
        settings.local_flags.insert(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(&self.line, SetArg::TCSANOW, &settings).unwrap();
    }

    /// How many bytes the program has written.
    pub(crate) fn bytes(&self) -> usize {
        self.raw.lock().unwrap().len()
    }

    /// Whether the terminal is as a shell expects it: lines are edited and echoed, the alternate screen is left, the
    /// cursor is shown.
    pub(crate) fn is_restored(&self) -> bool {
        let flags = tcgetattr(&self.line).unwrap().local_flags;
        let screen = self.screen.lock().unwrap();
        let screen = screen.screen();
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
            && !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
    }

    /// Whether the console has taken the terminal over.
    pub(crate) fn is_taken(&self) -> bool {
        !tcgetattr(&self.line).unwrap().local_flags.contains(LocalFlags::ICANON)
            && self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap()), signal).unwrap();
    }

    /// Waits for the program's end; returns its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> u32 {
        until("the console ends", || self.child.try_wait().unwrap()).exit_code()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("--- screen\n{}\n---", self.text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Draws what is written, and says where the cursor is when asked.
fn be_a_terminal(
    mut from: Box<dyn Read + Send>,
    screen: &Mutex<vt100::Parser>,
    answers: &Mutex<Box<dyn std::io::Write + Send>>,
    raw: &Mutex<Vec<u8>>,
) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..count];
        raw.lock().unwrap().extend_from_slice(bytes);
        let mut screen = screen.lock().unwrap();
        screen.process(bytes);
        if bytes.windows(WHERE.len()).any(|part| part == WHERE) {
            let (row, column) = screen.screen().cursor_position();
            let _ = answers.lock().unwrap().write_all(format!("\x1b[{};{}R", row + 1, column + 1).as_bytes());
        }
    }
}
