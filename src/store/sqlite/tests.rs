//! The database against power cuts, full disks, foreign writers and other releases.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::domain::{Event, RunId, RunOutcome};
use crate::store::fixtures::{answer, batch, document, fleet, fqdn, released, reported, seen, shown};
use crate::store::{Page, Reader};

fn open(dir: &TempDir) -> Store {
    Store::open(dir.path()).unwrap()
}

fn load(dir: &TempDir) -> Loaded {
    open(dir).load(Policy::default()).unwrap()
}

/// One of each kind that is stored differently, a run's maps among them.
fn life() -> Vec<Event> {
    let node = NodeId(1);
    vec![
        seen(1, "pve-1.example.com"),
        released(1, "text"),
        reported(1, b"{\"report\":1}"),
        Event::BecameReady { node },
        Event::RunQueued {
            run: RunId(1),
            nodes: [(node, fqdn("pve-1.example.com"))].into(),
            by_gate: true,
            options: Box::default(),
            reason: crate::domain::RunReason::Plain,
        },
        Event::RunStarted { run: RunId(1) },
        Event::RunEnded { run: RunId(1), outcome: RunOutcome::Succeeded, hosts: BTreeMap::new() },
    ]
}

#[test]
fn every_step_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    for (seq, event) in (1..).zip(life()) {
        open(&dir).commit(&batch(seq, vec![event])).unwrap();
        let loaded = load(&dir);
        let so_far = life().into_iter().take(usize::try_from(seq).unwrap()).collect();
        assert_eq!((loaded.seq, shown(&loaded.fleet)), (seq, shown(&fleet(so_far))));
    }
}

#[test]
fn a_saved_state_is_the_start_of_what_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    let (first, rest) = (life()[..3].to_vec(), life()[3..].to_vec());
    store.commit(&batch(1, first.clone())).unwrap();
    store.save_state(&fleet(first), 3).unwrap();
    store.commit(&batch(4, rest)).unwrap();
    let loaded = store.load(Policy { expect: Some(7), ..Policy::default() }).unwrap();
    assert_eq!((loaded.seq, shown(&loaded.fleet)), (7, shown(&fleet(life()))));
    assert_eq!(loaded.fleet.policy().expect, Some(7));
    assert!(matches!(store.save_state(&loaded.fleet, 8), Err(StoreError::OutOfOrder { last: 7, given: 8 })));
}

#[rstest]
#[case("UPDATE state SET version = version + 1")]
#[case("UPDATE state SET data = x'00'")]
fn a_state_that_is_not_understood_costs_nothing_but_time(#[case] damage: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    store.commit(&batch(1, life())).unwrap();
    store.save_state(&fleet(life()), 7).unwrap();
    store.db.execute_batch(damage).unwrap();
    assert_eq!(shown(&store.load(Policy::default()).unwrap().fleet), shown(&fleet(life())));
}

#[test]
fn folder_and_files_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("a/.prox-orchestrator");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let mut store = Store::open(&state).unwrap();
    store.commit(&batch(1, life())).unwrap();
    assert_eq!(mode(&state), 0o700);
    for file in state.read_dir().unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    drop(store);
    std::fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(state.join(FILE), Permissions::from_mode(0o644)).unwrap();
    Store::open(&state).unwrap();
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
}

#[rstest]
#[case(0)]
#[case(2)]
#[case(9)]
fn events_must_follow_what_is_stored(#[case] first: u64) {
    let dir = tempfile::tempdir().unwrap();
    let error = open(&dir).commit(&batch(first, life())).unwrap_err();
    assert!(matches!(error, StoreError::OutOfOrder { last: 0, given } if given == first));
    let mut torn = batch(1, life());
    torn.events.remove(3);
    assert!(matches!(open(&dir).commit(&torn), Err(StoreError::OutOfOrder { last: 3, given: 5 })));
    assert_eq!(load(&dir).seq, 0);
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (open(&dir), open(&dir));
    one.commit(&batch(1, vec![seen(1, "pve-1.example.com")])).unwrap();
    let error = other.commit(&batch(1, vec![seen(2, "pve-2.example.com")])).unwrap_err();
    assert!(matches!(error, StoreError::OutOfOrder { last: 1, given: 1 }));
    one.commit(&batch(2, vec![seen(2, "pve-2.example.com")])).unwrap();
    assert_eq!(load(&dir).seq, 2);
}

#[test]
fn a_full_disk_stores_nothing_of_the_batch_and_everything_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    store.commit(&batch(1, vec![seen(1, "pve-1.example.com")])).unwrap();
    let pages: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |store: &Store, pages: i64| {
        store.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0)).unwrap();
    };
    limit(&store, pages + 2);
    let mut large = batch(2, vec![released(1, "text"), reported(1, b"{}")]);
    large.answers.push(answer(1, "text"));
    large.documents.push(document(&vec![b'x'; 1 << 20]));
    let error = store.commit(&large).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("full"));
    assert_eq!((store.seq(), load(&dir).seq), (1, 1));
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.redacted_answer(large.answers[0].hash).unwrap(), None);
    assert_eq!(reader.document(large.documents[0].hash).unwrap(), None);
    limit(&store, 1 << 20);
    store.commit(&large).unwrap();
    assert_eq!(load(&dir).seq, 3);
    assert_eq!(reader.document(large.documents[0].hash).unwrap().map(|bytes| bytes.len()), Some(1 << 20));
}

#[test]
fn a_read_only_database_says_so_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    store.db.pragma_update(None, "query_only", true).unwrap();
    let error = store.commit(&batch(1, life())).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    store.db.pragma_update(None, "query_only", false).unwrap();
    store.commit(&batch(1, life())).unwrap();
    assert_eq!(load(&dir).seq, 7);
}

#[test]
fn an_answer_is_kept_without_its_secrets_and_goes_with_its_node() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    let mut released = batch(1, vec![seen(1, "pve-1.example.com"), released(1, "root password")]);
    released.answers.push(answer(1, "root password"));
    released.answers.push(answer(2, "released by nobody"));
    let [hash, nobody] = [released.answers[0].hash, released.answers[1].hash];
    store.commit(&released).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.redacted_answer(hash).unwrap().as_deref(), Some("password = \"…\"\n"));
    assert_eq!(reader.redacted_answer(nobody).unwrap(), None);
    store.commit(&batch(3, vec![Event::Forgotten { node: NodeId(1) }])).unwrap();
    assert!(reader.redacted_answer(hash).unwrap().is_none());
}

/// The texts that earlier releases kept are gone for good, out of pages and log, and the rest is there.
#[test]
fn secrets_of_an_earlier_release_are_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state-v1.db"), &path).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch("PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0").unwrap();
    // Short ones, and ones that fill pages of their own.
    for number in 0..300 {
        let text = format!("root password {number} ").repeat(if number % 10 == 0 { 900 } else { 1 });
        old.execute("INSERT INTO answers VALUES (?1, 7, ?2, 'redacted')", params![format!("{number:064}"), text])
            .unwrap();
    }
    let found = || {
        let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.flatten().collect::<Vec<_>>().windows(13).filter(|window| window == b"root password").count()
    };
    assert!(found() > 300);
    // As after a crash: what is in the log was never put into the file.
    std::mem::forget(old);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(found(), 0);
    let kept: i64 =
        store.db.query_row("SELECT count(*) FROM answers WHERE redacted = 'redacted'", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 300);
    assert!(store.load(Policy::default()).unwrap().fleet.node_count() > 0);
}

#[test]
fn a_body_is_kept_once_and_without_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    let only = Batch { documents: vec![document(b"{}"), document(b"{}")], ..Batch::default() };
    store.commit(&only).unwrap();
    store.commit(&only).unwrap();
    store.commit(&Batch::default()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.document(only.documents[0].hash).unwrap(), Some(b"{}".to_vec()));
    assert_eq!(store.seq(), 0);
}

#[test]
fn a_later_release_or_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let newer = migrations::newest() + 1;
    store.db.pragma_update(None, "user_version", newer).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found, .. } if found == newer));
    assert!(error.to_string().contains("newer prox-orchestrator"));
    assert!(matches!(Reader::open(dir.path()), Err(StoreError::Newer { .. })));
    store.db.pragma_update(None, "application_id", 1).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Foreign { .. })));
}

#[rstest]
#[case("version = 2", "data = data")]
#[case("type = 'levitated'", r#"data = '{"type":"levitated","node":1}'"#)]
#[case("at = 'yesterday'", "data = data")]
#[case("origin = '1'", "data = data")]
fn an_event_that_is_not_understood_is_never_skipped(#[case] one: &str, #[case] two: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    store.commit(&batch(1, life())).unwrap();
    let damage = format!("DROP TRIGGER events_are_never_changed; UPDATE events SET {one}, {two} WHERE seq = 4");
    store.db.execute_batch(&damage).unwrap();
    let error = store.load(Policy::default()).unwrap_err();
    assert!(error.to_string().starts_with("event 4 "), "{error}");
    assert!(Reader::open(dir.path()).unwrap().events(Page::After(0), None, 9).is_err());
}

#[rstest]
#[case("DELETE FROM events WHERE seq = 4", 4)]
#[case("DELETE FROM events WHERE seq = 1", 1)]
#[case("DELETE FROM events WHERE seq > 5", 6)]
fn a_missing_event_is_noticed(#[case] damage: &str, #[case] lost: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    store.commit(&batch(1, life())).unwrap();
    if lost == 6 {
        store.save_state(&fleet(life()), 7).unwrap();
    }
    store.db.execute_batch(&format!("DROP TRIGGER events_are_never_deleted; {damage}")).unwrap();
    drop(store);
    let error = open(&dir).load(Policy::default()).unwrap_err();
    assert!(matches!(error, StoreError::Gap { missing, .. } if missing == lost), "{error}");
}

#[test]
fn the_log_can_only_grow() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    store.commit(&batch(1, life())).unwrap();
    assert!(store.db.execute_batch("DELETE FROM events").is_err());
    assert!(store.db.execute_batch("UPDATE events SET at = ''").is_err());
}

#[test]
fn a_damaged_file_gets_clear_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), "this is not a database, whatever its name may say\n".repeat(90)).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(matches!(Reader::open(dir.path()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_place_that_cannot_be_written_gets_clear_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Store::open(&file.join("state")), Err(StoreError::Folder { .. })));
    std::fs::create_dir_all(dir.path().join("state").join(FILE)).unwrap();
    assert!(matches!(Store::open(&dir.path().join("state")), Err(StoreError::Folder { .. })));
    assert!(matches!(Reader::open(&dir.path().join("nothing")), Err(StoreError::Disk { .. })));
}

#[test]
fn a_commit_is_durable_and_in_wal_mode() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let text = |pragma| store.db.pragma_query_value(None, pragma, |row| row.get::<_, String>(0)).unwrap();
    let number = |pragma| store.db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!((number("synchronous"), number("secure_delete"), number("foreign_keys")), (2, 0, 1));
}

#[test]
fn a_reader_pages_through_the_log_while_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir);
    store.commit(&batch(1, life())).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let seqs = |page, node, limit| {
        reader.events(page, node, limit).unwrap().iter().map(|recorded| recorded.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(Page::After(0), None, 2), [1, 2]);
    assert_eq!(seqs(Page::After(5), None, 9), [6, 7]);
    assert_eq!(seqs(Page::Before(u64::MAX), None, 3), [5, 6, 7]);
    assert_eq!(seqs(Page::Before(3), Some(NodeId(1)), 9), [1, 2]);
    assert_eq!(seqs(Page::After(0), Some(NodeId(2)), 9), Vec::<u64>::new());
    store.commit(&batch(8, vec![seen(2, "pve-2.example.com")])).unwrap();
    assert_eq!(seqs(Page::After(0), Some(NodeId(2)), 9), [8]);
    let swapped = Event::Swapped { node: NodeId(2), other: NodeId(1), found: None, other_found: None };
    store.commit(&batch(9, vec![swapped])).unwrap();
    assert_eq!(seqs(Page::After(6), Some(NodeId(2)), 9), [8, 9]);
    assert_eq!(seqs(Page::Before(u64::MAX), Some(NodeId(1)), 3), [3, 4, 9], "it is in the history of both");
    assert_eq!(reader.events(Page::After(0), None, 7).unwrap(), batch(1, life()).events);
    assert_eq!(reader.identity().unwrap().len(), 32);
}

#[test]
fn what_was_given_out_of_an_earlier_pool_leaves_the_new_one_full() {
    use crate::domain::address::{AddressRules, AddressSource, Pool};
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let event = Event::AddressAssigned { node: NodeId(1), address: [192, 0, 2, 200].into() };
    let recorded = Recorded { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, origin: crate::domain::Origin::System, event };
    store.commit(&Batch { events: vec![recorded], ..Batch::default() }).unwrap();
    let pool = Pool::new(&["192.0.2.100-110".parse().unwrap()], &[]);
    let addresses = AddressRules { source: AddressSource::Pool, pool, ..AddressRules::default() };
    let loaded = store.load(Policy { addresses, ..Policy::default() }).unwrap();
    assert_eq!(loaded.fleet.next_free(None), Some([192, 0, 2, 100].into()));
}
