//! The built-in server against a russh client, and a real `ssh` and `sshd` where they are installed.

use std::net::Ipv4Addr;

use russh::ChannelMsg;
use russh::client;
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};

use super::*;
use crate::outside::skip;
use crate::simulate::machine::generator;

struct Client {
    seen: std::sync::mpsc::Sender<String>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        if let PublicKeyOrCertificate::PublicKey { key, .. } = key {
            let _ = self.seen.send(key.to_openssh().unwrap_or_default());
        }
        Ok(true)
    }
}

fn client_key(number: usize) -> PrivateKey {
    PrivateKey::random(&mut generator(99, number, 0), Algorithm::Ed25519).unwrap()
}

fn node(authorized: &PrivateKey) -> SshNode {
    SshNode {
        address: Ipv4Addr::new(127, 78, 0, 1).into(),
        port: 0,
        keys: HostKeys::generate(1, 1, 0, "pve1").unwrap(),
        authorized: vec!["no key at all".to_owned(), authorized.public_key().to_openssh().unwrap()],
        node: Node {
            fqdn: "pve1.rack.example".to_owned(),
            machine_id: "0123".to_owned(),
            debian: "13.5",
            package: "9.2.2",
            kernel: "7.0.2-5-pve",
        },
    }
}

async fn log_in(server: &SshServer, key: PrivateKey) -> (client::Handle<Client>, bool, String) {
    let (seen, keys) = std::sync::mpsc::channel();
    let mut session = client::connect(Arc::default(), server.at, Client { seen }).await.unwrap();
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let accepted = session.authenticate_publickey("root", key).await.unwrap().success();
    (session, accepted, keys.recv().unwrap())
}

/// Output, errors and status of a command.
async fn execute(session: &client::Handle<Client>, command: &str, terminal: bool) -> (String, String, Option<u32>) {
    let mut channel = session.channel_open_session().await.unwrap();
    if terminal {
        channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
    }
    channel.set_env(true, "LANG", "C").await.unwrap();
    channel.exec(true, command).await.unwrap();
    let (mut output, mut errors, mut status, mut eof) = (Vec::new(), Vec::new(), None, false);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => output.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, .. } => errors.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Eof => eof = true,
            _ => {}
        }
    }
    assert!(eof, "the channel ends with eof");
    (String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap(), status)
}

#[tokio::test]
async fn the_answers_key_comes_in_and_commands_answer() {
    let server = node(&client_key(1)).start(&SshMode::Builtin, 1).await.unwrap().unwrap();
    let (session, accepted, seen) = log_in(&server, client_key(1)).await;
    assert!(accepted);
    let reported = HostKeys::generate(1, 1, 0, "pve1").unwrap().public_lines().unwrap();
    let blob = |line: &str| line.split(' ').nth(1).map(str::to_owned);
    assert!(reported.iter().any(|(_, line)| blob(line) == blob(&seen)), "presents a reported key");
    assert_eq!(execute(&session, "hostname", false).await, ("pve1\n".to_owned(), String::new(), Some(0)));
    assert_eq!(execute(&session, "/bin/sh -c 'hostname -f'", true).await.0, "pve1.rack.example\r\n");
    let refused = execute(&session, "touch /tmp/x", false).await;
    assert_eq!(refused, (String::new(), "sh: touch: not found\n".to_owned(), Some(127)));
}

#[tokio::test]
async fn another_key_stays_outside() {
    let server = node(&client_key(1)).start(&SshMode::Builtin, 1).await.unwrap().unwrap();
    let (_, accepted, _) = log_in(&server, client_key(2)).await;
    assert!(!accepted);
}

#[tokio::test]
async fn a_dropped_server_ends_its_sessions_and_frees_its_port() {
    let server = node(&client_key(1)).start(&SshMode::Builtin, 1).await.unwrap().unwrap();
    let (mut session, accepted, _) = log_in(&server, client_key(1)).await;
    assert!(accepted);
    let at = server.at;
    drop(server);
    // Ends by itself: the client sees the closed socket.
    let _ = tokio::time::timeout(Duration::from_secs(20), &mut session).await.expect("the session ends");
    assert!(TcpStream::connect(at).await.is_err());
}

/// Paths of the programs the full test needs, if they are all there.
fn programs<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let find = |name: &str| {
        let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        std::env::split_paths(&places).map(|place| place.join(name)).find(|path| path.exists())
    };
    let found: Vec<_> = names.iter().filter_map(|name| find(name)).collect();
    found.try_into().ok()
}

/// The way ansible's `raw` goes: the OpenSSH client with a terminal, strict about the host key.
async fn openssh(ssh: &Path, server: &SshServer, command: &str) -> std::process::Output {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let text = client_key(1).to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap().to_string();
    write_private(&key, &text).await.unwrap();
    let known = dir.path().join("known_hosts");
    let keys = HostKeys::generate(1, 1, 0, "pve1").unwrap().public_lines().unwrap();
    let line = |(_, key): &(&str, String)| format!("[{}]:{} {key}\n", server.at.ip(), server.at.port());
    write_private(&known, &keys.iter().map(line).collect::<String>()).await.unwrap();
    let mut child = Command::new(ssh);
    child.args([
        "-F",
        "none",
        "-tt",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
    ]);
    child.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
    child.arg("-i").arg(key).args(["-p", &server.at.port().to_string(), "-l", "root"]);
    child.arg(server.at.ip().to_string()).arg(command).stdin(Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(20), child.output()).await.expect("ssh ends").unwrap()
}

#[tokio::test]
async fn the_openssh_client_gets_on_with_the_builtin_server() {
    let Some([ssh]) = programs(["ssh"]) else {
        skip("no ssh here");
        return;
    };
    let server = node(&client_key(1)).start(&SshMode::Builtin, 1).await.unwrap().unwrap();
    let output = openssh(&ssh, &server, "/bin/sh -c 'hostname -f && exit 3'").await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "pve1.rack.example\r\n", "{output:?}");
    assert_eq!(output.status.code(), Some(3));
}

#[tokio::test]
async fn a_real_sshd_presents_the_same_keys() {
    let Some([_, sshd]) = programs(["ssh", "sshd"]) else {
        skip("no sshd here (Debian: openssh-server)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mode = SshMode::Sshd { path: sshd, dir: dir.path().to_owned() };
    let server = match node(&client_key(1)).start(&mode, 1).await {
        Ok(server) => server.unwrap(),
        // Started by root, it wants its privilege separation folder, which is not ours to make.
        Err(SshError::Silent { words, .. }) if words.contains("privilege separation") => {
            skip(&words);
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let (_, _, seen) = log_in(&server, client_key(1)).await;
    let reported = HostKeys::generate(1, 1, 0, "pve1").unwrap().public_lines().unwrap();
    let blob = |line: &str| line.split(' ').nth(1).map(str::to_owned);
    assert!(reported.iter().any(|(_, line)| blob(line) == blob(&seen)));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mode = SshMode::Sshd { path: dir.path().join("no-sshd"), dir: dir.path().to_owned() };
    let error = node(&client_key(1)).start(&mode, 1).await.unwrap_err();
    assert!(error.to_string().contains("no-sshd"), "{error}");
}
