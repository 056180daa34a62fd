//! `check`: judges the files of a folder, or answer files, without starting anything (docs/checking.md).

mod report;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::answer::{
    self, BaseAnswer, Checked, Hardware, Installer, InstallerError, Overlay, Profile, Profiles, Question,
};
use crate::config::{self, CliLayer, Config, EnvLayer, Source};
use crate::domain::layout::NODES;
use crate::error::{Exit, Failure, OrExit as _};
use crate::{plan, runtime};
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

/// The folder `up` levels above a file; where its path is too short for that, the present one.
fn folder_of(path: &Path, up: usize) -> &Path {
    path.ancestors().nth(up).filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the files of a folder are judged against, as far as it can be used: what is wrong with it is told of itself.
struct Ground {
    config: Option<Config>,
    /// What every answer starts from.
    base: Option<BaseAnswer>,
    profiles: Profiles,
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
        let mut ground = self.ground(dir);
        let base = self.base(config::load_base_answer(dir), ground.config.as_ref());
        let mut layers = self.profiles(dir, &mut ground);
        layers.extend(self.overrides(dir, &ground));
        for layer in &mut layers {
            // What is said of `default.toml` need not be said of everything above it.
            layer.also_refused_by.retain(|installer| !base.also_refused_by.contains(installer));
        }
        let mut reports = vec![self.config(dir), base];
        reports.extend(layers);
        if dir.join(plan::PLAN_FILE).exists() {
            reports.push(Self::plan(dir, &ground));
        }
        reports
    }

    /// What the files of `dir` are judged against, without its profiles.
    fn ground(&self, dir: &Path) -> Ground {
        let config = config::load(dir, self.cli, self.env).ok().map(|loaded| loaded.config);
        let base = runtime::base_of(dir, config.as_ref()).ok();
        Ground { config, base, profiles: Profiles::default() }
    }

    /// Every profile over what answers start from, and what is wrong with the folder as a whole. Those that can be used
    /// become part of the ground.
    fn profiles(&self, dir: &Path, ground: &mut Ground) -> Vec<FileReport> {
        let folder = dir.join(config::PROFILES_FOLDER);
        if !folder.exists() {
            return Vec::new();
        }
        let whole = |problems: &config::Problems| {
            FileReport::new("profiles", folder.display().to_string(), findings(problems.list()))
        };
        let files = match config::load_profiles(dir) {
            Ok(files) => files,
            Err(errors) => return vec![whole(&errors.0)],
        };
        let mut profiles = Vec::new();
        let mut reports = Vec::new();
        for file in &files {
            let (profile, report) = self.profile(&file.name, &file.source, ground.base.as_ref());
            profiles.extend(profile);
            reports.push(report);
        }
        ground.profiles = Profiles::new(profiles);
        let ties = runtime::ties(dir, &ground.profiles);
        reports.extend((!ties.is_empty()).then(|| whole(&ties)));
        reports
    }

    /// A profile over what answers start from.
    fn profile(&self, name: &str, source: &Source, base: Option<&BaseAnswer>) -> (Option<Profile>, FileReport) {
        let problems = match (Profile::parse(name, &source.name, &source.text), base) {
            (Ok(profile), Some(base)) => {
                let judge = |question: &Question<'_>| {
                    // It states which installer its machines have.
                    let installer = profile.installer_of(question.installer.generation());
                    let question = Question { installer: installer.unwrap_or(question.installer), ..*question };
                    answer::check_layer(profile.overlay(), base.overlay(), &question)
                };
                let report = self.judged("profile", source, &judge);
                return (Some(profile), report);
            }
            // What is wrong with `default.toml` is told there.
            (Ok(profile), None) => return (Some(profile), FileReport::new("profile", source.name.clone(), Vec::new())),
            (Err(problems), _) => problems.0,
        };
        (None, FileReport::new("profile", source.name.clone(), report::placed(source, problems)))
    }

    /// The override of every node that has one.
    fn overrides(&self, dir: &Path, ground: &Ground) -> Vec<FileReport> {
        match config::load_overrides(dir) {
            Ok(files) => files.iter().map(|file| self.own(&file.source, ground)).collect(),
            Err(errors) => {
                let files = dir.join(NODES).join("*").join(config::OVERRIDE_FILE);
                vec![FileReport::new("overrides", files.display().to_string(), findings(errors.0.list()))]
            }
        }
    }

    /// An override over what answers start from. Which profile its node has is not known here: where it does not go with
    /// that alone, it may go with a profile.
    fn own(&self, source: &Source, ground: &Ground) -> FileReport {
        let own = match answer::parse_override(&source.name, &source.text) {
            Ok(own) => own,
            Err(problems) => {
                return FileReport::new("override", source.name.clone(), report::placed(source, problems.0));
            }
        };
        let Some(base) = &ground.base else {
            return FileReport::new("override", source.name.clone(), Vec::new());
        };
        let over =
            |lower: &Overlay| self.judged("override", source, &|question| answer::check_layer(&own, lower, question));
        let alone = over(base.overlay());
        if alone.is_ok() {
            return alone;
        }
        let below = |profile: &Profile| answer::compose([base.overlay().clone(), profile.overlay().clone()]);
        let mut reports = ground.profiles.iter().map(|profile| over(&below(profile)));
        reports.find(FileReport::is_ok).unwrap_or(alone)
    }

    /// The plan, as far as the files it follows from can be used.
    fn plan(dir: &Path, ground: &Ground) -> FileReport {
        let context = runtime::context_of(dir, ground.config.as_ref(), ground.base.as_ref());
        let problems = match plan::load(dir, &context) {
            Ok(plan) => plan.warnings,
            Err(errors) => errors.0,
        };
        FileReport::new("plan", dir.join(plan::PLAN_FILE).display().to_string(), findings(problems.list()))
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
            Some(config::BASE_ANSWER_FILE) => {
                self.base(config::load_text(path), self.ground(folder_of(path, 1)).config.as_ref())
            }
            Some(plan::PLAN_FILE) => match config::load_long_text(path, plan::MAX_BYTES) {
                Ok(Some(_)) => Self::plan(folder_of(path, 1), &self.ground(folder_of(path, 1))),
                Ok(None) => FileReport::missing("plan", path),
                Err(errors) => FileReport::unreadable("plan", path, &errors),
            },
            Some(config::OVERRIDE_FILE) => match config::load_layer(path) {
                // nodes/NAME/override.toml
                Ok(source) => {
                    let mut ground = self.ground(folder_of(path, 3));
                    ground.profiles = runtime::profiles(folder_of(path, 3), ground.base.as_ref()).unwrap_or_default();
                    self.own(&source, &ground)
                }
                Err(errors) => FileReport::unreadable("override", path, &errors),
            },
            _ if is_profile(path) => match config::load_layer(path) {
                Ok(source) => {
                    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                    self.profile(name, &source, self.ground(folder_of(path, 2)).base.as_ref()).1
                }
                Err(errors) => FileReport::unreadable("profile", path, &errors),
            },
            _ => match config::load_text(path) {
                Ok(source) => self.judged("answer", &source, &|question| answer::check_answer(&source.text, question)),
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

    fn base(&self, source: Result<Source, config::ConfigErrors>, config: Option<&Config>) -> FileReport {
        let dhcp_by = config.and_then(runtime::dhcp_by);
        match source {
            Ok(source) => self.judged("base", &source, &|question| answer::check_base(&source.text, dhcp_by, question)),
            Err(errors) => FileReport::unreadable("base", Path::new(config::BASE_ANSWER_FILE), &errors),
        }
    }

    /// Has every installer judge `source` and lays their findings together.
    fn judged(&self, kind: &'static str, source: &Source, judge: &dyn Fn(&Question<'_>) -> Checked) -> FileReport {
        let judges = self.args.judges();
        let mut merged = report::Merged::default();
        let mut report = FileReport::new(kind, source.name.clone(), Vec::new());
        for &installer in judges.iter().rev() {
            let checked = judge(&self.question(installer));
            report.verdicts.insert(0, Verdict { installer, accepted: checked.is_accepted() });
            for problem in checked.problems {
                merged.add(problem, installer);
            }
            // The newest installer's word: others take the same, or nothing.
            report.touch = report.touch.or(checked.touch);
        }
        report.findings = merged.findings(source);
        if self.args.release.is_none() {
            let others = Installer::RELEASES.into_iter().filter(|installer| !judges.contains(installer));
            let refuses = |installer: &Installer| !judge(&self.question(*installer)).is_accepted();
            report.also_refused_by = others.filter(refuses).collect();
        }
        report
    }

    fn question(&self, installer: Installer) -> Question<'_> {
        Question { installer, hardware: self.hardware, first_boot_on_medium: self.args.first_boot_on_iso }
    }
}
