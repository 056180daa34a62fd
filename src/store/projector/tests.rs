//! The files under `nodes/` through renames, removals, crashes and things in the way.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::domain::Event;
use crate::store::Store;
use crate::store::fixtures::{answer, batch, document, fqdn, released, reported, seen, snapshot};

const ONE: &str = "pve-1.example.com";
const TWO: &str = "pve-2.example.com";
const NEW: &str = "pve-new.example.com";

/// A project folder whose store and files go the way of the events.
struct Rack {
    dir: TempDir,
    store: Store,
    fleet: Fleet,
}

impl Rack {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        Self { dir, store, fleet: Fleet::default() }
    }

    /// Stores and applies, writes no file.
    fn happen(&mut self, events: Vec<Event>) {
        let mut batch = batch(self.store.seq() + 1, events);
        batch.documents = vec![document(b"{}"), document("{\"report\":\"ü\"}".as_bytes())];
        batch.answers = vec![answer(1, "text")];
        self.store.commit(&batch).unwrap();
        batch.events.iter().for_each(|recorded| self.fleet.apply(recorded));
    }

    /// What a process that has just started would use.
    fn projector(&self) -> Projector {
        let reader = Reader::open(&self.dir.path().join("state")).unwrap();
        let settings = ProjectionSettings { ansible_user: "root".to_owned(), ssh_port: 22, private_key: None };
        Projector::new(self.dir.path(), reader, settings)
    }

    fn snapshot(&self) -> Snapshot {
        snapshot(self.store.seq(), &self.fleet)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("nodes").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn id_in(&self, folder: &str) -> Value {
        serde_json::from_str::<Value>(&self.read(&format!("{folder}/node.json"))).unwrap()["id"].clone()
    }

    /// Names below `nodes/`, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.path(folder).read_dir().unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn renamed(id: u64, name: &str) -> Event {
    Event::Renamed { node: NodeId(id), name: fqdn(name) }
}

fn life() -> Vec<Event> {
    vec![seen(1, ONE), released(1, "text"), reported(1, "{\"report\":\"ü\"}".as_bytes())]
}

#[test]
fn every_file_is_written_with_its_mode_and_without_secrets() {
    let mut rack = Rack::new();
    rack.happen(life());
    rack.projector().pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.names(""), [INVENTORY_FILE, "known_hosts", ONE]);
    assert_eq!(rack.names(ONE), ["answer.toml", "node.json", "report.json", "system-info.json"]);
    assert_eq!(rack.read(&format!("{ONE}/report.json")), "{\"report\":\"\\u00fc\"}");
    assert_eq!(rack.read(&format!("{ONE}/answer.toml")), answer(1, "text").text);
    let mode = |name: &str| rack.path(name).metadata().unwrap().permissions().mode() & 0o777;
    let modes =
        ["answer.toml", "node.json", "report.json", "system-info.json"].map(|name| mode(&format!("{ONE}/{name}")));
    assert_eq!(modes, [0o600, 0o644, 0o600, 0o644]);
    assert_eq!((mode(INVENTORY_FILE), mode("known_hosts"), mode(ONE)), (0o644, 0o644, 0o755));
    let node: Value = serde_json::from_str(&rack.read(&format!("{ONE}/node.json"))).unwrap();
    assert_eq!((node["phase"].as_str(), node["address"].as_str()), (Some("installed"), Some("192.0.2.1")));
    assert!(rack.read("known_hosts").starts_with("pve-1.example.com,192.0.2.1 ssh-ed25519 "));
}

#[test]
fn a_second_process_writes_the_same_files_and_touches_none() {
    let mut rack = Rack::new();
    rack.happen(life());
    rack.projector().pass(&rack.snapshot()).unwrap();
    let state = |rack: &Rack| {
        let files = [INVENTORY_FILE, "known_hosts", "pve-1.example.com/node.json", "pve-1.example.com/report.json"];
        files.map(|name| std::os::unix::fs::MetadataExt::ino(&rack.path(name).metadata().unwrap()))
    };
    let before = state(&rack);
    rack.projector().pass(&rack.snapshot()).unwrap();
    assert_eq!(state(&rack), before);
}

#[test]
fn files_that_no_longer_apply_go() {
    let mut rack = Rack::new();
    rack.happen(life());
    let mut projector = rack.projector();
    projector.pass(&rack.snapshot()).unwrap();
    rack.happen(vec![released(1, "text")]);
    projector.pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.names(ONE), ["answer.toml", "node.json", "system-info.json"]);
    assert_eq!(rack.read("known_hosts"), "");
}

#[test]
fn a_folder_follows_its_node_with_what_the_user_put_there() {
    let mut rack = Rack::new();
    rack.happen(vec![seen(1, ONE), seen(2, TWO)]);
    let mut projector = rack.projector();
    projector.pass(&rack.snapshot()).unwrap();
    fs::write(rack.path(ONE).join(OVERRIDE_FILE), "mine").unwrap();
    rack.happen(vec![renamed(1, NEW)]);
    projector.pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.names(""), [INVENTORY_FILE, "known_hosts", TWO, NEW]);
    assert_eq!(rack.names(NEW), ["node.json", OVERRIDE_FILE, "system-info.json"]);
    assert!(rack.read(&format!("{NEW}/node.json")).contains(NEW));
}

#[test]
fn names_can_be_swapped() {
    let mut rack = Rack::new();
    rack.happen(vec![seen(1, ONE), seen(2, TWO)]);
    let mut projector = rack.projector();
    projector.pass(&rack.snapshot()).unwrap();
    fs::write(rack.path(ONE).join(OVERRIDE_FILE), "of one").unwrap();
    rack.happen(vec![renamed(1, NEW), renamed(2, ONE), renamed(1, TWO)]);
    projector.pass(&rack.snapshot()).unwrap();
    assert_eq!((rack.id_in(TWO), rack.id_in(ONE)), (1.into(), 2.into()));
    assert_eq!(rack.read(&format!("{TWO}/{OVERRIDE_FILE}")), "of one");
    assert_eq!(rack.names(""), [INVENTORY_FILE, "known_hosts", ONE, TWO]);
}

#[test]
fn a_rename_is_finished_after_a_crash() {
    let mut rack = Rack::new();
    rack.happen(vec![seen(1, ONE)]);
    rack.projector().pass(&rack.snapshot()).unwrap();
    fs::write(rack.path(ONE).join(OVERRIDE_FILE), "mine").unwrap();
    // Stored, and the program died; meanwhile another node gets the old name.
    rack.happen(vec![renamed(1, NEW), seen(2, ONE)]);
    rack.projector().pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.read(&format!("{NEW}/{OVERRIDE_FILE}")), "mine");
    assert_eq!((rack.id_in(NEW), rack.id_in(ONE)), (1.into(), 2.into()));
    assert_eq!(rack.names(ONE), ["node.json", "system-info.json"]);
}

#[test]
fn a_folder_left_between_its_names_is_found_after_a_crash() {
    let mut rack = Rack::new();
    rack.happen(vec![seen(1, ONE)]);
    let projector = rack.projector();
    rack.projector().pass(&rack.snapshot()).unwrap();
    fs::write(rack.path(ONE).join(OVERRIDE_FILE), "mine").unwrap();
    fs::rename(rack.path(ONE), projector.aside(NodeId(1))).unwrap();
    fs::write(rack.path(".prox-orchestrator-abc.tmp"), "unfinished").unwrap();
    rack.happen(vec![renamed(1, NEW)]);
    rack.projector().pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.names(""), [INVENTORY_FILE, "known_hosts", NEW]);
    assert_eq!(rack.read(&format!("{NEW}/{OVERRIDE_FILE}")), "mine");
}

#[test]
fn an_override_prepared_under_the_new_name_wins_and_nothing_of_the_user_is_lost() {
    let mut rack = Rack::new();
    rack.happen(vec![seen(1, ONE), seen(2, TWO)]);
    let mut projector = rack.projector();
    projector.pass(&rack.snapshot()).unwrap();
    fs::write(rack.path(ONE).join(OVERRIDE_FILE), "old").unwrap();
    fs::write(rack.path(TWO).join(OVERRIDE_FILE), "of two").unwrap();
    fs::create_dir(rack.path(NEW)).unwrap();
    fs::write(rack.path(NEW).join(OVERRIDE_FILE), "prepared").unwrap();
    fs::create_dir(rack.path("pve-other.example.com")).unwrap();
    rack.happen(vec![renamed(1, NEW), renamed(2, "pve-other.example.com")]);
    projector.pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.read(&format!("{NEW}/{OVERRIDE_FILE}")), "prepared");
    assert_eq!(rack.read(&format!("{NEW}.orig/{OVERRIDE_FILE}")), "old");
    assert_eq!(rack.read(&format!("pve-other.example.com/{OVERRIDE_FILE}")), "of two");
    assert_eq!(
        rack.names(""),
        [INVENTORY_FILE, "known_hosts", NEW, "pve-new.example.com.orig", "pve-other.example.com"]
    );
}

#[test]
fn a_forgotten_node_leaves_what_is_the_users_also_after_a_crash() {
    for crash in [false, true] {
        let mut rack = Rack::new();
        rack.happen(vec![seen(1, ONE), seen(2, TWO)]);
        let mut projector = rack.projector();
        projector.pass(&rack.snapshot()).unwrap();
        fs::write(rack.path(TWO).join(OVERRIDE_FILE), "mine").unwrap();
        rack.happen([1, 2].map(|id| Event::Forgotten { node: NodeId(id) }).into());
        if crash {
            projector = rack.projector();
        }
        projector.pass(&rack.snapshot()).unwrap();
        assert_eq!(rack.names(""), [INVENTORY_FILE, "known_hosts", TWO]);
        assert_eq!(rack.names(TWO), [OVERRIDE_FILE]);
    }
}

#[test]
fn a_stranger_of_the_same_name_takes_the_folder_over() {
    for crash in [false, true] {
        let mut rack = Rack::new();
        rack.happen(life());
        let mut projector = rack.projector();
        projector.pass(&rack.snapshot()).unwrap();
        rack.happen(vec![Event::Forgotten { node: NodeId(1) }, seen(2, ONE)]);
        if crash {
            projector = rack.projector();
        }
        projector.pass(&rack.snapshot()).unwrap();
        assert_eq!((rack.id_in(ONE), rack.names(ONE)), (2.into(), vec!["node.json".into(), "system-info.json".into()]));
    }
}

#[test]
fn folders_of_another_database_and_copies_are_left_alone() {
    let mut earlier = Rack::new();
    earlier.happen(vec![seen(1, ONE)]);
    earlier.projector().pass(&earlier.snapshot()).unwrap();
    fs::write(earlier.path(ONE).join(OVERRIDE_FILE), "of another machine").unwrap();
    // The state folder was thrown away, `nodes/` was not.
    let mut rack = Rack::new();
    fs::rename(earlier.path(""), rack.path("")).unwrap();
    rack.happen(vec![seen(1, TWO)]);
    rack.projector().pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.names(ONE), ["node.json", OVERRIDE_FILE, "system-info.json"]);
    assert_eq!(rack.names(TWO), ["node.json", "system-info.json"]);
    fs::create_dir(rack.path("copy.example.com")).unwrap();
    fs::copy(rack.path(TWO).join("node.json"), rack.path("copy.example.com/node.json")).unwrap();
    rack.projector().pass(&rack.snapshot()).unwrap();
    assert_eq!((rack.names("copy.example.com").len(), rack.names(TWO).len()), (1, 2));
}

#[test]
fn what_is_in_the_way_stops_one_node_only_and_is_tried_again() {
    let mut rack = Rack::new();
    rack.happen(vec![seen(1, ONE), seen(2, TWO)]);
    fs::create_dir_all(rack.path("")).unwrap();
    let outside = rack.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, rack.path(ONE)).unwrap();
    let mut projector = rack.projector();
    let problem = projector.pass(&rack.snapshot()).unwrap_err().problem();
    assert!(problem.what.contains(ONE) && problem.hint.contains("move it away"), "{problem:?}");
    assert_eq!(outside.read_dir().unwrap().count(), 0);
    assert_eq!(rack.id_in(TWO), 2);
    assert!(rack.path(INVENTORY_FILE).exists());
    fs::remove_file(rack.path(ONE)).unwrap();
    projector.pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.id_in(ONE), 1);
}

#[test]
fn a_folder_that_cannot_be_moved_is_not_made_anew() {
    let mut rack = Rack::new();
    rack.happen(vec![seen(1, ONE)]);
    let mut projector = rack.projector();
    projector.pass(&rack.snapshot()).unwrap();
    fs::write(rack.path(ONE).join(OVERRIDE_FILE), "mine").unwrap();
    // A folder cannot replace a file.
    fs::write(projector.aside(NodeId(1)), "in the way").unwrap();
    rack.happen(vec![renamed(1, NEW)]);
    projector.pass(&rack.snapshot()).unwrap_err();
    assert!(!rack.path(NEW).exists() && rack.path(ONE).exists());
    fs::remove_file(projector.aside(NodeId(1))).unwrap();
    projector.pass(&rack.snapshot()).unwrap();
    assert_eq!(rack.read(&format!("{NEW}/{OVERRIDE_FILE}")), "mine");
    assert!(!rack.path(ONE).exists());
}

#[test]
fn a_foreign_inventory_is_kept_before_ours_takes_its_place() {
    let mut rack = Rack::new();
    rack.happen(life());
    fs::create_dir_all(rack.path("")).unwrap();
    fs::write(rack.path(INVENTORY_FILE), "{\"a.b\":\"installed\"}").unwrap();
    rack.projector().pass(&rack.snapshot()).unwrap();
    rack.projector().pass(&rack.snapshot()).unwrap();
    let kept: Vec<_> = rack.names("").into_iter().filter(|name| name.contains(".orig")).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(rack.read(&kept[0]), "{\"a.b\":\"installed\"}");
    assert!(rack.read(INVENTORY_FILE).contains(ONE));
}
