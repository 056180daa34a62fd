//! The tiny shell of a simulated node: it knows a few commands by heart and never runs anything on the host.
//!
//! Pure; the SSH server (`ssh`) carries its words.

use std::time::Duration;

/// Nested `sh -c` beyond this is refused.
const MAX_DEPTH: u8 = 5;
/// Longest command line looked at, in bytes.
const MAX_COMMAND: usize = 16 * 1024;
/// Longest pause `sleep` makes.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// What the node knows about itself.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) fqdn: String,
    pub(super) machine_id: String,
    pub(super) debian: &'static str,
    pub(super) package: &'static str,
    pub(super) kernel: &'static str,
}

/// What a command line printed and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) output: String,
    pub(super) errors: String,
    pub(super) status: u32,
    /// Time it would have taken.
    pub(super) delay: Duration,
}

/// One piece of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    /// `;` or a line end.
    Then,
    And,
    Or,
}

impl Node {
    /// Answers a command line.
    pub(super) fn run(&self, line: &str) -> Ended {
        let mut ended = Ended::default();
        if line.len() > MAX_COMMAND {
            return Ended { errors: "sh: argument list too long\n".to_owned(), status: 126, ..ended };
        }
        self.run_line(line, 0, &mut ended);
        ended
    }

    fn run_line(&self, line: &str, depth: u8, ended: &mut Ended) {
        let Some(pieces) = split(line).filter(|_| depth < MAX_DEPTH) else {
            "sh: syntax error\n".clone_into(&mut ended.errors);
            ended.status = 2;
            return;
        };
        let mut wanted = true;
        let mut words = Vec::new();
        for piece in pieces.into_iter().chain([Piece::Then]) {
            if let Piece::Word(word) = piece {
                words.push(word);
                continue;
            }
            if wanted && !words.is_empty() {
                self.command(&words, depth, ended);
            }
            words.clear();
            wanted = match piece {
                Piece::And => ended.status == 0,
                Piece::Or => ended.status != 0,
                Piece::Then | Piece::Word(_) => true,
            };
        }
    }

    fn command(&self, words: &[String], depth: u8, ended: &mut Ended) {
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .skip_while(|word| is_assignment(word))
            .filter(|word| !is_redirection(word))
            .collect();
        let Some((name, arguments)) = words.split_first() else { return };
        let name = name.rsplit('/').next().unwrap_or_default();
        match (name, arguments) {
            ("sh" | "bash" | "dash", [.., "-c", script]) => return self.run_line(script, depth + 1, ended),
            ("sudo", rest) => {
                let rest = rest.iter().skip_while(|word| word.starts_with('-') || **word == "root");
                let rest: Vec<String> = rest.map(|word| (*word).to_owned()).collect();
                if depth < MAX_DEPTH {
                    self.command(&rest, depth + 1, ended);
                }
                return;
            }
            ("sleep", [seconds, ..]) => {
                let wanted = seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                ended.delay = ended.delay.saturating_add(wanted.unwrap_or_default()).min(MAX_SLEEP);
            }
            _ => {}
        }
        match self.builtin(name, arguments) {
            Ok(text) => {
                ended.output.push_str(&text);
                ended.status = 0;
            }
            Err((text, status)) => {
                ended.errors.push_str(&text);
                ended.status = status;
            }
        }
    }

    /// Output of a known command, or its words and status.
    fn builtin(&self, name: &str, arguments: &[&str]) -> Result<String, (String, u32)> {
        let host = self.fqdn.split('.').next().unwrap_or_default();
        Ok(match (name, arguments) {
            ("true" | ":" | "sleep" | "cd" | "export" | "set" | "umask", _) => String::new(),
            ("false", _) => return Err((String::new(), 1)),
            ("exit", [status]) => return Err((String::new(), status.parse().unwrap_or(2))),
            ("echo", ["-n", rest @ ..]) => rest.join(" "),
            ("echo", rest) => format!("{}\n", rest.join(" ")),
            ("hostname", ["-f" | "--fqdn"]) => format!("{}\n", self.fqdn),
            ("hostname", _) | ("uname", ["-n"]) | ("cat", ["/etc/hostname"]) => format!("{host}\n"),
            ("uname", ["-r"]) => format!("{}\n", self.kernel),
            ("uname", ["-m"]) => "x86_64\n".to_owned(),
            ("uname", ["-a"]) => format!("Linux {host} {} #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux\n", self.kernel),
            ("uname", _) => "Linux\n".to_owned(),
            ("whoami", _) => "root\n".to_owned(),
            ("id", ["-u"]) => "0\n".to_owned(),
            ("id", _) => "uid=0(root) gid=0(root) groups=0(root)\n".to_owned(),
            ("pwd", _) => "/root\n".to_owned(),
            ("uptime", _) => " 12:00:00 up 1 min,  1 user,  load average: 0.10, 0.05, 0.01\n".to_owned(),
            ("pveversion", _) => {
                format!("pve-manager/{}/0123456789abcdef (running kernel: {})\n", self.package, self.kernel)
            }
            ("systemctl", ["is-system-running", ..]) => "running\n".to_owned(),
            ("pvecm", _) => {
                let words = "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?\n";
                return Err((words.to_owned(), 2));
            }
            ("cat", [path]) => match *path {
                "/etc/machine-id" => format!("{}\n", self.machine_id),
                "/etc/debian_version" => format!("{}\n", self.debian),
                path => return Err((format!("cat: {path}: No such file or directory\n"), 1)),
            },
            _ => return Err((format!("sh: {name}: not found\n"), 127)),
        })
    }
}

/// `NAME=value` in front of a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

/// `>/dev/null`, `2>&1` and the like, which change nothing here.
fn is_redirection(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.starts_with('>') || rest.starts_with('<')
}

/// Splits a line into words and separators as a POSIX shell does for quotes and backslashes; `None` for an open quote.
fn split(line: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let separator = match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
                continue;
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        c => word.push(c),
                    }
                }
                continue;
            }
            '\\' => {
                word.get_or_insert_default().push(chars.next()?);
                continue;
            }
            ';' | '\n' => Some(Piece::Then),
            '&' if chars.next_if_eq(&'&').is_some() => Some(Piece::And),
            '|' if chars.next_if_eq(&'|').is_some() => Some(Piece::Or),
            c if c.is_whitespace() => None,
            c => {
                word.get_or_insert_default().push(c);
                continue;
            }
        };
        pieces.extend(word.take().map(Piece::Word));
        pieces.extend(separator);
    }
    pieces.extend(word.map(Piece::Word));
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn node() -> Node {
        Node {
            fqdn: "pve1.rack.example".to_owned(),
            machine_id: "0123".to_owned(),
            debian: "13.5",
            package: "9.2.2",
            kernel: "7.0.2-5-pve",
        }
    }

    #[rstest]
    #[case("hostname", "pve1\n", 0)]
    #[case("hostname -f", "pve1.rack.example\n", 0)]
    #[case("/bin/sh -c hostname", "pve1\n", 0)]
    #[case("/bin/sh -c 'hostname -f'", "pve1.rack.example\n", 0)]
    #[case("/bin/sh -c 'echo '\"'\"'a  b'\"'\"''", "a  b\n", 0)]
    #[case("sudo -H -S -n -u root /bin/sh -c 'echo BECOME-SUCCESS-x ; true'", "BECOME-SUCCESS-x\n", 0)]
    #[case("echo one && echo two", "one\ntwo\n", 0)]
    #[case("false && echo two", "", 1)]
    #[case("false || echo two", "two\n", 0)]
    #[case("LANG=C uname -r 2>/dev/null", "7.0.2-5-pve\n", 0)]
    #[case("cat /etc/machine-id", "0123\n", 0)]
    #[case("exit 3", "", 3)]
    #[case("", "", 0)]
    #[case("echo $(id)", "$(id)\n", 0)]
    fn known_commands_answer(#[case] line: &str, #[case] output: &str, #[case] status: u32) {
        let ended = node().run(line);
        assert_eq!((ended.output.as_str(), ended.status), (output, status));
    }

    #[rstest]
    #[case("rm -rf /", "sh: rm: not found\n", 127)]
    #[case("/usr/bin/python3 x", "sh: python3: not found\n", 127)]
    #[case("cat /etc/shadow", "cat: /etc/shadow: No such file or directory\n", 1)]
    #[case("echo 'open", "sh: syntax error\n", 2)]
    fn all_else_is_refused(#[case] line: &str, #[case] errors: &str, #[case] status: u32) {
        let ended = node().run(line);
        assert_eq!((ended.errors.as_str(), ended.status), (errors, status));
    }

    #[test]
    fn nesting_and_sleep_are_bounded() {
        let mut line = "true".to_owned();
        for _ in 0..8 {
            line = format!("sh -c '{}'", line.replace('\'', "'\"'\"'"));
        }
        assert_eq!(node().run(&line).status, 2);
        assert_eq!(node().run("sleep 1e9; sleep 5").delay, MAX_SLEEP);
        assert_eq!(node().run("sleep -1").delay, Duration::ZERO);
        assert_eq!(node().run(&"x".repeat(MAX_COMMAND + 1)).status, 126);
    }

    proptest::proptest! {
        #[test]
        fn no_command_line_makes_it_panic(line in ".{0,200}") {
            node().run(&line);
        }
    }
}
