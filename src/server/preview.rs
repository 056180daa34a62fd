//! The answer a node would be given now, made the way requests go ([`super::prepare`]) and explained. Nothing is released,
//! no counter is taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use super::layers::{Layers, LayersError};
use super::prepare::{self, Asking, COUNTER_ROUNDS};
use super::state::AnswerKit;
use crate::answer::{
    self, Explained, Hardware, Installer, Overlay, Question, Rendered, Severity, Shown, TemplateError, Webhook,
};
use crate::client::{LastAnswer, Preview, Row, Value};
use crate::domain::snapshot::Service;
use crate::domain::{Event, Fleet, Node, NodeId, Snapshot};
use crate::store::{Page, Reader};

/// Without an engine and a `public_url`.
const UNKNOWN_URL: &str =
    "where it reports to is not compared: the address follows from where the machine asks, and no engine runs";
/// Events of a node that are searched for its last report.
const EVENTS: usize = 1_000;

/// Explains answers.
#[derive(Clone, Debug)]
pub struct Previewer {
    kit: watch::Receiver<Arc<AnswerKit>>,
    state_dir: PathBuf,
}

impl Previewer {
    /// Reads answers and reports from the database in `state_dir`.
    #[must_use]
    pub fn new(kit: watch::Receiver<Arc<AnswerKit>>, state_dir: PathBuf) -> Self {
        Self { kit, state_dir }
    }

    /// The folder and the files answers are made from.
    #[must_use]
    pub fn kit(&self) -> Arc<AnswerKit> {
        self.kit.borrow().clone()
    }

    /// The answer of a node as it would be now; `None` where there is no such node.
    pub async fn preview(&self, snapshot: &Snapshot, node: NodeId) -> Option<Preview> {
        let node = snapshot.fleet.node(node)?;
        let (state_dir, subject) = (self.state_dir.clone(), Arc::clone(node));
        let past = tokio::task::spawn_blocking(move || Past::of(&state_dir, &subject)).await.unwrap_or_default();
        let kit = self.kit();
        let mut preview = explain(&kit, snapshot, node, &past).await;
        preview.last = past.last;
        if past.hardware.is_none() && node.may_be_installed() {
            preview
                .warnings
                .push("no earlier report of this machine is known: what it would touch cannot be said".to_owned());
        }
        Some(preview)
    }
}

/// What is known of a node from before.
#[derive(Debug, Default)]
struct Past {
    last: Option<LastAnswer>,
    hardware: Option<Hardware>,
}

impl Past {
    /// Reads the database. What cannot be read is not known.
    fn of(state_dir: &Path, node: &Node) -> Self {
        let Ok(reader) = Reader::open(state_dir) else { return Self::default() };
        let last = node.answers.as_ref().and_then(|answers| {
            let text = reader.redacted_answer(answers.document).ok()??;
            Some(LastAnswer { at: answers.last, text })
        });
        // A new answer makes a node forget its report; the log does not.
        let reported = node.report.as_ref().map(|reported| reported.document).or_else(|| {
            let events = reader.events(Page::Before(u64::MAX), Some(node.id), EVENTS).ok()?;
            events.into_iter().rev().find_map(|recorded| match recorded.event {
                Event::ReportAccepted { document, .. } => Some(document),
                _ => None,
            })
        });
        let body = reported.and_then(|document| reader.document(document).ok().flatten());
        Self { last, hardware: body.and_then(|body| Hardware::parse(&body).ok()) }
    }
}

async fn explain(kit: &AnswerKit, snapshot: &Snapshot, node: &Node, past: &Past) -> Preview {
    let asked = node.request.as_ref();
    let mut preview = Preview {
        node: node.id,
        name: node.name.clone(),
        installer: asked.map(|asked| installer(&asked.info)).unwrap_or_default(),
        profile: None,
        rows: Vec::new(),
        left_out: Vec::new(),
        text: String::new(),
        problem: None,
        last: None,
        touch: Vec::new(),
        warnings: Vec::new(),
    };
    let layers = match layers(kit, &snapshot.fleet, node).await {
        Ok(layers) => layers,
        Err(why) => {
            preview.problem = Some(why.to_string());
            return preview;
        }
    };
    preview.profile = layers.profile.as_ref().map(|profile| format!("{} ({})", profile.name(), layers.chosen_by));
    let Some(asked) = asked else {
        preview.rows = rows(&layers.overlay);
        preview.problem = Some("it has not asked yet: its address, interface and installer are not known".to_owned());
        return preview;
    };
    // Before the approval: what that would bring.
    let fixed = if node.is_to_be_installed() { snapshot.fleet.fixed_on_approval(node) } else { Ok(node.fixed()) };
    preview.problem = fixed.as_ref().err().map(ToString::to_string);
    let machine = Asking {
        name: &node.name,
        info: &asked.info,
        peer: asked.stamp.peer,
        fixed: fixed.unwrap_or_default(),
        chosen: node.nic,
        nic: asked.asking_mac,
    };
    if snapshot.service.url.is_empty() && asked.info.generation.has_webhook() {
        preview.warnings.push(UNKNOWN_URL.to_owned());
    }
    match prepare::rendered(kit, &layers, &machine, Some(webhook(&snapshot.service, past.last.as_ref()))) {
        Ok(rendered) => {
            let stated = layers.profile.as_ref().and_then(|profile| profile.installer_of(asked.info.generation));
            let installer = stated.unwrap_or(Installer::ends(asked.info.generation)[1]);
            judge(&mut preview, &rendered, installer, past.hardware.as_ref());
            preview.rows = rows(&rendered.overlay);
            preview.left_out = rendered.left_out.iter().map(|setting| (*setting).to_owned()).collect();
            preview.text = rendered.redacted;
        }
        Err(why) => {
            preview.rows = rows(&layers.overlay);
            preview.problem = Some(why.to_string());
        }
    }
    preview
}

/// `9.2 or newer (medium 9.2-1)`.
fn installer(info: &crate::domain::SystemInfo) -> String {
    let medium = info.iso_release.as_ref().map(|release| format!(" (medium {release})")).unwrap_or_default();
    format!("{}{medium}", info.generation.label())
}

/// The layers of a node with the values its counters would have.
async fn layers(kit: &AnswerKit, fleet: &Fleet, node: &Node) -> Result<Layers, LayersError> {
    let mut node = node.clone();
    let given = prepare::given_to(&node, kit);
    let info = node.request.as_ref().map(|asked| asked.info.clone());
    let layers = kit.layers(fleet, &node, &node.name, info.as_deref(), &given).await?;
    let mut last = Vec::new();
    for _ in 0..COUNTER_ROUNDS {
        match prepare::filled(&layers, &node, &node.name, info.as_deref()) {
            Err(TemplateError::Wants(wishes)) => {
                last.clone_from(&wishes);
                for wish in wishes {
                    let next = fleet.next_of(&wish.name, wish.start);
                    node.counters.insert(wish.name, next);
                }
            }
            other => return Ok(other?),
        }
    }
    Err(TemplateError::Wants(last).into())
}

/// Where it would report to; the secret is made when an answer is released. Where nothing is served, that is where the
/// last answer made it report to.
fn webhook(service: &Service, last: Option<&LastAnswer>) -> Webhook {
    let base = if service.url.is_empty() {
        let stand_in = || if service.fingerprint.is_some() { "https://this-console" } else { "http://this-console" };
        last.and_then(|last| answer::reported_to(&last.text)).unwrap_or_else(|| stand_in().to_owned())
    } else {
        service.url.trim_end_matches('/').to_owned()
    };
    Webhook {
        url: SecretString::from(format!("{base}/webhook/")),
        token: SecretString::from("made when it is released"),
        fingerprint: service.fingerprint.clone().filter(|_| base.starts_with("https://")),
    }
}

/// What the answer would do on this machine.
fn judge(preview: &mut Preview, rendered: &Rendered, installer: Installer, hardware: Option<&Hardware>) {
    // Whether the medium has a first-boot executable is not known here, and not asked.
    let question = Question { installer, hardware, first_boot_on_medium: true };
    let checked = answer::check_answer(rendered.text.expose_secret(), &question);
    preview.touch = checked.touch.as_ref().map(answer::Touch::lines).unwrap_or_default();
    let grave = checked.problems.iter().filter(|problem| problem.severity != Severity::Warning);
    preview.warnings.extend(grave.map(|problem| format!("`{}`: {problem}", problem.path)));
}

fn rows(overlay: &Overlay) -> Vec<Row> {
    let row = |Explained { setting, value, replaced }: Explained| Row {
        setting,
        value: value.map(value_of),
        replaced: replaced.into_iter().map(value_of).collect(),
    };
    overlay.explain().into_iter().map(row).collect()
}

fn value_of(shown: Shown) -> Value {
    Value {
        text: shown.text,
        layer: shown.origin.source.rank.word().to_owned(),
        from: shown.origin.to_string(),
        template: shown.template,
    }
}
