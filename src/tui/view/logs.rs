//! The program's own log, by tui-logger's smart widget.

use ratatui::Frame;
use ratatui::layout::Rect;
use tui_logger::{TuiLoggerLevelOutput, TuiLoggerSmartWidget};

use crate::tui::model::Model;
use crate::tui::theme;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let widget = TuiLoggerSmartWidget::default()
        .title_log(" Log ")
        .title_target(" Targets ")
        .style_error(theme::bad())
        .style_warn(theme::waiting())
        .style_debug(theme::muted())
        .style_trace(theme::muted())
        .highlight_style(theme::selected())
        .output_separator(' ')
        .output_timestamp(Some("%H:%M:%S".to_owned()))
        .output_level(Some(TuiLoggerLevelOutput::Abbreviated))
        .output_file(false)
        .output_line(false)
        .output_target(false)
        .state(&model.log);
    frame.render_widget(widget, area);
}
