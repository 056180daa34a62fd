//! The folder's files as they are found at one moment, all of them judged. Which of it comes in force is the business of
//! [`reload`](super::reload); nothing is written here.

use std::path::PathBuf;

use super::settings;
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
    pub(super) base: Result<BaseAnswer, ConfigErrors>,
    pub(super) profiles: Result<Profiles, ConfigErrors>,
    /// Nodes whose override cannot be used: they are not answered until it can.
    pub(super) overrides: Vec<config::Problem>,
    pub(super) plan: Result<Plan, ConfigErrors>,
    /// Whether there is a `config.toml` with something in it, a `default.toml` and a `plan.toml`.
    pub(super) present: [bool; 3],
}

impl Folder {
    /// Reads all files, all problems at once.
    pub(super) fn read(&self) -> Found {
        let has_content = |name| std::fs::metadata(self.dir.join(name)).is_ok_and(|about| about.len() > 0);
        let config = config::load(&self.dir, &self.cli, &self.env).map(|loaded| loaded.config);
        let base = settings::base_answer(&self.dir);
        // What is wrong with these two is told by themselves.
        let known = config.as_ref().ok();
        let start = base.as_ref().ok().cloned().map(|base| match known {
            Some(config) => settings::effective_base(config, base),
            None => base,
        });
        Found {
            profiles: settings::profiles(&self.dir, start.as_ref()),
            plan: plan::load(&self.dir, &settings::plan_context(&self.dir, known, start.as_ref())),
            config,
            base,
            overrides: settings::override_problems(&self.dir),
            present: [CONFIG_FILE, BASE_ANSWER_FILE, PLAN_FILE].map(has_content),
        }
    }
}

impl Found {
    /// Whether there is a `config.toml`.
    pub(super) fn has_config(&self) -> bool {
        self.present[0]
    }

    /// A file that was there and is gone, or empty, is no wish for the defaults: it is being written, or was lost.
    pub(super) fn without_losses(mut self, before: [bool; 3], in_force: &Profiles) -> Self {
        let lost = |name: &str| {
            let problem = config::Problem::whole(name, "the file is gone or empty");
            let hint = "put it back, or restart the engine to go on without it";
            ConfigErrors([problem.hint(hint)].into_iter().collect())
        };
        if before[0] && !self.present[0] {
            self.config = Err(lost(CONFIG_FILE));
        }
        if before[1] && !self.present[1] {
            self.base = Err(lost(BASE_ANSWER_FILE));
        }
        if before[2] && !self.present[2] {
            self.plan = Err(lost(PLAN_FILE));
        }
        // Its machines would be served from `default.toml`, whose disks may be other ones.
        let gone = |profiles: &Profiles| in_force.names().find(|name| profiles.get(name).is_none()).map(str::to_owned);
        if let Some(name) = self.profiles.as_ref().ok().and_then(gone) {
            self.profiles = Err(lost(&format!("{}/{name}.toml", config::PROFILES_FOLDER)));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::reload::not_taken_over;
    use super::*;

    fn folder(dir: &Path) -> Folder {
        Folder { dir: dir.to_owned(), cli: CliLayer::default(), env: EnvLayer::default() }
    }

    #[test]
    fn a_file_that_vanishes_is_no_wish_for_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, "machine_net_dn = \"a.example\"\n").unwrap();
        let folder = folder(dir.path());
        let first = folder.read();
        assert!(first.has_config() && first.config.is_ok() && first.base.is_ok() && first.plan.is_ok());
        for lose in [|path: &Path| std::fs::write(path, ""), |path: &Path| std::fs::remove_file(path)] {
            lose(&path).unwrap();
            let found = folder.read().without_losses(first.present, &Profiles::default());
            let problem = not_taken_over(&found.config.unwrap_err()).unwrap();
            assert_eq!(problem.what, "config.toml: the file is gone or empty");
            assert!(found.base.is_ok(), "there was none before either");
        }
        assert!(
            folder.read().without_losses([false; 3], &Profiles::default()).config.is_ok(),
            "where there was none, none is missing"
        );
    }

    #[test]
    fn a_profile_that_vanishes_or_is_emptied_is_no_wish_for_default_toml() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("profiles")).unwrap();
        let [kept, path] = ["kept", "storage"].map(|name| dir.path().join(format!("profiles/{name}.toml")));
        std::fs::write(&kept, "[global]\ncountry = \"at\"\n").unwrap();
        std::fs::write(&path, "[global]\ntimezone = \"UTC\"\n").unwrap();
        let folder = folder(dir.path());
        let in_force = folder.read().profiles.unwrap();
        std::fs::write(&path, "\n").unwrap();
        let found = folder.read().without_losses([false; 3], &in_force);
        let told = not_taken_over(&found.profiles.unwrap_err()).unwrap();
        assert_eq!(told.what, "profiles/storage.toml: the file is empty");
        std::fs::remove_file(&path).unwrap();
        let found = folder.read().without_losses([false; 3], &in_force);
        let told = not_taken_over(&found.profiles.unwrap_err()).unwrap();
        assert_eq!(told.what, "profiles/storage.toml: the file is gone or empty");
        assert!(
            folder.read().without_losses([false; 3], &Profiles::default()).profiles.is_ok(),
            "it was never in force"
        );
    }
}
