//! The SSH port of an installed node: built in, or a real `sshd` started for it.
//!
//! Owns listeners and child processes; both end when their value is dropped. The built-in server runs nothing on this
//! host (`shell`); a real sshd does, so it is for tests that bring their own sandbox.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Pty};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::keys::HostKeys;
use super::shell::Node;

/// How long a started sshd may take to listen.
const SSHD_START: Duration = Duration::from_secs(10);

/// How installed nodes answer on SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SshMode {
    /// Not at all.
    None,
    /// A server inside this process that lets the answer's keys in and knows a few commands by heart.
    #[default]
    Builtin,
    /// A real sshd for each node. Whoever logs in is on this host.
    Sshd {
        /// The program, an absolute path as sshd demands it.
        path: PathBuf,
        /// Folder for the nodes' configurations, keys and `authorized_keys`.
        dir: PathBuf,
    },
}

/// Why a node has no SSH port.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The port cannot be opened.
    #[error("cannot listen on {at}: {source}")]
    Listen {
        /// Address and port.
        at: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of a real sshd cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The program cannot be started.
    #[error("cannot start `{}`: {source}; give its absolute path", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It ended at once, or never listened.
    #[error("sshd does not listen on {at}: {words}")]
    Silent {
        /// Address and port.
        at: SocketAddr,
        /// What it wrote.
        words: String,
    },
    /// A host key cannot be written down.
    #[error("host key unusable: {0}")]
    Key(#[from] russh::keys::ssh_key::Error),
}

/// What a node needs to answer on SSH.
#[derive(Debug)]
pub(super) struct SshNode {
    pub(super) address: IpAddr,
    /// 0 takes a free port.
    pub(super) port: u16,
    pub(super) keys: HostKeys,
    pub(super) authorized: Vec<String>,
    pub(super) node: Node,
}

/// A running SSH server; dropping it ends it.
#[derive(Debug)]
pub(super) struct SshServer {
    pub(super) at: SocketAddr,
    _running: Running,
}

/// What keeps the server alive.
#[derive(Debug)]
enum Running {
    Builtin(#[expect(dead_code, reason = "held for its drop, which ends every session")] JoinSet<()>),
    Sshd(#[expect(dead_code, reason = "held for its drop, which kills the child")] tokio::process::Child),
}

impl SshNode {
    /// Opens the port.
    pub(super) async fn start(self, mode: &SshMode, number: usize) -> Result<Option<SshServer>, SshError> {
        match mode {
            SshMode::None => Ok(None),
            SshMode::Builtin => self.builtin().await.map(Some),
            SshMode::Sshd { path, dir } => self.sshd(path, &dir.join(number.to_string())).await.map(Some),
        }
    }

    async fn listen(&self) -> Result<(TcpListener, SocketAddr), SshError> {
        let at = SocketAddr::new(self.address, self.port);
        let error = |source| SshError::Listen { at, source };
        let listener = TcpListener::bind(at).await.map_err(error)?;
        let at = listener.local_addr().map_err(error)?;
        Ok((listener, at))
    }

    async fn builtin(self) -> Result<SshServer, SshError> {
        let (listener, at) = self.listen().await?;
        let config = russh::server::Config {
            keys: self.keys.private().into_iter().cloned().collect(),
            auth_rejection_time: Duration::from_millis(100),
            auth_rejection_time_initial: Some(Duration::ZERO),
            nodelay: true,
            ..russh::server::Config::default()
        };
        let authorized = self.authorized.iter().filter_map(|line| PublicKey::from_openssh(line).ok()).collect();
        let door = Door { authorized: Arc::new(authorized), node: Arc::new(self.node), terminals: HashSet::new() };
        let mut running = JoinSet::new();
        running.spawn(accept(listener, Arc::new(config), door));
        Ok(SshServer { at, _running: Running::Builtin(running) })
    }

    async fn sshd(self, program: &Path, dir: &Path) -> Result<SshServer, SshError> {
        // A free port is found by opening it; sshd has to open it again.
        let at = self.listen().await?.1;
        let config = self.write_files(dir, at).await?;
        let log = dir.join("sshd.log");
        let error = |source| SshError::Start { path: program.to_owned(), source };
        let child = Command::new(program)
            .args([Path::new("-D"), Path::new("-f"), &config, Path::new("-E"), &log])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(error)?;
        let listening = async {
            while TcpStream::connect(at).await.is_err() {
                if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            true
        };
        if matches!(tokio::time::timeout(SSHD_START, listening).await, Ok(true)) {
            return Ok(SshServer { at, _running: Running::Sshd(child) });
        }
        let words = tokio::fs::read_to_string(&log).await.unwrap_or_default();
        Err(SshError::Silent { at, words: words.lines().last().unwrap_or("it wrote nothing").to_owned() })
    }

    /// Configuration, host keys and authorized keys of a real sshd that needs no privileges.
    async fn write_files(&self, dir: &Path, at: SocketAddr) -> Result<PathBuf, SshError> {
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| SshError::Write { path, source }
        };
        tokio::fs::create_dir_all(dir).await.map_err(error(dir))?;
        let mut config = format!(
            "ListenAddress {at}\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\nUseDNS no\n\
             AuthorizedKeysFile \"{}\"\n",
            dir.join("authorized_keys").display()
        );
        let hostname = dir.join("hostname");
        write_private(&hostname, &format!("{}\n", self.node.fqdn)).await.map_err(error(&hostname))?;
        for (name, text) in self.keys.files()? {
            let path = dir.join(name);
            write_private(&path, &text).await.map_err(error(&path))?;
            config = format!("{config}HostKey \"{}\"\n", path.display());
        }
        let authorized = dir.join("authorized_keys");
        write_private(&authorized, &(self.authorized.join("\n") + "\n")).await.map_err(error(&authorized))?;
        let path = dir.join("sshd_config");
        write_private(&path, &config).await.map_err(error(&path))?;
        Ok(path)
    }
}

/// Writes a file that only its owner reads.
async fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).await?;
    file.write_all(text.as_bytes()).await?;
    file.flush().await
}

/// Takes connections until it is dropped.
async fn accept(listener: TcpListener, config: Arc<russh::server::Config>, door: Door) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            connection = listener.accept() => match connection {
                Ok((stream, _)) => {
                    sessions.spawn(serve(stream, Arc::clone(&config), door.clone()));
                }
                // Out of descriptors or a connection gone already: later ones may work.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// One connection. The session runs in a task of its own that nobody can stop; it sees the socket through a pipe, so
/// that it ends when this future is dropped.
async fn serve(mut stream: TcpStream, config: Arc<russh::server::Config>, door: Door) {
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    let session = async {
        if let Ok(session) = russh::server::run_stream(config, far, door).await {
            // How a client left is of no interest here.
            drop(session.await);
        }
    };
    let pipe = async { drop(tokio::io::copy_bidirectional(&mut stream, &mut near).await) };
    tokio::join!(session, pipe);
}

/// Who may come in, and what is told to them.
#[derive(Clone, Debug)]
struct Door {
    authorized: Arc<Vec<PublicKey>>,
    node: Arc<Node>,
    /// Channels that asked for a terminal: a multiplexing client has several channels in one session.
    terminals: HashSet<ChannelId>,
}

impl Door {
    fn judge(&self, key: &PublicKey) -> Auth {
        let known = self.authorized.iter().any(|authorized| authorized.key_data() == key.key_data());
        if known { Auth::Accept } else { Auth::reject() }
    }

    /// Answers a command in the background, so that `sleep` does not stop the session.
    fn answer(&mut self, channel: ChannelId, command: &[u8], session: &Session) {
        let terminal = self.terminals.remove(&channel);
        let ended = self.node.run(&String::from_utf8_lossy(command));
        let text = |text: String| if terminal { text.replace('\n', "\r\n") } else { text };
        let (output, errors) = (text(ended.output), text(ended.errors));
        let handle = session.handle();
        tokio::spawn(async move {
            tokio::time::sleep(ended.delay).await;
            // A client that is gone already makes these fail; there is nobody left to tell.
            let _ = handle.data(channel, output.into_bytes()).await;
            if terminal {
                let _ = handle.data(channel, errors.into_bytes()).await;
            } else {
                let _ = handle.extended_data(channel, 1, errors.into_bytes()).await;
            }
            let _ = handle.exit_status_request(channel, ended.status).await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        });
    }
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(offer.public_key))
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.terminals.insert(channel);
        session.channel_success(channel)
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.terminals.remove(&channel);
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        self.answer(channel, data, session);
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        self.answer(channel, b"echo 'a simulated node has no interactive shell'; exit 1", session);
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}

#[cfg(test)]
mod tests;
