//! `gatekey dev-token`: another JWT for a server in development mode.

use gatekey_core::Role;

use crate::Failure;
use crate::cli::DevToken;
use crate::dev_key::{DevCaller, DevKey};

pub(crate) fn run(request: &DevToken) -> Result<(), Failure> {
    let key = DevKey::in_folder(&request.data_dir).map_err(|cause| {
        Failure::run(&format!("the signing key in {}", request.data_dir.display()), cause)
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
    println!("{token}");
    Ok(())
}
