//! The way out to the terminal: a thread of its own writes, so that a terminal that takes nothing (a slow line, Ctrl-S,
//! a hung ssh) never holds the console up. Knows bytes, not what they show.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::watch;

/// Pieces that may wait. Frames wait for an idle outlet, so these are bells and titles.
const PIECES: usize = 16;

/// How the thread gets on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// Pieces that are not out yet.
    pending: usize,
    /// Whether the terminal takes nothing any more.
    pub(super) is_gone: bool,
}

impl Flow {
    /// Whether everything is out, so that a frame can follow.
    pub(super) fn is_idle(self) -> bool {
        self.pending == 0 && !self.is_gone
    }
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Eight: the bright ones become the plain ones.
    Eight,
    /// Sixteen.
    Sixteen,
}

/// Gathers what is written until it is flushed, and hands it to the thread.
#[derive(Debug)]
pub(super) struct Outlet {
    gathered: Vec<u8>,
    written: Arc<AtomicUsize>,
    depth: Depth,
    pieces: SyncSender<Vec<u8>>,
    flow: watch::Sender<Flow>,
}

impl Outlet {
    /// An outlet to `out`, which is written to as long as `may_write` says so.
    pub(super) fn new(
        out: impl Write + Send + 'static,
        depth: Depth,
        may_write: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (pieces, queue) = sync_channel(PIECES);
        let flow = watch::Sender::new(Flow::default());
        let said = flow.clone();
        std::thread::Builder::new().name("terminal".to_owned()).spawn(move || carry(out, &queue, &said, may_write))?;
        Ok(Self { gathered: Vec::new(), written: Arc::default(), depth, pieces, flow })
    }

    /// Whether more can be written now; changes are announced.
    pub(super) fn flow(&self) -> watch::Receiver<Flow> {
        self.flow.subscribe()
    }

    /// Counts the bytes handed over.
    pub(super) fn written(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.written)
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = shorten(&std::mem::take(&mut self.gathered), self.depth).into_owned();
        self.written.fetch_add(piece.len(), Ordering::Relaxed);
        // Before it is handed over, or the thread could be done first.
        self.flow.send_modify(|flow| flow.pending += 1);
        match self.pieces.try_send(piece) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                // It takes nothing: one bell less.
                self.flow.send_modify(|flow| flow.pending -= 1);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the terminal takes nothing any more"))
            }
        }
    }
}

/// Writes piece after piece.
fn carry(mut out: impl Write, queue: &Receiver<Vec<u8>>, flow: &watch::Sender<Flow>, may_write: impl Fn() -> bool) {
    while let Ok(piece) = queue.recv() {
        // What was on its way when the terminal was given back would be drawn over the shell.
        let result = if may_write() { out.write_all(&piece).and_then(|()| out.flush()) } else { Ok(()) };
        flow.send_modify(|flow| {
            flow.pending = flow.pending.saturating_sub(1);
            flow.is_gone |= result.is_err();
        });
        if result.is_err() {
            return;
        }
    }
}

/// Writes colours in the short form every colour terminal knows: `38;5;3` becomes `33`, `38;5;11` becomes `93`. The long
/// one makes an old terminal blink, and costs a slow line twice the bytes.
fn shorten(bytes: &[u8], depth: Depth) -> Cow<'_, [u8]> {
    if !bytes.windows(3).any(|three| three == b"8;5") {
        return Cow::Borrowed(bytes);
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(start) = rest.windows(2).position(|two| two == b"\x1b[") {
        let (before, sequence) = rest.split_at(start);
        kept.extend_from_slice(before);
        let length = sequence[2..].iter().position(|byte| !(byte.is_ascii_digit() || *byte == b';'));
        let Some(end) = length.map(|length| length + 2).filter(|end| sequence[*end] == b'm') else {
            kept.extend_from_slice(&sequence[..2]);
            rest = &sequence[2..];
            continue;
        };
        kept.extend_from_slice(b"\x1b[");
        kept.extend(colours(&String::from_utf8_lossy(&sequence[2..end]), depth).into_bytes());
        kept.push(b'm');
        rest = &sequence[end + 1..];
    }
    kept.extend_from_slice(rest);
    Cow::Owned(kept)
}

/// The parameters of one colour sequence in the short form.
fn colours(parameters: &str, depth: Depth) -> String {
    let all: Vec<&str> = parameters.split(';').collect();
    let mut short = Vec::new();
    let mut rest = all.as_slice();
    while let [first, tail @ ..] = rest {
        let ground = match *first {
            "38" => Some(30_u8),
            "48" => Some(40),
            _ => None,
        };
        if let (Some(ground), ["5", number, after @ ..]) = (ground, tail) {
            match number.parse::<u8>() {
                Ok(number @ 0..8) => short.push((ground + number).to_string()),
                Ok(number @ 8..16) if depth == Depth::Sixteen => short.push((ground + 60 + number - 8).to_string()),
                Ok(number @ 8..16) => short.push((ground + number - 8).to_string()),
                Ok(_) if depth == Depth::Eight => {}
                Ok(_) | Err(_) => short.push(format!("{first};5;{number}")),
            }
            rest = after;
        } else {
            short.push((*first).to_owned());
            rest = tail;
        }
    }
    short.join(";")
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("\x1b[38;5;3mx", Depth::Sixteen, "\x1b[33mx")]
    #[case("\x1b[38;5;11m\x1b[48;5;9m", Depth::Sixteen, "\x1b[93m\x1b[101m")]
    #[case("\x1b[38;5;11m\x1b[48;5;9m", Depth::Eight, "\x1b[33m\x1b[41m")]
    #[case("\x1b[1;38;5;2;7ma", Depth::Sixteen, "\x1b[1;32;7ma")]
    #[case("\x1b[38;5;200m", Depth::Sixteen, "\x1b[38;5;200m")]
    #[case("a\x1b[3;5H8;5b\x1b[", Depth::Eight, "a\x1b[3;5H8;5b\x1b[")]
    #[case("\x1b[?25l 8;5 \u{e9}", Depth::Eight, "\x1b[?25l 8;5 \u{e9}")]
    fn colours_are_written_short(#[case] long: &str, #[case] depth: Depth, #[case] short: &str) {
        assert_eq!(String::from_utf8(shorten(long.as_bytes(), depth).into_owned()).unwrap(), short);
    }

    /// A terminal that takes nothing until it is told to.
    #[derive(Clone, Default)]
    struct Stuck(Arc<Valve>);

    #[derive(Default)]
    struct Valve {
        state: Mutex<(bool, Vec<u8>)>,
        freed: Condvar,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Valve { state, freed } = &*self.0;
            let mut state = freed.wait_while(state.lock().unwrap(), |state| !state.0).unwrap();
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_terminal_that_takes_nothing_holds_nobody_up() {
        let stuck = Stuck::default();
        let mut outlet = Outlet::new(stuck.clone(), Depth::Sixteen, || true).unwrap();
        let mut flow = outlet.flow();
        for _ in 0..100 {
            outlet.write_all(b"frame").unwrap();
            outlet.flush().unwrap();
        }
        assert!(!flow.borrow().is_idle());
        assert_eq!(outlet.written().load(Ordering::Relaxed), 500);
        stuck.0.state.lock().unwrap().0 = true;
        stuck.0.freed.notify_all();
        flow.wait_for(|flow| flow.is_idle()).await.unwrap();
        let out = stuck.0.state.lock().unwrap().1.len();
        assert!((5..500).contains(&out), "{out} bytes: what nobody could read was left out");
    }

    #[tokio::test]
    async fn a_terminal_that_is_gone_is_told() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut outlet = Outlet::new(Gone, Depth::Eight, || true).unwrap();
        let mut flow = outlet.flow();
        outlet.write_all(b"frame").unwrap();
        outlet.flush().unwrap();
        flow.wait_for(|flow| flow.is_gone).await.unwrap();
    }
}
