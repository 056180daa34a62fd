//! Questions on a terminal: each shows what it takes for Enter, and is asked again until the answer is good.
//!
//! Knows the questions and their order. Whether an answer is good is judged by the same code as the finished files.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use super::init::{InitArgs, keys_of};
use crate::error::Failure;
use crate::init::password::Hash;
use crate::init::{Addressing, Choices, Disks};

/// Puts an answer into the choices, or says what is wrong with it.
type Set<'a> = &'a dyn Fn(&mut Choices, &str) -> Result<(), String>;

/// One sitting.
pub(super) struct Interview<R, W, S> {
    input: R,
    out: W,
    /// Asks for something that is not shown while it is typed.
    secret: S,
    choices: Choices,
}

impl<R: BufRead, W: Write, S: FnMut(&str) -> io::Result<String>> Interview<R, W, S> {
    /// Starts from choices that are good.
    pub(super) fn new(input: R, out: W, secret: S, choices: Choices) -> Self {
        Self { input, out, secret, choices }
    }

    /// Asks about everything that `given` leaves open; `keys` are the public keys that are offered.
    pub(super) fn all(mut self, given: &InitArgs, keys: &[(PathBuf, String)]) -> Result<Choices, Failure> {
        self.names(given)?;
        self.network(given)?;
        self.place(given)?;
        if given.disk.is_empty() {
            self.disks()?;
        }
        if given.root_password_file.is_none() {
            self.password()?;
        }
        if given.ssh_key.is_empty() {
            self.ssh_keys(keys)?;
        }
        Ok(self.choices)
    }

    fn names(&mut self, given: &InitArgs) -> Result<(), Failure> {
        if given.template_name.is_none() {
            let old = self.choices.template_name.clone();
            self.text("Host names begin with", &old, |choices| &mut choices.template_name)?;
        }
        if given.domain.is_none() {
            let old = self.choices.domain.clone();
            self.text("Domain of the nodes", &old, |choices| &mut choices.domain)?;
        }
        Ok(())
    }

    fn network(&mut self, given: &InitArgs) -> Result<(), Failure> {
        if !given.dhcp && given.mask.is_none() && given.gateway.is_none() && given.dns.is_none() {
            self.ask("Addresses of the nodes: fixed, or dhcp", "fixed", &|choices, answer| {
                choices.addressing = match answer {
                    "fixed" => Addressing::FromAnswer,
                    "dhcp" => Addressing::FromDhcp,
                    _ => return Err("answer `fixed` or `dhcp`".to_owned()),
                };
                Ok(())
            })?;
        }
        if given.dhcp || self.choices.addressing == Addressing::FromDhcp {
            return Ok(());
        }
        if given.gateway.is_none() {
            let old = shown(self.choices.gateway);
            self.ask("Their gateway", &old, &|choices, answer| {
                choices.gateway = optional(answer, "an address such as `192.0.2.1`")?;
                if given.mask.is_none() {
                    choices.fit_mask();
                }
                Ok(())
            })?;
        }
        if given.mask.is_none() {
            let old = self.choices.mask.clone();
            self.text("Size of their network", &old, |choices| &mut choices.mask)?;
        }
        if given.dns.is_none() {
            let old = shown(self.choices.dns);
            self.ask("Their resolver (DNS)", &old, &|choices, answer| {
                choices.dns = optional(answer, "an address such as `192.0.2.53`")?;
                Ok(())
            })?;
        }
        if given.nic_vendor.is_none() {
            self.ask(
                "Vendor of the NIC to set up where it is not known, such as `Intel*`",
                NONE,
                &|choices, answer| {
                    choices.nic_vendor = optional(answer, "a pattern")?;
                    Ok(())
                },
            )?;
        }
        Ok(())
    }

    fn place(&mut self, given: &InitArgs) -> Result<(), Failure> {
        if given.country.is_none() {
            let old = self.choices.country.clone();
            self.text("Country", &old, |choices| &mut choices.country)?;
        }
        if given.keyboard.is_none() {
            let old = self.choices.keyboard.clone();
            self.text("Keyboard", &old, |choices| &mut choices.keyboard)?;
        }
        if given.timezone.is_none() {
            let old = self.choices.timezone.clone();
            self.text("Time zone", &old, |choices| &mut choices.timezone)?;
        }
        if given.mailto.is_none() {
            let old = self.choices.mailto.clone();
            self.text("Mail address for the nodes' warnings", &old, |choices| &mut choices.mailto)?;
        }
        Ok(())
    }

    fn disks(&mut self) -> Result<(), Failure> {
        let old = match &self.choices.disks {
            Disks::Single(name) => name.clone(),
            Disks::Mirror(names) => names.join(" "),
        };
        self.ask("Disk to WIPE and install on (several make a ZFS mirror)", &old, &|choices, answer| {
            choices.disks = Disks::of(&words(answer)).ok_or("name at least one disk, such as `sda`")?;
            Ok(())
        })
    }

    fn password(&mut self) -> Result<(), Failure> {
        loop {
            let first = (self.secret)("Root password, not shown (Enter: none, SSH keys only): ")?;
            if first.is_empty() {
                return Ok(());
            }
            if (self.secret)("The same again: ")? != first {
                writeln!(self.out, "  the two differ; once more")?;
                continue;
            }
            match Hash::of(&first) {
                Ok(hash) => {
                    self.choices.password = Some(hash);
                    return Ok(());
                }
                Err(error) => writeln!(self.out, "  {error}")?,
            }
        }
    }

    fn ssh_keys(&mut self, offered: &[(PathBuf, String)]) -> Result<(), Failure> {
        for (number, (path, key)) in (1..).zip(offered) {
            let comment = key.splitn(3, ' ').nth(2).unwrap_or_default();
            let comment: String = comment.chars().filter(|c| !c.is_control()).take(40).collect();
            writeln!(self.out, "  {number}  {} {comment}", path.display())?;
        }
        let default = if offered.is_empty() { NONE.to_owned() } else { "1".to_owned() };
        let question = "SSH keys that may log in as root: numbers, files, or none for the console's own only";
        self.ask(question, &default, &|choices, answer| {
            choices.ssh_keys.clear();
            for word in words(answer).iter().filter(|word| *word != NONE) {
                let by_number = word.parse::<usize>().ok();
                match by_number.map(|number| number.checked_sub(1).and_then(|index| offered.get(index))) {
                    Some(Some((_, key))) => choices.ssh_keys.push(key.clone()),
                    Some(None) => return Err(format!("there is no key {word}")),
                    None => choices.ssh_keys.extend(keys_of(Path::new(word)).map_err(|error| error.to_string())?),
                }
            }
            Ok(())
        })
    }

    /// A question whose answer is taken as it is.
    fn text(&mut self, question: &str, old: &str, place: fn(&mut Choices) -> &mut String) -> Result<(), Failure> {
        self.ask(question, old, &|choices, answer| {
            answer.clone_into(place(choices));
            Ok(())
        })
    }

    /// Asks until the answer makes good files.
    fn ask(&mut self, question: &str, default: &str, set: Set<'_>) -> Result<(), Failure> {
        loop {
            write!(self.out, "{question} [{default}]: ")?;
            self.out.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Err(anyhow::anyhow!("the answers ended before the questions; nothing was written").into());
            }
            let answer = Some(line.trim()).filter(|line| !line.is_empty()).unwrap_or(default);
            let mut changed = self.choices.clone();
            let judged = set(&mut changed, answer);
            let wrong = match judged {
                Ok(()) => changed.scaffold()?.problems().map(|wrong| wrong.to_string()),
                Err(wrong) => Some(wrong),
            };
            let Some(wrong) = wrong else {
                self.choices = changed;
                return Ok(());
            };
            writeln!(self.out, "  {wrong}")?;
        }
    }
}

/// What stands for nothing.
const NONE: &str = "none";

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

fn optional<T: std::str::FromStr>(answer: &str, what: &str) -> Result<Option<T>, String> {
    if answer == NONE {
        return Ok(None);
    }
    answer.parse().map(Some).map_err(|_| format!("`{answer}` is not {what}; `{NONE}` leaves it out"))
}

/// Words between commas and spaces.
fn words(answer: &str) -> Vec<String> {
    answer.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: InitArgs,
    }

    fn interview(flags: &[&str], answers: &str, secrets: &[&str]) -> (Result<Choices, Failure>, String) {
        let line = Line::parse_from(["init"].iter().chain(flags));
        let mut secrets = secrets.iter();
        let secret =
            |_: &str| secrets.next().map(|secret| (*secret).to_owned()).ok_or(io::ErrorKind::UnexpectedEof.into());
        let mut out = Vec::new();
        let keys = [(PathBuf::from("/home/anna/.ssh/id.pub"), "ssh-ed25519 AAAA anna@desk".to_owned())];
        let done = Interview::new(answers.as_bytes(), &mut out, secret, Choices::default()).all(&line.args, &keys);
        (done, String::from_utf8(out).unwrap())
    }

    #[test]
    fn enter_takes_what_is_shown() {
        let (choices, text) = interview(&[], &"\n".repeat(13), &[""]);
        let expected = Choices { ssh_keys: vec!["ssh-ed25519 AAAA anna@desk".to_owned()], ..Choices::default() };
        assert_eq!(choices.unwrap(), expected);
        assert!(text.contains("Domain of the nodes [example.com]: ") && text.contains("anna@desk\n"), "{text}");
    }

    #[test]
    fn a_bad_answer_is_asked_again_with_the_reason() {
        let flags = ["--template-name=x-", "--dhcp", "--keyboard=de", "--timezone=UTC", "--mailto=a@b.example"];
        let answers = "under_score\nlab.example\nAustria\nat\n,\nsda, sdb\n9\nnone\n";
        let secrets = ["short", "short", "long enough", "long enougj", "long enough", "long enough"];
        let (choices, text) = interview(&flags, answers, &secrets);
        let choices = choices.unwrap();
        assert_eq!((choices.domain.as_str(), choices.country.as_str()), ("lab.example", "at"));
        assert_eq!(choices.disks, Disks::Mirror(vec!["sda".to_owned(), "sdb".to_owned()]));
        assert!(choices.password.is_some() && choices.ssh_keys.is_empty());
        for words in ["under_score", "`Austria`", "at least one disk", "there is no key 9", "shorter than 8", "differ"]
        {
            assert!(text.contains(words), "no {words} in {text}");
        }
        assert!(!text.contains("long enough"), "a password is never shown");
    }

    #[test]
    fn the_end_of_the_input_ends_it() {
        let (ended, _) = interview(&[], "\n\n", &[]);
        assert!(ended.unwrap_err().to_string().contains("nothing was written"));
    }
}
