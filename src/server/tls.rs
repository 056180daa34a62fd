//! The server's identity: one self-signed certificate, made once and kept for ever.
//!
//! Owns `tls-cert.pem` and `tls-key.pem` in the state folder. It never renews them: every prepared installation medium
//! and DHCP option carries the certificate's fingerprint (PROTOCOL.md §a.3), so another certificate strands them all.
//! A file that cannot be used is therefore an error for a person, never a reason to make a new one.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use sha2::{Digest as _, Sha256};

const CERTIFICATE_FILE: &str = "tls-cert.pem";
const KEY_FILE: &str = "tls-key.pem";

/// Largest file that is read, in bytes; ours have less than one KiB.
const MAX_BYTES: u64 = 256 * 1024;

/// Why there is no identity. Every message says what another certificate would mean.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is there and cannot be read.
    #[error("cannot read `{}`: {source}; make it readable, do not delete it: every prepared ISO carries this certificate's fingerprint", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("`{}` does not hold a usable {what}: {reason}; restore both TLS files from a backup, or move both away for a new certificate, which invalidates every prepared ISO", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// One of the two files is gone.
    #[error("`{}` is missing beside `{}`; restore it from a backup, or move the other away too for a new certificate, which invalidates every prepared ISO", missing.display(), present.display())]
    Half {
        /// The file that is missing.
        missing: PathBuf,
        /// The file that is there.
        present: PathBuf,
    },
    /// The two files are not a pair.
    #[error("`{}` and `{}` in `{}` cannot be used together: {reason}; restore both from one backup, or move both away for a new certificate, which invalidates every prepared ISO", CERTIFICATE_FILE, KEY_FILE, dir.display())]
    Mismatch {
        /// The state folder.
        dir: PathBuf,
        /// What rustls says.
        reason: String,
    },
    /// A new file cannot be written.
    #[error("cannot write `{}`: {source}; the state folder must be writable, with space left", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No key or certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

/// Certificate and key, ready to serve with.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    fingerprint: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the identity kept in `state_dir`; where neither of its two files is there, makes one and keeps it.
    ///
    /// # Errors
    /// See [`TlsError`]. Nothing that is there is ever overwritten.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, TlsError> {
        let (certificate, key) = (state_dir.join(CERTIFICATE_FILE), state_dir.join(KEY_FILE));
        let (certificate_pem, key_pem) = match (read(&certificate)?, read(&key)?) {
            (Some(certificate_pem), Some(key_pem)) => (certificate_pem, key_pem),
            (None, None) => create(state_dir, &certificate, &key)?,
            (None, Some(_)) => return Err(TlsError::Half { missing: certificate, present: key }),
            (Some(_), None) => return Err(TlsError::Half { missing: key, present: certificate }),
        };
        let corrupt = |path: &Path, what, reason: &dyn std::fmt::Display| TlsError::Corrupt {
            path: path.to_owned(),
            what,
            reason: reason.to_string(),
        };
        let leaf = CertificateDer::from_pem_slice(&certificate_pem)
            .map_err(|error| corrupt(&certificate, "certificate", &error))?;
        let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| corrupt(&key, "private key", &error))?;
        let fingerprint = fingerprint(&leaf);
        let config = server_config(leaf, private)
            .map_err(|error| TlsError::Mismatch { dir: state_dir.to_owned(), reason: error.to_string() })?;
        Ok(Self { config: Arc::new(config), fingerprint })
    }

    /// SHA-256 of the certificate in upper-case hex with colons, as `openssl x509 -fingerprint -sha256` prints it and
    /// every installer accepts it (PROTOCOL.md §a.3).
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What handshakes are made with.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn fingerprint(leaf: &CertificateDer<'_>) -> String {
    let digest = Sha256::digest(leaf);
    let mut hex = String::with_capacity(digest.len() * 3);
    for byte in digest {
        let separator = if hex.is_empty() { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(hex, "{separator}{byte:02X}");
    }
    hex
}

fn server_config(leaf: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // An installer connects once: what is kept to resume a session is never used.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The bytes of a file; `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        // A link that leads nowhere was meant to lead somewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

/// Makes an ECDSA P-256 key with an X.509 v3 certificate, which every installer release accepts (PROTOCOL.md §a.3), and
/// keeps both. The certificate comes last: where it is there, the key is too.
fn create(state_dir: &Path, certificate: &Path, key: &Path) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = rcgen::CertificateParams::new(names())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "prox-orchestrator");
    // Clients that pin it look at no date (PROTOCOL.md §a.3), and a console's clock may be wrong.
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2999, 12, 31);
    let made = params.self_signed(&pair)?;
    let (certificate_pem, key_pem) = (made.pem().into_bytes(), pair.serialize_pem().into_bytes());
    keep(state_dir, key, &key_pem)?;
    keep(state_dir, certificate, &certificate_pem)?;
    Ok((certificate_pem, key_pem))
}

/// `localhost` and the host's own name, where that is one.
fn names() -> Vec<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().to_ascii_lowercase();
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let own = (is_name && host != "localhost").then_some(host);
    std::iter::once("localhost".to_owned()).chain(own).collect()
}

/// Writes a new file of mode 0600 so that it is there in full or not at all.
fn keep(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".tls-").tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| TlsError::Unwritable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_certificate_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::load_or_create(dir.path()).unwrap();
        let again = Identity::load_or_create(dir.path()).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
        assert!(first.fingerprint().bytes().all(|b| b == b':' || b.is_ascii_digit() || b.is_ascii_uppercase()));
        for name in [CERTIFICATE_FILE, KEY_FILE] {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    }

    #[test]
    fn installers_can_read_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        Identity::load_or_create(dir.path()).unwrap();
        let pem = fs::read(dir.path().join(CERTIFICATE_FILE)).unwrap();
        let leaf = CertificateDer::from_pem_slice(&pem).unwrap();
        let has = |needle: &[u8]| leaf.windows(needle.len()).any(|window| window == needle);
        assert!(has(&[0xa0, 0x03, 0x02, 0x01, 0x02]), "X.509 v3");
        assert!(has(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]), "the curve is P-256");
        assert!(has(b"localhost"));
    }

    #[rstest]
    #[case::certificate(CERTIFICATE_FILE)]
    #[case::key(KEY_FILE)]
    fn a_broken_or_missing_file_is_an_error_and_stays_as_it_is(#[case] name: &str) {
        let dir = tempfile::tempdir().unwrap();
        Identity::load_or_create(dir.path()).unwrap();
        let path = dir.path().join(name);
        for broken in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&path, broken).unwrap();
            let error = Identity::load_or_create(dir.path()).unwrap_err().to_string();
            assert!(error.contains("invalidates every prepared ISO"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(Identity::load_or_create(dir.path()), Err(TlsError::Half { .. })));
        assert!(!path.exists());
    }

    #[test]
    fn a_key_of_another_certificate_is_an_error() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Identity::load_or_create(one.path()).unwrap();
        Identity::load_or_create(two.path()).unwrap();
        fs::copy(two.path().join(KEY_FILE), one.path().join(KEY_FILE)).unwrap();
        assert!(matches!(Identity::load_or_create(one.path()), Err(TlsError::Mismatch { .. })));
    }

    #[test]
    fn a_folder_that_takes_no_file_is_named() {
        let error = Identity::load_or_create(Path::new("/proc/self/no-such-folder")).unwrap_err();
        assert!(error.to_string().contains("tls-key.pem"), "{error}");
    }
}
