//! `init`: the first files of a folder, from flags, from what this host suggests, and from a person's answers.

use std::io::{self, IsTerminal as _, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::interview::Interview;
use crate::ansible::SshKeyPair;
use crate::answer::{BaseAnswer, Problem, Severity};
use crate::config;
use crate::error::{Exit, Failure, OrExit as _};
use crate::init::password::Hash;
use crate::init::write::{self, Outcome};
use crate::init::{Addressing, Choices, Disks, host};
use crate::runtime::{self, EngineOptions};

/// What the files are to say. What is not given is asked; with `--yes` it is what this host suggests.
#[derive(Debug, Default, Args)]
pub(super) struct InitArgs {
    /// The folder; made where it is missing [default: that of -C]
    pub(super) folder: Option<PathBuf>,
    /// Ask nothing: take what this host suggests for everything that is not given
    #[arg(long, short)]
    yes: bool,
    /// Write the files anew where there are some; the old ones are kept as .orig
    #[arg(long)]
    force: bool,
    /// Start of every host name, such as pve-
    #[arg(long, value_name = "TEXT")]
    pub(super) template_name: Option<String>,
    /// Domain of the nodes
    #[arg(long, value_name = "DOMAIN")]
    pub(super) domain: Option<String>,
    /// Nodes keep what DHCP gives them; else the address a machine asks from becomes its fixed one
    #[arg(long)]
    pub(super) dhcp: bool,
    /// Size of the nodes' network, such as 24
    #[arg(long, value_name = "MASK", conflicts_with = "dhcp")]
    pub(super) mask: Option<String>,
    /// Gateway of the nodes
    #[arg(long, value_name = "ADDRESS", conflicts_with = "dhcp")]
    pub(super) gateway: Option<IpAddr>,
    /// Resolver of the nodes
    #[arg(long, value_name = "ADDRESS", conflicts_with = "dhcp")]
    pub(super) dns: Option<IpAddr>,
    /// Vendor of the NIC to set up where it is not known, such as "Intel*"
    #[arg(long, value_name = "PATTERN", conflicts_with = "dhcp")]
    pub(super) nic_vendor: Option<String>,
    /// Country, two lower-case letters
    #[arg(long, value_name = "CC")]
    pub(super) country: Option<String>,
    /// Keyboard layout, such as en-us
    #[arg(long, value_name = "LAYOUT")]
    pub(super) keyboard: Option<String>,
    /// Time zone, such as Europe/Vienna
    #[arg(long, value_name = "ZONE")]
    pub(super) timezone: Option<String>,
    /// Where the nodes send their warnings
    #[arg(long, value_name = "ADDRESS")]
    pub(super) mailto: Option<String>,
    /// File with root's password in its first line; only its hash is kept
    #[arg(long, value_name = "FILE")]
    pub(super) root_password_file: Option<PathBuf>,
    /// File with public SSH keys that may log in as root; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) ssh_key: Vec<PathBuf>,
    /// Disk to wipe and install on, such as sda; several make a ZFS mirror
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) disk: Vec<String>,
}

/// Writes the first files and says how they are, and what to do next. `options` say where, and what is laid over the
/// files.
pub(super) fn execute(args: &InitArgs, options: &EngineOptions) -> Result<Exit, Failure> {
    let dir = write_all(args, options)?;
    let folder = if dir == std::env::current_dir()? { String::new() } else { format!(" -C {}", dir.display()) };
    writeln!(io::stdout(), "next: `prox-orchestrator{folder}` opens the console")?;
    Ok(Exit::Success)
}

/// Writes the first files and says how they are. Returns their folder.
fn write_all(args: &InitArgs, options: &EngineOptions) -> Result<PathBuf, Failure> {
    let dir = std::path::absolute(args.folder.as_ref().unwrap_or(&options.dir))?;
    let options = EngineOptions { dir: dir.clone(), ..options.clone() };
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if !args.yes && !is_terminal {
        let words = "`init` asks questions and needs a terminal; without one give `--yes`, and by options what differs \
                     from what this host suggests: `prox-orchestrator init --help` lists them";
        return Err(anyhow::anyhow!(words)).or_exit(Exit::Usage);
    }
    if !args.force {
        // Before anybody has answered a dozen questions.
        write::must_be_free(&dir)?;
    }
    let mut out = io::stdout();
    let mut choices = chosen(args)?;
    if !args.yes {
        writeln!(out, "A few questions for `{}`; Enter takes what stands in brackets.\n", dir.display())?;
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let offered = home.map(|home| host::public_keys(&home.join(".ssh"))).unwrap_or_default();
        choices = Interview::new(io::stdin().lock(), &mut out, |prompt| rpassword::prompt_password(prompt), choices)
            .all(args, &offered)?;
        writeln!(out)?;
    }
    let scaffold = choices.scaffold()?;
    if !choices.ssh_keys.is_empty() {
        std::fs::create_dir_all(&dir)?;
        // Given keys stand in the place of the console's own, without which Ansible could not log in.
        let own = SshKeyPair::load_or_create(&dir.join(runtime::STATE_DIR)).or_exit(Exit::State)?;
        choices.ssh_keys.push(own.public().trim().to_owned());
    }
    let scaffold = if choices.ssh_keys.is_empty() { scaffold } else { choices.scaffold()? };
    for (name, outcome) in write::write(&dir, &scaffold, args.force)? {
        writeln!(out, "{name:<18} {}", words(&outcome))?;
    }
    conclude(&options, &choices, &mut out)?;
    Ok(dir)
}

/// Offers to write the first files where the console is opened in a folder that has none. Asks only a person at a
/// terminal, and goes on with the defaults where the answer is no.
pub(super) fn offer(options: &EngineOptions) -> Result<(), Failure> {
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let files = [config::CONFIG_FILE, config::BASE_ANSWER_FILE];
    let has_any = files.iter().any(|file| options.dir.join(file).exists());
    if !is_terminal || has_any || !options.dir.is_dir() {
        return Ok(());
    }
    let mut out = io::stdout();
    let dir = std::path::absolute(&options.dir)?;
    writeln!(out, "There is no {} in `{}`.", config::CONFIG_FILE, dir.display())?;
    write!(out, "Write the first files now? A few questions follow (`prox-orchestrator init` does the same). [Y/n] ")?;
    out.flush()?;
    let mut answer = String::new();
    let is_end = io::stdin().read_line(&mut answer)? == 0;
    if is_end || !matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes") {
        writeln!(out, "The console opens with the defaults; files written later are read at once.")?;
        return Ok(());
    }
    write_all(&InitArgs::default(), options)?;
    // What was noted would be gone at once.
    write!(out, "Enter opens it now. ")?;
    out.flush()?;
    io::stdin().read_line(&mut answer)?;
    Ok(())
}

/// What this host suggests, and what was given laid over it.
fn chosen(args: &InitArgs) -> Result<Choices, Failure> {
    let mut choices = host::suggested(Path::new("/"));
    let texts = [
        (&mut choices.template_name, &args.template_name),
        (&mut choices.domain, &args.domain),
        (&mut choices.mask, &args.mask),
        (&mut choices.country, &args.country),
        (&mut choices.keyboard, &args.keyboard),
        (&mut choices.timezone, &args.timezone),
        (&mut choices.mailto, &args.mailto),
    ];
    for (choice, given) in texts {
        if let Some(given) = given {
            choice.clone_from(given);
        }
    }
    if args.dhcp {
        choices.addressing = Addressing::FromDhcp;
    }
    choices.dns = args.dns.or(choices.dns);
    choices.gateway = args.gateway.or(choices.gateway);
    if args.mask.is_none() {
        choices.fit_mask();
    }
    choices.nic_vendor.clone_from(&args.nic_vendor);
    if let Some(disks) = Disks::of(&args.disk) {
        choices.disks = disks;
    }
    if let Some(file) = &args.root_password_file {
        let password = first_line(file).or_exit(Exit::Usage)?;
        choices.password = Some(Hash::of(&password).or_exit(Exit::Usage)?);
    }
    for file in &args.ssh_key {
        choices.ssh_keys.extend(keys_of(file).or_exit(Exit::Usage)?);
    }
    match choices.scaffold()?.problems() {
        None => Ok(choices),
        Some(wrong) => Err(wrong).or_exit(Exit::Usage),
    }
}

fn first_line(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| anyhow::anyhow!("cannot read the password from `{}`: {error}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The public keys in a file; none is an error.
pub(super) fn keys_of(file: &Path) -> anyhow::Result<Vec<String>> {
    let keys = host::key_lines(file);
    let keys = keys.map_err(|error| anyhow::anyhow!("cannot read `{}`: {error}", file.display()))?;
    if keys.is_empty() {
        anyhow::bail!("`{}` holds no public SSH key; give the file that ends in `.pub`", file.display());
    }
    Ok(keys)
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Written { kept_as: None } => "written".to_owned(),
        Outcome::Written { kept_as: Some(copy) } => {
            format!("written; the old one is `{}` now", copy.file_name().unwrap_or_default().display())
        }
        Outcome::Left => "yours, left as it is".to_owned(),
    }
}

/// What in the two files is probably not meant; what does harm is among what is open.
fn warnings(options: &EngineOptions) -> Vec<String> {
    let in_line = |message: &str, hint: Option<&String>| match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    };
    let config = config::load(&options.dir, &options.cli, &options.env).ok();
    let base = runtime::base_of(&options.dir, config.as_ref().map(|loaded| &loaded.config)).ok();
    let config = config.iter().flat_map(|loaded| loaded.warnings.list());
    let is_warning = |caution: &&Problem| caution.severity == Severity::Warning;
    let base = base.iter().flat_map(BaseAnswer::cautions).filter(is_warning);
    let config = config.map(|problem| in_line(&problem.message, problem.hint.as_ref()));
    config.chain(base.map(|problem| in_line(&problem.message, problem.hint.as_ref()))).collect()
}

/// Reads the files as the engine will, and says what is still open.
fn conclude(options: &EngineOptions, choices: &Choices, out: &mut impl Write) -> Result<(), Failure> {
    let open = runtime::check(options)?;
    writeln!(out, "\nchecked: the engine takes these files")?;
    for warning in warnings(options) {
        writeln!(out, "warning: {warning}")?;
    }
    for problem in &open {
        writeln!(out, "open: {}; {}", problem.what, problem.hint)?;
    }
    let disks = match &choices.disks {
        Disks::Single(name) => format!("`{name}`"),
        Disks::Mirror(names) => format!("`{}`", names.join("`, `")),
    };
    writeln!(out, "note: {disks} of every machine you approve will be wiped")?;
    if choices.password.is_none() {
        writeln!(out, "note: no root password: nodes are reached by SSH key only, `passwd root` on a node sets one")?;
    }
    Ok(())
}
