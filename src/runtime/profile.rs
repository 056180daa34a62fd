//! Makes a profile from a machine: a commented file whose rule is what the machine shows.

use std::io::Write as _;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table};

use crate::client::NewProfile;
use crate::config;
use crate::domain::pointer;
use crate::domain::{Node, ProfileName};

/// What stands under the rule, for the person to go on.
const BELOW: &str = "
# What is different on these machines; everything else stays as in default.toml. docs/answers.md has all of it.
#
# [disk-setup]
# filesystem = \"zfs\"
# zfs.raid = \"raid1\"
# disk-list = [\"sda\", \"sdb\"]
";

/// Writes `profiles/<name>.toml` and returns what it is called from the folder. A file that is there is left alone.
///
/// # Errors
/// Why not, in words.
pub(super) fn write_new(dir: &Path, node: &Node, wish: &NewProfile) -> Result<String, String> {
    let name: ProfileName =
        wish.name.parse().map_err(|error: crate::domain::plan::ProfileNameError| error.to_string())?;
    let text = text(node, wish)?;
    let folder = dir.join(config::PROFILES_FOLDER);
    let file = format!("{}/{name}.toml", config::PROFILES_FOLDER);
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("`{file}` is there already; choose another name"),
        _ => format!("cannot write `{file}`: {error}"),
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    // Made whole under another name, so that nobody reads half of it; linking never replaces what is there.
    let mut made = tempfile::Builder::new().prefix(".new-").tempfile_in(&folder).map_err(failed)?;
    made.write_all(text.as_bytes()).map_err(failed)?;
    made.persist_noclobber(folder.join(format!("{name}.toml"))).map_err(|error| failed(error.error))?;
    Ok(file)
}

/// The file's text. Values of the machine are put in as data, and taken literally as globs.
fn text(node: &Node, wish: &NewProfile) -> Result<String, String> {
    let info =
        &node.request.as_ref().ok_or_else(|| format!("`{}` has not asked: nothing is known of it", node.name))?.info;
    let shown = pointer::shown(info);
    let mut rule = Table::new();
    for wanted in &wish.pointers {
        let pointer: pointer::Pointer = wanted.parse().map_err(|error: pointer::PointerError| error.to_string())?;
        let found = shown.iter().find(|(other, _)| *other == pointer);
        let (_, value) = found.ok_or_else(|| format!("`{}` shows no `{wanted}`", node.name))?;
        rule.insert(wanted, toml_edit::value(glob::Pattern::escape(value)));
    }
    if rule.is_empty() {
        return Err("nothing is ticked: the profile would be for no machine".to_owned());
    }
    rule.decor_mut().set_prefix(format!(
        "# Made from `{}`. All of the rule must fit; `*`, `?` and `[a-z]` are special.\n",
        node.name
    ));
    let mut document = DocumentMut::new();
    document.insert("match", Item::Table(rule));
    Ok(format!("{document}{BELOW}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Profile, Profiles, Sight};
    use crate::domain::event_samples::events;
    use crate::domain::{Fleet, NodeId};

    fn node() -> Node {
        let mut fleet = Fleet::default();
        events().iter().take(1).for_each(|recorded| fleet.apply(recorded));
        Node::clone(fleet.node(NodeId(1)).unwrap())
    }

    fn wish(pointers: &[&str]) -> NewProfile {
        let pointers = pointers.iter().map(ToString::to_string).collect();
        NewProfile { node: NodeId(1), name: "dell".to_owned(), pointers }
    }

    #[test]
    fn the_file_is_a_profile_that_fits_its_machine() {
        let dir = tempfile::tempdir().unwrap();
        let node = node();
        let wish = wish(&["/dmi/system/name", "/network_interfaces/0/mac"]);
        assert_eq!(write_new(dir.path(), &node, &wish).as_deref(), Ok("profiles/dell.toml"));
        let text = std::fs::read_to_string(dir.path().join("profiles/dell.toml")).unwrap();
        let begins = "# Made from `pve-0701.example.com`. All of the rule must fit; `*`, `?` and `[a-z]` are special.\n[match]\n\
                      \"/dmi/system/name\" = \"PowerEdge R650\"\n\"/network_interfaces/0/mac\" = \"b4:2e:99:ac:ad:01\"\n\n# What is";
        assert!(text.starts_with(begins), "{text}");
        let profiles = Profiles::new([Profile::parse("dell", "profiles/dell.toml", &text).unwrap()]);
        let info = &node.request.as_ref().unwrap().info;
        assert_eq!(profiles.choose(&Sight::of(info)).unwrap().map(|profile| profile.name()), Some("dell"));
        let again = write_new(dir.path(), &node, &wish).unwrap_err();
        assert_eq!(again, "`profiles/dell.toml` is there already; choose another name");
        assert_eq!(std::fs::read_dir(dir.path().join("profiles")).unwrap().count(), 1);
    }

    #[test]
    fn what_makes_no_profile_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |wish: &NewProfile| write_new(dir.path(), &node(), wish).unwrap_err();
        assert!(refused(&wish(&[])).starts_with("nothing is ticked"));
        assert!(refused(&wish(&["/dmi/system/nam"])).contains("is nothing that a machine sends"));
        assert!(refused(&wish(&["/network_interfaces/7/mac"])).contains("shows no `/network_interfaces/7/mac`"));
        let hidden = NewProfile { name: "../x".to_owned(), ..wish(&["/dmi/system/name"]) };
        assert!(refused(&hidden).contains("`../x` is not a profile's name"));
    }
}
