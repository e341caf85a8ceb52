//! The commands for bad days: what each may be told. What they do is in `operator`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::StoreSettings;
use crate::config::Settings;

const REVOKE: &str = "\
Examples:
  gatekey revoke --value-stdin --yes --reason 'found in a public repository' < leaked.txt
      Each line is searched for token values. None is printed; a line without one is told by its number.
  gatekey revoke --key gk_b_vZ9YpZhu --reason 'seen in a log'
  gatekey revoke --creator ada@example.com --dry-run
      Lists what it would revoke, of every tenant.
  gatekey revoke --tenant acme --yes
  gatekey revoke --tenant acme --id 7

It is strict, as DeleteToken is: when it ends with 0, no replica and no service accepts any of them
again. It may be repeated; it then waits for what was revoked before. It needs the store and no
server. SQLite is one process's: stop the server first, or delete through it.

Exit code 0: all that was found is revoked, and that is in force everywhere. 1: something failed or
was interrupted, and the last line says what is committed; or a line of standard input had no token
value in it, and everything else is revoked. 2: a setting is wrong; nothing was done.";

const REVOCATIONS: &str = "\
Examples:
  gatekey revocations export > revocations.jsonl
  gatekey revocations export --after 1234 > since.jsonl
      1234 is the number in the last line of the export before.
  gatekey restored && gatekey revocations replay revocations.jsonl
      After a backup was restored, and before servers are started: tokens that were deleted since it
      was made are deleted again. Several files at once: cat *.jsonl | gatekey revocations replay -";

const BACKUP: &str = "\
Examples:
  gatekey backup --data-dir /var/lib/gatekey /backup/gatekey.db
  kubectl --namespace gatekey exec deployment/gatekey -- /usr/bin/gatekey backup - > gatekey.db
      From a container without a shell. Not with -t: a terminal would change it, and is refused.
      Compare the SHA-256 that it tells with what sha256sum says of the file: kubectl may lose the end.

The copy is of one moment, and checked. Exit code 0: it is whole, in a file of that name or written
to standard output. Any other: it is not, and what was written to standard output is of no use.";

pub(super) const DOCTOR: &str = "\
Examples:
  gatekey doctor --config /etc/gatekey/gatekey.toml
      With the settings of the server, where the server runs, and as its user.
  gatekey doctor --json | jq 'select(.level != \"ok\")'

It takes the settings of gatekey serve. Each line says ok, warn or FAIL, of what, and in words what
was seen and what to do. Nothing is changed: it may run beside a server.

Exit code 0: nothing failed, though there may be warnings. 1: something failed, with which a server
would not start or not do its work.";

/// Which tokens to revoke, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = REVOKE)]
pub(crate) struct Revoke {
    #[command(flatten)]
    pub(crate) store: StoreSettings,
    /// Those whose values stand on standard input. They are printed nowhere.
    #[arg(long)]
    pub(crate) value_stdin: bool,
    /// Those of this key, the public part of a value; may be given several times.
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// All of this tenant; with --creator or --id, only those.
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// All that this subject created, of every tenant unless --tenant is given.
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) creator: Option<String>,
    /// The one of this id; needs --tenant.
    #[arg(long, value_name = "N")]
    pub(crate) id: Option<i64>,
    /// List what would be revoked, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask before more than one is revoked. Needed where standard input is no terminal.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) record: Record,
    /// Lines of JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the audit log is told of who does it.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who does it, for the audit log. [default: the user and the host of the operating system]
    #[arg(long, value_name = "NAME")]
    pub(crate) operator: Option<String>,
}

/// What to do with the log of revocations.
#[derive(Debug, Args)]
#[command(after_help = REVOCATIONS)]
pub(crate) struct Revocations {
    #[command(subcommand)]
    pub(crate) command: RevocationsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RevocationsCommand {
    /// Print all revocations as lines of JSON: digests and keys, no values. Servers may run meanwhile.
    Export(Export),
    /// Revoke again what an export has, strictly. May be repeated.
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) store: StoreSettings,
    /// Only those from this moment on (RFC 3339), and those of which the moment is not known any more.
    #[arg(long, value_name = "TIME", conflicts_with = "after")]
    pub(crate) since: Option<String>,
    /// Only those after this number in the log.
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) store: StoreSettings,
    /// An export; - is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Take what can be read of exports of which something is missing: that were cut off, that have lines which are none of
    /// an export (exit code 1, as those are left out), or between which the log has more.
    #[arg(long)]
    pub(crate) partial: bool,
    #[command(flatten)]
    pub(crate) record: Record,
}

#[derive(Debug, Args)]
pub(crate) struct Restored {
    #[command(flatten)]
    pub(crate) store: StoreSettings,
}

#[derive(Debug, Args)]
#[command(after_help = BACKUP)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) store: StoreSettings,
    /// The copy. It must not exist yet. - is standard output, by way of a temporary file beside the store's.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Lines of JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}
