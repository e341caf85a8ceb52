//! `gatekey dev-token`: another JWT for a server in development mode.

use std::io::ErrorKind;

use gatekey_core::Role;

use crate::cli::DevToken;
use crate::dev_key::{DevCaller, DevKey};
use crate::{Failure, say};

pub(crate) fn run(request: &DevToken) -> Result<(), Failure> {
    let folder = request.data_dir.display();
    // Making a key here would give a JWT that no server takes, to whoever mistyped the folder.
    let key = DevKey::existing(&request.data_dir).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => Failure::Run(format!(
            "--data-dir: {folder} has no signing key: give the data folder of a server in development mode, and \
             start that first"
        )),
        _ => Failure::run(&format!("the signing key in {folder}"), cause),
    })?;
    let mut roles: Vec<Role> = request.roles.iter().copied().map(Role::from).collect();
    if roles.is_empty() && !request.no_role {
        roles = vec![Role::Developer, Role::Verifier];
    }
    let caller = DevCaller {
        subject: &request.subject,
        tenant: (!request.no_tenant).then_some(request.tenant.as_str()),
        roles: &roles,
        ttl: request.ttl,
    };
    let token = key.sign(&caller).map_err(|cause| Failure::run("the JWT can't be signed", cause))?;
    say(&token)
}
