//! What things look like: 16 ANSI colours, named by meaning, and a symbol per phase. Colour and glyph only repeat what a
//! word says already, so that monochrome and ASCII terminals lose nothing.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::{Background, Colours, TuiOptions};
use crate::domain::Phase;
use crate::domain::run::RunState;
use crate::domain::{Run, RunOutcome};

/// How this terminal is drawn on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Theme {
    ascii: bool,
    mono: bool,
    light: bool,
}

/// Needs a decision now.
pub(super) fn loud() -> Style {
    Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD | Modifier::REVERSED)
}

/// Waits for somebody.
pub(super) fn waiting() -> Style {
    Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD)
}

/// Something goes on by itself.
pub(super) fn busy() -> Style {
    Style::new().fg(Color::Cyan)
}

/// As it should be.
pub(super) fn good() -> Style {
    Style::new().fg(Color::Green)
}

/// Failed, refused, dangerous.
pub(super) fn bad() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

/// Worth reading, less than the rest. Dim, because dark grey is black on an 8-colour console.
pub(super) fn muted() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// Headings and names.
pub(super) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The row or choice the keys act on.
pub(super) fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// A key to press.
pub(super) fn key() -> Style {
    Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)
}

/// The bar at the top.
pub(super) fn bar() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// The style of a phase.
pub(super) fn phase(phase: &Phase) -> Style {
    match phase {
        Phase::Waiting => waiting(),
        Phase::Approved | Phase::Installing | Phase::Installed | Phase::Booting | Phase::Configuring => busy(),
        Phase::Ready | Phase::Configured => good(),
        Phase::Stalled { .. } | Phase::Unreachable { .. } | Phase::Failed { .. } => bad(),
        Phase::Planned | Phase::Rejected { .. } => muted(),
    }
}

/// The one word and the style of a run's state.
pub(super) fn run(run: &Run) -> (&'static str, Style) {
    match &run.state {
        _ if run.is_stopping() => ("stopping", waiting()),
        RunState::Queued { .. } => ("queued", busy()),
        RunState::Running { .. } => ("running", busy()),
        RunState::Ended { outcome, .. } => (
            outcome.word(),
            match outcome {
                RunOutcome::Succeeded => good(),
                RunOutcome::Failed { .. } | RunOutcome::NotStarted { .. } => bad(),
                RunOutcome::Cancelled | RunOutcome::Interrupted => waiting(),
            },
        ),
    }
}

/// Colours that can be read on a light background, in the place of those that cannot.
fn on_light(colour: Color) -> Color {
    match colour {
        Color::Yellow | Color::LightYellow => Color::Magenta,
        Color::Cyan | Color::LightCyan => Color::Blue,
        Color::White | Color::Gray => Color::Black,
        Color::LightGreen => Color::Green,
        other => other,
    }
}

/// What ASCII terminals show in place of a character.
fn ascii_twin(symbol: &str) -> &'static str {
    match symbol {
        "…" => "~",
        "─" | "━" | "═" => "-",
        "│" | "┃" | "║" => "|",
        "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" => "+",
        "•" | "·" => "*",
        "▶" | "→" => ">",
        "▲" => "^",
        "▼" => "v",
        "█" | "▐" => "#",
        "░" => ".",
        _ => "?",
    }
}

impl Theme {
    /// The theme the options ask for.
    pub(super) fn new(options: &TuiOptions) -> Self {
        Self {
            ascii: options.ascii,
            mono: options.colours == Colours::Mono,
            light: options.background == Background::Light,
        }
    }

    /// The symbol of a phase, one column wide and different for each.
    pub(super) fn symbol(self, phase: &Phase) -> char {
        let (plain, fancy) = match phase {
            Phase::Planned => ('.', '·'),
            Phase::Waiting => ('?', '?'),
            Phase::Rejected { .. } => ('-', '⊘'),
            Phase::Approved => ('+', '+'),
            Phase::Installing => ('>', '▶'),
            Phase::Stalled { .. } => ('!', '!'),
            Phase::Installed => ('o', '○'),
            Phase::Booting => ('~', '↻'),
            Phase::Ready => ('=', '●'),
            Phase::Unreachable { .. } => ('#', '≠'),
            Phase::Configuring => ('%', '»'),
            Phase::Configured => ('*', '✓'),
            Phase::Failed { .. } => ('X', '✗'),
        };
        if self.ascii { plain } else { fancy }
    }

    /// Takes out of a finished frame what this terminal cannot show.
    pub(super) fn finish(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if self.ascii && !cell.symbol().is_ascii() {
                let twin = ascii_twin(cell.symbol());
                cell.set_symbol(twin);
            }
            if self.mono {
                cell.fg = Color::Reset;
                cell.bg = Color::Reset;
            } else if self.light {
                cell.fg = on_light(cell.fg);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::Text;
    use std::collections::BTreeSet;

    fn phases() -> Vec<Phase> {
        let reason = Text::new("because");
        vec![
            Phase::Planned,
            Phase::Waiting,
            Phase::Rejected { reason: reason.clone() },
            Phase::Approved,
            Phase::Installing,
            Phase::Stalled { reason: reason.clone() },
            Phase::Installed,
            Phase::Booting,
            Phase::Ready,
            Phase::Unreachable { reason: reason.clone() },
            Phase::Configuring,
            Phase::Configured,
            Phase::Failed { reason },
        ]
    }

    #[test]
    fn every_phase_has_its_own_symbol_one_column_wide() {
        for ascii in [false, true] {
            let theme = Theme { ascii, ..Theme::default() };
            let symbols: BTreeSet<_> = phases().iter().map(|phase| theme.symbol(phase)).collect();
            assert_eq!(symbols.len(), phases().len());
            for symbol in symbols {
                assert_eq!(super::super::text::width(&symbol.to_string()), 1);
                assert!(!ascii || symbol.is_ascii());
            }
        }
    }

    #[test]
    fn a_finished_frame_is_ascii_and_without_colour_where_asked() {
        let mut buffer = Buffer::with_lines(["│▶é…│"]);
        buffer.set_style(buffer.area, bad());
        Theme { ascii: true, mono: true, light: false }.finish(&mut buffer);
        let shown: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(shown, "|>?~|");
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset));
        assert!(buffer.content.iter().all(|cell| cell.modifier.contains(Modifier::BOLD)));
    }
}
