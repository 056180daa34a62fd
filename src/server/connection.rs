//! One connection: TLS handshake, one HTTP exchange, and an orderly end.
//!
//! Sees what an HTTP framework hides: plain HTTP on the TLS port, clients that refuse our certificate, and whether a
//! reply has really left.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::crowd::Seat;
use super::delivery::Delivery;
use super::state::App;
use crate::domain::Origin;
use crate::domain::ghost::Cause;

/// Largest head, and most of a body that is read ahead, in bytes.
const READ_AHEAD: usize = 64 * 1024;
/// How long the client may take to close after our reply, and how much more it may send: closing first, with its bytes
/// unread, would make the kernel reset the connection and throw our reply away.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// The connection a request came in on; a request extension.
#[derive(Clone, Debug)]
pub(super) struct ConnInfo {
    /// The other end, never an IPv4-mapped IPv6 address.
    pub(super) peer: SocketAddr,
    /// Our end, likewise.
    pub(super) local: SocketAddr,
    /// When it was accepted, for deadlines.
    pub(super) accepted: Instant,
    /// When it was accepted, for the record.
    pub(super) accepted_at: Timestamp,
    /// Whether it speaks TLS.
    pub(super) tls: bool,
    /// Whether it is over a limit: all it gets is the retry answer.
    pub(super) hurried: bool,
    /// What becomes of the reply.
    pub(super) delivery: Delivery,
    /// Its place among the open connections.
    seat: Arc<Seat>,
}

impl ConnInfo {
    /// A connection accepted just now, whose place among the others is `place`.
    pub(super) fn new(peer: SocketAddr, local: SocketAddr, place: (Seat, bool)) -> Self {
        let (seat, hurried) = place;
        Self {
            peer: canonical(peer),
            local: canonical(local),
            accepted: Instant::now(),
            accepted_at: Timestamp::now(),
            tls: false,
            hurried,
            delivery: Delivery::default(),
            seat: Arc::new(seat),
        }
    }

    /// Its request is there in full: it is no longer the first to go when there are too many.
    pub(super) fn asked(&self) {
        self.seat.asked();
    }
}

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) app: App,
    pub(super) router: Router,
    /// Replies to plain HTTP on the TLS port.
    pub(super) wrong_scheme: Router,
    pub(super) tls: Option<TlsAcceptor>,
    /// Cancelled when connections without a request are to end.
    pub(super) grace: CancellationToken,
}

/// Serves one connection to its end. Thousands of these wait at once: the parts that do not live as long as the whole are
/// boxed, so that a held request takes no more room than it needs.
pub(super) async fn run(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, place: (Seat, bool)) {
    let Ok(local) = stream.local_addr() else { return };
    // Small writes go out at once; a system that cannot do this serves more slowly.
    let _ = stream.set_nodelay(true);
    let mut info = ConnInfo::new(peer, local, place);
    let ghosts = &shared.app.ghosts;
    let peer = info.peer.ip();
    let Some(acceptor) = &shared.tls else {
        return Box::pin(exchange(stream, info, &shared.router, &shared)).await;
    };
    let deadline = info.accepted + shared.app.kit.borrow().access.limits.head_time;
    match timeout_at(deadline, speaks_plain_http(&stream)).await {
        Ok(Ok(false)) => {}
        Ok(Ok(true)) => {
            ghosts.tell(peer, Cause::PlainHttp, "");
            return Box::pin(exchange(stream, info, &shared.wrong_scheme, &shared)).await;
        }
        Ok(Err(_)) => return,
        Err(_) => return ghosts.tell(peer, Cause::Silent, ""),
    }
    // A statement of its own: what it matches on would else stay as long as the connection.
    let stream = match timeout_at(deadline, Box::pin(acceptor.accept(stream))).await {
        // Boxed: what a TLS connection keeps is moved several times, and each place would take its room.
        Ok(Ok(stream)) => Box::new(stream),
        Ok(Err(error)) => {
            let (cause, detail) = failed_handshake(&error);
            return ghosts.tell(peer, cause, &detail);
        }
        Err(_) => return ghosts.tell(peer, Cause::HandshakeFailed, "it took too long"),
    };
    info.tls = true;
    Box::pin(exchange(stream, info, &shared.router, &shared)).await;
}

/// An IPv4 peer of a dual-stack socket shows as IPv6; it is IPv4 for everybody else.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether the first byte is a letter, as in `POST`, where a TLS record starts with 0x16.
async fn speaks_plain_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0].is_ascii_alphabetic()),
    }
}

fn failed_handshake(error: &io::Error) -> (Cause, String) {
    use AlertDescription as Alert;
    let rustls_error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match rustls_error {
        // Which of them is sent for another fingerprint depends on the TLS library's release.
        Some(rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError,
        )) => (Cause::CertificateRefused, String::new()),
        Some(error) => (Cause::HandshakeFailed, error.to_string()),
        None => (Cause::HandshakeFailed, error.kind().to_string()),
    }
}

/// Reads one request, replies, tells what became of the reply, and closes.
pub(super) async fn exchange<S>(stream: S, info: ConnInfo, router: &Router, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let delivery = info.delivery.clone();
    let peer = info.peer.ip();
    let client = Arc::new(OnceLock::new());
    let (head_time, router) = (shared.app.kit.borrow().access.limits.head_time, router.clone());
    let service = service_fn({
        let (app, client) = (shared.app.clone(), Arc::clone(&client));
        move |mut request: hyper::Request<Incoming>| {
            let info = on_behalf(&app, info.clone(), request.headers());
            let _ = client.set(info.peer.ip());
            request.extensions_mut().insert(info);
            Box::pin(router.clone().oneshot(request))
        }
    });
    let io = TokioIo::new(Watched { stream, delivery: delivery.clone() });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .keep_alive(false)
        .max_buf_size(READ_AHEAD)
        .serve_connection(io, service);
    let mut ending = false;
    let result = loop {
        tokio::select! {
            result = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break result,
            () = shared.grace.cancelled(), if !ending => {
                ending = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    // Where the client hung up, its handler has been dropped by here.
    let io = connection.into_parts().io.into_inner();
    let origin = Origin::Peer(client.get().copied().unwrap_or(peer));
    Box::pin(delivery.settle(&shared.app.handle, origin)).await;
    match result {
        Ok(()) => Box::pin(linger(io.stream)).await,
        Err(error) if error.is_timeout() && client.get().is_none() => shared.app.ghosts.tell(peer, Cause::Silent, ""),
        Err(error) => tracing::debug!("connection ended early: {error}"),
    }
}

/// The connection as its request shows it: behind a trusted proxy the peer is whom the proxy names.
fn on_behalf(app: &App, mut info: ConnInfo, headers: &HeaderMap) -> ConnInfo {
    let peer = info.peer.ip();
    match app.kit.borrow().access.client(peer, headers) {
        Ok(client) if client == peer => {}
        Ok(client) => info.peer = SocketAddr::new(client, 0),
        Err(_) => app.ghosts.tell(peer, Cause::BadForward, ""),
    }
    info
}

/// Closes our side, then waits for the client's.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let wait = async {
        stream.shutdown().await?;
        let mut scratch = vec![0; 1024];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut scratch).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    };
    // The reply has left; how the client says goodbye does not matter.
    let _ = timeout(LINGER_TIME, wait).await;
}

/// A stream that tells when everything written has been taken by the socket.
struct Watched<S> {
    stream: S,
    delivery: Delivery,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called by the HTTP layer when its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.delivery.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_peers_of_a_dual_stack_socket_are_ipv4() {
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:1234".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.7:1234".parse().unwrap());
        let v6: SocketAddr = "[2001:db8::7]:1234".parse().unwrap();
        assert_eq!(canonical(v6), v6);
    }

    #[test]
    fn alerts_about_our_certificate_are_told_from_others() {
        let failed = |error| failed_handshake(&io::Error::other(error));
        let alert = |alert| rustls::Error::AlertReceived(alert);
        assert_eq!(failed(alert(AlertDescription::BadCertificate)).0, Cause::CertificateRefused);
        assert_eq!(failed(alert(AlertDescription::UnknownCA)).0, Cause::CertificateRefused);
        assert_eq!(failed(alert(AlertDescription::ProtocolVersion)).0, Cause::HandshakeFailed);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(failed_handshake(&reset).0, Cause::HandshakeFailed);
    }
}
