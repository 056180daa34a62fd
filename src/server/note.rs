//! What the listener noticed and a person should know: machines that cannot even ask.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use tokio::sync::mpsc;

/// One observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerNote {
    /// When.
    pub at: Timestamp,
    /// About whom.
    pub peer: IpAddr,
    /// What.
    pub what: Noted,
}

/// What was noticed. `Display` is a sentence for the operator, with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// An `http://` URL was used on the TLS port.
    PlainHttp,
    /// The client ended the handshake because of our certificate.
    CertificateRefused,
    /// The handshake failed otherwise.
    HandshakeFailed(String),
    /// A request was cut: too long, too slow, or the memory for bodies was spent.
    RequestCut(&'static str),
    /// A report that is no JSON object, or was cut; it was stored as it came.
    UnreadableReport(String),
    /// A report could not be stored and is being kept in memory.
    ReportWaits(String),
    /// A report could not be stored and is lost.
    ReportLost(String),
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainHttp => write!(f, "asks by http:// on the https port; prepare its ISO with the https:// URL"),
            Self::CertificateRefused => write!(
                f,
                "refused our certificate: its ISO carries another fingerprint; prepare the ISO again with the one shown in Setup"
            ),
            Self::HandshakeFailed(why) => write!(f, "made no TLS connection: {why}"),
            Self::RequestCut(why) => write!(f, "sent a request that was not read to its end: {why}"),
            Self::UnreadableReport(why) => write!(f, "sent a report that cannot be read: {why}"),
            Self::ReportWaits(why) => {
                write!(f, "sent a report that cannot be stored yet: {why}; it is tried again while the console runs")
            }
            Self::ReportLost(why) => {
                write!(f, "sent a report that could not be stored: {why}; mark the node as installed by hand")
            }
        }
    }
}

/// Where notes go: the log, and a bounded queue whose overflow is only in the log.
#[derive(Clone, Debug)]
pub(super) struct Notes(pub(super) mpsc::Sender<ServerNote>);

impl Notes {
    pub(super) fn tell(&self, peer: IpAddr, what: Noted) {
        match &what {
            // Port scanners and health checks of other programs make these, too.
            Noted::HandshakeFailed(_) => tracing::info!("{peer} {what}"),
            Noted::ReportLost(_) => tracing::error!("{peer} {what}"),
            _ => tracing::warn!("{peer} {what}"),
        }
        let _ = self.0.try_send(ServerNote { at: Timestamp::now(), peer, what });
    }
}
