//! Asking our own address over the network, as an installer of the newest release would: name, port, TLS with the pinned
//! fingerprint, one POST, one reply. What the console shows is what machines are told, so that is what is tested.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::client::SelfTest;
use crate::domain::Product;
use crate::domain::snapshot::Service;
use crate::server::{SELF_TEST_OK, SelfTests};
use crate::simulate::client::{Call, ExchangeError, Reply, Target};
use crate::simulate::machine::Machine;
use crate::simulate::{Release, body};

/// Patience of the test; an installer waits longer, a person in front of it does not.
const LIMIT: Duration = Duration::from_secs(10);

/// The release that is stood in for.
const RELEASE: Release = Release::V9_2;

/// Asks what `service` tells machines to ask.
pub(super) async fn run(service: &Service, expected: &SelfTests) -> SelfTest {
    let mut outcome = SelfTest::default();
    if let Err(why) = ask(service, expected, &mut outcome.passed).await {
        outcome.failed = Some(why);
    }
    outcome
}

async fn ask(service: &Service, expected: &SelfTests, passed: &mut Vec<String>) -> Result<(), String> {
    let url = format!("{}/answer", service.url.trim_end_matches('/'));
    let target = Target::new(&url, service.fingerprint.as_deref()).map_err(|error| error.to_string())?;
    let request = body::answer_request(RELEASE, Product::Pve, &Machine::build(0, 0, Ipv4Addr::LOCALHOST));
    // In the place of a medium's token, so that it passes where media need one.
    let word = expected.expect();
    let call = Call {
        release: RELEASE,
        target: &target,
        source: Ipv4Addr::LOCALHOST,
        body: Some(request.to_string().into()),
        accept: RELEASE.accept(),
        bearer: Some(&word),
        trickle: None,
        limit: Some(LIMIT),
    };
    let reply = call.send().await.map_err(|error| cure(&error))?;
    passed.push(match service.fingerprint {
        Some(_) => format!("connected to {url}; the certificate is the one whose fingerprint is shown"),
        None => format!("connected to {url}, without TLS"),
    });
    judge(&reply)?;
    passed.push(format!(
        "asked as an installer does and got the retry answer in {} ms; no row was made",
        reply.elapsed.as_millis()
    ));
    passed.push(
        "That was from this host: a firewall or another network may still be between. Open the URL in a browser there."
            .to_owned(),
    );
    Ok(())
}

/// Whether the reply is what this engine says to its own test.
fn judge(reply: &Reply) -> Result<(), String> {
    let text = String::from_utf8_lossy(&reply.body);
    if RELEASE.accepts_status(reply.status) && text.contains(SELF_TEST_OK) {
        return Ok(());
    }
    Err(format!(
        "something else answers there ({} {}): another server or a proxy has this address; see `server.public_url`",
        reply.status, reply.reason
    ))
}

/// What to do about a failed exchange.
fn cure(error: &ExchangeError) -> String {
    let hint = match error {
        ExchangeError::Resolve { .. } => "the name in `server.public_url` is not in the DNS this host uses",
        ExchangeError::Connect { .. } | ExchangeError::Timeout(_) => {
            "nothing answers there: look at the firewall of this host, `server.listen` and `server.public_url`"
        }
        ExchangeError::Tls { .. } => "another certificate is shown there: does a proxy stand before this console?",
        ExchangeError::V6Literal => "installers refuse an IPv6 address together with a fingerprint: use a host name",
        ExchangeError::Url(_) | ExchangeError::Pin(_) => "correct `server.public_url`",
        ExchangeError::Http(_) | ExchangeError::Request(_) | ExchangeError::Body(_) => "see the log, tab 3",
    };
    format!("{error}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_there_is_told_with_a_cure() {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let service = Service { url: format!("http://127.0.0.1:{port}"), ..Service::default() };
        let outcome = run(&service, &SelfTests::default()).await;
        assert!(outcome.passed.is_empty());
        assert!(outcome.failed.unwrap().contains("firewall"));
    }

    #[test]
    fn another_server_is_not_taken_for_ours() {
        let reply = Reply {
            status: 200,
            reason: "OK",
            content_type: None,
            body: "hello".into(),
            elapsed: Duration::from_millis(1),
        };
        assert!(judge(&reply).unwrap_err().contains("something else answers"));
    }
}
