//! A replica's link to its store: one connection's way, or two where one of them leads past a pooler. They are broken
//! and healed as one.

use std::net::SocketAddr;

use crate::{Database, FaultProxy, Link, PgBouncer, Upstream, Way};

/// A replica's link to its store.
#[derive(Debug)]
pub struct StoreLink {
    proxies: Vec<FaultProxy>,
    /// Of the way that leads straight to the server, if there is one.
    server: Option<Upstream>,
}

/// The store of a fleet, and how it is reached.
pub(super) struct Source<'a> {
    pub(super) way: Way,
    pub(super) database: &'a Database,
    pub(super) pooler: Option<&'a PgBouncer>,
}

impl StoreLink {
    /// A whole link, and what a server is to be told of it.
    pub(super) async fn start(source: &Source<'_>) -> (Vec<String>, Self) {
        let Source { way, database, pooler } = *source;
        let server = Upstream::new(database.address());
        let (direct, proxy) = FaultProxy::before_database(&database.url, server.clone()).await;
        let mut proxies = vec![proxy];
        let mut url = direct.clone();
        if let Some(pooler) = pooler {
            let (pooled, proxy) = FaultProxy::before_database(&database.url, pooler.address()).await;
            proxies.push(proxy);
            url = pooled;
        }
        let server = (way != Way::BehindPooler).then_some(server);
        (way.flags(&url, &direct), Self { proxies, server })
    }

    /// Changes the link, for connections that are open too.
    pub fn set(&self, link: Link) {
        for proxy in &self.proxies {
            proxy.set(link);
        }
    }

    /// Makes it whole.
    pub fn heal(&self) {
        self.set(Link::WHOLE);
    }

    /// From now on, new connections that lead straight to a server lead to this one.
    pub(super) fn lead_to(&self, server: SocketAddr) {
        if let Some(upstream) = &self.server {
            upstream.set(server);
        }
    }
}
