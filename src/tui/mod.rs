//! tmp-standin
#[derive(Debug, Clone, Copy)]
pub struct TuiOptions {
    pub ascii: bool,
    pub mono: bool,
}
pub async fn run<C: crate::client::Client>(
    _c: C,
    _o: TuiOptions,
    t: tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    t.cancelled().await;
    Ok(())
}
