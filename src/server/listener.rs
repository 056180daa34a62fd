//! The accept loop: owns the listening socket and the life of every connection.
//!
//! Our own, because handshakes that fail and first bytes that are no TLS must be seen (ADR 3). No error of one
//! connection, nor a shortage of descriptors, ends it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Shared};
use super::crowd::{self, Admission, Crowd, Pressure, Room, Seat};
use super::router;
use super::state::App;
use crate::domain::ghost::Cause;

/// Connections the kernel keeps for us while we are busy: a whole rack that powers on at once. The kernel caps it at
/// `net.core.somaxconn`, 4096 unless set otherwise.
const BACKLOG: u32 = 4096;
/// Pause after an accept that failed for want of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);
/// At the end: how long connections may take to send their replies (ARCHITECTURE.md, "One try") …
const FAREWELL: Duration = Duration::from_secs(3);
/// … and how much of it those get that have sent no request yet.
const SILENT_FAREWELL: Duration = Duration::from_millis(500);

/// Why there is no listener. Every message names the address and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "`{0}` is in use by another program, perhaps another console; stop it, or choose another port with `--listen` or `[server] listen`"
    )]
    InUse(SocketAddr),
    /// Ports below 1024.
    #[error("not allowed to listen on `{0}`; choose a port above 1023 with `--listen` or `[server] listen`")]
    NotAllowed(SocketAddr),
    /// The address is not ours.
    #[error(
        "`{0}` is not an address of this machine; choose one of its own, or `0.0.0.0`, with `--listen` or `[server] listen`"
    )]
    NotOurs(SocketAddr),
    /// Anything else.
    #[error("cannot listen on `{address}`: {source}; choose another address with `--listen` or `[server] listen`")]
    Other {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A bound socket that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 lets the system choose. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || -> io::Result<Self> {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A console that restarts must not wait for the old one's connections to be forgotten.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bind().map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::PermissionDenied => BindError::NotAllowed(address),
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs(address),
            _ => BindError::Other { address, source },
        })
    }

    /// The address bound, with the port the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until the app's shutdown token is cancelled; then gives every held request its retry answer, waits up to 3 s
/// for replies to leave, and drops what is left. At most `connections` are open at once, a few of them for those that are
/// over a limit and get the retry answer only.
pub async fn serve(listener: Listener, app: App, tls: Option<Arc<ServerConfig>>, connections: usize) {
    let shared = Arc::new(Shared {
        router: router::machines(app.clone()),
        wrong_scheme: router::wrong_scheme(app.clone()),
        tls: tls.map(TlsAcceptor::from),
        grace: CancellationToken::new(),
        app,
    });
    let open = Connections {
        shared,
        tasks: TaskTracker::new(),
        kill: CancellationToken::new(),
        crowd: Crowd::default(),
        most: crowd::without_reserve(connections),
    };
    open.accept_all(&listener.socket).await;
    open.accept_queued(&listener.socket);
    drop(listener);
    open.end().await;
}

struct Connections {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    kill: CancellationToken,
    crowd: Crowd,
    /// Most connections that the file descriptors allow.
    most: usize,
}

impl Connections {
    async fn accept_all(&self, socket: &TcpListener) {
        let stop = &self.shared.app.shutdown;
        let mut failing = false;
        while let Some(accepted) = stop.run_until_cancelled(socket.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.start(stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => tracing::debug!("a connection ended in accept: {error}"),
                Err(error) => {
                    if !failing {
                        tracing::error!("cannot accept connections: {error}; raise the limit of open files");
                    }
                    failing = true;
                    stop.run_until_cancelled(sleep(BACK_OFF)).await;
                }
            }
        }
    }

    /// Takes in what the kernel has accepted already: closing the socket would reset it.
    fn accept_queued(&self, socket: &TcpListener) {
        while let Some(Ok((stream, peer))) = socket.accept().now_or_never() {
            self.start(stream, peer);
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(place) = self.admit(connection::canonical(peer).ip()) else { return };
        let shared = Arc::clone(&self.shared);
        let kill = self.kill.clone();
        let cut = place.0.cut.clone();
        self.tasks.spawn(async move {
            // Boxed, for each of the two around it would hold it twice.
            let connection = Box::pin(connection::run(stream, peer, shared, place));
            kill.run_until_cancelled(cut.run_until_cancelled(connection)).await;
        });
    }

    /// A place for another connection of `peer`, and whether it is one over a limit.
    fn admit(&self, peer: IpAddr) -> Option<(Seat, bool)> {
        let app = &self.shared.app;
        let room = {
            let access = &app.kit.borrow().access;
            let per_address = (!access.trusts(peer)).then_some(access.limits.connections_per_address);
            Room { total: access.limits.connections.map_or(self.most, |most| most.min(self.most)), per_address }
        };
        let (admission, pressure) = self.crowd.admit(peer, room);
        match pressure {
            Some(Pressure::Own) => app.ghosts.tell(peer, Cause::TooManyConnections, ""),
            Some(Pressure::Of(victim)) => app.ghosts.tell(victim, Cause::GaveWay, ""),
            Some(Pressure::All) => app.ghosts.tell(peer, Cause::NoRoom, ""),
            None => {}
        }
        match admission {
            Admission::In(seat) => Some((seat, false)),
            Admission::Hurried(seat) => Some((seat, true)),
            Admission::Out => None,
        }
    }

    async fn end(self) {
        let app = &self.shared.app;
        let all_gone = async {
            app.handle.release_all().await;
            self.tasks.close();
            if timeout(SILENT_FAREWELL, self.tasks.wait()).await.is_err() {
                self.shared.grace.cancel();
                self.tasks.wait().await;
            }
            app.reports.end().await;
        };
        if timeout(FAREWELL, all_gone).await.is_err() {
            tracing::warn!("{} connections were cut at the end", self.tasks.len());
        }
        self.kill.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Errors that accept hands on from a connection that is gone already; see accept(2).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::PermissionDenied
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Listener::bind(first.address()).unwrap_err();
        assert!(matches!(error, BindError::InUse(address) if address == first.address()));
        assert!(error.to_string().contains("--listen"));
    }

    #[tokio::test]
    async fn an_address_of_somebody_else_is_named() {
        let error = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(matches!(error, BindError::NotOurs(_)), "{error}");
    }
}
