//! Every view, dialog and state as a scene, shown at the sizes and on the kinds of terminal there are.
//!
//! One picture file per scene holds the three sizes: the text, and below it which columns of a row look how. What an
//! ASCII or a monochrome terminal shows follows from it by rule, and the rules are tested for each scene and size. The
//! names of dialogs, questions and so on are made by [`named`]: a new one does not compile until it has a name here, and
//! fails until a scene shows it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Size;
use ratatui::style::{Color, Modifier};

use super::action::Tab;
use super::fixture::*;
use super::modal::{Dialog, Modal, Question};
use super::model::{Check, Model};
use super::runs::Level;
use super::{Background, Colours, TuiOptions};
use crate::domain::Phase;
use crate::domain::fleet::Gate;
use crate::domain::run::RunState;

mod cast;
mod dialogs;
mod keys;
mod nodes;
mod pages;
mod runs;
mod setup;
pub(super) mod stage;
mod walking;

/// Where a scene is shown.
pub(super) struct Stage {
    size: Size,
    options: TuiOptions,
}

impl Stage {
    pub(super) fn new(width: u16, height: u16) -> Self {
        Self { size: Size { width, height }, options: TuiOptions::default() }
    }

    /// The console on this rack.
    pub(super) fn open(&self, rack: &Rack) -> Model {
        rack.model_with(self.size.width, self.size.height, &self.options)
    }

    /// The console at its very first start.
    pub(super) fn open_first(&self, rack: &Rack) -> Model {
        let options = TuiOptions { hints: Some("hints-seen".into()), ..self.options.clone() };
        rack.model_with(self.size.width, self.size.height, &options)
    }
}

/// A scene's name, and how it comes about.
pub(super) type Scene = (&'static str, fn(&Stage) -> Model);

/// The sizes of a crash cart, of a usual terminal, and the smallest there is.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (60, 16)];

/// Every scene.
pub(super) fn all() -> impl Iterator<Item = Scene> {
    [nodes::SCENES, walking::SCENES, dialogs::SCENES, pages::SCENES, runs::SCENES, setup::SCENES]
        .into_iter()
        .flatten()
        .copied()
}

/// Names for each variant, and the list of the names.
macro_rules! named {
    ($names:ident, $name:ident: $kind:ty { $($pattern:pat => $word:literal),+ $(,)? }) => {
        const $names: &[&str] = &[$($word),+];

        fn $name(value: &$kind) -> &'static str {
            match value {
                $($pattern => $word),+
            }
        }
    };
}

named!(MODALS, modal: Modal {
    Modal::Help { .. } => "help",
    Modal::Palette { .. } => "palette",
    Modal::Filter(_) => "filter",
    Modal::Find(_) => "find",
    Modal::Problems { .. } => "problems",
    Modal::Ghosts { .. } => "ghosts",
    Modal::Big { .. } => "big",
    Modal::Quit => "quit",
    Modal::Suspend => "suspend",
    Modal::Preview(_) => "preview",
    Modal::Profile(_) => "profile",
    Modal::Ask(Dialog::Asking(_)) => "asking",
    Modal::Ask(Dialog::Waiting { .. }) => "waiting",
    Modal::Ask(Dialog::Refused { .. }) => "refused",
});

named!(QUESTIONS, question: Question {
    Question::Hostname(_) => "host name",
    Question::Address(_) => "address",
    Question::ChooseNic(_) => "nic",
    Question::Reject(_) => "reject",
    Question::Dismiss(_) => "dismiss",
    Question::Reinstall(_) => "reinstall",
    Question::Run(_) => "run",
    Question::Gate(_) => "gate",
    Question::Cancel(_) => "cancel",
    Question::Mark(_) => "mark",
    Question::Trust(_) => "trust",
    Question::Adopt(_) => "adopt",
    Question::Forget(_) => "forget",
    Question::Bulk(_) => "bulk",
    Question::Ban(_) => "ban",
    Question::Same(_) => "same",
    Question::Jump(_) => "jump",
    Question::Standing(_) => "standing",
    Question::NewTicket(_) => "new ticket",
    Question::AnyTicket(_) => "ticket of any machine",
    Question::WalkPlan(_) => "walk by the plan",
    Question::WalkNames(_) => "walk by names",
    Question::WalkMenu(_) => "walk menu",
    Question::StopWalk(_) => "stop the walk",
    Question::Swap(_) => "swap",
    Question::Edit(_) => "edit",
});

named!(TABS, tab: Tab {
    Tab::Nodes => "nodes",
    Tab::Ansible => "ansible",
    Tab::Log => "log",
    Tab::Setup => "setup",
});

named!(LEVELS, level: Level {
    Level::Output => "output",
    Level::Grid => "grid",
    Level::Result => "result",
});

named!(GATES, gate: Gate {
    Gate::ByHand => "by hand",
    Gate::Waits { .. } => "waits",
    Gate::Held { .. } => "held",
    Gate::Open => "open",
    Gate::Counting { .. } => "counting",
    Gate::Done { .. } => "done",
});

named!(CHECKS, check: Check {
    Check::None => "none",
    Check::Going => "going",
    Check::Done(_) => "done",
});

named!(RUNS, run_state: RunState {
    RunState::Queued { .. } => "queued",
    RunState::Running { .. } => "running",
    RunState::Ended { .. } => "ended",
});

named!(PHASES, phase: Phase {
    Phase::Planned => "planned",
    Phase::Waiting => "waiting",
    Phase::Rejected { .. } => "rejected",
    Phase::Approved => "approved",
    Phase::Installing => "installing",
    Phase::Stalled { .. } => "stalled",
    Phase::Installed => "installed",
    Phase::Booting => "booting",
    Phase::Ready => "ready",
    Phase::Unreachable { .. } => "unreachable",
    Phase::Configuring => "configuring",
    Phase::Configured => "configured",
    Phase::Failed { .. } => "failed",
});

/// How a cell looks: a letter for each colour that is not the terminal's own, behind it what else: `*` bold, `-` dim, `~`
/// reversed, `_` underlined.
fn look(cell: &Cell) -> String {
    let letter = |colour: Color| match colour {
        Color::Reset => "",
        Color::Black => "k",
        Color::Red => "r",
        Color::Green => "g",
        Color::Yellow => "y",
        Color::Blue => "b",
        Color::Magenta => "m",
        Color::Cyan => "c",
        Color::Gray | Color::White => "w",
        Color::DarkGray => "K",
        Color::LightRed => "R",
        Color::LightGreen => "G",
        Color::LightYellow => "Y",
        Color::LightBlue => "B",
        Color::LightMagenta => "M",
        Color::LightCyan => "C",
        Color::Rgb(..) | Color::Indexed(_) => panic!("more than 16 colours: {colour:?}"),
    };
    let marks = [(Modifier::BOLD, '*'), (Modifier::DIM, '-'), (Modifier::REVERSED, '~'), (Modifier::UNDERLINED, '_')];
    let marks: String =
        marks.iter().filter(|(modifier, _)| cell.modifier.contains(*modifier)).map(|(_, c)| c).collect();
    let ground = letter(cell.bg);
    let ground = if ground.is_empty() { String::new() } else { format!("/{ground}") };
    format!("{}{ground}{marks}", letter(cell.fg))
}

/// The text, and below it how it looks.
fn picture(buffer: &Buffer) -> String {
    let mut text = String::new();
    let mut looks = String::new();
    for (y, row) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let line: String = row.iter().map(Cell::symbol).collect();
        let _ = writeln!(text, "{}", line.trim_end());
        let mut x = 0;
        let mut runs = Vec::new();
        for run in row.chunk_by(|one, other| look(one) == look(other)) {
            let look = look(&run[0]);
            if !look.is_empty() {
                runs.push(format!("{x}-{} {look}", x + run.len() - 1));
            }
            x += run.len();
        }
        if !runs.is_empty() {
            let _ = writeln!(looks, "{y}: {}", runs.join(", "));
        }
    }
    format!("{text}\n{looks}")
}

fn buffer_of(model: &Model) -> Buffer {
    screen(model).backend().buffer().clone()
}

/// Times in the log are those of the test.
fn is_timeless(model: &Model) -> bool {
    model.tab != Tab::Log
}

#[test]
fn every_scene_looks_like_its_picture() {
    for (name, build) in all() {
        let mut pictures = String::new();
        for (width, height) in SIZES {
            let model = build(&Stage::new(width, height));
            let shown = if is_timeless(&model) { picture(&buffer_of(&model)) } else { "(times)\n".to_owned() };
            let _ = writeln!(pictures, "== {width}x{height}\n{shown}");
        }
        insta::with_settings!({
            omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "scenes/snapshots"
        }, {
            insta::assert_snapshot!(name, pictures);
        });
    }
}

#[test]
fn names_of_scenes_are_names_of_files() {
    let names: BTreeSet<_> = all().map(|(name, _)| name).collect();
    assert_eq!(names.len(), all().count(), "each name once");
    assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')));
}

/// What is there that no scene shows.
fn unseen(names: &[&'static str], mut of: impl FnMut(&Model) -> Vec<&'static str>) -> Vec<&'static str> {
    let seen: BTreeSet<_> = all().flat_map(|(_, build)| of(&build(&Stage::new(80, 24)))).collect();
    names.iter().copied().filter(|name| !seen.contains(name)).collect()
}

#[test]
fn every_view_dialog_and_state_has_a_scene() {
    let none: [&str; 0] = [];
    let questions = |model: &Model| match &model.modal {
        Some(Modal::Ask(dialog)) => vec![question(dialog.about())],
        _ => Vec::new(),
    };
    assert_eq!(unseen(QUESTIONS, questions), none);
    assert_eq!(unseen(MODALS, |model| model.modal.iter().map(modal).collect()), none);
    assert_eq!(unseen(TABS, |model| vec![tab(&model.tab)]), none);
    let levels = |model: &Model| (model.tab == Tab::Ansible).then(|| level(&model.runs.level)).into_iter().collect();
    assert_eq!(unseen(LEVELS, levels), none);
    assert_eq!(unseen(GATES, |model| vec![gate(&model.overview.gate)]), none);
    let checks = |model: &Model| (model.tab == Tab::Setup).then(|| check(&model.check)).into_iter().collect();
    assert_eq!(unseen(CHECKS, checks), none);
    let shown = |model: &Model| model.shown_run().filter(|_| model.tab == Tab::Ansible).cloned();
    assert_eq!(unseen(RUNS, |model| shown(model).iter().map(|run| run_state(&run.state)).collect()), none);
    assert_eq!(unseen(PHASES, |model| model.overview.counts.iter().map(|(of, _)| phase(of)).collect()), none);
}

/// A scene at a size on a kind of terminal.
fn shown(build: fn(&Stage) -> Model, size: (u16, u16), options: TuiOptions) -> Buffer {
    buffer_of(&build(&Stage { size: Size { width: size.0, height: size.1 }, options }))
}

fn symbols(buffer: &Buffer) -> Vec<&str> {
    buffer.content.iter().map(Cell::symbol).collect()
}

#[test]
fn an_ascii_terminal_gets_ascii_and_every_letter_and_mark() {
    for (name, build) in all() {
        for size in SIZES {
            let plain = shown(build, size, TuiOptions { ascii: true, ..TuiOptions::default() });
            let fancy = shown(build, size, TuiOptions::default());
            for (plain, fancy) in plain.content.iter().zip(&fancy.content) {
                let (shown, meant) = (plain.symbol(), fancy.symbol());
                assert!(shown.is_ascii(), "{name} {size:?}: `{shown}`");
                assert!(shown == meant || !meant.is_ascii(), "{name} {size:?}: `{meant}` became `{shown}`");
                assert!(shown != "?" || meant == "?", "{name} {size:?}: `{meant}` has no ASCII twin");
                assert_eq!(
                    (plain.fg, plain.bg, plain.modifier),
                    (fancy.fg, fancy.bg, fancy.modifier),
                    "{name} {size:?}"
                );
            }
        }
    }
}

#[test]
fn a_monochrome_terminal_gets_every_letter_and_no_colour() {
    for (name, build) in all() {
        for size in SIZES {
            let mono = shown(build, size, TuiOptions { colours: Colours::Mono, ..TuiOptions::default() });
            assert!(
                mono.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)),
                "{name} {size:?}"
            );
            let colours = shown(build, size, TuiOptions::default());
            assert_eq!(symbols(&mono), symbols(&colours), "{name} {size:?}");
            let modifiers = |buffer: &Buffer| buffer.content.iter().map(|cell| cell.modifier).collect::<Vec<_>>();
            assert_eq!(modifiers(&mono), modifiers(&colours), "{name} {size:?}");
        }
    }
}

#[test]
fn a_light_terminal_gets_no_colour_that_cannot_be_read_on_it() {
    let faint = [Color::Yellow, Color::LightYellow, Color::Cyan, Color::LightCyan, Color::White, Color::Gray];
    for (name, build) in all() {
        let light = TuiOptions { background: Background::Light, ..TuiOptions::default() };
        let buffer = shown(build, (80, 24), light);
        assert!(buffer.content.iter().all(|cell| !faint.contains(&cell.fg)), "{name}");
    }
}

/// A word that ends in the last column ends there also where there is room for more.
#[test]
fn nothing_is_cut_without_a_mark() {
    let mut cut = Vec::new();
    for (name, build) in all() {
        // Only made where it is needed: it is much to draw.
        let whole = std::cell::LazyCell::new(|| text_of(&build(&Stage::new(250, 70))));
        for size in SIZES {
            let model = build(&Stage::new(size.0, size.1));
            let wide = usize::from(size.0);
            let is_folded = model.tab == Tab::Ansible && model.runs.level == Level::Output && model.modal.is_none();
            // Behind a dialog the table goes on.
            let is_free = |line: &&str| !is_folded && !line.contains(['│', '┐', '┘']);
            for line in text_of(&model).lines().filter(|line| line.chars().count() == wide).filter(is_free) {
                let last = line.split_whitespace().last().unwrap_or_default();
                if last.ends_with(char::is_alphanumeric) && !whole.split_whitespace().any(|word| word == last) {
                    cut.push(format!("{name} {size:?}: {line}"));
                }
            }
        }
    }
    assert!(cut.is_empty(), "{}", cut.join("\n"));
}
