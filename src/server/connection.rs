//! One connection: TLS handshake, one HTTP exchange, and an orderly end.
//!
//! Sees what an HTTP framework hides: plain HTTP on the TLS port, clients that refuse our certificate, and whether a
//! reply has really left.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
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

use super::delivery::Delivery;
use super::note::Noted;
use super::state::App;
use crate::domain::Origin;

/// From accept to the end of the TLS handshake. The installer gives up everything after 60 s (PROTOCOL.md §a.4).
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// For the request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
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
    /// What becomes of the reply.
    pub(super) delivery: Delivery,
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
pub(super) async fn run(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let accepted = Instant::now();
    let Ok(local) = stream.local_addr() else { return };
    // Small writes go out at once; a system that cannot do this serves more slowly.
    let _ = stream.set_nodelay(true);
    let mut info = ConnInfo {
        peer: canonical(peer),
        local: canonical(local),
        accepted,
        accepted_at: Timestamp::now(),
        tls: false,
        delivery: Delivery::default(),
    };
    let Some(acceptor) = &shared.tls else {
        return Box::pin(exchange(stream, info, &shared.router, &shared)).await;
    };
    let deadline = accepted + HANDSHAKE_TIME;
    match timeout_at(deadline, speaks_plain_http(&stream)).await {
        Ok(Ok(false)) => {}
        Ok(Ok(true)) => {
            shared.app.notes.tell(info.peer.ip(), Noted::PlainHttp);
            return Box::pin(exchange(stream, info, &shared.wrong_scheme, &shared)).await;
        }
        Ok(Err(_)) | Err(_) => return,
    }
    match timeout_at(deadline, Box::pin(acceptor.accept(stream))).await {
        Ok(Ok(stream)) => {
            info.tls = true;
            Box::pin(exchange(stream, info, &shared.router, &shared)).await;
        }
        Ok(Err(error)) => shared.app.notes.tell(info.peer.ip(), failed_handshake(&error)),
        Err(_) => shared.app.notes.tell(info.peer.ip(), Noted::HandshakeFailed("it took too long".to_owned())),
    }
}

/// An IPv4 peer of a dual-stack socket shows as IPv6; it is IPv4 for everybody else.
fn canonical(address: SocketAddr) -> SocketAddr {
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

fn failed_handshake(error: &io::Error) -> Noted {
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
        )) => Noted::CertificateRefused,
        Some(error) => Noted::HandshakeFailed(error.to_string()),
        None => Noted::HandshakeFailed(error.kind().to_string()),
    }
}

/// Reads one request, replies, tells what became of the reply, and closes.
pub(super) async fn exchange<S>(stream: S, info: ConnInfo, router: &Router, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let delivery = info.delivery.clone();
    let origin = Origin::Peer(info.peer.ip());
    let router = router.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        Box::pin(router.clone().oneshot(request))
    });
    let io = TokioIo::new(Watched { stream, delivery: delivery.clone() });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
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
    Box::pin(delivery.settle(&shared.app.handle, origin)).await;
    match result {
        Ok(()) => Box::pin(linger(io.stream)).await,
        Err(error) => tracing::debug!("connection ended early: {error}"),
    }
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
        assert_eq!(failed(alert(AlertDescription::BadCertificate)), Noted::CertificateRefused);
        assert_eq!(failed(alert(AlertDescription::UnknownCA)), Noted::CertificateRefused);
        assert!(matches!(failed(alert(AlertDescription::ProtocolVersion)), Noted::HandshakeFailed(_)));
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(matches!(failed_handshake(&reset), Noted::HandshakeFailed(_)));
    }
}
