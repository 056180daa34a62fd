//! One look at one address: TCP, SSH banner, key exchange. The server proves that it holds its host key by signing the
//! exchange; then the connection is closed, without a login.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Preferred, client};
use tokio::net::TcpStream;

use crate::domain::HostKey;
use crate::domain::command::Sighting;
use crate::domain::text::Text;

/// Whom to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where.
    pub(super) address: SocketAddr,
    /// Keys that prove it; none means that any is new.
    pub(super) keys: Vec<HostKey>,
}

/// Why no key was seen.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("connection to port {0} refused")]
    Refused(u16),
    #[error("no answer on port {0}")]
    NoAnswer(u16),
    #[error("port {0} cannot be reached: {1}")]
    Unreachable(u16, io::Error),
    #[error("port {0} is open, but SSH does not answer")]
    NoBanner(u16),
    #[error("port {0} is open, but does not speak SSH")]
    NotSsh(u16),
    #[error("port {0} closed the connection before SSH began")]
    Closed(u16),
    #[error("SSH on port {0} has no key of a wanted type")]
    NoWantedKey(u16),
    #[error("SSH on port {0} does not agree on a key exchange: {1}")]
    Failed(u16, russh::Error),
}

/// Looks once, for at most about `limit`.
pub(super) async fn look(target: &Target, limit: Duration) -> Sighting {
    let wanted = algorithms(&target.keys);
    let mut seen = greet(target.address, wanted, limit).await;
    if matches!(seen, Err(LookError::NoWantedKey(_))) {
        // Somebody else lives there; the operator wants to know who.
        seen = greet(target.address, None, limit).await;
    }
    match seen {
        Ok(key) if target.keys.contains(&key) => Sighting::Proven,
        Ok(seen) => Sighting::OtherKey { seen },
        Err(error) => Sighting::Silent { what: Text::new(&error.to_string()) },
    }
}

/// The algorithms of these keys, best first, so that a server with several keys shows one of the reported types. `None`
/// means every algorithm known: there are no keys, or none of a known type.
fn algorithms(keys: &[HostKey]) -> Option<Vec<Algorithm>> {
    let ecdsa = |curve| vec![Algorithm::Ecdsa { curve }];
    let rsa = || [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec();
    let known = [
        ("ssh-ed25519", vec![Algorithm::Ed25519]),
        ("ecdsa-sha2-nistp256", ecdsa(EcdsaCurve::NistP256)),
        ("ecdsa-sha2-nistp384", ecdsa(EcdsaCurve::NistP384)),
        ("ecdsa-sha2-nistp521", ecdsa(EcdsaCurve::NistP521)),
        ("ssh-rsa", rsa()),
    ];
    let has = |name: &str| keys.iter().any(|key| key.algorithm() == name);
    let wanted: Vec<_> =
        known.into_iter().filter(|(name, _)| has(name)).flat_map(|(_, algorithms)| algorithms).collect();
    (!wanted.is_empty()).then_some(wanted)
}

async fn greet(address: SocketAddr, wanted: Option<Vec<Algorithm>>, limit: Duration) -> Result<HostKey, LookError> {
    let port = address.port();
    let is_restricted = wanted.is_some();
    let stream = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(LookError::Refused(port)),
        Ok(Err(error)) => return Err(LookError::Unreachable(port, error)),
        Err(_) => return Err(LookError::NoAnswer(port)),
    };
    let mut preferred = Preferred::DEFAULT;
    if let Some(wanted) = wanted {
        preferred.key = Cow::Owned(wanted);
    }
    let (stream, closer) = with_closer(stream).map_err(|error| LookError::Unreachable(port, error))?;
    let config = client::Config { preferred, inactivity_timeout: Some(limit), ..client::Config::default() };
    let seen = Arc::new(OnceLock::new());
    let onlooker = Onlooker { seen: Arc::clone(&seen) };
    let ended = tokio::time::timeout(limit, client::connect_stream(Arc::new(config), stream, onlooker)).await;
    // The library works on in a task of its own after we stop waiting; without a connection it ends.
    let _ = closer.shutdown(std::net::Shutdown::Both);
    if let Some(key) = seen.get() {
        return Ok(key.clone());
    }
    Err(match ended {
        Err(_) => LookError::NoBanner(port),
        Ok(Err(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. })) if is_restricted => {
            LookError::NoWantedKey(port)
        }
        Ok(Err(russh::Error::Version)) => LookError::NotSsh(port),
        Ok(Err(russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_))) => LookError::Closed(port),
        Ok(Err(error)) => LookError::Failed(port, error),
        Ok(Ok(_)) => LookError::Failed(port, russh::Error::UnknownKey),
    })
}

/// A stream, and a second grip on it to close it with when it is no longer ours.
fn with_closer(stream: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    let stream = stream.into_std()?;
    let closer = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, closer))
}

/// Notes the key and ends the connection. It is called after the server's signature was found good.
struct Onlooker {
    seen: Arc<OnceLock<HostKey>>,
}

impl client::Handler for Onlooker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let line = key.public_key().to_openssh().map_err(russh::keys::Error::from)?;
        if let Ok(key) = line.parse() {
            // Only the first exchange counts, and there is no second.
            let _ = self.seen.set(key);
        }
        Ok(false)
    }
}
