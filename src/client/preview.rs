//! An answer explained: what a node would be given, where each value is from, and what it would touch. Holds no secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{Fqdn, NodeId};

/// The answer a node would be given now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: Fqdn,
    /// The installer its request shows, in words; empty where it never asked.
    pub installer: String,
    /// Its profile, and who chose it.
    pub profile: Option<String>,
    /// Every setting.
    pub rows: Vec<Row>,
    /// Settings its installer is too old for, which are left out, dotted.
    pub left_out: Vec<String>,
    /// The answer's text with secrets blotted out; empty where none can be made.
    pub text: String,
    /// Why none can be made.
    pub problem: Option<String>,
    /// The last answer that was released.
    pub last: Option<LastAnswer>,
    /// What it would touch, a line for each disk and interface; empty where the machine's hardware is not known.
    pub touch: Vec<String>,
    /// What would do harm, or why nothing would be touched.
    pub warnings: Vec<String>,
}

/// A released answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When it was released.
    pub at: Timestamp,
    /// Its text with secrets blotted out.
    pub text: String,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Dotted, with its key where it is a table.
    pub setting: String,
    /// What it is; `None` where a higher layer took it away.
    pub value: Option<Value>,
    /// What it would have been without higher layers, the highest first.
    pub replaced: Vec<Value>,
}

/// A value and where it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// As written in an answer; a secret is `"…"`.
    pub text: String,
    /// The layer: `default`, `profile`, `plan`, `override`, `operator` or `program`.
    pub layer: String,
    /// File and line, or where else it is from, in words.
    pub from: String,
    /// The template it is made from.
    pub template: Option<String>,
}

impl Row {
    /// The row in lines: the setting, then what it stands instead of.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let template = |value: &Value| {
            value.template.as_ref().map(|text| format!(", from the template {text}")).unwrap_or_default()
        };
        let words = |value: &Value| format!("{}   ({}: {}{})", value.text, value.layer, value.from, template(value));
        let first = match &self.value {
            Some(value) => format!("{} = {}", self.setting, words(value)),
            None => format!("{} is taken away by a higher layer", self.setting),
        };
        let replaced = self.replaced.iter().map(|old| format!("    instead of {}", words(old)));
        std::iter::once(first).chain(replaced).collect()
    }
}

/// A profile to be made from what a machine shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProfile {
    /// The machine.
    pub node: NodeId,
    /// The profile's name.
    pub name: String,
    /// JSON pointers of what its machines must show just so, as this one does.
    pub pointers: Vec<String>,
}
