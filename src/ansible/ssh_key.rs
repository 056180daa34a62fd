//! The key pair the engine logs in to its nodes with: made once, kept in the state folder.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};

use crate::store::atomic::{self, Durability};

/// Stands behind the public key in `authorized_keys`.
const COMMENT: &str = "prox-orchestrator";

/// An ed25519 key pair on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKeyPair {
    private: PathBuf,
    public: String,
}

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
pub enum SshKeyError {
    /// The files could not be read or written.
    #[error("cannot use the SSH key `{path}`: {source}")]
    Io {
        /// The private key's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there and is not a private key without passphrase.
    #[error("`{path}` is not an OpenSSH private key without passphrase: {source}; move it away and a new one is made")]
    Unreadable {
        /// The private key's file.
        path: PathBuf,
        /// What is wrong with it.
        source: russh::keys::ssh_key::Error,
    },
}

impl SshKeyPair {
    /// Reads `<state_dir>/ssh/id_ed25519`, or makes it (0600) with its `.pub` beside it.
    ///
    /// # Errors
    /// See [`SshKeyError`]. An unreadable key is never overwritten.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, SshKeyError> {
        let private = state_dir.join("ssh").join("id_ed25519");
        let io_error = |source| SshKeyError::Io { path: private.clone(), source };
        let unreadable = |source| SshKeyError::Unreadable { path: private.clone(), source };
        let key = match fs::read(&private) {
            Ok(pem) => PrivateKey::from_openssh(&pem).map_err(unreadable)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(unreadable)?;
                key.set_comment(COMMENT);
                let pem = key.to_openssh(LineEnding::LF).map_err(unreadable)?;
                let dir = state_dir.join("ssh");
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io_error)?;
                atomic::write(&private, pem.as_bytes(), 0o600, Durability::Synced).map_err(io_error)?;
                key
            }
            Err(error) => return Err(io_error(error)),
        };
        if key.is_encrypted() {
            return Err(unreadable(russh::keys::ssh_key::Error::Encrypted));
        }
        let public = key.public_key().to_openssh().map_err(unreadable)?;
        let public_file = private.with_extension("pub");
        let line = format!("{public}\n");
        atomic::write(&public_file, line.as_bytes(), 0o644, Durability::Synced).map_err(io_error)?;
        Ok(Self { private, public })
    }

    /// The private key's file.
    #[must_use]
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// The public key as a line of `authorized_keys`.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }
}

/// What a private key of the operator's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its public half as a line of `authorized_keys`, where it can be told without a question.
    pub public: Option<String>,
    /// Whether it has a passphrase.
    pub is_locked: bool,
}

/// Looks at the private key at `path`. Formats that only OpenSSH reads are its program's business.
///
/// # Errors
/// In words, why it is no private key.
pub fn examine(path: &Path) -> Result<Examined, String> {
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    if let Ok(key) = PrivateKey::from_openssh(&pem) {
        return Ok(Examined { public: key.public_key().to_openssh().ok(), is_locked: key.is_encrypted() });
    }
    // `-P ''`: without it, a passphrase would be asked for.
    let mut command = Command::new("ssh-keygen");
    command.args(["-y", "-P", "", "-f"]).arg(path).env("LC_ALL", "C").stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            tracing::debug!(%error, "nobody can say whether `{}` is a key", path.display());
            return Ok(Examined { public: beside(path), is_locked: false });
        }
    };
    if output.status.success() {
        let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        return Ok(Examined { public: Some(line), is_locked: false });
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if words.contains("incorrect passphrase") {
        return Ok(Examined { public: beside(path), is_locked: true });
    }
    Err(words.lines().last().unwrap_or("ssh-keygen does not read it").to_owned())
}

/// The public half that lies beside a private key.
fn beside(path: &Path) -> Option<String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let line = fs::read_to_string(PathBuf::from(name)).ok()?.trim().to_owned();
    PublicKey::from_openssh(&line).is_ok().then_some(line)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_pair_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let made = SshKeyPair::load_or_create(dir.path()).unwrap();
        let loaded = SshKeyPair::load_or_create(dir.path()).unwrap();
        assert_eq!(made, loaded);
        assert!(made.public().starts_with("ssh-ed25519 AAAA") && made.public().ends_with(COMMENT));
        assert!(made.public().parse::<crate::domain::HostKey>().is_ok());
        let permissions = fs::metadata(made.private()).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        let public = fs::read_to_string(made.private().with_extension("pub")).unwrap();
        assert_eq!(public.trim_end(), made.public());
    }

    #[test]
    fn keys_that_only_openssh_reads_are_told_from_nonsense() {
        let dir = tempfile::tempdir().unwrap();
        let own = SshKeyPair::load_or_create(dir.path()).unwrap();
        assert_eq!(examine(own.private()), Ok(Examined { public: Some(own.public().to_owned()), is_locked: false }));
        let nonsense = dir.path().join("nonsense");
        atomic::write(&nonsense, b"-----BEGIN RSA PRIVATE KEY-----", 0o600, Durability::Rebuilt).unwrap();
        let made = |name: &str, passphrase: &str| {
            let path = dir.path().join(name);
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "rsa", "-b", "1024", "-m", "PEM", "-N", passphrase, "-f"]).arg(&path);
            command.stdin(Stdio::null()).status().is_ok_and(|status| status.success()).then_some(path)
        };
        let (Some(old), Some(locked)) = (made("old", ""), made("locked", "secret")) else {
            crate::outside::skip("there is no ssh-keygen that makes keys of older formats");
            return;
        };
        assert!(examine(&nonsense).is_err());
        let old = examine(&old).unwrap();
        assert!(old.public.is_some_and(|line| line.starts_with("ssh-rsa ")) && !old.is_locked);
        let told = examine(&locked).unwrap();
        assert!(told.public.is_some_and(|line| line.starts_with("ssh-rsa ")) && told.is_locked);
    }

    #[test]
    fn a_foreign_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ssh/id_ed25519");
        fs::create_dir(dir.path().join("ssh")).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(SshKeyPair::load_or_create(dir.path()), Err(SshKeyError::Unreadable { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
