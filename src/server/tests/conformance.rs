//! Captures of real installers, replayed with their own headers and bodies.

use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::domain::Generation;
use crate::outside::conformance;

/// The folder of captures, where there is one.
fn captures() -> Option<PathBuf> {
    conformance().map(|folder| folder.join("captures"))
}

/// The request as its installer sent it, to another path.
fn replay(folder: &Path, name: &str, path: &str) -> Vec<u8> {
    use std::fmt::Write as _;
    let capture: Value = serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    let body = capture["body"].to_string();
    let mut request = format!("POST {path} HTTP/1.1\r\n");
    for pair in capture["headers"].as_array().unwrap() {
        let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        if !name.eq_ignore_ascii_case("content-length") {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
    }
    write!(request, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    request.into_bytes()
}

#[rstest]
#[case("8.2-answer-http.json", Generation::V8_2, false)]
#[case("8.4-answer-http.json", Generation::V8_3, true)]
#[case("9.2-answer-http.json", Generation::V9_2, true)]
#[case("9.2-answer-no-dmi.json", Generation::V9_2, true)]
#[tokio::test]
async fn real_requests_are_held_and_answered(
    #[case] name: &str,
    #[case] generation: Generation,
    #[case] has_webhook: bool,
) {
    let Some(folder) = captures() else { return };
    let bench = Bench::new(Setup { nic_vendor: Some("*"), ..Setup::default() }).await;
    let request = replay(&folder, name, "/answer/");
    let stream = bench.connect(7).await;
    let machine = tokio::spawn(async move { exchange(stream, &request).await });
    let node = only(&*bench.until_held(1).await);
    assert_eq!(node.request.as_ref().unwrap().info.generation, generation);
    assert_eq!(node.request.as_ref().unwrap().stamp.macs.len(), 2);
    // The password of the base is hashed, which 8.2 does not know: it is told so instead of being given half an answer.
    bench.approve(node.id).await;
    let reply = machine.await.unwrap();
    if generation == Generation::V8_2 {
        assert_eq!(reply.screen(), "CANNOT ANSWER - see console");
    } else {
        let answer = reply.answer();
        assert_eq!(answer.get("post-installation-webhook").is_some(), has_webhook);
        assert_eq!(answer["global"]["fqdn"].as_str(), Some(node.name.as_str()));
    }
    bench.end().await;
}

#[rstest]
#[case("8.4-webhook.json")]
#[case("9.2-webhook-token.json")]
#[tokio::test]
async fn real_reports_are_taken(#[case] name: &str) {
    let Some(folder) = captures() else { return };
    let bench = Bench::new(Setup::default()).await;
    assert_eq!(bench.send(7, &replay(&folder, name, "/webhook/")).await.status, 200);
    let snapshot = bench.handle.snapshot();
    let report = &snapshot.fleet.unmatched().next().unwrap().report;
    assert_eq!(report.host_keys.len(), 3);
    bench.end().await;
}
