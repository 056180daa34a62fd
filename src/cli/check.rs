//! `check`: judges the files of a folder, or answer files, without starting anything (docs/checking.md).

mod report;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::answer::{self, Checked, Hardware, Installer, InstallerError, Question};
use crate::config::{self, CliLayer, EnvLayer, Source};
use crate::error::{Exit, Failure, OrExit as _};
use crate::runtime;
use report::{FileReport, Finding, Verdict};

/// What `check` is asked.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Answer files, judged as an installer gets them; without any: all files of the folder
    files: Vec<PathBuf>,
    /// Installer release or version that judges: `8.4`, `8.3.2`, or `all`; the newest if not given
    #[arg(long, value_name = "RELEASE")]
    release: Option<Judges>,
    /// A machine to try the answers on: a node's report.json, or disks and NICs with their udev properties
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
    /// The boot image was prepared with a first-boot executable
    #[arg(long)]
    first_boot_on_iso: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The installers that judge.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judges {
    All,
    One(Installer),
}

impl std::str::FromStr for Judges {
    type Err = InstallerError;

    fn from_str(text: &str) -> Result<Self, InstallerError> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

impl CheckArgs {
    /// The installers whose verdict decides.
    fn judges(&self) -> Vec<Installer> {
        match &self.release {
            Some(Judges::All) => Installer::RELEASES.to_vec(),
            Some(Judges::One(installer)) => vec![*installer],
            None => vec![Installer::NEWEST],
        }
    }
}

/// Judges, writes what is found, and says by the exit code whether all is well.
pub(super) fn execute(args: &CheckArgs, dir: &Path, cli: &CliLayer, out: &mut impl Write) -> Result<Exit, Failure> {
    let hardware = args.machine.as_deref().map(machine).transpose().or_exit(Exit::Config)?;
    let env = EnvLayer::from_vars(std::env::vars_os());
    let desk = Desk { args, hardware: hardware.as_ref(), cli, env: &env };
    let reports = match args.files.as_slice() {
        [] => desk.folder(dir),
        files => files.iter().map(|file| desk.file(file)).collect(),
    };
    if args.json {
        report::write_json(&reports, out)?;
    } else {
        report::write_text(&reports, out)?;
    }
    let is_ok = reports.iter().all(FileReport::is_ok);
    Ok(if is_ok { Exit::Success } else { Exit::Config })
}

/// Reads the description of a machine.
fn machine(path: &Path) -> Result<Hardware, anyhow::Error> {
    let source = config::load_text(path)?;
    Hardware::parse(source.text.as_bytes())
        .map_err(|error| anyhow::anyhow!("`{}` describes no machine: {error}", path.display()))
}

fn findings(problems: &[config::Problem]) -> Vec<Finding> {
    problems.iter().cloned().map(Finding::from).collect()
}

/// Whether a path says that it is a profile's.
fn is_profile(path: &Path) -> bool {
    let folder =
        std::path::absolute(path).ok().and_then(|path| path.parent()?.file_name().map(std::ffi::OsStr::to_owned));
    folder.is_some_and(|name| name == config::PROFILES_FOLDER)
}

/// Where files are judged.
struct Desk<'a> {
    args: &'a CheckArgs,
    hardware: Option<&'a Hardware>,
    cli: &'a CliLayer,
    env: &'a EnvLayer,
}

impl Desk<'_> {
    /// Judges everything an engine of this folder would read.
    fn folder(&self, dir: &Path) -> Vec<FileReport> {
        let mut reports = vec![self.config(dir), self.base(config::load_base_answer(dir))];
        let folder = dir.join(config::PROFILES_FOLDER);
        if folder.exists() {
            let base = runtime::base_answer(dir).ok();
            let problems = runtime::profiles(dir, base.as_ref()).err().map(|errors| errors.0).unwrap_or_default();
            reports.push(FileReport::new("profiles", folder.display().to_string(), findings(problems.list())));
        }
        let overrides = runtime::override_problems(dir);
        if !overrides.is_empty() {
            let files = dir.join("nodes/*").join(config::OVERRIDE_FILE);
            reports.push(FileReport::new("overrides", files.display().to_string(), findings(&overrides)));
        }
        reports
    }

    /// A file of `profiles/`, over the `default.toml` beside that folder.
    fn profile(path: &Path, source: &Source) -> FileReport {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let dir = path.parent().and_then(Path::parent);
        let dir = dir.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let problems = match answer::Profile::parse(name, &source.name, &source.text) {
            Ok(profile) => runtime::base_answer(dir).map(|base| profile.check_over(&base)).unwrap_or_default(),
            Err(problems) => problems.0,
        };
        let findings = problems.iter().map(|problem| Finding::new(source, problem)).collect();
        FileReport::new("profile", source.name.clone(), findings)
    }

    /// Judges a file as what its name says it is.
    fn file(&self, path: &Path) -> FileReport {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(config::CONFIG_FILE) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                match config::load_text(path) {
                    Ok(_) => self.config(parent.unwrap_or(Path::new("."))),
                    Err(errors) => FileReport::unreadable("config", path, &errors),
                }
            }
            Some(config::BASE_ANSWER_FILE) => self.base(config::load_text(path)),
            Some(config::OVERRIDE_FILE) => match config::load_text(path) {
                Ok(source) => {
                    let problems = answer::parse_override(&source.name, &source.text).err().map(|errors| errors.0);
                    let findings = problems.iter().flatten().map(|problem| Finding::new(&source, problem)).collect();
                    FileReport::new("override", source.name.clone(), findings)
                }
                Err(errors) => FileReport::unreadable("override", path, &errors),
            },
            _ if is_profile(path) => match config::load_text(path) {
                Ok(source) => Self::profile(path, &source),
                Err(errors) => FileReport::unreadable("profile", path, &errors),
            },
            _ => match config::load_text(path) {
                Ok(source) => self.judged("answer", &source, &answer::check_answer),
                Err(errors) => FileReport::unreadable("answer", path, &errors),
            },
        }
    }

    fn config(&self, dir: &Path) -> FileReport {
        let path = dir.join(config::CONFIG_FILE);
        let problems = match config::load(dir, self.cli, self.env) {
            Ok(loaded) => loaded.warnings,
            Err(errors) => errors.0,
        };
        FileReport::new("config", path.display().to_string(), findings(problems.list()))
    }

    fn base(&self, source: Result<Source, config::ConfigErrors>) -> FileReport {
        match source {
            Ok(source) => self.judged("base", &source, &answer::check_base),
            Err(errors) => FileReport::unreadable("base", Path::new(config::BASE_ANSWER_FILE), &errors),
        }
    }

    /// Has every installer judge `source` and lays their findings together.
    fn judged(
        &self,
        kind: &'static str,
        source: &Source,
        judge: &dyn Fn(&str, &Question<'_>) -> Checked,
    ) -> FileReport {
        let judges = self.args.judges();
        let mut merged: Vec<Finding> = Vec::new();
        let mut report = FileReport::new(kind, source.name.clone(), Vec::new());
        for &installer in judges.iter().rev() {
            let checked = judge(&source.text, &self.question(installer));
            report.verdicts.insert(0, Verdict { installer, accepted: checked.is_accepted() });
            for problem in &checked.problems {
                let finding = Finding::new(source, problem);
                match merged.iter_mut().find(|other| other.problem == finding.problem) {
                    Some(other) => other.installers.insert(0, installer),
                    None => merged.push(Finding { installers: vec![installer], ..finding }),
                }
            }
            // The newest installer's word: others take the same, or nothing.
            report.touch = report.touch.or(checked.touch);
        }
        report.findings = merged;
        report
            .findings
            .sort_by_key(|finding| finding.problem.place.as_ref().map_or(usize::MAX, |place| place.span.start));
        if self.args.release.is_none() {
            let others = Installer::RELEASES.into_iter().filter(|installer| !judges.contains(installer));
            let refuses = |installer: &Installer| !judge(&source.text, &self.question(*installer)).is_accepted();
            report.also_refused_by = others.filter(refuses).collect();
        }
        report
    }

    fn question(&self, installer: Installer) -> Question<'_> {
        Question { installer, hardware: self.hardware, first_boot_on_medium: self.args.first_boot_on_iso }
    }
}
