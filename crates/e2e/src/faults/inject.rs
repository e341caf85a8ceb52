//! Carries out one fault, from its beginning to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::draw::{Fault, What};
use super::victim;
use crate::{Fleet, Link, Token};

/// How long to wait for a COMMIT to be held: nobody may be there to send one.
const HELD_WITHIN: Duration = Duration::from_secs(1);

/// What is done to the store is done by one at a time.
pub(super) type Store = Mutex<()>;

/// Some faults are about a token of their own.
pub(super) async fn inject(fleet: &Arc<Fleet>, store: &Store, fault: Fault, token: Option<&Token>) {
    let Fault { what, lasts } = fault;
    match what {
        What::KillReplica(number) => {
            fleet.replicas[number].kill();
            sleep(lasts).await;
            fleet.replicas[number].restart();
        }
        What::StopReplica(number) => {
            fleet.replicas[number].signal("STOP");
            sleep(lasts).await;
            fleet.replicas[number].signal("CONT");
        }
        What::RollReplica(number) => fleet.replicas[number].roll(),
        What::CrashHolder(number) => fleet.holders[number].crash(),
        What::StopHolder(number) => {
            fleet.holders[number].signal("STOP");
            sleep(lasts).await;
            fleet.holders[number].signal("CONT");
        }
        What::CallerGone(number) => {
            fleet.holders[number].signal("STOP");
            if let Some(token) = token {
                victim::deserted(fleet, token, lasts).await;
            }
            fleet.holders[number].signal("CONT");
        }
        What::HolderLink(..)
        | What::HolderLinks(..)
        | What::ReplicaLinks(..)
        | What::CallerLink(..)
        | What::StoreLink(..)
        | What::StoreLinks(_) => {
            set_links(fleet, what, None);
            sleep(lasts).await;
            set_links(fleet, what, Some(Link::WHOLE));
        }
        What::SuppressNotify | What::EndSessions | What::RestartStore | What::HoldCommits(_) => {
            disturb_store(fleet, store, fault).await;
        }
    }
}

/// Sets the links of this fault, if it has some: to its own state, or to another.
fn set_links(fleet: &Fleet, what: What, other: Option<Link>) {
    let to = |link: Link| other.unwrap_or(link);
    match what {
        What::HolderLink(holder, replica, link) => fleet.holders[holder].links[replica].set(to(link)),
        What::HolderLinks(holder, link) => fleet.holders[holder].set_links(to(link)),
        What::ReplicaLinks(replica, link) => {
            fleet.holders.iter().for_each(|holder| holder.links[replica].set(to(link)));
        }
        What::CallerLink(replica, link) => fleet.replicas[replica].callers.set(to(link)),
        What::StoreLink(replica, link) => fleet.replicas[replica].store.set(to(link)),
        What::StoreLinks(link) => fleet.replicas.iter().for_each(|replica| replica.store.set(to(link))),
        _ => {}
    }
}

async fn disturb_store(fleet: &Arc<Fleet>, store: &Store, fault: Fault) {
    let turn = store.lock().await;
    match fault.what {
        What::SuppressNotify => {
            fleet.suppress_notify().await;
            fleet.end_sessions().await;
            drop(turn);
            sleep(fault.lasts).await;
            let _turn = store.lock().await;
            fleet.restore_notify().await;
            fleet.end_sessions().await;
        }
        What::EndSessions => fleet.end_sessions().await,
        What::RestartStore => fleet.restart_store(),
        What::HoldCommits(how) => {
            if timeout(HELD_WITHIN, fleet.hold_commits()).await.is_ok() {
                // Of whoever deletes just then.
                timeout(fault.lasts.min(HELD_WITHIN), fleet.disturb_deletes(how)).await.ok();
            }
            fleet.release_commits().await;
        }
        _ => {}
    }
}
