//! Everything known about the selected row, whole and in words, with what to do about it.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};

use super::{flags, nodes};
use crate::domain::facts::{Disk, Nic, Report};
use crate::domain::fleet::Unmatched;
use crate::domain::guard::ClaimCode;
use crate::domain::plan::words;
use crate::domain::run::HostResult;
use crate::domain::text::Text;
use crate::domain::{AddressSource, Fixed, FixedBy, HostKey, Node, OwnAddress, Phase};
use crate::tui::model::{Model, Subject};
use crate::tui::{offer, text, theme};

/// Columns for the names of facts.
const LABELS: usize = 11;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let block = frame_of(model);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = lines(model, usize::from(inner.width));
    let hidden = lines.len().saturating_sub(usize::from(inner.height));
    let top = model.nodes.detail.unwrap_or_default().min(hidden);
    for (row, line) in inner.rows().zip(lines.into_iter().skip(top)) {
        frame.render_widget(line, row);
    }
    super::more_below(frame, inner, hidden - top);
}

/// How far it can be scrolled.
pub(super) fn overflow(area: Rect, model: &Model) -> usize {
    let inner = frame_of(model).inner(area);
    lines(model, usize::from(inner.width)).len().saturating_sub(usize::from(inner.height))
}

fn frame_of(model: &Model) -> Block<'static> {
    if !model.is_wide() {
        return Block::new();
    }
    let style = if model.nodes.detail.is_some() { theme::key() } else { theme::muted() };
    Block::new().borders(Borders::LEFT).border_style(style)
}

/// What to do about the selected row, in one line.
pub(super) fn advice(model: &Model) -> Option<String> {
    match model.subject()? {
        Subject::Node(node) => next_step(node, model),
        Subject::Report(_) => Some("A report without a valid secret: `m` says whose it is, `x` drops it.".to_owned()),
    }
}

fn next_step(node: &Node, model: &Model) -> Option<String> {
    let name = node.name.host();
    let code = ClaimCode::of(node.id);
    // What can still be taken back, what waits for a word, why it went wrong, what is not what it seems; then what goes on.
    if let Some(undecided) = model.snapshot.undecided.get(&node.id) {
        let left = text::seconds_left(undecided.until, model.now);
        return Some(format!("{name}: {} in {left} s; `u` takes it back.", undecided.verb.noun()));
    }
    let say = |flag| format!("{name}: {}", flags::sentence(flag, node, model));
    if let (false, Some(reason)) = (offer::asks_again(node), gone_wrong(&node.phase)) {
        return Some(format!("{name}: {reason}"));
    }
    if let Some(flag) = flags::grave(node) {
        return Some(say(flag));
    }
    let held = model.snapshot.holds.contains_key(&node.id);
    Some(match &node.phase {
        Phase::Waiting if held => format!("{name} waits: compare code {code} with its screen, then `a` approves."),
        Phase::Waiting => {
            let last = node.request.as_ref().map(|asked| text::stopwatch(asked.at, model.now));
            let last = last.map(|last| format!(", last {last} ago")).unwrap_or_default();
            format!("{name} asks again{last}; `a` approves it beforehand (code {code}).")
        }
        Phase::Approved => format!("{name} gets its answer as soon as it asks."),
        Phase::Planned if node.is_unclaimed() => {
            format!("{name} is planned: its machine takes this row when it asks. `d` gives it an address.")
        }
        Phase::Planned => format!("{name} is a name from an older inventory; its machine has not asked."),
        Phase::Rejected { .. } => format!("{name} is refused while it asks; `a` approves it after all."),
        Phase::Unreachable { reason } | Phase::Stalled { reason } | Phase::Failed { reason } => {
            format!("{name}: {reason}")
        }
        Phase::Installing if node.is_unconfirmed() => {
            format!("{name}: its answer was sent, not confirmed. It reports when it is installed, or asks again.")
        }
        Phase::Installing
        | Phase::Installed
        | Phase::Booting
        | Phase::Ready
        | Phase::Configuring
        | Phase::Configured => return flags::gravest(node).map(say),
    })
}

/// Why it is not going on.
fn gone_wrong(phase: &Phase) -> Option<&Text> {
    match phase {
        Phase::Unreachable { reason } | Phase::Stalled { reason } | Phase::Failed { reason } => Some(reason),
        _ => None,
    }
}

fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let mut page = Page { columns, lines: Vec::new() };
    match model.subject() {
        Some(Subject::Node(node)) => about_node(&mut page, node, model),
        Some(Subject::Report(report)) => about_report(&mut page, report, model),
        None => page.words("No row is selected.", theme::muted()),
    }
    page.lines
}

fn about_node(page: &mut Page, node: &Node, model: &Model) {
    page.words(node.name.as_str(), theme::strong());
    let state =
        format!("{} {} for {}", model.theme.symbol(&node.phase), node.phase.word(), text::age(node.since, model.now));
    page.words(&state, theme::phase(&node.phase));
    if let Some(reason) = node.phase.reason().filter(|reason| !reason.is_empty()) {
        page.words(reason.as_str(), theme::phase(&node.phase));
    }
    if let Some(progress) = model.snapshot.fleet.progress(node, model.now) {
        let words = match progress.seconds_left {
            0 => "takes longer than this model usually does".to_owned(),
            left => format!("{} %, about {} left", progress.percent, text::span(left)),
        };
        page.fact("Progress", &words, theme::busy());
    }
    if offer::needs_decision(node) {
        let hold = model.snapshot.holds.get(&node.id).map(|hold| text::seconds_left(hold.until, model.now));
        let left = match hold {
            Some(left) => format!("on hold, {left} s left; then it reboots and asks again"),
            None => "not connected: it reboots and asks again".to_owned(),
        };
        page.fact("Code", &format!("{} ({left})", ClaimCode::of(node.id)), theme::waiting());
    }
    if !node.note.is_empty() {
        page.fact("Note", node.note.as_str(), theme::strong());
    }
    for flag in &node.flags {
        page.words(&format!("! {}", flags::sentence(flag, node, model)), theme::waiting());
    }
    for odd in model.overview.norms.odd(node) {
        page.words(&format!("! The odd one out: {odd}."), theme::waiting());
    }
    identity(page, node, model);
    plan(page, node);
    request(page, node, model);
    answers(page, node, model);
    match &node.report {
        Some(reported) => {
            page.heading("Report");
            let came = format!("{} from {}", moment(reported.at, model), reported.peer);
            page.fact("Came", &came, Style::new());
            report(page, &reported.report);
        }
        None if node.phase.is_installed() => {
            page.heading("Report");
            page.words("None: marked installed by the operator.", theme::muted());
        }
        None => {}
    }
    ssh(page, node);
    history(page, node, model);
    if let Some(run) = node.last_run {
        page.heading("Ansible");
        let state = model.snapshot.fleet.run(run).map(|run| theme::run(run).0);
        let how = state.map_or_else(|| run.to_string(), |word| format!("{run}, {word} (tab 2)"));
        page.fact("Last run", &how, Style::new());
        match model.snapshot.fleet.run(run).and_then(|run| run.hosts.get(&node.name)) {
            Some(HostResult::Configured) => page.fact("Its result", "configured", theme::good()),
            Some(HostResult::Failed { reason } | HostResult::Untouched { reason }) => {
                page.fact("Its result", reason.as_str(), theme::bad());
            }
            None => {}
        }
    }
}

fn identity(page: &mut Page, node: &Node, model: &Model) {
    page.heading("Machine");
    let dmi = node.request.as_ref().map(|asked| &asked.info.dmi);
    let dmi = dmi.or_else(|| node.report.as_ref().map(|reported| &reported.report.dmi));
    page.maybe("Model", node.model());
    siblings(page, node, model);
    page.maybe("Serial", node.serial());
    if let Some(dmi) = dmi {
        page.maybe("SKU", dmi.sku.as_ref());
        page.maybe("Board", dmi.board_name.as_ref());
        page.maybe("Chassis no.", dmi.chassis_serial.as_ref());
        page.maybe("Asset tag", dmi.asset_tag.as_ref());
        page.maybe("UUID", dmi.uuid.as_ref());
    }
    page.fact("Address", &address(node, model), Style::new());
    page.fact("Row", &format!("{}, {}", node.id, node.product().short()), theme::muted());
}

/// How many others there are of its model, and whether it is like them.
fn siblings(page: &mut Page, node: &Node, model: &Model) {
    let norms = &model.overview.norms;
    let (all, odd) = (norms.siblings(node), norms.odd(node).len());
    if all < 2 {
        return;
    }
    let (words, style) = match odd {
        0 => (format!("{all} of this model, nothing odd about this one"), theme::muted()),
        _ => (format!("{all} of this model; this one differs, see above"), theme::waiting()),
    };
    page.fact("Siblings", &words, style);
}

fn plan(page: &mut Page, node: &Node) {
    let Some(entry) = &node.plan else { return };
    page.heading("Plan");
    if let Some(found) = &node.plan_match {
        let by = match found.by.is_empty() {
            true if node.is_walked => "its turn in the walk".to_owned(),
            true => "the operator's word".to_owned(),
            false => words(&found.by),
        };
        page.fact("Fits by", &by, Style::new());
    }
    if entry.hostname != node.name {
        page.fact("Name", entry.hostname.as_str(), theme::waiting());
    }
    if let Some(place) = entry.place() {
        page.fact("Place", &place, Style::new());
    }
    page.maybe("Role", entry.role.as_ref());
    if let Some(profile) = &entry.profile {
        page.fact("Profile", profile.as_str(), Style::new());
    }
    if let Some(address) = entry.address {
        page.fact("Address", &address.to_string(), Style::new());
    }
    if node.request.is_none() {
        page.maybe("Serial", entry.serial.as_ref());
        page.maybe("Asset tag", entry.asset_tag.as_ref());
        if let Some(uuid) = entry.uuid {
            page.fact("UUID", &uuid.to_string(), Style::new());
        }
        for mac in &entry.macs {
            page.fact("MAC", &mac.to_string(), Style::new());
        }
    }
    for (name, said) in &entry.columns {
        page.fact(&text::clean(name), said.as_str(), theme::muted());
    }
}

/// The address it will have, before it has one.
fn address(node: &Node, model: &Model) -> String {
    if let Some(address) = node.address {
        return address.to_string();
    }
    let is_to_come = node.phase.is_before_answer();
    let own = node.own_network();
    let counts = |fixed: &Fixed| is_to_come && own.address.is_none_or(|own| fixed.by.goes_before(own));
    let fleet = &model.snapshot.fleet;
    let source = fleet.policy().addresses.source_of(&own);
    if own.dhcp == Some(true) && is_to_come {
        return "by DHCP, as its profile or override says".to_owned();
    }
    if let Some(Fixed { address, by }) = node.fixed().filter(counts) {
        let by = match by {
            FixedBy::Operator => "given to it",
            FixedBy::Plan => "by the plan",
            FixedBy::Pool => "by the pool",
        };
        return format!("{address} ({by})");
    }
    if let Some(own) = own.address.filter(|_| is_to_come) {
        return match own {
            OwnAddress::Template => "by a template (`p` shows it)",
            OwnAddress::Override => "by its override (`p` shows it)",
        }
        .to_owned();
    }
    match source {
        AddressSource::Pool if is_to_come => match fleet.next_free(Some(node.id)) {
            Some(next) => format!("{next} (next free of the pool)"),
            None => "none: the pool is used up (`d` sets one)".to_owned(),
        },
        AddressSource::Plan if is_to_come => "none: not in the plan (`d` sets one)".to_owned(),
        _ => "not known yet (`d` sets it)".to_owned(),
    }
}

fn request(page: &mut Page, node: &Node, model: &Model) {
    let Some(asked) = &node.request else { return };
    page.heading("Request");
    let times = text::count(usize::try_from(asked.count).unwrap_or(usize::MAX), "request");
    page.fact("Asked", &format!("{} from {}; {times}", moment(asked.at, model), asked.stamp.peer), Style::new());
    let release = asked.info.iso_release.as_ref().map(|release| format!(" (medium {release})")).unwrap_or_default();
    page.fact("Installer", &format!("{}{release}", asked.info.generation.label()), Style::new());
    if let Some(token) = &asked.token {
        page.fact("Token", token.as_str(), Style::new());
    }
    if !asked.info.generation.has_webhook() {
        page.words("This installer sends no report: press `i` when its screen says it is done.", theme::waiting());
    }
    for link in &asked.info.links {
        let asking = match () {
            () if node.nic == Some(link.mac) => "  <- chosen",
            () if asked.asking_mac == Some(link.mac) => "  <- asked through this",
            () => "",
        };
        page.fact("Link", &format!("{} {}{asking}", link.mac, link.name), Style::new());
    }
}

fn answers(page: &mut Page, node: &Node, model: &Model) {
    let Some(answers) = &node.answers else { return };
    page.heading("Answer");
    let style = if node.is_unconfirmed() { theme::waiting() } else { Style::new() };
    page.fact("Last", &format!("{}, {}", moment(answers.last, model), node.answer_fate().unwrap_or_default()), style);
    if answers.count > 1 {
        page.fact("Count", &format!("{} under one approval", answers.count), theme::waiting());
    }
    let address = answers.address.map_or_else(|| "from DHCP".to_owned(), |net| net.to_string());
    page.fact("Address", &address, Style::new());
    page.maybe("Profile", answers.profile.as_ref());
}

/// What happened to it, the newest first.
fn history(page: &mut Page, node: &Node, model: &Model) {
    let Some((_, moments)) = model.history.as_ref().filter(|(read, moments)| read.id == node.id && !moments.is_empty())
    else {
        return;
    };
    page.heading("History");
    for moment in moments.iter().rev() {
        let is_today = model.now.duration_since(moment.at).as_hours() < 12;
        let format = if is_today { "%H:%M:%S" } else { "%m-%d %H:%M" };
        let clock = moment.at.to_zoned(model.zone.clone()).strftime(format).to_string();
        page.fact(&clock, &text::clean(&moment.words), Style::new());
    }
}

fn report(page: &mut Page, report: &Report) {
    let version = [report.product_version.as_ref(), report.kernel.as_ref()];
    let version: Vec<_> = version.into_iter().flatten().map(ToString::to_string).collect();
    if !version.is_empty() {
        page.fact("System", &version.join(", kernel "), Style::new());
    }
    let mut boot: Vec<String> = report.boot_mode.iter().map(ToString::to_string).collect();
    boot.extend(report.secure_boot.map(|on| format!("secure boot {}", if on { "on" } else { "off" })));
    boot.extend(report.filesystem.iter().map(ToString::to_string));
    if !boot.is_empty() {
        page.fact("Boot", &boot.join(", "), Style::new());
    }
    let cpu = nodes::cpu(&report.cpu);
    if !cpu.is_empty() {
        let counts = [(report.cpu.cores, "cores"), (report.cpu.cpus, "threads")];
        let counts: Vec<_> =
            counts.into_iter().filter_map(|(count, noun)| count.map(|count| format!("{count} {noun}"))).collect();
        let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        page.fact("CPU", &format!("{cpu}{counts}"), Style::new());
    }
    for item in &report.disks {
        page.fact("Disk", &disk(item), Style::new());
    }
    for item in &report.nics {
        page.fact("NIC", &nic(item), Style::new());
    }
}

fn disk(disk: &Disk) -> String {
    let size = disk.size.map(text::bytes);
    let words = [disk.path.as_ref(), disk.model.as_ref(), disk.serial.as_ref()];
    let words = words.into_iter().flatten().map(ToString::to_string);
    let boot = disk.boot.then(|| "boots".to_owned());
    words.chain(size).chain(boot).collect::<Vec<_>>().join(" ")
}

fn nic(nic: &Nic) -> String {
    let words = [nic.name.as_ref(), nic.vendor.as_ref(), nic.driver.as_ref()].into_iter().flatten();
    let management = nic.management.then(|| "management".to_owned());
    let address = nic.address.map(|net| net.to_string());
    let mac = std::iter::once(nic.mac.to_string());
    mac.chain(words.map(ToString::to_string)).chain(address).chain(management).collect::<Vec<_>>().join(" ")
}

fn ssh(page: &mut Page, node: &Node) {
    if node.host_keys.is_empty() && node.unproven.is_none() {
        return;
    }
    page.heading("SSH host keys");
    for known in &node.host_keys {
        page.words(&key(known), Style::new());
    }
    if let Some(seen) = &node.unproven {
        page.words(&format!("seen, not accepted: {}", key(seen)), theme::waiting());
    }
}

fn key(key: &HostKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint())
}

fn about_report(page: &mut Page, unmatched: &Unmatched, model: &Model) {
    let name = unmatched.report.fqdn.as_ref().map_or("a report without a host name", |name| name.as_str());
    page.words(name, theme::strong());
    page.words("& report without a node", theme::waiting());
    page.words(
        "It came without a valid secret, so it moved no node. `m` says whose it is; `x` drops it.",
        Style::new(),
    );
    page.heading("Report");
    page.fact("Came", &format!("{} from {}", moment(unmatched.at, model), unmatched.peer), Style::new());
    let dmi = &unmatched.report.dmi;
    page.maybe("Model", dmi.model.as_ref().or(dmi.board_name.as_ref()));
    page.maybe("Serial", dmi.serial.as_ref());
    page.maybe("UUID", dmi.uuid.as_ref());
    report(page, &unmatched.report);
    for known in &unmatched.report.host_keys {
        page.fact("Host key", &key(known), Style::new());
    }
}

/// `12:03:44 (5m ago)`.
fn moment(at: Timestamp, model: &Model) -> String {
    let clock = at.to_zoned(model.zone.clone()).strftime("%H:%M:%S");
    format!("{clock} ({} ago)", text::age(at, model.now))
}

/// Lines under construction. Nothing is cut here: long values go on in the next line.
struct Page {
    columns: usize,
    lines: Vec<Line<'static>>,
}

impl Page {
    fn words(&mut self, words: &str, style: Style) {
        let wrapped = text::wrap(words, self.columns.saturating_sub(2));
        self.lines.extend(wrapped.into_iter().map(|line| Line::styled(format!(" {line}"), style)));
    }

    fn heading(&mut self, title: &str) {
        self.lines.push(Line::default());
        self.lines.push(Line::styled(format!(" {title}"), theme::strong().patch(theme::muted())));
    }

    fn fact(&mut self, label: &str, value: &str, style: Style) {
        let room = self.columns.saturating_sub(LABELS + 3);
        let longest = value.split(' ').map(text::width).max().unwrap_or_default();
        if longest > room {
            // A UUID or fingerprint is compared by eye: it gets the whole width.
            self.lines.push(Line::styled(format!(" {label}"), theme::muted()));
            let folded = text::wrap(value, self.columns.saturating_sub(3));
            self.lines.extend(folded.into_iter().map(|line| Line::styled(format!("  {line}"), style)));
            return;
        }
        for (index, line) in text::wrap(value, room).into_iter().enumerate() {
            let label = text::pad(if index == 0 { label } else { "" }, LABELS);
            self.lines
                .push(Line::from(vec![Span::styled(format!(" {label} "), theme::muted()), Span::styled(line, style)]));
        }
    }

    fn maybe(&mut self, label: &str, value: Option<&Text>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.fact(label, value.as_str(), Style::new());
        }
    }
}
