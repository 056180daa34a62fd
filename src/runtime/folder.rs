//! The folder's files as they are found at one moment, all of them judged. Which of it comes in force is the business of
//! [`reload`](super::reload); nothing is written here.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::settings::{self, AnswerFiles};
use super::stamp::Stamps;
use crate::answer::{BaseAnswer, Profiles};
use crate::config::{self, BASE_ANSWER_FILE, CONFIG_FILE, CliLayer, Config, ConfigErrors, EnvLayer};
use crate::plan::{self, PLAN_FILE, Plan};

/// The folder and the layers above its files.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) dir: PathBuf,
    pub(super) cli: CliLayer,
    pub(super) env: EnvLayer,
}

/// The files as they are found at one moment, each good or with what is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) config: Result<Config, ConfigErrors>,
    /// `default.toml`, as it is written.
    pub(super) base: Result<BaseAnswer, ConfigErrors>,
    pub(super) profiles: Result<Profiles, ConfigErrors>,
    /// Nodes whose override cannot be used: they are not answered until it can.
    pub(super) overrides: Vec<config::Problem>,
    pub(super) plan: Result<Plan, ConfigErrors>,
    /// Whether there is a `config.toml` with something in it, a `default.toml` and a `plan.toml`.
    pub(super) present: [bool; 3],
}

impl Found {
    /// Whether there is a `config.toml`.
    pub(super) fn has_config(&self) -> bool {
        self.present[0]
    }
}

/// What the files looked like, by what follows from them.
#[derive(Clone, Debug)]
pub(super) struct Look {
    config: Stamps,
    base: Stamps,
    profiles: Stamps,
    overrides: Stamps,
    plan: Stamps,
}

impl Look {
    /// Whether what was read after this look is still what is there at the `later` one.
    fn holds(&self, later: &Self) -> bool {
        self.config.hold(&later.config)
            && self.base.hold(&later.base)
            && self.profiles.hold(&later.profiles)
            && self.overrides.hold(&later.overrides)
            && self.plan.hold(&later.plan)
    }
}

/// What was found, and what must be known to read only what has changed since.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) found: Found,
    /// Profiles in force whose files are gone, which are waited for.
    pub(super) gone: Vec<String>,
    look: Look,
    /// What the profiles were judged over.
    start: Option<BaseAnswer>,
    /// What the plan was checked against.
    context: plan::Context,
}

impl Reading {
    /// Whether everything is as it was, so that nothing need be read.
    pub(super) fn holds(&self, now: &Look) -> bool {
        self.gone.is_empty() && self.look.holds(now)
    }
}

/// What counts where a file cannot be used, or was lost.
#[derive(Clone, Debug)]
pub(super) struct InForce {
    pub(super) config: Config,
    pub(super) files: AnswerFiles,
    /// Which files were ever there: `config.toml`, `default.toml`, `plan.toml`.
    pub(super) seen: [bool; 3],
    /// Profiles that are believed to be gone on purpose.
    pub(super) believed: BTreeSet<String>,
}

impl Folder {
    /// Looks at all files, and opens none.
    pub(super) fn look(&self) -> Look {
        let one = |name: &str| Stamps::of([self.dir.join(name)]);
        // What cannot be listed is told when it is read.
        let profiles = config::profile_names(&self.dir).unwrap_or_default();
        let profiles = profiles.iter().map(|name| self.dir.join(config::profile_file(name)));
        let nodes = config::node_folders(&self.dir);
        let overrides = nodes.iter().map(|node| self.dir.join(config::override_file(node)));
        // The folder itself tells of files that came or went.
        let folder = self.dir.join(config::PROFILES_FOLDER);
        Look {
            config: one(CONFIG_FILE),
            base: one(BASE_ANSWER_FILE),
            profiles: Stamps::of(std::iter::once(folder).chain(profiles)),
            overrides: Stamps::of(overrides),
            plan: one(PLAN_FILE),
        }
    }

    /// Reads all files, all problems at once.
    pub(super) fn read(&self) -> Reading {
        self.read_since(self.look(), None)
    }

    /// Reads what has changed between `before` and the look that was just taken; a file that cannot be used, or was
    /// lost, keeps nothing else from being judged: what is in force counts instead.
    pub(super) fn read_since(&self, look: Look, before: Option<(&Reading, &InForce)>) -> Reading {
        let (last, in_force) = before.unzip();
        let is_there = |stamps: &Stamps, name| stamps.has_content(&self.dir.join(name));
        let present = [
            is_there(&look.config, CONFIG_FILE),
            is_there(&look.base, BASE_ANSWER_FILE),
            is_there(&look.plan, PLAN_FILE),
        ];
        let is_lost = |which: usize| in_force.is_some_and(|in_force| in_force.seen[which]) && !present[which];
        let still = |of: fn(&Look) -> &Stamps| last.filter(|last| of(&last.look).hold(of(&look)));

        let config = match still(|look| &look.config) {
            Some(last) => last.found.config.clone(),
            None if is_lost(0) => Err(lost(CONFIG_FILE)),
            None => config::load(&self.dir, &self.cli, &self.env).map(|loaded| loaded.config),
        };
        let base = match still(|look| &look.base) {
            Some(last) => last.found.base.clone(),
            None if is_lost(1) => Err(lost(BASE_ANSWER_FILE)),
            None => settings::base_answer(&self.dir),
        };
        let overrides = match still(|look| &look.overrides) {
            Some(last) => last.found.overrides.clone(),
            None => settings::override_problems(&self.dir),
        };
        let rules = config.as_ref().ok().or(in_force.map(|in_force| &in_force.config));
        let start_from = |base: &BaseAnswer| match rules {
            Some(config) => settings::effective_base(config, base.clone()),
            None => base.clone(),
        };
        let start = base.as_ref().ok().map(start_from);
        let profiles = match still(|look| &look.profiles).filter(|last| last.gone.is_empty() && last.start == start) {
            Some(last) => last.found.profiles.clone(),
            None => settings::profiles(&self.dir, start.as_ref()),
        };
        let gone = in_force.map(|in_force| gone(&profiles, in_force)).unwrap_or_default();
        let is_waited_for = |name: &&String| in_force.is_some_and(|in_force| !in_force.believed.contains(*name));
        let profiles = match gone.iter().find(is_waited_for) {
            // It may be on a disk that is not there now.
            _ if !gone.is_empty() && !look.profiles.has(&self.dir.join(config::PROFILES_FOLDER)) => {
                Err(lost(config::PROFILES_FOLDER))
            }
            Some(name) => Err(missing(name)),
            None => profiles,
        };
        let served = start.clone().or(in_force.map(|in_force| start_from(&in_force.files.written)));
        let context = settings::plan_context(&self.dir, rules, served.as_ref());
        let plan = match still(|look| &look.plan).filter(|last| last.context == context) {
            Some(last) => last.found.plan.clone(),
            None if is_lost(2) => Err(lost(PLAN_FILE)),
            None => plan::load(&self.dir, &context),
        };
        Reading { found: Found { config, base, profiles, overrides, plan, present }, gone, look, start, context }
    }
}

/// Profiles in force that are not there any more: their machines would be served from `default.toml`, whose disks may be
/// other ones.
fn gone(profiles: &Result<Profiles, ConfigErrors>, in_force: &InForce) -> Vec<String> {
    let Ok(profiles) = profiles else { return Vec::new() };
    let names = in_force.files.profiles.names().filter(|name| profiles.get(name).is_none());
    names.map(str::to_owned).collect()
}

/// What was there and is gone, or empty, is no wish for the defaults: it is being written, or was lost.
fn lost(name: &str) -> ConfigErrors {
    let what = if name == config::PROFILES_FOLDER { "folder is gone" } else { "file is gone or empty" };
    let problem = config::Problem::whole(name, format!("the {what}"));
    problem.hint("put it back, or restart the engine to go on without it").into()
}

/// The same for a profile.
fn missing(name: &str) -> ConfigErrors {
    let problem = config::Problem::whole(&config::profile_file(name), "the file is gone");
    problem.hint("if it is meant to go, it does so in a moment; else put it back").into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::reload::not_taken_over;
    use super::*;

    /// A folder with these files, and what is in force after its first reading.
    fn started(files: &[(&str, &str)]) -> (tempfile::TempDir, Folder, Reading, InForce) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("profiles")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let folder = Folder { dir: dir.path().to_owned(), cli: CliLayer::default(), env: EnvLayer::default() };
        let first = folder.read();
        let Found { config, base, profiles, present, .. } = first.found.clone();
        let config = config.unwrap();
        let files = AnswerFiles::new(&config, base.unwrap(), profiles.unwrap());
        (dir, folder, first, InForce { config, files, seen: present, believed: BTreeSet::new() })
    }

    fn told(errors: &ConfigErrors) -> String {
        not_taken_over(errors).unwrap().what
    }

    #[test]
    fn a_file_that_vanishes_is_no_wish_for_defaults() {
        let (dir, folder, first, mut in_force) = started(&[(CONFIG_FILE, "machine_net_dn = \"a.example\"\n")]);
        assert!(first.found.has_config() && first.found.plan.is_ok());
        let path = dir.path().join(CONFIG_FILE);
        for lose in [|path: &Path| std::fs::write(path, ""), |path: &Path| std::fs::remove_file(path)] {
            lose(&path).unwrap();
            let found = folder.read_since(folder.look(), Some((&first, &in_force))).found;
            assert_eq!(told(&found.config.unwrap_err()), "config.toml: the file is gone or empty");
            assert!(found.base.is_ok(), "there was none before either");
        }
        in_force.seen = [false; 3];
        let found = folder.read_since(folder.look(), Some((&first, &in_force))).found;
        assert!(found.config.is_ok(), "where there was none, none is missing");
    }

    #[test]
    fn a_profile_that_vanishes_or_is_emptied_is_no_wish_for_default_toml() {
        let [kept, lost] = ["profiles/kept.toml", "profiles/storage.toml"];
        let (dir, folder, first, mut in_force) =
            started(&[(kept, "[global]\ncountry = \"at\"\n"), (lost, "[global]\ntimezone = \"UTC\"\n")]);
        let path = dir.path().join(lost);
        let look = |in_force: &InForce| folder.read_since(folder.look(), Some((&first, in_force)));
        std::fs::write(&path, "\n").unwrap();
        let emptied = look(&in_force);
        assert_eq!(told(&emptied.found.profiles.unwrap_err()), "profiles/storage.toml: the file is empty");
        assert!(emptied.gone.is_empty(), "nobody empties a file to take it away");
        std::fs::remove_file(&path).unwrap();
        let removed = look(&in_force);
        assert_eq!(told(&removed.found.profiles.unwrap_err()), "profiles/storage.toml: the file is gone");
        assert_eq!(removed.gone, ["storage"]);

        in_force.believed.insert("storage".to_owned());
        assert_eq!(look(&in_force).found.profiles.unwrap().names().collect::<Vec<_>>(), ["kept"]);
        std::fs::remove_dir_all(dir.path().join("profiles")).unwrap();
        in_force.believed.insert("kept".to_owned());
        let unmounted = look(&in_force).found.profiles.unwrap_err();
        assert_eq!(told(&unmounted), "profiles: the folder is gone", "whatever was believed of its files");
        in_force.files.profiles = Profiles::default();
        assert!(look(&in_force).found.profiles.is_ok(), "none was in force");
    }

    #[rstest::rstest]
    #[case::broken(Some("machine_net_dn = 1\n"))]
    #[case::emptied(Some(""))]
    #[case::gone(None)]
    fn a_bad_config_toml_makes_no_problems_of_the_plan_and_the_profiles(#[case] config: Option<&str>) {
        // Judged by built-in defaults, the name would have no valid domain, and the profile no name server of its own.
        let plan = "[[node]]\nhostname = \"pve-1\"\nserial = \"ABC1234\"\naddress = \"192.0.2.7\"\n";
        let settings = "machine_net_dn = \"a.example\"\nmachine_net_mask = \"24\"\nmachine_net_gateway = \"192.0.2.254\"\n\
            machine_net_dns = \"192.0.2.253\"\n";
        let (dir, folder, first, in_force) = started(&[(CONFIG_FILE, settings), (PLAN_FILE, plan)]);
        let planned = first.found.plan.clone().unwrap();
        assert_eq!(planned.entries[0].hostname.as_str(), "pve-1.a.example");
        let path = dir.path().join(CONFIG_FILE);
        match config {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        std::fs::write(dir.path().join(PLAN_FILE), format!("{plan}role = \"a\"\n")).unwrap();
        let found = folder.read_since(folder.look(), Some((&first, &in_force))).found;
        assert!(found.config.is_err() && found.profiles.is_ok());
        assert_eq!(found.plan.unwrap().entries[0].hostname.as_str(), "pve-1.a.example");
    }

    #[test]
    fn the_dhcp_of_config_toml_counts_for_profiles_at_once() {
        let profile = ("profiles/p.toml", "[network]\ndns = \"192.0.2.53\"\n");
        let base = config::BASE_ANSWER.replace("source = \"from-dhcp\"", "source = \"from-answer\"");
        let (dir, folder, first, in_force) = started(&[(BASE_ANSWER_FILE, &base), profile]);
        std::fs::write(dir.path().join(CONFIG_FILE), "[network]\naddress = \"dhcp\"\n").unwrap();
        let found = folder.read_since(folder.look(), Some((&first, &in_force))).found;
        let told = told(&found.profiles.unwrap_err());
        assert!(told.starts_with("profiles/p.toml:2: `network.dns` is not allowed"), "{told}");
    }

    #[test]
    fn only_what_changed_is_read_again() {
        let profile = ("profiles/p.toml", "[global]\ntimezone = \"UTC\"\n");
        let plan = (PLAN_FILE, "[[node]]\nhostname = \"a.example\"\nserial = \"ABC1234\"\n");
        let (dir, folder, _, in_force) = started(&[(CONFIG_FILE, "machine_net_dn = \"a.example\"\n"), profile, plan]);
        // Files that are not fresh any more.
        let settle = || aged(folder.look());
        let first = folder.read_since(settle(), None);
        assert!(first.holds(&settle()));
        let planned = first.found.plan.as_ref().unwrap().entries[0].clone();
        std::fs::write(dir.path().join(CONFIG_FILE), "[log]\nlevel = \"debug\"\nmachine_net_dn = 1\n").unwrap();
        assert!(!first.holds(&folder.look()));
        let second = folder.read_since(settle(), Some((&first, &in_force)));
        assert!(second.found.config.is_err());
        let again = second.found.plan.unwrap().entries[0].clone();
        assert!(std::sync::Arc::ptr_eq(&planned, &again), "the plan was not read");
        std::fs::write(dir.path().join("profiles/q.toml"), profile.1).unwrap();
        let third = folder.read_since(settle(), Some((&first, &in_force)));
        assert_eq!(third.found.profiles.unwrap().names().count(), 2);
        assert!(!std::sync::Arc::ptr_eq(&planned, &third.found.plan.unwrap().entries[0]), "it may name the profile");
    }

    fn aged(look: Look) -> Look {
        let Look { config, base, profiles, overrides, plan } = look;
        let [config, base, profiles, overrides, plan] = [config, base, profiles, overrides, plan].map(Stamps::aged);
        Look { config, base, profiles, overrides, plan }
    }
}
