//! Connects to Postgres: checks the server, and sets up every session the same way.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, PgPool, Row};
use tokio::time::timeout;

use crate::trouble::Trouble;
use crate::way::{Limits, Way, read_timeline};
use crate::{OpenError, PostgresOptions};

/// Where the server is, and what it is called in errors.
#[derive(Clone)]
pub(crate) struct Server {
    connect: PgConnectOptions,
    pub(crate) name: String,
    pub(crate) way: Way,
}

/// What has to be known of a server before it is used.
#[derive(sqlx::FromRow)]
struct ServerRow {
    version_num: i32,
    version: String,
    standby: bool,
    encoding: String,
    instance: String,
}

impl Server {
    pub(crate) fn parse(url: &str, way: Way) -> Result<Self, OpenError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(OpenError::Url("it begins otherwise".to_owned()));
        }
        let mut connect =
            PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
        if connect.get_application_name().is_none() {
            connect = connect.application_name("gatekey");
        }
        if way.is_pooled() {
            // PgBouncer refuses what it can't hand on, and nothing here is a float.
            connect = connect.extra_float_digits(None);
        }
        let database = connect.get_database().unwrap_or(connect.get_username());
        let name = match connect.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!("{}:{}/{database}", connect.get_host(), connect.get_port()),
        };
        Ok(Self { connect, name, way })
    }

    pub(crate) const fn is_pooled(&self) -> bool {
        self.way.is_pooled()
    }

    /// One connection, outside of any pool, to a server that passed the checks; and what tells the database that it
    /// leads to from any other, until the server is restarted.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<(PgConnection, String), OpenError> {
        let checked = async {
            let mut connection = self.connect.connect().await.map_err(|source| self.unreachable(source))?;
            let instance = self.check(&mut connection).await?;
            Ok((connection, instance))
        };
        let late = |_| OpenError::Timeout { server: self.name.clone() };
        timeout(limit, checked).await.map_err(late).flatten()
    }

    /// One connection, outside of any pool, set up as those of the pools are, for statements that have to be run in
    /// one history; and the way for them.
    pub(crate) async fn line(&self, options: &PostgresOptions) -> Result<(PgConnection, Way), OpenError> {
        let limit = options.operation_timeout;
        let set_up = async {
            let (mut connection, _) = self.connect(limit).await?;
            let way =
                self.set_up(options, &mut connection).await.map_err(|source| self.unreachable(source))?;
            Ok((connection, way))
        };
        let late = |_| OpenError::Timeout { server: self.name.clone() };
        timeout(limit, set_up).await.map_err(late).flatten()
    }

    async fn set_up(
        &self,
        options: &PostgresOptions,
        connection: &mut PgConnection,
    ) -> Result<Way, sqlx::Error> {
        if self.is_pooled() {
            return Ok(self.way.clone().bound_to(read_timeline(connection).await?));
        }
        Session::of(options).set_up(connection).await?;
        Ok(Way::Direct)
    }

    async fn check(&self, connection: &mut PgConnection) -> Result<String, OpenError> {
        // In one message: good on any way.
        let read = sqlx::raw_sql(
            "SELECT current_setting('server_version_num')::int AS version_num,
                    current_setting('server_version') AS version,
                    current_setting('server_encoding') AS encoding,
                    pg_is_in_recovery() AS standby,
                    extract(epoch FROM pg_postmaster_start_time()) || ' ' || current_database() AS instance",
        );
        let row = read.fetch_one(connection).await.and_then(|row| ServerRow::from_row(&row));
        self.judge(row.map_err(|source| self.unreachable(source))?)
    }

    fn judge(&self, row: ServerRow) -> Result<String, OpenError> {
        let server = self.name.clone();
        match row {
            ServerRow { version_num: ..150_000, version: found, .. } => {
                Err(OpenError::ServerTooOld { server, found })
            }
            ServerRow { standby: true, .. } => Err(OpenError::Standby { server }),
            ServerRow { encoding, .. } if encoding != "UTF8" => Err(OpenError::Encoding { server, encoding }),
            ServerRow { instance, .. } => Ok(instance),
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
    // Behind a pooler there is no session to set up: each transaction brings its settings along.
    let session = (!server.is_pooled()).then(|| Session::of(options));
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
                let Some(session) = session else { return Ok(()) };
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
        let Limits { statement, idle_in_transaction, lock } = Limits::of(options);
        Self {
            statement: statement.to_string(),
            idle_in_transaction: idle_in_transaction.to_string(),
            lock: lock.to_string(),
        }
    }

    /// In one statement, whatever the server's, the database's or the user's defaults are.
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
            instance: "this one".to_owned(),
        }
    }

    #[test]
    fn takes_a_writable_server_from_15_on() {
        let server =
            Server::parse("postgresql://ada:secret@db.example:5433/gatekey", Way::Direct).expect("a URL");
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
            let error = Server::parse(url, Way::Direct).err().expect(url);
            assert!(matches!(error, OpenError::Url(_)));
            assert!(!format!("{error} {error:?}").contains("sec"), "{error:?}");
        }
        assert!(!format!("{:?}", PostgresOptions::new("postgres://ada:secret@localhost")).contains("secret"));
    }
}
