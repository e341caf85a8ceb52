//! The command line: commands and flags, each flag with its `GATEKEY_*` twin in the environment.

mod operator;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use gatekey_core::Role;

use crate::config::{PoolerMode, Settings};
use crate::trust::Trust;
pub(crate) use operator::{
    Backup, Doctor, Export, Record, Replay, Restored, Revocations, RevocationsCommand, Revoke,
};

const EXAMPLES: &str = "\
Examples:
  gatekey
      Development mode: SQLite in ./gatekey-data, on loopback, with commands to paste.
  gatekey dev-token --role admin --tenant acme
      Another JWT for the development server of this folder.
  gatekey migrate --database-url postgres://gatekey@db/gatekey
  gatekey serve --database-url postgres://gatekey@db/gatekey --grpc-addr 0.0.0.0:50051 --plaintext \\
      --issuer https://login.example.com --audience gatekey \\
      --jwks https://login.example.com/.well-known/jwks.json \\
      --verifier-subject system:serviceaccount:speech:gateway
      Production: callers prove themselves with JWTs of the issuer.

Every flag can be given in the environment too (its GATEKEY_ name is shown) and in the TOML file of
--config, under the flag's name without the dashes. A flag goes before the environment, and the
environment before the file.";

const CANARY: &str = "\
Examples:
  GATEKEY_JWT=$(gatekey dev-token) gatekey canary --count 10
      Ten rounds at the development server of this folder.
  gatekey canary --endpoint http://gatekey-0:50051 --endpoint http://gatekey-1:50051 \\
      --jwt-file /var/run/secrets/gatekey/jwt
      For as long as it is left running, at each server by itself.

Each round creates a token named \"gatekey canary\", has it accepted from a cache of the canary's own
and by every endpoint, deletes it, and asks all of them again at once. It prints a line of JSON for
each round and for each answer that must not be, and a summary at the end: after --count rounds, or
at SIGINT or SIGTERM. What it made is deleted before it ends.

Exit code 0: all is well. 1: a token was accepted after its delete had returned, which ends it at
once; or a good token was rejected; or no round succeeded. 2: a setting is wrong.";

/// API tokens for the programs of your customers: create, list, delete and verify them over gRPC.
#[derive(Debug, Parser)]
#[command(name = "gatekey", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server. The default without a command.
    #[command(after_help = EXAMPLES)]
    Serve(Box<Settings>),
    /// Bring the database's schema up to date, and end. Safe to run twice, and at once.
    Migrate(Migrate),
    /// Print a JWT for a server in development mode, alone on standard output.
    DevToken(DevToken),
    /// Ask a running server for its health: exit code 0 if it is SERVING. For containers.
    Health(Health),
    /// Show that revocation is strict in a running installation: create, cache, delete and probe, round after round.
    #[command(after_help = CANARY)]
    Canary(Canary),
    /// Revoke many tokens in an incident, strictly: leaked values, all of a tenant, all of a creator.
    Revoke(Box<Revoke>),
    /// Keep revocations apart from the database, and revoke again what a restored backup brought back.
    Revocations(Revocations),
    /// After a backup was restored: have every server and every service forget what they remember.
    Restored(Restored),
    /// Copy the SQLite file, while a server runs or not.
    Backup(Backup),
    /// Check what a server with these settings would find: in words, and changing nothing.
    #[command(after_help = operator::DOCTOR)]
    Doctor(Box<Doctor>),
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) store: StoreSettings,
    /// Only say how the schema is, and change nothing. Exit code 0: this program can use it. 3: migrations are missing.
    /// 1: it is newer and no longer for this program, or can't be read.
    #[arg(long)]
    pub(crate) check: bool,
}

/// The settings of the store, and no others: for commands that work on it themselves.
#[derive(Debug, Args)]
pub(crate) struct StoreSettings {
    /// The store: sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE. [default: SQLite in --data-dir]
    #[arg(long, value_name = "URL", env = "GATEKEY_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds the database URL.
    #[arg(long, value_name = "FILE", env = "GATEKEY_DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// What stands between here and Postgres: transaction for a pooler that hands on transactions, not sessions. [default: none]
    #[arg(long, value_name = "MODE", env = "GATEKEY_DATABASE_POOLER", value_enum)]
    database_pooler: Option<PoolerMode>,
    /// The same database past the pooler: migrations go there.
    #[arg(long, value_name = "URL", env = "GATEKEY_DATABASE_DIRECT_URL", hide_env_values = true)]
    database_direct_url: Option<String>,
    /// A file that holds the direct URL.
    #[arg(long, value_name = "FILE", env = "GATEKEY_DATABASE_DIRECT_URL_FILE")]
    database_direct_url_file: Option<PathBuf>,
    /// Where SQLite is kept. [default: gatekey-data]
    #[arg(long, value_name = "DIR", env = "GATEKEY_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The server's TOML file; what it says of other things is left out.
    #[arg(long, value_name = "FILE", env = "GATEKEY_CONFIG")]
    config: Option<PathBuf>,
}

impl From<StoreSettings> for Settings {
    fn from(given: StoreSettings) -> Self {
        Self {
            database_url: given.database_url,
            database_url_file: given.database_url_file,
            database_pooler: given.database_pooler,
            database_direct_url: given.database_direct_url,
            database_direct_url_file: given.database_direct_url_file,
            data_dir: given.data_dir,
            config: given.config,
            ..Self::default()
        }
    }
}

impl Cli {
    /// Reads the command line and the environment. A variable that is set but empty, as compose files
    /// have them, counts as absent.
    pub(crate) fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if let (Some(Command::Health(health)), Some((_, given))) = (&mut cli.command, matches.subcommand()) {
            health.by_flag = given.value_source("grpc_addr") == Some(clap::parser::ValueSource::CommandLine);
        }
        cli
    }
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|argument| {
            if argument.get_env().is_some_and(is_empty) { argument.env(None::<&str>) } else { argument }
        })
        .mut_subcommands(without_empty_variables)
}

#[derive(Debug, Args)]
pub(crate) struct DevToken {
    /// The server's data folder, where its signing key is.
    #[arg(long, value_name = "DIR", env = "GATEKEY_DATA_DIR", default_value = crate::config::DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// A role of the caller; may be given several times. Developer and verifier if none is given.
    #[arg(long = "role", value_name = "ROLE", value_enum)]
    pub(crate) roles: Vec<DevRole>,
    /// No role at all.
    #[arg(long, conflicts_with = "roles")]
    pub(crate) no_role: bool,
    /// The caller's tenant.
    #[arg(long, value_name = "NAME", default_value = "acme")]
    pub(crate) tenant: String,
    /// No tenant at all.
    #[arg(long, conflicts_with = "tenant")]
    pub(crate) no_tenant: bool,
    /// Who the caller is.
    #[arg(long, value_name = "NAME", default_value = "dev")]
    pub(crate) subject: String,
    /// How long the JWT is good, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) ttl: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DevRole {
    Developer,
    Admin,
    Verifier,
}

impl From<DevRole> for Role {
    fn from(role: DevRole) -> Self {
        match role {
            DevRole::Developer => Self::Developer,
            DevRole::Admin => Self::Admin,
            DevRole::Verifier => Self::Verifier,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The server's gRPC address, or its host's name and port. [default: the port for probes, else the one of --config, or
    /// 127.0.0.1:50051]
    #[arg(long, value_name = "HOST:PORT", env = "GATEKEY_GRPC_ADDR")]
    pub(crate) grpc_addr: Option<String>,
    /// The server's port for probes, which is asked without TLS. Goes before GATEKEY_GRPC_ADDR, but not before --grpc-addr.
    #[arg(long = "health-addr", value_name = "ADDR", env = "GATEKEY_HEALTH_ADDR")]
    pub(crate) probes: Option<std::net::SocketAddr>,
    /// Whether `grpc_addr` stands in the command line.
    #[arg(skip)]
    pub(crate) by_flag: bool,
    /// The server's TOML file: its address, where none is given.
    #[arg(long, value_name = "FILE", env = "GATEKEY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Whose health: empty for the process itself, `gatekey.v1.TokenService` for its readiness.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) service: String,
    /// How long to wait for an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) timeout: u32,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

#[derive(Debug, Args)]
pub(crate) struct Canary {
    /// A server, as in http://HOST:PORT, or https with --ca-file; may be given several times. In the environment, with commas in between.
    #[arg(
        long = "endpoint",
        value_name = "URL",
        env = "GATEKEY_ENDPOINT",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) endpoints: Vec<String>,
    /// A file that holds a JWT with a tenant and the roles developer and verifier. It is read for each call, so that
    /// the JWT can be renewed. Or put the JWT itself into the environment: GATEKEY_JWT.
    #[arg(long, value_name = "FILE", env = "GATEKEY_JWT_FILE")]
    pub(crate) jwt_file: Option<PathBuf>,
    /// The pause between two rounds, in seconds; 0.5 is half a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) interval: f64,
    /// End after so many rounds.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        let bare = Cli::try_parse_from(["gatekey", "--token-prefix", "acme"]).expect("valid");
        assert!(bare.command.is_none());
        assert_eq!(bare.settings.token_prefix.as_deref(), Some("acme"));
        let named = Cli::try_parse_from(["gatekey", "serve", "--token-prefix", "acme"]).expect("valid");
        assert!(matches!(named.command, Some(Command::Serve(settings)) if settings.token_prefix.is_some()));
    }

    /// It says that nothing is changed: a command that revokes must not take it.
    #[test]
    fn only_migrate_checks() {
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            let checks = command.get_arguments().any(|argument| argument.get_long() == Some("check"));
            assert_eq!(checks, command.get_name() == "migrate", "{}", command.get_name());
            commands.extend(command.get_subcommands().cloned());
        }
    }

    /// A command that goes to the store goes the server's way.
    #[test]
    fn commands_know_every_setting_of_the_store() {
        for command in [&["migrate"][..], &["revoke"], &["restored"], &["backup"], &["revocations", "export"]]
        {
            let mut found = Cli::command();
            for name in command {
                found = found.find_subcommand(name).expect("a command").clone();
            }
            for flag in
                ["database-url", "database-url-file", "database-pooler", "database-direct-url", "config"]
            {
                assert!(
                    found.get_arguments().any(|given| given.get_long() == Some(flag)),
                    "{command:?} --{flag}"
                );
            }
        }
    }

    /// Each flag must be documented with its twin in the environment.
    #[test]
    fn every_setting_has_its_environment_twin() {
        for argument in Cli::command().get_arguments().filter(|argument| argument.get_long().is_some()) {
            let flag = argument.get_long().expect("filtered");
            if matches!(flag, "help" | "version") {
                continue;
            }
            let twin = format!("GATEKEY_{}", flag.replace('-', "_").to_uppercase());
            let env = argument.get_env().map(|name| name.to_string_lossy().into_owned());
            assert_eq!(env.as_deref(), Some(twin.as_str()), "--{flag}");
            assert!(argument.get_help().is_some(), "--{flag} has no help");
        }
    }
}
