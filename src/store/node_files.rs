//! The four files of ours in a node's folder, for people to read: `node.json`, `system-info.json`, `report.json` and
//! `answer.toml`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::node::Flag;
use crate::domain::text::Text;
use crate::domain::{DocumentHash, Fqdn, HostKey, MachineId, Node, NodeId, Product, RunId};

use super::Reader;
use super::atomic::{self, Durability};
use super::projector::{ProjectionError, ensure_folder, or_missing};

const NODE: &str = "node.json";
const SYSTEM_INFO: &str = "system-info.json";
const REPORT: &str = "report.json";
const ANSWER: &str = "answer.toml";

/// For everybody.
const OPEN: u32 = 0o644;

/// For the owner: the answer, although its secrets are blotted out, and the report, which holds the systemd machine id
/// (machine-id(5): "should be considered confidential").
const CLOSED: u32 = 0o600;

/// A node's folder and where its contents come from.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    pub(super) path: PathBuf,
    /// The database's name.
    pub(super) identity: &'a str,
    pub(super) reader: &'a Reader,
}

/// `node.json`: the node without its request and report, which have files of their own, and without digests.
#[derive(Debug, Serialize)]
struct NodeFile<'a> {
    store: &'a str,
    id: NodeId,
    name: &'a Fqdn,
    phase: &'static str,
    reason: Option<&'a Text>,
    since: Timestamp,
    first_seen: Timestamp,
    product: Product,
    address: Option<IpAddr>,
    model: Option<&'a Text>,
    serial: Option<&'a Text>,
    machine: &'a MachineId,
    host_keys: &'a [HostKey],
    last_run: Option<RunId>,
    flags: &'a BTreeSet<Flag>,
}

/// All that is ever read of `node.json`: whose folder it is in.
#[derive(Debug, Deserialize)]
struct Owner {
    store: String,
    id: NodeId,
}

/// The node that `folder` was last written for by the database `identity`.
pub(super) fn owner(folder: &Path, identity: &str) -> Option<NodeId> {
    let path = folder.join(NODE);
    let is_file = path.symlink_metadata().is_ok_and(|about| about.is_file());
    let file = is_file.then(|| File::open(path).ok()).flatten()?;
    let owner: Owner = serde_json::from_reader(BufReader::new(file)).ok()?;
    (owner.store == identity).then_some(owner.id)
}

/// Removes our files, and the folder where nothing else is in it.
pub(super) fn remove(folder: &Path) -> Result<(), ProjectionError> {
    // `node.json` last: it tells whose the folder is, should this be cut short.
    for name in [ANSWER, REPORT, SYSTEM_INFO, NODE] {
        let path = folder.join(name);
        or_missing(fs::remove_file(&path)).map_err(ProjectionError::io(&path))?;
    }
    match or_missing(fs::remove_dir(folder)) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(ProjectionError::io(folder)(error)),
        _ => Ok(()),
    }
}

impl Folder<'_> {
    /// Makes the files show `node`. A body is fetched only where it is another than in `before`.
    pub(super) fn write(&self, node: &Node, before: Option<&Node>) -> Result<(), ProjectionError> {
        ensure_folder(&self.path).map_err(ProjectionError::io(&self.path))?;
        self.put(NODE, Some(&self.node_file(node)?), OPEN)?;
        let is_other = |hash: fn(&Node) -> Option<DocumentHash>| before.is_none_or(|before| hash(before) != hash(node));
        let document = |hash: Option<DocumentHash>| -> Result<Option<Vec<u8>>, ProjectionError> {
            let body = hash.map(|hash| self.reader.document(hash)).transpose()?.flatten();
            Ok(body.map(|body| plain(&body).into_bytes()))
        };
        if is_other(asked) {
            self.put(SYSTEM_INFO, document(asked(node))?.as_deref(), OPEN)?;
        }
        if is_other(reported) {
            self.put(REPORT, document(reported(node))?.as_deref(), CLOSED)?;
        }
        if is_other(answered) {
            let text = answered(node).map(|hash| self.reader.redacted_answer(hash)).transpose()?.flatten();
            self.put(ANSWER, text.as_deref().map(str::as_bytes), CLOSED)?;
        }
        Ok(())
    }

    fn put(&self, name: &str, content: Option<&[u8]>, mode: u32) -> Result<(), ProjectionError> {
        let path = self.path.join(name);
        let written = match content {
            Some(content) => atomic::write(&path, content, mode, Durability::Rebuilt).map(drop),
            None => or_missing(fs::remove_file(&path)),
        };
        written.map_err(ProjectionError::io(&path))
    }

    fn node_file(&self, node: &Node) -> Result<Vec<u8>, ProjectionError> {
        let file = NodeFile {
            store: self.identity,
            id: node.id,
            name: &node.name,
            phase: node.phase.word(),
            reason: node.phase.reason(),
            since: node.since,
            first_seen: node.first_seen,
            product: node.product(),
            address: node.address,
            model: node.model(),
            serial: node.serial(),
            machine: &node.machine,
            host_keys: &node.host_keys,
            last_run: node.last_run,
            flags: &node.flags,
        };
        let encode = |source| ProjectionError::Encode { path: self.path.join(NODE), source };
        let mut bytes = serde_json::to_vec_pretty(&file).map_err(encode)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn asked(node: &Node) -> Option<DocumentHash> {
    node.request.as_ref().map(|asked| asked.stamp.body)
}

fn reported(node: &Node) -> Option<DocumentHash> {
    node.report.as_ref().map(|reported| reported.document)
}

fn answered(node: &Node) -> Option<DocumentHash> {
    node.answers.as_ref().map(|answers| answers.document)
}

/// A JSON body as received, but for characters that could play with a terminal: outside printable ASCII JSON has them
/// in strings only, where an escape means the same.
fn plain(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for c in String::from_utf8_lossy(body).chars() {
        match c {
            ' '..='~' | '\n' | '\t' => text.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_keeps_its_meaning_and_loses_its_teeth() {
        let body = "{\"a\":\"\u{202e}ü\u{9b}31m\u{1f600}\\n\u{7f}\"}\n";
        let shown = plain(body.as_bytes());
        assert_eq!(shown, "{\"a\":\"\\u202e\\u00fc\\u009b31m\\ud83d\\ude00\\n\\u007f\"}\n");
        assert_eq!(plain(&[b'"', 0xff, b'"']), "\"\\ufffd\"");
    }

    proptest! {
        #[test]
        fn any_body_reads_the_same(text in any::<String>(), key in any::<String>()) {
            let value = serde_json::json!({ key: text });
            let shown = plain(value.to_string().as_bytes());
            prop_assert!(shown.is_ascii());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
