//! The whole judgement on an answer file: what is wrong, what is harmful, what it would touch.

use super::base;
use super::danger;
use super::dialect;
use super::evaluate::{Stop, Touch, evaluate};
use super::hardware::Hardware;
use super::installer::Installer;
use super::problem::{self, Problem, Severity};
use super::read::{Reading, read};
use super::schema::{Setting, TooNew};
use super::spec10;
use super::template;
use super::validate::{self, Target};

/// What a file is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The installer that gets the answer.
    pub installer: Installer,
    /// The machine that gets it, where it is known.
    pub hardware: Option<&'a Hardware>,
    /// Whether the installer's medium was prepared with a first-boot executable, which `source = "from-iso"` needs.
    pub first_boot_on_medium: bool,
}

/// The judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong, in the order of the text.
    pub problems: Vec<Problem>,
    /// What it would touch, where the machine is known and nothing stops the installer.
    pub touch: Option<Touch>,
}

impl Checked {
    /// Whether the installer would begin to install. Dangers and warnings do not keep it from that.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity != Severity::Error)
    }
}

/// Judges `text` as a whole answer that an installer gets as it is.
#[must_use]
pub fn check_answer(text: &str, question: &Question<'_>) -> Checked {
    let target = Target::Whole(question.installer);
    judge(text, target, None, question, |reading, problems| {
        problems.extend(spec10::check(text));
        first_boot(reading, question, problems);
    })
}

/// Judges `text` as the base answer (`default.toml`) of machines with this installer: what the program fills in may be
/// missing, and keys the installer does not know are left out, or keep such machines from being served. `dhcp_by` says in
/// words who wants that machines keep the address they got by DHCP, where that is not the file itself: see
/// [`BaseAnswer::with_dhcp`](base::BaseAnswer::with_dhcp).
#[must_use]
pub fn check_base(text: &str, dhcp_by: Option<&str>, question: &Question<'_>) -> Checked {
    judge(text, Target::Base, dhcp_by, question, |reading, problems| {
        problems.extend(base::reserved(reading));
        problems.extend(base::cautions(reading));
        too_new(reading, question.installer, problems);
    })
}

/// Judges layers as the base of machines with this installer.
pub(super) fn check_reading(reading: &Reading, question: &Question<'_>) -> Checked {
    finish(reading, Vec::new(), Target::Base, question, |reading, problems| {
        too_new(reading, question.installer, problems);
    })
}

/// A template is one only where the program fills it in: an installer takes the text as it is.
fn judge(
    text: &str,
    target: Target,
    dhcp_by: Option<&str>,
    question: &Question<'_>,
    more: impl FnOnce(&Reading, &mut Vec<Problem>),
) -> Checked {
    let mut reading = match read(text) {
        Ok(reading) => reading,
        Err(syntax) => return Checked { problems: vec![syntax], touch: None },
    };
    if target == Target::Base {
        template::check(&mut reading, text);
    }
    let mut problems = std::mem::take(&mut reading.problems);
    if let Some(by) = dhcp_by {
        // The file must be good as it stands; what it does to a machine is the matter of what is left of it.
        let written = validate::check(&reading, target);
        let gone = reading.leave_to_dhcp(by);
        let is_gone = |problem: &Problem| gone.iter().any(|setting| setting.spec().path == problem.path);
        problems.extend(written.into_iter().filter(is_gone));
    }
    // `validate` asks which sections were reported already.
    reading.problems.clone_from(&problems);
    finish(&reading, problems, target, question, more)
}

fn finish(
    reading: &Reading,
    mut problems: Vec<Problem>,
    target: Target,
    question: &Question<'_>,
    more: impl FnOnce(&Reading, &mut Vec<Problem>),
) -> Checked {
    problems.extend(validate::check(reading, target));
    problems.extend(danger::check(reading, target, question.hardware));
    more(reading, &mut problems);
    let mut checked = Checked { problems, touch: None };
    if checked.is_accepted()
        && let Some(hardware) = question.hardware
    {
        match evaluate(&reading.settings, hardware) {
            Ok(touch) => checked.touch = Some(touch),
            Err(stop) => checked.problems.push(stopped(reading, stop)),
        }
    }
    // A list that is too short was judged as such, whatever the machine.
    let listed = reading.settings.texts(Setting::DiskList).map(<[String]>::len);
    let news = checked.touch.as_ref().filter(|touch| listed != Some(touch.disks.len()));
    if let Some(why) = news.and_then(|touch| touch.refused.as_ref()) {
        let path = Setting::Filesystem.spec().path;
        let span = reading.given.get(&Setting::Filesystem).map(|given| given.value.clone());
        let problem =
            Problem::new(path, span, format!("on this machine the installation stops before it writes: {why}"));
        checked.problems.push(problem.weigh(Severity::Warning).hint("choose another level, or match more disks"));
    }
    problem::sort(&mut checked.problems);
    checked
}

fn stopped(reading: &Reading, Stop { setting, why }: Stop) -> Problem {
    let span = reading.given.get(&setting).map(|given| given.value.clone());
    Problem::new(setting.spec().path, span, why).hint("compare it with the udev properties of the machine")
}

/// The installer wants the executable before anything else (PROTOCOL.md §d.3).
fn first_boot(reading: &Reading, question: &Question<'_>, problems: &mut Vec<Problem>) {
    if reading.settings.text(Setting::FirstBootSource) == Some("from-iso") && !question.first_boot_on_medium {
        let span = reading.given.get(&Setting::FirstBootSource).map(|given| given.value.clone());
        let message = "a medium without a first-boot executable strands the machine in a debug shell";
        let problem = Problem::new(Setting::FirstBootSource.spec().path, span, message);
        problems.push(problem.hint("prepare the image with `--on-first-boot`, and say so with `--first-boot-on-iso`"));
    }
}

/// What becomes of settings newer than the machines that are served as `installer`'s generation.
fn too_new(reading: &Reading, installer: Installer, problems: &mut Vec<Problem>) {
    let generation = installer.generation();
    for (setting, given) in &reading.given {
        let spec = setting.spec();
        if dialect::knows(Installer::oldest(generation), *setting) || *setting == Setting::WebhookToken {
            continue;
        }
        let label = generation.label();
        let (severity, message) = match spec.too_new {
            TooNew::LeaveOut => (Severity::Warning, format!("`{}` is left out for installers {label}", spec.path)),
            TooNew::Refuse => (
                Severity::Error,
                format!("no machine with an installer {label} can be served: `{}` is too new", spec.path),
            ),
        };
        let problem = Problem::new(spec.path, Some(given.key.clone()), message).weigh(severity);
        problems.push(problem.hint(format!("it came with installer {}", spec.since)));
    }
}
