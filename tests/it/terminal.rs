//! A terminal of 80x24 with the console in it: keys go in, the screen is read back.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::rig::{Project, deciding_variables, program, until};

/// What a program writes to ask where the cursor is.
const WHERE: &[u8] = b"\x1b[6n";

/// Looks a second at what a slow line has brought.
const LOOKS: u32 = 20;

/// From one press of a hand to the next.
const HAND: Duration = Duration::from_millis(170);

/// The way to the program's standard input.
type Keys = Arc<Mutex<Box<dyn std::io::Write + Send>>>;

/// A console in a terminal; it is killed when the test ends.
pub(crate) struct Console {
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Gone with the terminal.
    keys: Option<Keys>,
    /// When keys were pressed last, or something was seen on the screen.
    pressed: Mutex<Option<Instant>>,
    /// Every byte that was written to the terminal.
    written: Arc<Mutex<Written>>,
    /// Our own view of the terminal's line settings.
    line: File,
    /// Gone with the terminal.
    master: Option<Box<dyn MasterPty + Send>>,
    is_unplugged: Arc<AtomicBool>,
}

/// What came, and when.
#[derive(Debug)]
pub(crate) struct Written {
    began: Instant,
    bytes: Vec<u8>,
    /// The number of bytes there were at a time.
    marks: Vec<(Duration, usize)>,
}

/// What kind of terminal it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// `TERM`.
    pub(crate) term: &'static str,
    /// Bytes a second that the line takes; `None` for as many as there are.
    pub(crate) pace: Option<u32>,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
}

impl Default for Terminal {
    fn default() -> Self {
        Self { term: "xterm-256color", pace: None, size: (80, 24) }
    }
}

impl Console {
    /// Starts the program in a new terminal.
    pub(crate) fn start(project: &Project, args: &[&str]) -> Self {
        Self::start_in(project, args, Terminal::default())
    }

    /// Starts the program in a new terminal of a certain kind.
    pub(crate) fn start_in(project: &Project, args: &[&str], terminal: Terminal) -> Self {
        let mut command = CommandBuilder::new(program());
        command.args(args);
        Self::open(project, command, terminal)
    }

    /// Starts a shell in a new terminal, as a person finds it.
    pub(crate) fn shell(project: &Project) -> Self {
        let mut command = CommandBuilder::new("sh");
        command.arg("-i");
        command.env("PS1", "shell> ");
        command.env_remove("ENV");
        Self::open(project, command, Terminal::default())
    }

    fn open(project: &Project, mut command: CommandBuilder, terminal: Terminal) -> Self {
        let (cols, rows) = terminal.size;
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
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
        let sides = [rows, cols].map(|side| NonZeroU16::new(side).unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(sides[0], sides[1], 0)));
        let written = Arc::new(Mutex::new(Written { began: Instant::now(), bytes: Vec::new(), marks: Vec::new() }));
        let is_unplugged = Arc::new(AtomicBool::new(false));
        let of_terminal = Insides {
            from: pair.master.try_clone_reader().unwrap(),
            screen: Arc::clone(&screen),
            answers: Arc::clone(&keys),
            written: Arc::clone(&written),
            pace: terminal.pace,
            is_unplugged: Arc::clone(&is_unplugged),
        };
        thread::spawn(move || of_terminal.be_a_terminal());
        let pressed = Mutex::default();
        Self { child, screen, keys: Some(keys), pressed, written, line, master: Some(pair.master), is_unplugged }
    }

    /// Takes the terminal away, as when a connection breaks.
    pub(crate) fn hang_up(&mut self) {
        self.is_unplugged.store(true, Ordering::SeqCst);
        // The clock is drawn every second; then the other end is closed too.
        let keys = Arc::downgrade(&self.keys.take().unwrap());
        until("the terminal is closed", || (keys.strong_count() == 0).then_some(()));
        self.master = None;
    }

    /// What is on the screen, line by line.
    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Everything that was written to the terminal so far.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap().bytes).into_owned()
    }

    /// Presses keys, as soon after the last ones, or after what was waited for, as a hand does: a console takes what comes
    /// faster for a scanner, and a yes to a question that has just opened for a slip.
    pub(crate) fn press(&self, keys: &str) {
        let mut pressed = self.pressed.lock().unwrap();
        let since = pressed.map_or(HAND, |last| last.elapsed());
        #[expect(clippy::disallowed_methods, reason = "a hand's speed, not a wait for something")]
        thread::sleep(HAND.saturating_sub(since));
        self.send(keys);
        *pressed = Some(Instant::now());
    }

    /// Sends keys at once, as a scanner does.
    pub(crate) fn send(&self, keys: &str) {
        let mut writer = self.keys.as_ref().unwrap().lock().unwrap();
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
        *self.pressed.lock().unwrap() = Some(Instant::now());
    }

    /// Leaves, whether it asks or not.
    pub(crate) fn leave(&self) {
        self.press("q");
        until("the console asks or ends", || (self.text().contains("Leave?") || !self.is_taken()).then_some(()));
        self.press("y");
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, cols: u16, rows: u16) {
        let size = [rows, cols].map(|side| NonZeroU16::new(side).unwrap());
        self.screen.lock().unwrap().screen_mut().set_size(size[0], size[1]);
        self.master.as_ref().unwrap().resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
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
        self.written.lock().unwrap().bytes.len()
    }

    /// The time on the clock of the pieces.
    pub(crate) fn now(&self) -> Duration {
        self.written.lock().unwrap().began.elapsed()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// What the program has written, piece by piece, with the time of each.
    pub(crate) fn pieces(&self) -> Vec<(Duration, Vec<u8>)> {
        let written = self.written.lock().unwrap();
        let starts = std::iter::once(0).chain(written.marks.iter().map(|(_, end)| *end));
        starts.zip(&written.marks).map(|(start, (at, end))| (*at, written.bytes[start..*end].to_vec())).collect()
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

/// The terminal's own side.
struct Insides {
    from: Box<dyn Read + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    answers: Keys,
    written: Arc<Mutex<Written>>,
    pace: Option<u32>,
    is_unplugged: Arc<AtomicBool>,
}

impl Insides {
    /// Draws what is written, and says where the cursor is when asked.
    fn be_a_terminal(mut self) {
        let at_once = self.pace.map_or(8192, |pace| usize::try_from(pace / LOOKS).unwrap().max(1));
        let mut buffer = vec![0; at_once];
        while let Ok(count @ 1..) = self.from.read(&mut buffer) {
            if self.is_unplugged.load(Ordering::SeqCst) {
                return;
            }
            let bytes = &buffer[..count];
            let mut written = self.written.lock().unwrap();
            written.bytes.extend_from_slice(bytes);
            let mark = (written.began.elapsed(), written.bytes.len());
            written.marks.push(mark);
            drop(written);
            let mut screen = self.screen.lock().unwrap();
            screen.process(bytes);
            if bytes.windows(WHERE.len()).any(|part| part == WHERE) {
                let (row, column) = screen.screen().cursor_position();
                let _ = self.answers.lock().unwrap().write_all(format!("\x1b[{};{}R", row + 1, column + 1).as_bytes());
            }
            drop(screen);
            self.wait_for_the_line(count);
        }
    }

    /// A slow line takes its time for so many bytes.
    #[expect(clippy::disallowed_methods, reason = "the line's speed, not a wait for something")]
    fn wait_for_the_line(&self, count: usize) {
        if let Some(pace) = self.pace {
            thread::sleep(Duration::from_secs(1) * u32::try_from(count).unwrap() / pace);
        }
    }
}
