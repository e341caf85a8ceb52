//! `gatekey restored`: tells a store that it is another one than it was, so that nothing is believed that was remembered of
//! it: neither by replicas nor by services.

use super::{open, progress};
use crate::cli::Restored;
use crate::config::Settings;
use crate::{Failure, say};

pub(crate) async fn run(request: Restored) -> Result<(), Failure> {
    let (config, _) = Settings::from(request.store).check_store()?;
    let (opened, operator) = open(&config).await?;
    let outcome = async {
        let begun = operator.begin_epoch().await.map_err(|cause| Failure::caused("the store", &cause))?;
        progress("a new epoch has begun; waiting until no lease from before can live");
        let waited = operator.leases_over(&begun).await;
        say(&format!(
            "a new epoch has begun after {}, and every lease from before is over ({:.1} s)",
            begun.head,
            waited.as_secs_f64()
        ))
    };
    let outcome = outcome.await;
    opened.close().await;
    outcome
}
