//! What the installers send, turned into the domain's typed and cleaned facts: the answer request
//! ([`system_info`], PROTOCOL.md §a.2) and the post-installation report ([`report`], PROTOCOL.md §c.2), in every schema
//! version from 8.2 to 9.2.
//!
//! Pure: bytes in, facts out. It owns no state, does no I/O and decides nothing about a machine. Every field may be
//! missing or of the wrong type; such a field is dropped and the rest is kept, because a body that is refused leaves a
//! machine in a debug shell (PROTOCOL.md §a.7).

mod dmi;
mod json;
pub mod report;
pub mod system_info;

pub use report::ParsedReport;
pub use system_info::RequestSigns;

/// Why a body carries no facts at all. The texts are written for the HTTP reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Nothing was sent.
    #[error("the body is empty; send one JSON object, as the Proxmox installer does")]
    Empty,
    /// The text breaks off or is not JSON.
    #[error("the body is not JSON: {reason} at line {line}, column {column}; send one JSON object")]
    NotJson {
        /// What the parser found wrong.
        reason: String,
        /// Line, counted from 1.
        line: usize,
        /// Column in bytes, counted from 1; 0 where the line ended too early.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("the body is {found}, not a JSON object; send one JSON object `{{…}}`")]
    NotAnObject {
        /// What it is instead, with its article.
        found: &'static str,
    },
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    use super::*;
    use crate::domain::Generation;
    use crate::outside::conformance;

    /// Arbitrary JSON, with the members the installers use among the keys.
    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            "([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}".prop_map(Value::from),
        ];
        let key = "(system|chassis|baseboard|uuid|serial|mac|link|address|udev-properties|ed25519|.{0,6})";
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// A capture: its headers as signs, and its body.
    fn capture(folder: &Path, name: &str) -> (Value, Vec<u8>) {
        let text = std::fs::read_to_string(folder.join("captures").join(name)).unwrap();
        let mut capture: Value = serde_json::from_str(&text).unwrap();
        let body = capture["body"].take().to_string().into_bytes();
        (capture["headers"].take(), body)
    }

    fn header<'a>(headers: &'a Value, name: &str) -> Option<&'a str> {
        let pairs = headers.as_array()?;
        pairs.iter().find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name))?[1].as_str()
    }

    #[rstest]
    #[case("8.2-answer-http.json", Generation::V8_2)]
    #[case("8.4-answer-http.json", Generation::V8_3)]
    #[case("9.2-answer-http.json", Generation::V9_2)]
    #[case("9.2-answer-no-dmi.json", Generation::V9_2)]
    fn captured_answer_requests_are_read(#[case] name: &str, #[case] generation: Generation) {
        let Some(folder) = conformance() else { return };
        let (headers, body) = capture(&folder, name);
        let signs = RequestSigns {
            accept: header(&headers, "accept"),
            user_agent: header(&headers, "user-agent"),
            content_type: header(&headers, "content-type"),
        };
        let info = system_info::parse(&body, &signs).unwrap();
        assert_eq!(info.generation, generation);
        assert_eq!(info.links.len(), 2);
        assert_eq!(info.links[0].mac.to_string(), "b4:2e:99:ac:ad:b4");
        assert_eq!(info.dmi.uuid.is_none(), name.contains("no-dmi"));
    }

    #[rstest]
    #[case("8.4-webhook.json", false)]
    #[case("9.2-webhook-token.json", true)]
    fn captured_reports_are_read(#[case] name: &str, #[case] token: bool) {
        let Some(folder) = conformance() else { return };
        let (_, body) = capture(&folder, name);
        let parsed = report::parse(&body).unwrap();
        assert_eq!(parsed.token.is_some(), token);
        assert_eq!(parsed.report.host_keys.len(), 3);
        assert_eq!(parsed.report.management_address(), Some("192.168.1.114".parse().unwrap()));
        assert_eq!(parsed.report.nics[0].vendor.as_ref().unwrap().as_str(), "Intel Corporation");
        assert!(parsed.report.disks[0].boot);
        let stored: Value = serde_json::from_slice(&parsed.redacted).unwrap();
        assert!(stored.get("token").is_none());
        assert_eq!(stored["fqdn"], "pveauto.testinstall");
    }
}
