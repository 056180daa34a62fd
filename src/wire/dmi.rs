//! The `dmi` object, the same in answer request and report (PROTOCOL.md §a.2).

use super::json::{Raw, text};
use crate::domain::facts::Dmi;

/// Reads the DMI strings; each of them, and the object itself, may be missing.
pub(super) fn read(dmi: Option<Raw<'_>>) -> Dmi {
    let [system, board, chassis] = members(dmi, ["system", "baseboard", "chassis"]);
    let [uuid, serial, model, sku] = members(system, ["uuid", "serial", "name", "sku"]).map(text);
    let [board_serial, board_name, board_tag] = members(board, ["serial", "name", "asset_tag"]).map(text);
    let [chassis_serial, chassis_tag] = members(chassis, ["serial", "asset_tag"]).map(text);
    Dmi { uuid, serial, model, sku, board_serial, board_name, chassis_serial, asset_tag: chassis_tag.or(board_tag) }
}

fn members<'a, const N: usize>(part: Option<Raw<'a>>, keys: [&str; N]) -> [Option<Raw<'a>>; N] {
    part.map_or([None; N], |part| part.pick(keys))
}
