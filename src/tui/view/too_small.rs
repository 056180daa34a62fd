//! A sentence for a screen that is too small.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::tui::text;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect) {
    let need = super::SMALLEST;
    let words = format!(
        "This screen has {}x{} characters; the console needs {}x{}. Make it larger. Everything goes on meanwhile.",
        area.width, area.height, need.width, need.height,
    );
    for (row, line) in area.rows().zip(text::wrap(&words, usize::from(area.width))) {
        frame.render_widget(Line::raw(line), row);
    }
}
