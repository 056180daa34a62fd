//! Profiles: named overlays over `default.toml`, chosen by what a machine shows, by the plan or by the operator; and the
//! overrides of single nodes, which are read the same way.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use toml_edit::{Item, TableLike};

use super::base::{self, BaseAnswer};
use super::check::{self, Checked, Question};
use super::criteria::{Rule, Sight};
use super::danger;
use super::installer::Installer;
use super::overlay::{LayerName, Making, Overlay, Rank, compose};
use super::problem::{self, Problem, Problems, Severity};
use super::read::{self, Reading, type_of};
use super::schema::{Setting, Setting as S};
use super::template;
use super::validate::{self, Target};
use crate::domain::spelling::nearest;
use crate::domain::{Generation, Pointer, ProfileName};

/// Keys at the top of a profile that are no part of an answer.
const OWN_KEYS: [&str; 4] = ["match", "priority", "installer", "remove"];

/// A named overlay with the rule by which it is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    name: String,
    rule: Rule,
    priority: i64,
    installer: Option<Installer>,
    overlay: Overlay,
}

/// Two profiles that fit a machine equally well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the profiles `{one}` and `{other}` fit this machine equally well; give one a higher `priority`, or choose one"
)]
pub struct ProfileTie {
    /// One of them.
    pub one: String,
    /// The other.
    pub other: String,
}

impl Profile {
    /// Reads a file of `profiles/`. `name` is the profile's, `file` what the file is called when a value is explained.
    ///
    /// # Errors
    ///
    /// Every problem at once. Whether it fits `default.toml` is [`Profile::check_over`]'s business.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, Problems> {
        let mut own = OwnKeys { allowed: &OWN_KEYS, ..OwnKeys::default() };
        let source = LayerName { rank: Rank::Profile, name: file.to_owned() };
        let (overlay, mut problems) = parse(text, source, &mut own)?;
        for (setting, hint) in [
            (S::Fqdn, "write a template with a counter in it (docs/answers.md), or rename the node"),
            (
                S::Cidr,
                "write a template with a counter in it (docs/answers.md), or put it into the plan or an override",
            ),
        ] {
            if let Some(stated) = overlay.get(setting).filter(|stated| stated.making == Making::Plain) {
                let span = stated.origin.place.as_ref().map(|place| place.span.clone());
                let path = setting.spec().path;
                let message = format!("`{path}` of a profile would be that of every machine it is for");
                problems.push(Problem::new(path, span, message).hint(hint));
            }
        }
        if let Err(error) = name.parse::<ProfileName>() {
            problems.push(Problem::new("", None, error.to_string()).hint("rename the file"));
        }
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(Problems::sorted(problems));
        }
        let OwnKeys { rule, priority, installer, .. } = own;
        Ok(Self { name: name.to_owned(), rule, priority, installer, overlay })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The installer its machines are said to have.
    #[must_use]
    pub fn installer(&self) -> Option<Installer> {
        self.installer
    }

    /// The same for a machine whose request shows this generation: a profile that is wrong about it does not count.
    #[must_use]
    pub fn installer_of(&self, generation: Generation) -> Option<Installer> {
        self.installer.filter(|installer| installer.generation() == generation)
    }

    /// Its settings.
    #[must_use]
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// By what it wins or loses.
    fn rank(&self) -> impl Ord + use<> {
        (self.priority, self.rule.specificity())
    }

    /// What is wrong with `base` and this over it, as places in this file where it is to blame.
    #[must_use]
    pub fn check_over(&self, base: &BaseAnswer) -> Vec<Problem> {
        check_over(&self.overlay, base.overlay())
    }

    /// What is harmful in `base` and this over it, and not in `base` alone.
    #[must_use]
    pub fn cautions_over(&self, base: &BaseAnswer) -> Vec<Problem> {
        let both = compose([base.overlay().clone(), self.overlay.clone()]);
        news(danger::check(&both.reading(), Target::Base, None), base.cautions(), &self.overlay, &both)
    }
}

/// Those of `found` in `both` that are not `known` of what lies below, at their place in `upper`.
fn news(found: Vec<Problem>, known: &[Problem], upper: &Overlay, both: &Overlay) -> Vec<Problem> {
    let is_known = |problem: &Problem| {
        known.iter().any(|known| (&known.path, &known.message) == (&problem.path, &problem.message))
    };
    found.into_iter().filter(|problem| !is_known(problem)).map(|problem| in_file(problem, upper, both)).collect()
}

/// Judges `upper`, a profile or an override, as it lies over `lower` in answers of machines with this installer: what is
/// wrong with the two together, and what is harmful or unlikely to be meant by `upper`.
#[must_use]
pub fn check_layer(upper: &Overlay, lower: &Overlay, question: &Question<'_>) -> Checked {
    let both = compose([lower.clone(), upper.clone()]);
    let below = check::check_reading(&lower.reading(), question).problems;
    let mut checked = check::check_reading(&both.reading(), question);
    let (errors, others): (Vec<_>, Vec<_>) =
        checked.problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    checked.problems = errors.into_iter().map(|problem| in_file(problem, upper, &both)).collect();
    checked.problems.extend(news(others, &below, upper, &both));
    problem::sort(&mut checked.problems);
    checked
}

/// Reads `nodes/<fqdn>/override.toml`. `file` is what it is called when a value is explained.
///
/// # Errors
///
/// Every problem at once. It may not name the node: that is a rename, which is checked against all other names.
pub fn parse_override(file: &str, text: &str) -> Result<Overlay, Problems> {
    let mut own = OwnKeys { allowed: &["remove"], ..OwnKeys::default() };
    let source = LayerName { rank: Rank::Override, name: file.to_owned() };
    let (overlay, mut problems) = parse(text, source, &mut own)?;
    if let Some(origin) = overlay.origin(S::Fqdn) {
        let span = origin.place.as_ref().map(|place| place.span.clone());
        let problem = Problem::new(S::Fqdn.spec().path, span, "an override may not set `global.fqdn`");
        problems.push(problem.hint("rename the node instead: `prox-orchestrator rename`"));
    }
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Problems::sorted(problems));
    }
    Ok(overlay)
}

/// What is wrong with a whole answer of `lower` and `upper` over it, but not with `lower` alone.
#[must_use]
pub fn check_over(upper: &Overlay, lower: &Overlay) -> Vec<Problem> {
    let both = compose([lower.clone(), upper.clone()]);
    let problems = validate::check(&both.reading(), Target::Base);
    let errors = problems.into_iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| in_file(problem, upper, &both)).collect()
}

/// The problem at the place of its setting in `upper`, or without a place where that says nothing of it.
fn in_file(mut problem: Problem, upper: &Overlay, both: &Overlay) -> Problem {
    let setting = Setting::ALL.iter().copied().find(|setting| setting.spec().path == problem.path);
    let own = setting.and_then(|setting| upper.origin(setting)).and_then(|origin| origin.place.as_ref());
    problem.span = own.map(|place| place.span.clone());
    if problem.span.is_none()
        && let Some(below) = setting.and_then(|setting| both.origin(setting))
    {
        problem.message = format!("with {below}: {}", problem.message);
    }
    problem
}

fn parse(text: &str, source: LayerName, own: &mut OwnKeys<'_>) -> Result<(Overlay, Vec<Problem>), Problems> {
    let read = read::read_beside(text, |name, item, span| own.take(name, item, span));
    let mut reading: Reading = read.map_err(|syntax| Problems(vec![syntax]))?;
    let overlay = Overlay::of(&reading, source, text, std::mem::take(&mut own.removed));
    template::check(&mut reading, text);
    let mut problems = std::mem::take(&mut reading.problems);
    problems.append(&mut own.problems);
    problems.extend(base::reserved(&reading));
    Ok((overlay, problems))
}

/// The keys of a profile that are no part of an answer.
#[derive(Default)]
struct OwnKeys<'a> {
    allowed: &'a [&'a str],
    rule: Rule,
    priority: i64,
    installer: Option<Installer>,
    removed: BTreeSet<Setting>,
    problems: Vec<Problem>,
}

impl OwnKeys<'_> {
    /// Takes a key at the top of the file, where it is one of these.
    fn take(&mut self, name: &str, item: &Item, key: Range<usize>) -> bool {
        if !self.allowed.contains(&name) {
            return false;
        }
        let span = item.span().unwrap_or(key);
        let wrong = |wanted: &str| {
            Problem::new(name, Some(span.clone()), format!("`{name}` must be {wanted}, not {}", type_of(item)))
        };
        match name {
            "match" => match item.as_table_like() {
                Some(table) => self.criteria(table, &span),
                None => self.problems.push(wrong("a table").hint("write `[match]` on a line of its own")),
            },
            "priority" => match item.as_integer() {
                Some(priority) => self.priority = priority,
                None => self.problems.push(wrong("a whole number")),
            },
            "installer" => match item.as_str().map(str::parse::<Installer>) {
                Some(Ok(installer)) => self.installer = Some(installer),
                Some(Err(error)) => self.problems.push(Problem::new(name, Some(span), error.to_string())),
                None => self.problems.push(wrong("a string").hint("such as `installer = \"8.4\"`")),
            },
            _ => {
                let entries = item.as_array().into_iter().flatten();
                for entry in entries {
                    self.remove(entry.as_str(), entry.span().unwrap_or(span.clone()));
                }
                if !item.is_array() {
                    let problem = wrong("a list of settings").hint("such as `remove = [\"disk-setup.filter\"]`");
                    self.problems.push(problem);
                }
            }
        }
        true
    }

    fn criteria(&mut self, table: &dyn TableLike, whole: &Range<usize>) {
        for (text, item) in table.iter() {
            let key = table.get_key_value(text).and_then(|(key, _)| key.span()).unwrap_or_else(|| whole.clone());
            let pointer = match text.parse::<Pointer>() {
                Ok(pointer) => pointer,
                Err(error) => {
                    let near = nearest(text, Pointer::vocabulary());
                    let hint = near.map_or_else(
                        || "docs/answers.md lists what can be matched".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.problems.push(Problem::new("match", Some(key), error.to_string()).hint(hint));
                    continue;
                }
            };
            let span = item.span().unwrap_or(key);
            let Some(glob) = item.as_str() else {
                let message = format!("what `{text}` must match is a string, not {}", type_of(item));
                self.problems.push(Problem::new("match", Some(span), message).hint("such as `\"PowerEdge*\"`"));
                continue;
            };
            if let Err(why) = self.rule.add(pointer, glob) {
                let message = format!("the pattern of `{text}` is malformed: {why}");
                let hint = "`*`, `?` and `[a-z]` are special; write `[[]` for a bracket";
                self.problems.push(Problem::new("match", Some(span), message).hint(hint));
            }
        }
    }

    fn remove(&mut self, name: Option<&str>, span: Range<usize>) {
        let normal = name.map(|name| name.replace('-', "_"));
        let is_meant =
            |setting: &&Setting| normal.as_ref().is_some_and(|name| setting.spec().path.replace('-', "_") == *name);
        if let Some(setting) = Setting::ALL.iter().find(is_meant) {
            self.removed.insert(*setting);
            return;
        }
        let message = format!("`{}` is no setting that can be removed", name.unwrap_or("that"));
        let hint = "write it with its section, such as `disk-setup.filter`";
        self.problems.push(Problem::new("remove", Some(span), message).hint(hint));
    }
}

/// Every profile of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profiles {
    by_name: BTreeMap<String, Arc<Profile>>,
    /// Whether one of them names machines by a template.
    names_by_template: bool,
}

impl Profiles {
    /// All of them by name.
    #[must_use]
    pub fn new(profiles: impl IntoIterator<Item = Profile>) -> Self {
        let by_name: BTreeMap<_, _> =
            profiles.into_iter().map(|profile| (profile.name.clone(), Arc::new(profile))).collect();
        let names_by_template = by_name.values().any(|profile| profile.overlay.names_by_template());
        Self { by_name, names_by_template }
    }

    /// Pairs that tie on every machine they fit: the same rule and the same priority.
    #[must_use]
    pub fn ties(&self) -> Vec<ProfileTie> {
        let mut first: HashMap<(i64, &Rule), &str> = HashMap::new();
        let mut ties = Vec::new();
        for profile in self.by_name.values().filter(|profile| !profile.rule.is_empty()) {
            match first.get(&(profile.priority, &profile.rule)) {
                Some(one) => ties.push(ProfileTie { one: (*one).to_owned(), other: profile.name.clone() }),
                None => drop(first.insert((profile.priority, &profile.rule), &profile.name)),
            }
        }
        ties
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.by_name.get(name)
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Every profile, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.by_name.values()
    }

    /// Whether one of them names machines by a template.
    #[must_use]
    pub fn names_by_template(&self) -> bool {
        self.names_by_template
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The profile for this machine: of those whose rule fits, that of the highest priority, then the most specific.
    ///
    /// # Errors
    ///
    /// [`ProfileTie`] where two are equal in both.
    pub fn choose(&self, machine: &Sight<'_>) -> Result<Option<&Arc<Profile>>, ProfileTie> {
        let mut best: Option<&Arc<Profile>> = None;
        let mut tie = None;
        for profile in self.by_name.values().filter(|profile| profile.rule.fits(machine)) {
            match best.map(|best| (best, profile.rank().cmp(&best.rank()))) {
                Some((_, Ordering::Less)) => {}
                Some((other, Ordering::Equal)) => tie = Some((other, profile)),
                None | Some((_, Ordering::Greater)) => (best, tie) = (Some(profile), None),
            }
        }
        match tie {
            Some((one, other)) => Err(ProfileTie { one: one.name.clone(), other: other.name.clone() }),
            None => Ok(best),
        }
    }
}
