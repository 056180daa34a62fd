//! What each installer generation accepts (PROTOCOL.md §b.1, §b.2).
//!
//! One key style serves all of them, so a dialect is only which settings are left out, and how RAID levels are spelt.

use super::installer::Installer;
use super::schema::{Setting, TooNew};
use super::settings::{Settings, Value};

/// Fits `settings` to machines that are served as `installer`: takes out what is too new and harmless to lack, and
/// returns what that was.
///
/// # Errors
///
/// The setting that is too new and without which the machine would not become what was asked for.
pub(super) fn fit(settings: &mut Settings, installer: Installer) -> Result<Vec<&'static str>, Setting> {
    let mut left_out = Vec::new();
    for &setting in Setting::ALL {
        let spec = setting.spec();
        if knows(installer, setting) || !settings.has(setting) {
            continue;
        }
        if spec.too_new == TooNew::Refuse {
            return Err(setting);
        }
        settings.remove(setting);
        left_out.push(spec.path);
    }
    if let Some(raid) = settings.text(Setting::ZfsRaid)
        && wants_upper_raidz(installer)
        && raid.starts_with("raidz")
    {
        let upper = raid.to_ascii_uppercase();
        settings.set(Setting::ZfsRaid, Value::Text(upper));
    }
    Ok(left_out)
}

/// Whether machines that are served as `installer` know `setting`.
pub(super) fn knows(installer: Installer, setting: Setting) -> bool {
    setting.spec().since <= installer
}

/// 8.2.7 to 8.3.2 know `RAIDZ-n` in upper case only, later ones both, earlier ones lower case only. The other levels are
/// known to all in lower case.
fn wants_upper_raidz(installer: Installer) -> bool {
    (Installer::V8_2_7..Installer::V8_3_3).contains(&installer)
}
