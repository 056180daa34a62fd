//! (being written)
pub mod demo {
    #[derive(Debug, Clone, clap::Args)]
    pub struct DemoArgs {}
    pub async fn run(_a: DemoArgs, _b: bool) -> Result<crate::error::Exit, crate::error::Failure> {
        Ok(crate::error::Exit::Success)
    }
}
pub const STATE_DIR: &str = ".prox-orchestrator";
pub struct EngineOptions {
    pub dir: std::path::PathBuf,
    pub cli: crate::config::CliLayer,
    pub env: crate::config::EnvLayer,
    pub ascii: bool,
}
pub async fn console(_o: &EngineOptions) -> Result<crate::error::Exit, crate::error::Failure> {
    Ok(crate::error::Exit::Success)
}
pub async fn serve(_o: &EngineOptions, _j: bool) -> Result<crate::error::Exit, crate::error::Failure> {
    Ok(crate::error::Exit::Success)
}
