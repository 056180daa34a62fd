//! What is called how in the project folder: relative paths, which files, messages and Ansible share.

/// What the engine writes for people and for Ansible.
pub const NODES: &str = "nodes";
/// The inventory's name, in [`NODES`].
pub const INVENTORY_FILE: &str = "dynamic-inventory.json";
/// The inventory.
pub const INVENTORY: &str = "nodes/dynamic-inventory.json";
/// One folder for each run that is kept.
pub const RUNS: &str = "nodes/runs";
/// The override of one node, in its folder in [`NODES`]: the one file there that is the user's.
pub const OVERRIDE_FILE: &str = "override.toml";
/// The folder with profiles.
pub const PROFILES_FOLDER: &str = "profiles";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_are_made_of_the_names() {
        assert_eq!([INVENTORY, RUNS], [INVENTORY_FILE, "runs"].map(|name| format!("{NODES}/{name}")));
    }
}
