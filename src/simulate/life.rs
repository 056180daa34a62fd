//! The life of one machine: it asks, obeys or refuses its answer, installs, reports, reboots and answers on SSH.
//!
//! Owns the order of a machine's steps and its timing. Verdicts come from `installer`, bytes from `body`, sockets from
//! `client` and `ssh`. A life ends by being dropped; everything it started ends with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::body;
use super::client::{Call, ExchangeError, Reply, Target};
use super::faults::{Afflictions, Fault};
use super::grammar::{FirstBoot, Webhook};
use super::installer::{Examination, InstallPlan, Outcome};
use super::keys::HostKeys;
use super::machine::Machine;
use super::rack::Rack;
use super::release::AfterStop;
use super::shell::Node;
use super::ssh::{SshNode, SshServer};
use super::summary::Step;

/// Padding of a request that is too big, in bytes.
const BIG: usize = 12 * 1024 * 1024;

/// One machine and all that its life needs.
pub(super) struct Life {
    rack: Arc<Rack>,
    machine: Machine,
    afflictions: Afflictions,
    rng: StdRng,
    /// Requests sent so far.
    asked: u32,
    /// Installations that ran through, which decides the host keys.
    installed: u32,
}

/// What a machine does after a turn.
enum Turn {
    /// It starts from its installer medium again.
    Again,
    /// It stays as it is until somebody comes.
    Over,
    /// It starts the system it installed.
    Boot(Box<InstallPlan>),
}

impl Life {
    pub(super) fn new(rack: Arc<Rack>, machine: Machine, afflictions: Afflictions, rng: StdRng) -> Self {
        Self { rack, machine, afflictions, rng, asked: 0, installed: 0 }
    }

    /// Lives until nothing more happens by itself. What is returned must be kept for as long as the machine is up.
    pub(super) async fn live(mut self, number: usize) -> Option<SshServer> {
        self.pause(self.rack.options.timings.stagger.saturating_mul(u32::try_from(number - 1).unwrap_or(u32::MAX)))
            .await;
        let (model, serial) = (self.machine.model().to_owned(), self.machine.serial().to_owned());
        self.tell(Step::PoweredOn { model, serial }).await;
        loop {
            match self.turn().await {
                Turn::Over => return None,
                _ if self.rack.options.answers_only => return None,
                Turn::Again => self.reboot().await,
                Turn::Boot(plan) => {
                    self.reboot().await;
                    return self.boot(&plan).await;
                }
            }
        }
    }

    /// From the installer medium: ask, examine, install, report.
    async fn turn(&mut self) -> Turn {
        let reply = match self.ask().await {
            Ok(Some(reply)) => reply,
            Ok(None) => {
                self.tell(Step::HungUp).await;
                return Turn::Again;
            }
            Err(why) => return self.sit_in_shell(format!("Fetching answer file via HTTP failed: {why}")).await,
        };
        match self.examine(&reply).await {
            Outcome::Install(plan) => self.install(plan).await,
            Outcome::Stop(stop) => self.stop(stop.message, stop.after).await,
        }
    }

    /// The answer request; nothing when the machine itself cut the connection.
    async fn ask(&mut self) -> Result<Option<Reply>, String> {
        let body = self.request_body();
        let hang_up = (self.asked == 0 && self.afflictions.has(Fault::HangUp))
            .then(|| self.rack.options.timings.hang_up.mul_f64(self.rng.random_range(0.5..1.5)));
        let rack = Arc::clone(&self.rack);
        let slot = rack.slot().await;
        self.asked += 1;
        self.tell(Step::Asked { attempt: self.asked }).await;
        let release = rack.options.release;
        let call = Call {
            accept: release.accept(),
            bearer: rack.options.token.as_deref().filter(|_| release.upper_case_macs()),
            trickle: self.afflictions.has(Fault::SlowBody).then_some(rack.options.timings.slow_body),
            ..self.call(&rack.target, Some(body))
        };
        let reply = match hang_up {
            None => call.send().await,
            Some(after) => match tokio::time::timeout(after, call.send()).await {
                Ok(reply) => reply,
                Err(_) => return Ok(None),
            },
        };
        drop(slot);
        let reply = reply.map_err(|error| in_full(&error))?;
        if !release.accepts_status(reply.status) || matches!(reply.status, 301..=303) {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            return Err(release.status_words(reply.status, reply.reason, &text));
        }
        self.tell(Step::Answered { status: reply.status, elapsed: reply.elapsed }).await;
        Ok(Some(reply))
    }

    /// The request's bytes, spoilt where a fault says so.
    fn request_body(&self) -> Bytes {
        let options = &self.rack.options;
        if self.afflictions.has(Fault::GarbageBody) {
            return Bytes::from_static(b"{\"dmi\": this is not JSON \xff\xfe");
        }
        let mut body = body::answer_request(options.release, options.product, &self.machine);
        if self.afflictions.has(Fault::BigBody) {
            body["dmi"]["system"]["sku"] = "x".repeat(BIG).into();
        }
        body.to_string().into()
    }

    /// A call from this machine, with the release's own time limit unless the options set another.
    fn call<'a>(&self, target: &'a Target, body: Option<Bytes>) -> Call<'a> {
        let options = &self.rack.options;
        Call {
            release: options.release,
            target,
            source: self.machine.address,
            body,
            accept: "*/*",
            bearer: None,
            trickle: None,
            limit: options.timings.limit,
        }
    }

    /// What the installer makes of a reply, first-boot download included.
    async fn examine(&self, reply: &Reply) -> Outcome {
        let release = self.rack.options.release;
        let json = release.reads_json(reply.content_type.as_deref());
        let examination = match Examination::parse(release, &reply.body, json) {
            Ok(examination) => examination,
            Err(stop) => return Outcome::Stop(stop),
        };
        let fetched = match examination.first_boot() {
            None => Ok(()),
            Some(_) if self.rack.options.answers_only => Ok(()),
            Some(FirstBoot::FromIso) => Err("failed loading first-boot executable from ISO".to_owned()),
            Some(FirstBoot::FromUrl { url, fingerprint }) => self.fetch(url, fingerprint.as_deref()).await,
        };
        match fetched {
            Ok(()) => examination.finish(&self.machine.hardware, &self.rack.locale),
            Err(why) => Outcome::Stop(examination.without_first_boot(why)),
        }
    }

    /// The first-boot download. Its content is never run.
    async fn fetch(&self, url: &str, fingerprint: Option<&str>) -> Result<(), String> {
        let target = Target::new(url, fingerprint).map_err(|error| in_full(&error))?;
        let reply = self.call(&target, None).send().await.map_err(|error| in_full(&error))?;
        let good = self.rack.options.release.accepts_status(reply.status);
        if good { Ok(()) } else { Err(format!("failed to fetch first-boot executable: status {}", reply.status)) }
    }

    /// The answer was turned down, or the installation failed.
    async fn stop(&mut self, message: String, after: AfterStop) -> Turn {
        match after {
            AfterStop::DebugShell => self.sit_in_shell(message).await,
            AfterStop::Reboot => {
                self.tell(Step::Rejected { message }).await;
                Turn::Again
            }
            AfterStop::PowerOff => {
                self.tell(Step::Rejected { message }).await;
                self.tell(Step::PoweredOff).await;
                Turn::Over
            }
        }
    }

    /// Until somebody leaves the shell, which is never unless the options say so.
    async fn sit_in_shell(&mut self, why: String) -> Turn {
        self.tell(Step::DebugShell { why }).await;
        match self.rack.options.leave_shell_after {
            Some(patience) if !self.rack.options.answers_only => {
                self.pause(patience).await;
                Turn::Again
            }
            _ => Turn::Over,
        }
    }

    async fn install(&mut self, plan: Box<InstallPlan>) -> Turn {
        let options = &self.rack.options;
        let after_failure = options.release.after_check_failure(plan.reboot_on_error, plan.power_off);
        if let Some(problem) = &plan.raid_problem {
            return self.stop(format!("Installation failed: {problem}"), after_failure).await;
        }
        let (fqdn, disks) = (plan.fqdn.clone(), plan.disks.clone());
        self.tell(Step::Installing { fqdn, disks }).await;
        if options.answers_only {
            return Turn::Over;
        }
        let takes = self.jitter(self.rack.options.timings.install);
        if self.asked == 1 && self.afflictions.has(Fault::Crash) {
            self.pause(takes / 2).await;
            self.tell(Step::Crashed).await;
            return Turn::Again;
        }
        self.pause(takes).await;
        self.installed += 1;
        if let Err(why) = self.report(&plan).await {
            self.tell(Step::ReportFailed { why }).await;
            let after = self.rack.options.release.after_report_failure(plan.reboot_on_error, plan.power_off);
            if after == AfterStop::DebugShell {
                return self.sit_in_shell("post-installation webhook failed".to_owned()).await;
            }
        }
        if plan.power_off {
            self.tell(Step::PoweredOff).await;
            return Turn::Over;
        }
        Turn::Boot(plan)
    }

    /// The report, where release, answer and faults let the machine send one.
    async fn report(&mut self, plan: &InstallPlan) -> Result<(), String> {
        let rack = Arc::clone(&self.rack);
        let options = &rack.options;
        let webhook = plan.webhook.as_ref().filter(|_| !self.afflictions.has(Fault::NoReport));
        let Some(webhook) = webhook else {
            self.tell(Step::NotReporting).await;
            return Ok(());
        };
        let webhook = self.spoil_secret(webhook);
        let keys = self.host_keys(plan, self.installed).map_err(|error| error.to_string())?;
        let spoilt = InstallPlan { webhook: Some(webhook.clone()), ..plan.clone() };
        let Some(body) = body::report(options.release, options.product, &self.machine, &spoilt, &keys) else {
            self.tell(Step::NotReporting).await;
            return Ok(());
        };
        let target = Target::new(&webhook.url, webhook.fingerprint.as_deref()).map_err(|error| in_full(&error))?;
        let slot = rack.slot().await;
        let reply = self.call(&target, Some(body.to_string().into())).send().await;
        drop(slot);
        let reply = reply.map_err(|error| in_full(&error))?;
        if !options.release.accepts_status(reply.status) {
            return Err(options.release.status_words(
                reply.status,
                reply.reason,
                &String::from_utf8_lossy(&reply.body),
            ));
        }
        self.tell(Step::Reported { status: reply.status, elapsed: reply.elapsed }).await;
        Ok(())
    }

    /// The webhook as the answer gave it, or with its secret cut off or changed.
    fn spoil_secret(&self, webhook: &Webhook) -> Webhook {
        let mut webhook = webhook.clone();
        if self.afflictions.has(Fault::LostSecret) {
            webhook.url = without_secret(&webhook.url);
            webhook.token = None;
        } else if self.afflictions.has(Fault::ForgedSecret) {
            webhook.url = with_forged_secret(&webhook.url);
            webhook.token = webhook.token.map(|token| "f".repeat(token.len()));
        }
        webhook
    }

    fn host_keys(&self, plan: &InstallPlan, install: u32) -> Result<HostKeys, russh::keys::ssh_key::Error> {
        let host = plan.fqdn.split('.').next().unwrap_or_default();
        HostKeys::generate(self.rack.options.seed, self.machine.number, install, host)
    }

    /// The installed system comes up.
    async fn boot(&mut self, plan: &InstallPlan) -> Option<SshServer> {
        let fqdn = plan.fqdn.clone();
        match self.open_ssh(plan).await {
            Ok(Some(server)) => {
                self.tell(Step::SshUp { at: server.at, fqdn }).await;
                Some(server)
            }
            Ok(None) => {
                self.tell(Step::Up { fqdn }).await;
                None
            }
            Err(why) => {
                self.tell(Step::SshFailed { why }).await;
                None
            }
        }
    }

    async fn open_ssh(&self, plan: &InstallPlan) -> Result<Option<SshServer>, String> {
        // A key of an installation that never was is one nobody was told.
        let install = if self.afflictions.has(Fault::WrongHostKey) { u32::MAX } else { self.installed };
        let keys = self.host_keys(plan, install).map_err(|error| error.to_string())?;
        let given = plan.address.map(|net| net.addr()).filter(IpAddr::is_loopback);
        let (debian, package, kernel) = self.rack.options.release.installed_versions();
        let node = SshNode {
            address: given.unwrap_or(self.machine.address.into()),
            port: self.rack.options.ssh_port,
            keys,
            authorized: plan.ssh_keys.clone(),
            node: Node {
                fqdn: plan.fqdn.clone(),
                machine_id: self.machine.machine_id.clone(),
                debian,
                package,
                kernel,
            },
        };
        node.start(&self.rack.options.ssh, self.machine.number).await.map_err(|error| error.to_string())
    }

    async fn reboot(&mut self) {
        self.tell(Step::Rebooting).await;
        let takes = self.jitter(self.rack.options.timings.reboot);
        self.pause(takes).await;
    }

    async fn tell(&self, step: Step) {
        self.rack.tell(&self.machine, step).await;
    }

    async fn pause(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }

    /// `time`, up to a fifth shorter or longer.
    fn jitter(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.rng.random_range(0.8..1.2))
    }
}

/// An error with its causes, as a console would show them.
fn in_full(error: &ExchangeError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}

/// The report URL up to its first path segment: the secret is in the rest of the path, or in the query.
fn without_secret(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else { return bare.to_owned() };
    let mut segments = rest.split('/');
    let (host, first) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    if first.is_empty() { format!("{scheme}://{host}/") } else { format!("{scheme}://{host}/{first}/") }
}

/// The report URL with the last value of its path or query replaced by as many letters.
fn with_forged_secret(url: &str) -> String {
    let trimmed = url.trim_end_matches('/');
    let secret = trimmed.bytes().rev().take_while(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(b)).count();
    let kept = trimmed.len() - secret;
    format!("{}{}{}", &trimmed[..kept], "f".repeat(secret), &url[trimmed.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://h:1/webhook/s3cret", "https://h:1/webhook/", "https://h:1/webhook/ffffff")]
    #[case("https://h:1/webhook/s3cret/", "https://h:1/webhook/", "https://h:1/webhook/ffffff/")]
    #[case("http://h/webhook?s=abc", "http://h/webhook/", "http://h/webhook?s=fff")]
    #[case("http://h/", "http://h/", "http://f/")]
    #[case("nonsense", "nonsense", "ffffffff")]
    fn secrets_are_lost_and_forged(#[case] url: &str, #[case] lost: &str, #[case] forged: &str) {
        assert_eq!((without_secret(url).as_str(), with_forged_secret(url).as_str()), (lost, forged));
    }
}
