//! A database as the first release wrote it: whatever this program becomes, it must open it.

use super::*;
use crate::domain::event_samples;
use crate::store::fixtures::{answer, document, shown};
use crate::store::{Batch, Reader};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state-v1.db");

/// The one body in it.
const BODY: &[u8] = b"{\"frozen\":1}";

/// Events behind the state that is stored in it.
const BEHIND: u64 = 5;

/// Makes the fixture where it is missing and `UPDATE_FIXTURES` is set. One that is there is never touched.
fn make_if_asked() {
    if std::env::var_os("UPDATE_FIXTURES").is_none() || Path::new(FIXTURE).exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut fleet = Fleet::new(Policy::default());
    let events = event_samples::frozen();
    let saved = events.len() as u64 - BEHIND;
    for recorded in events {
        fleet.apply(&recorded);
        let (seq, node) = (recorded.seq, recorded.event.node().map_or(0, |node| node.0));
        let (documents, answers) = (vec![document(BODY)], vec![answer(node, "answer")]);
        store.commit(&Batch { events: vec![recorded], documents, answers }).unwrap();
        if seq == saved {
            store.save_state(&fleet, seq).unwrap();
        }
    }
    // Closing puts the write-ahead log into the file.
    drop(store);
    std::fs::copy(dir.path().join(FILE), FIXTURE).unwrap();
}

#[test]
fn a_database_of_the_first_release_is_read() {
    make_if_asked();
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(FIXTURE, dir.path().join(FILE)).unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let count = usize::try_from(store.seq()).unwrap();
    let mut expected = Fleet::new(Policy::default());
    event_samples::frozen().iter().take(count).for_each(|recorded| expected.apply(recorded));
    assert_eq!(expected.node_count(), 3);

    assert!(store.saved_state().unwrap().is_none(), "its state is of an older version: the events say more");
    assert_eq!(shown(&store.load(Policy::default()).unwrap().fleet), shown(&expected));
    store.db.execute_batch("UPDATE state SET version = 2").unwrap();
    let (fleet, seq) = store.saved_state().unwrap().unwrap();
    assert_eq!((fleet.node_count(), seq), (4, store.seq() - BEHIND), "fields it lacks have a default");

    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.document(document(BODY).hash).unwrap().unwrap(), BODY);
    assert_eq!(reader.redacted_answer(answer(1, "answer").hash).unwrap().unwrap(), answer(1, "answer").text);
}
