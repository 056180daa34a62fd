//! The `simulate` command: options, a line for each step, figures at the end.
//!
//! Owns nothing but words; everything else is `rack`. It writes only to the writer it is given.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::faults::FaultRule;
use super::rack::{RackOptions, Timings, run_rack};
use super::release::Release;
use super::ssh::SshMode;
use super::summary::Summary;
use crate::domain::Product;

/// Events between the machines and the writer.
const QUEUE: usize = 4096;

/// A fake rack: machines that ask, install, report and answer on SSH over real sockets, without touching any disk.
///
/// Every machine has a loopback address of its own (127.77.0.1 upwards), so the engine must run on this host or take all
/// machines for one address. It judges answers as the chosen installer release does. The exit code is 0 when no machine
/// was stranded, 1 when one sits in a debug shell, could not report or has no SSH, 2 for bad options.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Answer URL of the engine, as prepared into an installer medium
    #[arg(long, value_name = "URL")]
    url: String,
    /// SHA-256 of the engine's certificate; without it no https certificate is trusted
    #[arg(long, value_name = "HEX", alias = "fp")]
    fingerprint: Option<String>,
    /// Bearer token of the medium, sent by release 9.2 only
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// How many machines
    #[arg(long, short = 'n', default_value_t = 6, value_name = "N")]
    count: usize,
    /// Installer release they speak as: 8.2, 8.3, 8.4, 9.1 or 9.2
    #[arg(long, default_value = "9.2", value_name = "RELEASE")]
    release: Release,
    /// Product they install: pve, pbs, pmg or pdm
    #[arg(long, default_value = "pve", value_name = "PRODUCT", value_parser = product)]
    product: Product,
    /// The same seed always makes the same machines
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Number of the first machine; start at another one to add machines to a rack
    #[arg(long, default_value_t = 1, value_name = "N")]
    first: usize,
    /// Address of machine 1; the others follow upwards
    #[arg(long, default_value = "127.77.0.1", value_name = "IP")]
    base_address: Ipv4Addr,
    /// How much faster than real hardware (5 min to install, 3 min to reboot, 10 s between machines)
    #[arg(long, default_value_t = 30.0, value_name = "FACTOR", value_parser = speed)]
    speed: f64,
    /// Time between switching on one machine and the next, such as 500ms [default: by speed]
    #[arg(long, value_name = "TIME", value_parser = time)]
    stagger: Option<Duration>,
    /// Time an installation takes, a fifth more or less [default: by speed]
    #[arg(long, value_name = "TIME", value_parser = time)]
    install_time: Option<Duration>,
    /// Time a reboot takes, a fifth more or less [default: by speed]
    #[arg(long, value_name = "TIME", value_parser = time)]
    reboot_time: Option<Duration>,
    /// Replaces the installer's own limit of 60s for an exchange
    #[arg(long, value_name = "TIME", value_parser = time)]
    time_limit: Option<Duration>,
    /// What goes wrong, and where: `crash`, `no-report=20%`, `hang-up=1,4-6`; may be given several times. Faults:
    /// hang-up, no-report, lost-secret, forged-secret, slow-body, duplicate-uuid, no-dmi, wrong-host-key, crash,
    /// big-body, garbage-body, hostile-text
    #[arg(long = "fault", value_name = "FAULT[=WHERE]")]
    faults: Vec<FaultRule>,
    /// Leave a machine's debug shell after this time, as a technician would; it then reboots and asks again
    #[arg(long, value_name = "TIME", value_parser = time)]
    leave_shell_after: Option<Duration>,
    /// How installed nodes answer on SSH: builtin (runs nothing on this host), none, or the absolute path of an sshd
    #[arg(long, default_value = "builtin", value_name = "HOW")]
    ssh: String,
    /// SSH port of installed nodes
    #[arg(long, default_value_t = 2222, value_name = "PORT")]
    ssh_port: u16,
    /// Folder for keys and configuration of real sshd processes
    #[arg(long, value_name = "DIR")]
    ssh_dir: Option<PathBuf>,
    /// Load: all machines connect at once, ask once, judge the answer and are gone; best with --quiet
    #[arg(long)]
    answers_only: bool,
    /// Most exchanges at the same time
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// End when nothing more happens by itself, instead of keeping installed nodes up
    #[arg(long)]
    until_settled: bool,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    end_after: Option<Duration>,
    /// Only the figures at the end
    #[arg(long, short)]
    quiet: bool,
}

/// A time such as `20s`, `500ms` or `2m`.
fn time(text: &str) -> Result<Duration, String> {
    let bad = |_| format!("`{text}` is not a time; write `20s`, `500ms` or `2m`");
    let time: jiff::SignedDuration = text.parse().map_err(bad)?;
    Duration::try_from(time).map_err(bad)
}

fn product(text: &str) -> Result<Product, String> {
    Product::from_short(text).ok_or_else(|| format!("`{text}` is not a product; use pve, pbs, pmg or pdm"))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| (0.01..=1e6).contains(speed));
    speed.ok_or_else(|| format!("`{text}` is not a speed; write a number from 0.01 to 1000000"))
}

impl SimulateArgs {
    /// The rack these options describe.
    pub fn options(&self) -> anyhow::Result<RackOptions> {
        let by_speed = Timings::at_speed(self.speed);
        let ssh = match (self.ssh.as_str(), &self.ssh_dir) {
            ("builtin", _) => SshMode::Builtin,
            ("none", _) => SshMode::None,
            (path, Some(dir)) => SshMode::Sshd { path: path.into(), dir: dir.clone() },
            (path, None) => anyhow::bail!(
                "`--ssh {path}` starts real sshd processes, which need `--ssh-dir DIR` for their files; \
                 or use `--ssh builtin` or `--ssh none`"
            ),
        };
        Ok(RackOptions {
            fingerprint: self.fingerprint.clone(),
            token: self.token.clone(),
            count: self.count,
            release: self.release,
            product: self.product,
            seed: self.seed,
            first: self.first.max(1),
            base_address: self.base_address,
            timings: Timings {
                stagger: if self.answers_only { Duration::ZERO } else { self.stagger.unwrap_or(by_speed.stagger) },
                install: self.install_time.unwrap_or(by_speed.install),
                reboot: self.reboot_time.unwrap_or(by_speed.reboot),
                limit: self.time_limit,
                ..by_speed
            },
            faults: self.faults.clone(),
            ssh,
            ssh_port: self.ssh_port,
            answers_only: self.answers_only,
            parallelism: self.parallel,
            leave_shell_after: self.leave_shell_after,
            stay: !self.until_settled,
            ..RackOptions::new(self.url.clone())
        })
    }
}

/// Runs the rack, writes a line for each step and the figures at the end. Ctrl-C and SIGTERM switch the rack off.
pub async fn execute(args: SimulateArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let options = args.options()?;
    let shutdown = CancellationToken::new();
    let (sender, mut events) = mpsc::channel(QUEUE);
    let rack = tokio::spawn(run_rack(options, sender, shutdown.clone()));
    let watcher = tokio::spawn(wait_for_the_end(args.end_after, shutdown.clone()));
    // A writer that is gone (`| head`) ends the rack; the error is told once the machines are off.
    let mut written = Ok(());
    while let Some(event) = events.recv().await {
        if !args.quiet && written.is_ok() {
            written = writeln!(out, "{event}").and_then(|()| out.flush());
            if written.is_err() {
                shutdown.cancel();
            }
        }
    }
    watcher.abort();
    let summary = rack.await.context("the simulated rack broke down")??;
    written?;
    write!(out, "{summary}")?;
    out.flush()?;
    Ok(exit_code(&summary))
}

/// 0 when nobody is stranded.
fn exit_code(summary: &Summary) -> ExitCode {
    let stranded = summary.debug_shells + summary.reports_failed + summary.ssh_failed;
    if stranded == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Cancels `shutdown` on Ctrl-C, SIGTERM, or when the time is up.
async fn wait_for_the_end(end_after: Option<Duration>, shutdown: CancellationToken) {
    let timer = async {
        match end_after {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = timer => {}
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    shutdown.cancel();
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};
    use rstest::rstest;

    use super::*;

    #[derive(Parser, Debug)]
    struct Command {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(words: &str) -> Result<SimulateArgs, clap::Error> {
        let words = ["simulate"].into_iter().chain(words.split_whitespace());
        Command::try_parse_from(words).map(|command| command.args)
    }

    #[test]
    fn the_definition_is_sound() {
        Command::command().debug_assert();
    }

    #[test]
    fn the_command_of_the_issue_is_understood() {
        let args = parse("--url https://h:8443/answer/ --fingerprint AB --count 12 --release 9.2 --seed 7").unwrap();
        let options = args.options().unwrap();
        assert_eq!((options.count, options.release, options.seed), (12, Release::V9_2, 7));
        assert_eq!(options.fingerprint.as_deref(), Some("AB"));
        assert_eq!((options.ssh, options.stay), (SshMode::Builtin, true));
    }

    #[test]
    fn times_follow_the_speed_unless_given() {
        let options = parse("--url http://h/ --speed 60 --install-time 500ms").unwrap().options().unwrap();
        assert_eq!(options.timings.reboot, Duration::from_secs(3));
        assert_eq!(options.timings.install, Duration::from_millis(500));
    }

    #[rstest]
    #[case("")]
    #[case("--url http://h/ --release 7.4")]
    #[case("--url http://h/ --speed 0")]
    #[case("--url http://h/ --install-time -3s")]
    #[case("--url http://h/ --install-time soon")]
    #[case("--url http://h/ --fault nonsense")]
    #[case("--url http://h/ --product pbx")]
    fn bad_options_are_refused(#[case] words: &str) {
        assert!(parse(words).is_err());
    }

    #[test]
    fn a_real_sshd_needs_a_folder() {
        let error = parse("--url http://h/ --ssh /usr/sbin/sshd").unwrap().options().unwrap_err();
        assert!(error.to_string().contains("--ssh-dir"), "{error}");
        let options = parse("--url http://h/ --ssh /usr/sbin/sshd --ssh-dir /d").unwrap().options().unwrap();
        assert_eq!(options.ssh, SshMode::Sshd { path: "/usr/sbin/sshd".into(), dir: "/d".into() });
    }

    /// An address nothing listens on: the port was free a moment ago.
    async fn nowhere() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/answer/", listener.local_addr().unwrap())
    }

    #[tokio::test]
    async fn steps_and_figures_are_written() {
        let url = nowhere().await;
        let args = parse(&format!("--url {url} --count 2 --stagger 1ms --base-address 127.93.0.1 --until-settled"));
        let mut out = Vec::new();
        let code = execute(args.unwrap(), &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text.matches("DEBUG SHELL: Fetching answer file via HTTP failed: cannot connect").count(),
            2,
            "{text}"
        );
        assert!(text.contains("debug shells                   2\n"), "{text}");
        assert_eq!(code, ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn it_ends_when_its_time_is_up() {
        let url = nowhere().await;
        let args = parse(&format!("--url {url} --count 1 --base-address 127.94.0.1 --for 100ms --quiet")).unwrap();
        let mut out = Vec::new();
        execute(args, &mut out).await.unwrap();
        assert!(String::from_utf8(out).unwrap().starts_with("machines                       1\n"));
    }
}
