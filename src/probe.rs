//! tmp-standin
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub port: u16,
}
pub async fn run(
    _h: crate::coordinator::Handle,
    _s: tokio::sync::watch::Receiver<std::sync::Arc<crate::domain::Snapshot>>,
    _x: Settings,
    t: tokio_util::sync::CancellationToken,
) {
    t.cancelled().await
}
