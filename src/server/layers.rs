//! Which layers the answer of a node is made of: `default.toml`, its profile, its row of the plan, its own override, and
//! what the operator gave it.
//!
//! An override is read when it is needed, so that an edit counts at once; one that cannot be used keeps its node from
//! being answered, because what it was meant to say may be which disk to spare.

use std::sync::Arc;

use super::state::AnswerKit;
use crate::answer::{
    self, Context, Files, Given, Overlay, Profile, ProfileTie, RenderError, Sight, TemplateError, compose,
};
use crate::config::{self, ConfigErrors};
use crate::domain::{Fleet, Fqdn, NameWish, Node, OwnNetwork, ProfileChoice, ProfileName, SystemInfo, TokenName};

/// Why the layers of a node cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayersError {
    /// Two profiles fit.
    #[error(transparent)]
    Tie(#[from] ProfileTie),
    /// The profile that was chosen is not there.
    #[error("there is no profile `{name}`, which {by} names; add `{}`, or choose another", config::profile_file(name))]
    NoProfile {
        /// The name.
        name: String,
        /// Who chose it.
        by: &'static str,
    },
    /// The node's override cannot be used.
    #[error("{file}{}: {what}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Override {
        /// The file.
        file: String,
        /// Line, from 1.
        line: Option<usize>,
        /// What is wrong, with a hint.
        what: String,
    },
    /// A template cannot be filled in.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What the plan or the operator gave it does not fit.
    #[error(transparent)]
    Given(#[from] RenderError),
}

/// The layers of a node, laid over each other.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    pub(super) overlay: Overlay,
    /// What the files say of the network otherwise than `default.toml`.
    pub(super) network: OwnNetwork,
    pub(super) profile: Option<Arc<Profile>>,
    /// Who chose it, in a word or two; empty where nobody did.
    pub(super) chosen_by: &'static str,
}

impl AnswerKit {
    /// The names of the profiles there are.
    #[must_use]
    pub fn profile_names(&self) -> Vec<ProfileName> {
        self.profiles.names().filter_map(|name| name.parse().ok()).collect()
    }

    /// The profile of a node, and who chose it: the operator, else the plan, else the `token` of its medium, else the
    /// profiles' own rules.
    fn profile(
        &self,
        fleet: &Fleet,
        node: Option<&Node>,
        token: Option<&TokenName>,
        info: Option<&SystemInfo>,
    ) -> Result<(Option<Arc<Profile>>, &'static str), LayersError> {
        let named = |name: &str, by| match self.profiles.get(name) {
            Some(profile) => Ok((Some(Arc::clone(profile)), by)),
            None => Err(LayersError::NoProfile { name: name.to_owned(), by }),
        };
        match node.and_then(|node| node.profile.as_ref()) {
            Some(ProfileChoice::Without) => return Ok((None, "the operator")),
            Some(ProfileChoice::Named(name)) => return named(name.as_str(), "the operator"),
            None => {}
        }
        if let Some(name) = node.and_then(|node| node.plan.as_ref()).and_then(|plan| plan.profile.as_ref()) {
            return named(name.as_str(), "the plan");
        }
        if let Some(name) = token.and_then(|token| fleet.token(token)).and_then(|token| token.profile.as_ref()) {
            return named(name.as_str(), "the token of its medium");
        }
        match info {
            Some(info) if !self.profiles.is_empty() => {
                Ok((self.profiles.choose(&Sight::of(info))?.map(Arc::clone), "its own rule"))
            }
            _ => Ok((None, "")),
        }
    }

    /// The layers of `node` under this name, with what it is given besides; not filled in yet.
    pub(super) async fn layers(
        &self,
        fleet: &Fleet,
        node: &Node,
        name: &Fqdn,
        info: Option<&SystemInfo>,
        given: &Given,
    ) -> Result<Layers, LayersError> {
        let token = node.request.as_ref().and_then(|asked| asked.token.as_ref());
        let (profile, chosen_by) = self.profile(fleet, Some(node), token, info)?;
        let own = self.own(name).await?;
        let (overlay, network) = self.files(profile.as_deref(), own).with(given)?;
        Ok(Layers { overlay, network, profile, chosen_by })
    }

    /// The override of a node.
    async fn own(&self, name: &Fqdn) -> Result<Option<Overlay>, LayersError> {
        let (dir, name) = (self.dir.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || read_override(&dir, &name)).await;
        // The task is ours and does not panic; where the program is stopping nothing is sent any more.
        read.unwrap_or(Ok(None))
    }

    /// What the layers of a machine that asks say of its network. Where they do not go together this is seen, and said,
    /// when its answer is made.
    pub(super) async fn network(
        &self,
        fleet: &Fleet,
        row: Option<&Node>,
        token: Option<&TokenName>,
        info: &SystemInfo,
    ) -> OwnNetwork {
        let Ok((profile, _)) = self.profile(fleet, row, token, Some(info)) else { return OwnNetwork::default() };
        let own = match row {
            Some(row) => self.own(&row.name).await,
            None => Ok(None),
        };
        let Ok(own) = own else { return OwnNetwork::default() };
        self.files(profile.as_deref(), own).network()
    }

    fn files<'a>(&'a self, profile: Option<&'a Profile>, own: Option<Overlay>) -> Files<'a> {
        Files { base: self.base.overlay(), profile: profile.map(Profile::overlay), own }
    }

    /// The name a template has for a machine nobody knows yet.
    pub(super) fn wish(
        &self,
        fleet: &Fleet,
        token: Option<&TokenName>,
        info: &SystemInfo,
    ) -> Result<Option<NameWish>, LayersError> {
        if !self.base.overlay().names_by_template() && !self.profiles.names_by_template() {
            return Ok(None);
        }
        let (profile, _) = self.profile(fleet, None, token, Some(info))?;
        let layers = [Some(self.base.overlay().clone()), profile.map(|profile| profile.overlay().clone())];
        let overlay = compose(layers.into_iter().flatten());
        // The row has no number yet.
        let context = Context::new(Some(info), None, std::collections::BTreeMap::new());
        Ok(answer::wished_name(&overlay, &context)?)
    }
}

/// Reads a node's override. Blocking.
fn read_override(dir: &std::path::Path, name: &Fqdn) -> Result<Option<Overlay>, LayersError> {
    let file = config::override_file(name);
    let unreadable = |errors: ConfigErrors| {
        let what = errors.0.list().first().map(|problem| problem.message.clone()).unwrap_or_default();
        LayersError::Override { file: file.clone(), line: None, what }
    };
    let Some(found) = config::load_override(dir, name).map_err(unreadable)? else { return Ok(None) };
    answer::parse_override(&found.file, &found.source.text).map(Some).map_err(|problems| {
        let line = problems.0.first().and_then(|problem| problem.position(&found.source.text)).map(|(line, _)| line);
        let what = problems.0.first().map(ToString::to_string).unwrap_or_default();
        LayersError::Override { file, line, what }
    })
}
