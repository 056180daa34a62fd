//! The playbook a folder is started with, and its roles, carried in the program.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

/// The playbook's name in the folder.
pub const PLAYBOOK_FILE: &str = "setup-cluster.yml";
/// The folder of its roles, beside it.
pub const ROLES_DIR: &str = "roles";
/// The playbook the program is shipped with.
pub const PLAYBOOK: &str = include_str!("../../assets/setup-cluster.yml");
/// Its roles.
static ROLES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/assets/roles");

/// The files of its roles: path below the playbook's folder, and content.
pub fn roles() -> impl Iterator<Item = (PathBuf, &'static [u8])> {
    let mut folders = vec![&ROLES];
    let files = std::iter::from_fn(move || {
        let folder = folders.pop()?;
        folders.extend(folder.dirs());
        Some(folder.files())
    });
    files.flatten().map(|file| (Path::new(ROLES_DIR).join(file.path()), file.contents()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// A file that was added since the program was built would be missing without a word.
    #[test]
    fn every_file_of_every_role_is_carried() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let on_disk: BTreeSet<PathBuf> = glob::glob(&format!("{}/roles/**/*", assets.display()))
            .unwrap()
            .map(Result::unwrap)
            .filter(|p| p.is_file())
            .collect();
        let carried: BTreeSet<PathBuf> = roles().map(|(path, _)| assets.join(path)).collect();
        assert_eq!(carried, on_disk);
        for (path, content) in roles() {
            assert_eq!(fs::read(assets.join(&path)).unwrap(), content, "{}", path.display());
        }
    }

    #[test]
    fn the_playbook_names_roles_that_are_there() {
        let named: BTreeSet<&str> =
            PLAYBOOK.lines().filter_map(|line| line.trim().strip_prefix("name: proxmox_")).collect();
        let files: BTreeSet<PathBuf> = roles().map(|(path, _)| path).collect();
        assert!(named.len() > 5);
        for name in named {
            let tasks = Path::new(ROLES_DIR).join(format!("proxmox_{name}/tasks/main.yml"));
            assert!(files.contains(&tasks), "{name}");
        }
    }
}
