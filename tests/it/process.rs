//! Child processes that end with their test, and what they wrote.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::rig::{PATIENCE, until, until_within};

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What a process has written so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<Mutex<(Vec<u8>, bool)>>);

impl Output {
    fn gather(mut from: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let shared = output.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                shared.0.lock().unwrap().0.extend_from_slice(&buffer[..count]);
            }
            shared.0.lock().unwrap().1 = true;
        });
        output
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap().0).into_owned()
    }

    /// Whether no more can come.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().1
    }
}

/// A process that is killed when the test ends. What it wrote is shown when the test fails.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) out: Output,
    pub(crate) err: Output,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = Output::gather(child.stdout.take().unwrap());
        let err = Output::gather(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end and for all it wrote.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.wait_within(PATIENCE)
    }

    /// The same where that may take longer.
    #[track_caller]
    pub(crate) fn wait_within(&mut self, patience: Duration) -> ExitStatus {
        let status = until_within(patience, "the process ends", || self.child.try_wait().unwrap());
        until("its output is read", || (self.out.is_closed() && self.err.is_closed()).then_some(()));
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("--- process {}\n{}{}---", self.child.id(), self.out.text(), self.err.text());
        }
    }
}
