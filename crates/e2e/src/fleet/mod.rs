//! A whole fleet of real processes, every link of which can be broken: replicas over one Postgres, holders with
//! caches, and their callers. What is broken when is left to others.

mod calls;
mod failover;
mod holding;
mod load;
mod record;
mod recovery;
mod replica;
mod store;
mod store_link;
mod streams;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

pub use calls::{Everywhere, Token};
pub use failover::Replicated;
pub use holding::Holding;
pub use load::Load;
pub use record::{Record, Tally};
pub use replica::Replica;
pub use store::Disturb;
pub use store_link::StoreLink;
pub use streams::Streams;
pub use traffic::{Served, Traffic};

use crate::{Client, Cluster, Database, FaultProxy, PgBouncer, Upstream, Way, dev_token};
use replica::Common;
use store_link::Source;

/// How a fleet is to be started.
#[derive(Debug)]
pub struct FleetStart {
    /// How many replicas.
    pub replicas: usize,
    /// How many holders in the test's process.
    pub holders: usize,
    /// How many holders in processes of their own; they come first.
    pub processes: usize,
    /// L, in seconds: that of every replica that has no other, and the longest.
    pub lease: u32,
    /// Those of the first replicas, where they have others.
    pub leases: Vec<u32>,
    /// The servers' log filter, if it is not to be everything.
    pub log: Option<String>,
    /// A cluster of its own, to be stopped and started.
    pub own_cluster: bool,
    /// How that is replicated to another; if it is, it is the fleet's own.
    pub replicated: Replicated,
    /// How the replicas reach it.
    pub way: Way,
}

/// A running fleet.
pub struct Fleet {
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// The holders, those in processes of their own first.
    pub holders: Vec<Holding>,
    /// What happens to its tokens.
    pub record: Record,
    /// L, the longest of its replicas.
    pub lease: Duration,
    /// Its store.
    pub database: Database,
    /// Its store's cluster, if that is its own. Goes after the servers.
    pub cluster: Option<Cluster>,
    /// The cluster's standby.
    pub standby: Option<Cluster>,
    /// What stands before it.
    pooler: Option<PgBouncer>,
    /// Where the database's URL leads.
    service: Upstream,
    _observer: FaultProxy,
    /// How many checks are under way.
    pending: watch::Sender<usize>,
    _folder: TempDir,
}

impl Default for FleetStart {
    fn default() -> Self {
        Self {
            replicas: 3,
            holders: 14,
            processes: 2,
            lease: 2,
            log: None,
            own_cluster: false,
            replicated: Replicated::Not,
            way: Way::Direct,
            leases: Vec::new(),
        }
    }
}

impl FleetStart {
    /// Starts it, and waits until every holder answers from its cache.
    ///
    /// # Panics
    /// If it can't be started.
    pub async fn start(self) -> Arc<Fleet> {
        let folder = TempDir::new().expect("a folder");
        let own = self.own_cluster || self.replicated != Replicated::Not;
        let cluster = own.then(|| tokio::task::block_in_place(Cluster::start));
        let database = match &cluster {
            Some(cluster) => cluster.database().await,
            None => Database::new().await,
        };
        tokio::task::block_in_place(|| database.migrate());
        let standby = match &cluster {
            Some(cluster) => self.replicated.standby(cluster).await,
            None => None,
        };
        let pooler = tokio::task::block_in_place(|| self.way.pooler(database.address()));
        let args = self.args();
        let source = Source { way: self.way, database: &database, pooler: pooler.as_ref() };
        let common = Common { folder: folder.path(), store: &source, args: &args };
        let mut replicas = Vec::new();
        for number in 0..self.replicas {
            let lease = self.leases.get(number).copied().unwrap_or(self.lease);
            replicas.push(Replica::start(&common, lease).await);
        }
        let jwt =
            dev_token(folder.path(), &["--role", "developer", "--role", "verifier", "--tenant", "acme"]);
        for replica in &mut replicas {
            replica.connect(&jwt);
        }
        let upstreams: Vec<_> = replicas.iter().map(Replica::upstream).collect();
        let mut holders = Vec::new();
        for number in 0..self.processes + self.holders {
            holders.push(Holding::start(&upstreams, &jwt, number < self.processes).await);
        }
        let service = Upstream::new(database.address());
        let (url, observer) = FaultProxy::before_database(&database.url, service.clone()).await;
        let fleet = Arc::new(Fleet {
            replicas,
            holders,
            record: Record::default(),
            lease: Duration::from_secs(self.lease.into()),
            database: Database { url },
            cluster,
            standby,
            pooler,
            service,
            _observer: observer,
            pending: watch::Sender::new(0),
            _folder: folder,
        });
        fleet.warm_token().await;
        fleet
    }

    fn args(&self) -> Vec<String> {
        let mut args = vec!["--tokens-per-tenant", "10000000"];
        if let Some(log) = &self.log {
            args.extend(["--log", log]);
        }
        args.into_iter().map(str::to_owned).collect()
    }
}

impl Fleet {
    /// A replica's callers' client.
    #[must_use]
    pub fn client(&self, replica: usize) -> &Client {
        self.replicas[replica].client()
    }

    /// 1.25 L: how long a delete waits at most.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.lease * 5 / 4
    }
}
