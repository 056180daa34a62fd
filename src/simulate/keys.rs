//! SSH host keys of installed machines: made at installation, reported, presented by the machine's SSH server.
//!
//! Keys are seeded and therefore no secret: they protect nothing but a simulation.

use base64::Engine as _;
use rand::Rng as _;
use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};

use super::machine::generator;

/// Host keys of one installation.
#[derive(Clone)]
pub struct HostKeys {
    ed25519: PrivateKey,
    ecdsa: PrivateKey,
    rsa_public: String,
}

impl std::fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostKeys").finish_non_exhaustive()
    }
}

impl HostKeys {
    /// The keys of installation `install` of machine `number`: a reinstalled machine has new ones.
    pub fn generate(seed: u64, number: usize, install: u32, host: &str) -> Result<Self, ssh_key::Error> {
        let mut rng = generator(seed, number, 0x5353_4800 + u64::from(install));
        let mut ed25519 = PrivateKey::random(&mut rng, Algorithm::Ed25519)?;
        let mut ecdsa = PrivateKey::random(&mut rng, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 })?;
        let comment = format!("root@{host}");
        ed25519.set_comment(comment.as_str());
        ecdsa.set_comment(comment.as_str());
        let mut modulus = [0; 384];
        rng.fill_bytes(&mut modulus);
        Ok(Self { ed25519, ecdsa, rsa_public: rsa_line(modulus, &comment) })
    }

    /// `ed25519`, `ecdsa` and `rsa` public key lines, as the report has them (PROTOCOL.md §c.2).
    pub(super) fn public_lines(&self) -> Result<[(&'static str, String); 3], ssh_key::Error> {
        Ok([
            ("ecdsa", self.ecdsa.public_key().to_openssh()?),
            ("ed25519", self.ed25519.public_key().to_openssh()?),
            ("rsa", self.rsa_public.clone()),
        ])
    }

    /// The private keys an SSH server presents.
    pub(super) fn private(&self) -> [&PrivateKey; 2] {
        [&self.ed25519, &self.ecdsa]
    }

    /// File name and OpenSSH text of each private key.
    pub(super) fn files(&self) -> Result<[(&'static str, String); 2], ssh_key::Error> {
        let text = |key: &PrivateKey| key.to_openssh(LineEnding::LF).map(|text| text.to_string());
        Ok([("ssh_host_ed25519_key", text(&self.ed25519)?), ("ssh_host_ecdsa_key", text(&self.ecdsa)?)])
    }
}

/// A public RSA key line of the right shape and size. Making a real key takes seconds, and nobody signs with this one:
/// the servers present the other two.
fn rsa_line(mut modulus: [u8; 384], comment: &str) -> String {
    modulus[0] |= 0x80;
    modulus[383] |= 1;
    let mut blob = Vec::with_capacity(512);
    let mut put = |bytes: &[u8]| {
        blob.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
        blob.extend_from_slice(bytes);
    };
    put(b"ssh-rsa");
    put(&[1, 0, 1]);
    // A leading zero byte keeps the number positive (RFC 4251 §5).
    put(&[&[0], modulus.as_slice()].concat());
    format!("ssh-rsa {} {comment}", base64::engine::general_purpose::STANDARD.encode(blob))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::HostKey;

    #[test]
    fn keys_are_public_key_lines_and_change_with_every_installation() {
        let first = HostKeys::generate(1, 2, 0, "a.b").unwrap().public_lines().unwrap();
        let again = HostKeys::generate(1, 2, 0, "a.b").unwrap().public_lines().unwrap();
        let second = HostKeys::generate(1, 2, 1, "a.b").unwrap().public_lines().unwrap();
        assert_eq!(first, again);
        for ((name, line), (_, other)) in first.iter().zip(&second) {
            assert!(line.parse::<HostKey>().is_ok(), "{name}");
            assert!(russh::keys::PublicKey::from_openssh(line).is_ok(), "{name}");
            assert_ne!(line, other);
            assert!(line.ends_with(" root@a.b"));
        }
    }
}
