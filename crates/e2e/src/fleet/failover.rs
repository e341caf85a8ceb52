//! A fleet's store fails over to its standby: by address, as where a service's name leads to whichever server is the
//! primary.

use tokio::task::block_in_place;

use super::Fleet;
use crate::Cluster;

/// How a store is replicated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replicated {
    /// It is not.
    #[default]
    Not,
    /// Every COMMIT waits for the standby.
    Synchronously,
    /// No COMMIT does.
    Asynchronously,
}

impl Replicated {
    pub(super) async fn standby(self, primary: &Cluster) -> Option<Cluster> {
        if self == Self::Not {
            return None;
        }
        let standby = block_in_place(|| primary.standby());
        if self == Self::Synchronously {
            primary.wait_for_standby().await;
        }
        Some(standby)
    }
}

impl Fleet {
    /// The primary, and its standby.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn pair(&self) -> (&Cluster, &Cluster) {
        (self.own_cluster(), self.standby.as_ref().expect("a standby"))
    }

    /// The primary ends as a crash does, if it runs; the standby is promoted, and everybody's address leads there.
    ///
    /// # Panics
    /// If there is no standby.
    pub fn fail_over(&self) {
        let (primary, standby) = self.pair();
        block_in_place(|| {
            if primary.runs() {
                primary.stop();
            }
            standby.promote();
        });
        let all: Vec<usize> = (0..self.replicas.len()).collect();
        self.lead_to_standby(&all);
    }

    /// From now on, new connections lead to the standby, those of these replicas and of everybody else. Whoever is
    /// connected stays so.
    ///
    /// # Panics
    /// If there is no standby.
    pub fn lead_to_standby(&self, replicas: &[usize]) {
        let address = self.pair().1.address();
        self.service.set(address);
        if let Some(pooler) = &self.pooler {
            pooler.lead_to(address);
        }
        for replica in replicas {
            self.replicas[*replica].store.lead_to(address);
        }
    }
}
