//! The pure core (being written: see DESIGN.md).

pub mod facts;
pub mod fqdn;
pub mod id;
pub mod mac;
pub mod mask;
pub mod text;

pub use facts::{Generation, HostKey, Product, Report, SystemInfo};
pub use fqdn::Fqdn;
pub use id::{DocumentHash, NodeId, ReportId, RequestId, RunId, SecretHash};
pub use mac::MacAddr;
