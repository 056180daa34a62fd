//! Which keys make sense right now. The footer offers only those; a key that makes none says why.

use super::action::Action;
use super::keymap::Scope;
use super::modal::{Dialog, Modal, Verb};
use super::model::{Check, Model, Subject};
use super::runs::Level;
use crate::domain::fleet::Gate;
use crate::domain::node::Flag;
use crate::domain::{Node, Phase};

/// Whether `action`, pressed in `scope`, would do something.
///
/// # Errors
/// Why not, in words for the operator.
pub(super) fn offer(model: &Model, scope: Scope, action: Action) -> Result<(), String> {
    if let Some(verb) = Verb::of(action).filter(|_| scope == Scope::Nodes && !model.nodes.marks.is_empty()) {
        return marked(model, verb);
    }
    if let Some(offered) = about_runs(model, scope, action) {
        return offered;
    }
    match action {
        Action::Approve => approve(node(model)?),
        Action::Ban => {
            let node = node(model)?;
            let may = node.is_to_be_installed() && node.request.is_some();
            may.then_some(()).ok_or_else(|| {
                format!("`{}` is {}; only a machine without an answer can be banned", node.name, node.phase.word())
            })
        }
        Action::Jump | Action::Big if model.overview.rows == 0 => Err("there is no machine yet".to_owned()),
        Action::Undo => undo(model, node(model)?),
        Action::Reject => match subject(model)? {
            Subject::Report(_) => Ok(()),
            Subject::Node(node) if node.phase.may_be_rejected() => Ok(()),
            Subject::Node(node) => Err(format!(
                "`{}` is {}; only a machine without an answer can be rejected",
                node.name,
                node.phase.word()
            )),
        },
        Action::Rename => {
            let node = node(model)?;
            let may = node.phase.is_before_answer();
            may.then_some(()).ok_or_else(|| {
                format!("`{}` is {}; a node can be renamed until it installs", node.name, node.phase.word())
            })
        }
        Action::Address | Action::Merge | Action::Preview | Action::Edit | Action::Mark => node(model).map(|_| ()),
        Action::ChooseProfile => profile(model, node(model)?),
        Action::SkipSlot | Action::StepBack => walking(model, action == Action::SkipSlot),
        Action::Swap => swap(model),
        Action::Forget => forget(node(model)?),
        Action::Nic => nic(node(model)?),
        Action::NewProfile => new_profile(node(model)?),
        Action::MarkInstalled => {
            let node = node(model)?;
            let may = node.phase.may_be_marked();
            may.then_some(()).ok_or_else(|| {
                format!(
                    "`{}` is {}; only an approved node without a report can be marked",
                    node.name,
                    node.phase.word()
                )
            })
        }
        Action::Trust => trust(node(model)?),
        Action::Adopt => match subject(model)? {
            Subject::Report(_) => Ok(()),
            Subject::Node(_) => {
                Err("this key is for reports without a node, at the end of the table; none is selected".to_owned())
            }
        },
        Action::NextWaiting => {
            let any = model.overview.undecided > 0;
            any.then_some(()).ok_or_else(|| "no machine waits for a decision".to_owned())
        }
        Action::Back if scope == Scope::Nodes => {
            let any = model.nodes.detail.is_some()
                || !model.nodes.marks.is_empty()
                || model.listing.filter.is_on()
                || model.overview.walk.is_some()
                || matches!(model.overview.gate, Gate::Counting { .. });
            any.then_some(()).ok_or_else(String::new)
        }
        Action::MarkAll | Action::Sort | Action::Reverse | Action::Group | Action::Filter => {
            (model.overview.rows > 0).then_some(()).ok_or_else(|| "there is no machine yet".to_owned())
        }
        Action::Problems => {
            let any = !model.snapshot.service.problems.is_empty();
            any.then_some(()).ok_or_else(|| "nothing is wrong".to_owned())
        }
        Action::Open if scope == Scope::Nodes && model.nodes.detail.is_some() => {
            Err("the detail is open; Esc goes back to the table".to_owned())
        }
        Action::Open if scope == Scope::Nodes => subject(model).map(|_| ()),
        Action::Open if scope == Scope::Answered => {
            if matches!(&model.modal, Some(Modal::Ask(Dialog::Refused { about, .. })) if about.is_bulk()) {
                return Err("Esc closes this; look at the rows that are still marked, then decide anew".to_owned());
            }
            let refused = model.modal.as_ref().is_some_and(Modal::is_refused);
            refused.then_some(()).ok_or_else(|| "the engine has not answered yet".to_owned())
        }
        Action::Copy | Action::Write | Action::SelfTest => setup(model, action),
        Action::NextHint | Action::NoHints => {
            model.hint.map(|_| ()).ok_or_else(|| "there are no more hints; `?` lists all keys".to_owned())
        }
        Action::Ghosts if model.snapshot.service.ghosts.is_empty() => {
            Err("nobody was turned away: whoever called could ask".to_owned())
        }
        _ => Ok(()),
    }
}

/// A key to accept must have been seen.
fn trust(node: &Node) -> Result<(), String> {
    let shown = node.unproven.as_ref().map(|_| ());
    shown.ok_or_else(|| format!("`{}` shows no host key that waits for your word", node.name))
}

/// What is known of a machine is what it said when it asked.
fn new_profile(node: &Node) -> Result<(), String> {
    let known = node.request.as_ref().map(|_| ());
    known.ok_or_else(|| format!("`{}` has not asked yet: nothing is known of its machine", node.name))
}

/// The same for what concerns runs; `None` for everything else.
fn about_runs(model: &Model, scope: Scope, action: Action) -> Option<Result<(), String>> {
    Some(match action {
        Action::Run => run(model),
        Action::RunFailed => {
            let is_failed = |node: &std::sync::Arc<Node>| matches!(node.phase, Phase::Failed { .. }) && node.may_run();
            let any = model.snapshot.fleet.nodes().any(is_failed);
            run(model).and_then(|()| any.then_some(()).ok_or_else(|| "no node has failed".to_owned()))
        }
        Action::Gate => match model.overview.gate {
            Gate::ByHand => Err("runs start by hand only, so there is nothing to hold".to_owned()),
            _ => Ok(()),
        },
        Action::NextFailure | Action::PreviousFailure | Action::RawOutput => grid(model).map(|_| ()),
        Action::Open if scope == Scope::Ansible => grid(model).map(|_| ()),
        Action::Open if scope == Scope::Grid => {
            let has_result = model.runs.cell().is_some_and(|cell| cell.place.is_some());
            has_result.then_some(()).ok_or_else(|| "there is no result at this place".to_owned())
        }
        Action::Copy if scope == Scope::Ansible => {
            let known = model.runs.progress().and_then(|progress| progress.command.as_ref());
            known.map(|_| ()).ok_or_else(|| "the run's command line is not known".to_owned())
        }
        Action::Copy if scope == Scope::Sheet => {
            let command = match &model.modal {
                Some(Modal::Ask(dialog)) => dialog.about().command(model),
                _ => None,
            };
            command.map(|_| ()).ok_or_else(|| "there is no command line to copy".to_owned())
        }
        Action::CopyShown if model.runs.level == Level::Grid => {
            Err("open the result of a task first: Enter".to_owned())
        }
        Action::CopyShown if model.runs.level == Level::Result => {
            model.runs.result().map(|_| ()).ok_or_else(|| "there is no result at this place".to_owned())
        }
        Action::CopyShown | Action::Find | Action::Wrap => output(model),
        Action::Cancel => model.snapshot.fleet.active_run().map(|_| ()).ok_or_else(|| "no run is going on".to_owned()),
        Action::Previous | Action::Next if scope == Scope::Ansible => {
            let several = model.overview.runs.len() > 1;
            several.then_some(()).ok_or_else(|| "there is no other run".to_owned())
        }
        Action::Follow | Action::PageUp if scope == Scope::Ansible => output(model),
        _ => return None,
    })
}

fn output(model: &Model) -> Result<(), String> {
    (!model.pager.is_empty()).then_some(()).ok_or_else(|| "there is no output".to_owned())
}

/// What the Setup tab does needs an address; one self-test at a time.
fn setup(model: &Model, action: Action) -> Result<(), String> {
    if model.snapshot.service.url.is_empty() {
        return Err("nothing is being served yet".to_owned());
    }
    let is_asking = action == Action::SelfTest && model.check == Check::Going;
    (!is_asking).then_some(()).ok_or_else(|| "the self-test goes on".to_owned())
}

/// Whether the footer should bring `action` up: a reinstall nobody asks for is possible, and better not at hand.
pub(super) fn is_advised(model: &Model, action: Action) -> bool {
    let unasked = |node: &Node| node.may_be_installed() && !asks_again(node);
    let is_decided = |node: &Node| model.nodes.marks.is_empty() && model.snapshot.undecided.contains_key(&node.id);
    match action {
        // A decision that can still be taken back is made already.
        Action::Approve => !model.node().is_some_and(|node| unasked(node) || is_decided(node)),
        // Worth a place only where somebody has chosen two, or walks.
        Action::Swap => model.nodes.marks.len() == 2,
        Action::Walk => model.overview.walk.is_none() && model.overview.plan_waits,
        Action::Nic => model.node().is_some_and(|node| node.flags.contains(&Flag::ChooseNic)),
        _ => true,
    }
}

fn subject(model: &Model) -> Result<Subject<'_>, String> {
    let nothing = if model.overview.rows == 0 { "there is no machine yet" } else { "no row is selected" };
    model.subject().ok_or_else(|| nothing.to_owned())
}

fn node(model: &Model) -> Result<&Node, String> {
    match subject(model)? {
        Subject::Node(node) => Ok(node),
        Subject::Report(_) => Err("this row is a report without a node; `m` says whose it is, `x` drops it".to_owned()),
    }
}

/// Whether the row waits for the operator's word.
pub(super) fn needs_decision(node: &Node) -> bool {
    node.phase == Phase::Waiting || asks_again(node)
}

/// Whether the machine asks although it may be installed, and nobody allowed it yet.
pub(super) fn asks_again(node: &Node) -> bool {
    node.flags.contains(&Flag::AsksAgain) && !node.reinstall_allowed
}

/// An order to all marked nodes needs one that can take it.
fn marked(model: &Model, verb: Verb) -> Result<(), String> {
    let any = model.marked().any(|node| verb.takes(model, node).is_ok());
    any.then_some(())
        .ok_or_else(|| format!("none of the {} marked nodes can be {}", model.nodes.marks.len(), verb.done()))
}

/// Whether a row can be dropped: one the plan expects comes from its file.
fn forget(node: &Node) -> Result<(), String> {
    let words = || format!("`{}` is in the plan; take it out of plan.toml instead", node.name);
    (!node.is_unclaimed()).then_some(()).ok_or_else(words)
}

/// Whether the walk can go on or back.
fn walking(model: &Model, is_skip: bool) -> Result<(), String> {
    let walk = model.overview.walk.as_ref().ok_or_else(|| "no walk goes on; `w` begins one".to_owned())?;
    if is_skip {
        return walk.next.as_ref().map(|_| ()).ok_or_else(|| "no slot is left to skip".to_owned());
    }
    walk.back.as_ref().map(|_| ()).ok_or_else(|| "the walk has not taken a step yet".to_owned())
}

/// Whether two nodes are chosen that could change places.
fn swap(model: &Model) -> Result<(), String> {
    let fits = |node: &Node| {
        let words =
            || format!("`{}` is {}; only machines that wait or are approved swap", node.name, node.phase.word());
        node.may_swap().then_some(()).ok_or_else(words)
    };
    match model.nodes.marks.len() {
        2 => model.marked().try_for_each(|node| fits(node)),
        0 => {
            let one = node(model)?;
            fits(one)?;
            let any = model.snapshot.fleet.nodes().any(|other| other.id != one.id && other.may_swap());
            any.then_some(()).ok_or_else(|| "there is no other machine that waits or is approved".to_owned())
        }
        count => Err(format!("mark the two that change places; {count} are marked")),
    }
}

/// Whether the profile of a node can be chosen.
fn profile(model: &Model, node: &Node) -> Result<(), String> {
    let why = |word| format!("`{}` is {word}; its profile can be chosen when that is over", node.name);
    Verb::Profile.takes(model, node).map_err(why)
}

/// Whether the NIC of a node can be chosen.
fn nic(node: &Node) -> Result<(), String> {
    let may = node.is_to_be_installed();
    match node.request.as_ref().map(|asked| asked.info.links.len()) {
        None | Some(0) => Err(format!("`{}` has shown no NICs to choose from", node.name)),
        Some(_) if may => Ok(()),
        Some(_) => Err(format!("`{}` is {}; its NIC was chosen before it installed", node.name, node.phase.word())),
    }
}

/// Whether `a` would approve a node, or offer its reinstall.
///
/// # Errors
/// Why not.
pub(super) fn approve(node: &Node) -> Result<(), String> {
    if node.request.is_none() {
        return Err(format!("`{}` has not asked for an answer yet; boot it from the prepared medium", node.name));
    }
    if node.phase == Phase::Configuring {
        return Err(format!("the playbook runs on `{}`; cancel the run first", node.name));
    }
    if node.reinstall_allowed {
        return Err(format!("`{}` may be installed once more already; boot it from the medium", node.name));
    }
    if node.phase == Phase::Approved && !node.may_be_installed() {
        return Err(format!("`{}` is approved already; it gets its answer when it asks", node.name));
    }
    Ok(())
}

fn grid(model: &Model) -> Result<&crate::domain::grid::Grid, String> {
    let why = || match model.pager.run() {
        Some(_) => "Ansible has told of no task yet; the output is all there is".to_owned(),
        None => "there is no run yet".to_owned(),
    };
    model.runs.grid().ok_or_else(why)
}

/// Inside its undo window, or not used yet.
///
/// # Errors
/// Why there is nothing to take back.
pub(super) fn undo(model: &Model, node: &Node) -> Result<(), String> {
    let unused = node.phase == Phase::Approved && !node.may_be_installed();
    let open = model.snapshot.undecided.contains_key(&node.id);
    let merged = !node.absorbed.is_empty() && !node.may_be_installed();
    if open || unused || merged || node.reinstall_allowed || matches!(node.phase, Phase::Rejected { .. }) {
        return Ok(());
    }
    Err(format!("there is no decision about `{}` to take back", node.name))
}

/// A run needs a node that can be run, and no other run.
fn run(model: &Model) -> Result<(), String> {
    let fleet = &model.snapshot.fleet;
    if let Some(run) = fleet.active_run() {
        return Err(format!("run {} is going on; wait for it or cancel it first", run.id));
    }
    let any = model.overview.runnable > 0;
    any.then_some(()).ok_or_else(|| "no node is ready: a run needs nodes that answer SSH as themselves".to_owned())
}
