//! Tokens of prepared media: made and shown once, listed, revoked. Works with and without a running engine.

use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serialize;

use crate::api::OrderResponse;
use crate::api::client::{ApiError, RemoteEngine};
use crate::domain::snapshot::Service;
use crate::domain::text::Text;
use crate::domain::{Fleet, Order, Token, TokenHash, TokenName};
use crate::error::{Exit, Failure, OrExit as _};
use crate::runtime;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and show it, this once
    New {
        /// What it is called: lower-case letters, digits, `-`, `_` and `.`
        name: TokenName,
        /// How long it is good, such as 12h or 30d; without it, until it is revoked
        #[arg(long, value_name = "TIME", value_parser = span)]
        expires: Option<Span>,
        /// The profile that machines which show it are meant for
        #[arg(long, value_name = "PROFILE")]
        profile: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens; what they are is not known any more
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token worth nothing
    Revoke {
        /// Which
        name: TokenName,
    },
}

fn span(given: &str) -> Result<Span, String> {
    let span: Span = given.parse().map_err(|_| "write a number and a unit, such as `12h` or `30d`".to_owned())?;
    if span.is_positive() { Ok(span) } else { Err("a token must be good for some time".to_owned()) }
}

/// Whoever keeps the tokens: the running engine, else the state folder itself.
enum Keeper {
    Engine(RemoteEngine),
    Folder(Box<runtime::Offline>),
}

impl Keeper {
    fn find(state_dir: &Path) -> Result<Self, Failure> {
        match RemoteEngine::find(state_dir) {
            Ok(engine) => Ok(Self::Engine(engine)),
            Err(ApiError::Socket(_)) => Ok(Self::Folder(Box::new(runtime::Offline::open(state_dir)?))),
            Err(error) => Err(error).or_exit(Exit::NoEngine),
        }
    }

    /// The fleet, and what is being served if anything is.
    async fn look(&self) -> Result<(Fleet, Option<Service>), Failure> {
        match self {
            Self::Engine(engine) => {
                let snapshot = engine.snapshot().await.or_exit(Exit::NoEngine)?;
                Ok((snapshot.fleet, Some(Service::clone(&snapshot.service))))
            }
            Self::Folder(folder) => Ok((folder.fleet().clone(), None)),
        }
    }

    async fn order(&mut self, order: Order) -> Result<(), Failure> {
        let operator = runtime::operator();
        match self {
            Self::Engine(engine) => match engine.order(operator, order).await.or_exit(Exit::NoEngine)? {
                OrderResponse::Done { .. } | OrderResponse::Undecided { .. } | OrderResponse::Issued { .. } => Ok(()),
                OrderResponse::Refused { reason } => Err(anyhow::anyhow!(reason)).or_exit(Exit::Refused),
                OrderResponse::Failed { reason } => Err(anyhow::anyhow!(reason)).or_exit(Exit::Failure),
            },
            Self::Folder(folder) => folder.order(operator, order),
        }
    }
}

/// Does it.
pub(super) async fn execute(command: TokenCommand, state_dir: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut keeper = Keeper::find(state_dir)?;
    match command {
        TokenCommand::New { name, expires, profile, json } => {
            let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
            let expires = expires.map(end_of).transpose()?;
            let profile = profile.map(|profile| Text::new(&profile));
            let hash = TokenHash::of(secret.as_bytes());
            keeper.order(Order::MakeToken { name: name.clone(), hash, expires, profile }).await?;
            let (_, service) = keeper.look().await?;
            show_new(&name, &secret, expires, service.as_ref(), json, out)?;
        }
        TokenCommand::List { json } => list(&keeper.look().await?.0, json, out)?,
        TokenCommand::Revoke { name } => {
            keeper.order(Order::RevokeToken { name: name.clone() }).await?;
            writeln!(out, "token `{name}` revoked")?;
        }
    }
    Ok(Exit::Success)
}

fn end_of(span: Span) -> Result<Timestamp, Failure> {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let end = now.checked_add(span).map(|end| end.timestamp());
    end.map_err(|_| anyhow::anyhow!("the end of the token is beyond the calendar; write a shorter time"))
        .or_exit(Exit::Usage)
}

/// Shows a new token with what to do with it.
fn show_new(
    name: &TokenName,
    secret: &str,
    expires: Option<Timestamp>,
    service: Option<&Service>,
    json: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let token = format!("{name}:{secret}");
    if json {
        #[derive(Serialize)]
        struct New<'a> {
            name: &'a TokenName,
            token: &'a str,
            expires: Option<Timestamp>,
        }
        serde_json::to_writer_pretty(&mut *out, &New { name, token: &token, expires })?;
        return writeln!(out);
    }
    let end = expires.map_or_else(|| "when it is revoked".to_owned(), |end| format!("{end:.0}"));
    writeln!(out, "token `{name}` made; it ends {end}. It is shown this once:\n\n  {token}\n")?;
    let base = service.map_or("https://CONSOLE:8443", |service| service.url.as_str());
    let pin = service.map_or(Some("FINGERPRINT"), |service| service.fingerprint.as_deref());
    let pin = pin.map(|hex| format!(" --cert-fingerprint \"{hex}\"")).unwrap_or_default();
    let prepare = "  proxmox-auto-install-assistant prepare-iso proxmox-ve.iso --fetch-from http";
    let with_token = base.replacen("://", &format!("://{token}@"), 1);
    writeln!(
        out,
        "Prepare media of 9.2 and later with\n\n{prepare} --url \"{base}/answer\"{pin} --answer-auth-token \"{token}\"\n"
    )?;
    writeln!(out, "and older ones, which know no such option, with\n\n{prepare} --url \"{with_token}/answer\"{pin}\n")?;
    if service.is_none() {
        writeln!(
            out,
            "No engine runs here now: tab 4 and `prox-orchestrator status` say what CONSOLE and FINGERPRINT are."
        )?;
    }
    match service {
        Some(service) if service.require_token => Ok(()),
        _ => writeln!(out, "Machines without a token may ask too, unless `require_token = true` is set in [approval]."),
    }
}

/// A token as scripts see it. Fields are added, never changed.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    made: Timestamp,
    expires: Option<Timestamp>,
    expired: bool,
    profile: Option<&'a str>,
    /// Machines whose last request showed it.
    machines: usize,
}

fn list(fleet: &Fleet, json: bool, out: &mut impl Write) -> io::Result<()> {
    let now = Timestamp::now();
    let shown_by = |token: &Token| {
        let tokens = fleet.nodes().filter_map(|node| node.request.as_ref()?.token.as_ref());
        tokens.filter(|name| **name == token.name).count()
    };
    let row = |token: &'_ Token| (token.is_expired(now), shown_by(token));
    let rows: Vec<_> = fleet
        .tokens()
        .map(|token| {
            let (expired, machines) = row(token);
            Row {
                name: token.name.as_str(),
                made: token.made,
                expires: token.expires,
                expired,
                profile: token.profile.as_ref().map(Text::as_str),
                machines,
            }
        })
        .collect();
    if json {
        serde_json::to_writer_pretty(&mut *out, &rows)?;
        return writeln!(out);
    }
    if rows.is_empty() {
        return writeln!(out, "There is no token; `prox-orchestrator token new NAME` makes one.");
    }
    writeln!(out, "{:<20} {:<21} {:<21} {:<16} MACHINES", "NAME", "MADE", "ENDS", "PROFILE")?;
    for row in rows {
        let end = match row.expires {
            Some(_) if row.expired => "expired".to_owned(),
            Some(end) => format!("{end:.0}"),
            None => "never".to_owned(),
        };
        let made = format!("{:.0}", row.made);
        writeln!(out, "{:<20} {made:<21} {end:<21} {:<16} {}", row.name, row.profile.unwrap_or("-"), row.machines)?;
    }
    Ok(())
}
