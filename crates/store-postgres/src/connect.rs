//! Connects to Postgres: checks the server, and sets up every session the same way.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Row};
use tokio::time::timeout;

use crate::trouble::Trouble;
use crate::{OpenError, PostgresOptions};

/// Where the server is, and what it is called in errors.
#[derive(Clone)]
pub(crate) struct Server {
    connect: PgConnectOptions,
    pub(crate) name: String,
}

/// What has to be known of a server before it is used.
#[derive(sqlx::FromRow)]
struct ServerRow {
    version_num: i32,
    version: String,
    standby: bool,
    encoding: String,
}

impl Server {
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(OpenError::Url("it begins otherwise".to_owned()));
        }
        let mut connect =
            PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
        if connect.get_application_name().is_none() {
            connect = connect.application_name("gatekey");
        }
        let database = connect.get_database().unwrap_or(connect.get_username());
        let name = match connect.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!("{}:{}/{database}", connect.get_host(), connect.get_port()),
        };
        Ok(Self { connect, name })
    }

    /// One connection, outside of any pool, to a server that passed the checks.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<PgConnection, OpenError> {
        let checked = async {
            let mut connection = self.connect.connect().await.map_err(|source| self.unreachable(source))?;
            self.check(&mut connection).await?;
            Ok(connection)
        };
        let late = |_| OpenError::Timeout { server: self.name.clone() };
        timeout(limit, checked).await.map_err(late).flatten()
    }

    /// One connection, outside of any pool, set up as those of the pools are.
    pub(crate) async fn session(&self, options: &PostgresOptions) -> Result<PgConnection, OpenError> {
        let limit = options.operation_timeout;
        let set_up = async {
            let mut connection = self.connect(limit).await?;
            let set_up = Session::of(options).set_up(&mut connection).await;
            set_up.map_err(|source| self.unreachable(source))?;
            Ok(connection)
        };
        let late = |_| OpenError::Timeout { server: self.name.clone() };
        timeout(limit, set_up).await.map_err(late).flatten()
    }

    async fn check(&self, connection: &mut PgConnection) -> Result<(), OpenError> {
        let row: ServerRow = sqlx::query_as(
            "SELECT current_setting('server_version_num')::int AS version_num,
                    current_setting('server_version') AS version,
                    current_setting('server_encoding') AS encoding,
                    pg_is_in_recovery() AS standby",
        )
        .fetch_one(connection)
        .await
        .map_err(|source| self.unreachable(source))?;
        self.judge(row)
    }

    fn judge(&self, row: ServerRow) -> Result<(), OpenError> {
        let server = self.name.clone();
        match row {
            ServerRow { version_num: ..150_000, version: found, .. } => {
                Err(OpenError::ServerTooOld { server, found })
            }
            ServerRow { standby: true, .. } => Err(OpenError::Standby { server }),
            ServerRow { encoding, .. } if encoding != "UTF8" => Err(OpenError::Encoding { server, encoding }),
            ServerRow { .. } => Ok(()),
        }
    }

    fn unreachable(&self, source: sqlx::Error) -> OpenError {
        OpenError::Connect { server: self.name.clone(), source }
    }
}

/// A pool of as many connections. Connects when first needed, so the server is to be checked before.
pub(crate) fn pool(
    server: &Server,
    options: &PostgresOptions,
    max_connections: u32,
    trouble: Trouble,
) -> PgPool {
    let session = Session::of(options);
    let limit = options.acquire_timeout;
    PgPoolOptions::new()
        .max_connections(max_connections)
        // The pool's own upkeep tries a dead server at long intervals and keeps a place meanwhile:
        // it must never be the last one.
        .min_connections(options.min_connections.min(max_connections.saturating_sub(1)))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection, used| {
            let trusted = trouble.trusts(used.idle_for);
            Box::pin(async move {
                if trusted {
                    return Ok(true);
                }
                // Half the time at most, so that enough is left to connect anew.
                match timeout(limit / 2, connection.ping()).await {
                    Ok(alive) => alive.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
        .after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(async move {
                // The pool's upkeep sets no bound to this one.
                timeout(limit, session.set_up(connection)).await.map_err(|_| sqlx::Error::PoolTimedOut)?
            })
        })
        .connect_lazy_with(server.connect.clone())
}

/// The timeouts to which every session is set, in milliseconds as text.
#[derive(Clone)]
struct Session {
    statement: String,
    idle_in_transaction: String,
    lock: String,
}

impl Session {
    fn of(options: &PostgresOptions) -> Self {
        Self {
            statement: options.operation_timeout.as_millis().to_string(),
            // Nobody who runs is idle in a transaction for as long. One who stands still holds locks that all
            // others wait for, and is to lose them before they give up.
            idle_in_transaction: (options.lock_timeout / 3).as_millis().max(1).to_string(),
            lock: options.lock_timeout.as_millis().to_string(),
        }
    }

    /// In one statement, whatever the server's, the database's or the user's defaults are. The
    /// timeouts end on the server what a client that is out of reach has left behind there; none of
    /// them cancels a commit that has begun (measured).
    async fn set_up(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let row = sqlx::query(
            "SELECT pg_is_in_recovery() AS standby,
                    set_config('statement_timeout', $1, false),
                    set_config('idle_in_transaction_session_timeout', $3, false),
                    set_config('lock_timeout', $2, false),
                    set_config('synchronous_commit', 'on', false),
                    set_config('default_transaction_isolation', 'read committed', false)",
        )
        .bind(&self.statement)
        .bind(&self.lock)
        .bind(&self.idle_in_transaction)
        .fetch_one(&mut *connection)
        .await?;
        // An old primary that became a standby would answer verifications from the past.
        if row.try_get("standby")? {
            return Err(sqlx::Error::Io(std::io::Error::other("the server is a standby")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ServerRow {
        ServerRow {
            version_num: 150_000,
            version: "15.0".to_owned(),
            standby: false,
            encoding: "UTF8".to_owned(),
        }
    }

    #[test]
    fn takes_a_writable_server_from_15_on() {
        let server = Server::parse("postgresql://ada:secret@db.example:5433/gatekey").expect("a URL");
        assert_eq!(server.name, "db.example:5433/gatekey");
        assert!(server.judge(row()).is_ok());
        let old = server.judge(ServerRow { version_num: 140_020, version: "14.20".to_owned(), ..row() });
        assert!(old.is_err_and(|error| error.to_string().contains("14.20")));
        let standby = server.judge(ServerRow { standby: true, ..row() });
        assert!(matches!(standby, Err(OpenError::Standby { .. })));
        let ascii = server.judge(ServerRow { encoding: "SQL_ASCII".to_owned(), ..row() });
        assert!(matches!(ascii, Err(OpenError::Encoding { .. })));
    }

    #[test]
    fn an_error_shows_no_password() {
        for url in [
            "mysql://ada:secret@localhost/gatekey",
            "postgres://ada:secret@localhost:notaport/gatekey",
            "postgres://ada:secret@localhost/gatekey?sslmode=maybe",
            "postgres://ada:sec ret@[::/gatekey",
            "secret",
        ] {
            let error = Server::parse(url).err().expect(url);
            assert!(matches!(error, OpenError::Url(_)));
            assert!(!format!("{error} {error:?}").contains("sec"), "{error:?}");
        }
        assert!(!format!("{:?}", PostgresOptions::new("postgres://ada:secret@localhost")).contains("secret"));
    }
}
