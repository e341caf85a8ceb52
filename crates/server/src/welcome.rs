//! The start-up message of development mode: commands to paste into another terminal.

use std::net::SocketAddr;
use std::path::Path;

/// The message, with a JWT that the server takes.
pub(crate) fn message(grpc: SocketAddr, http: SocketAddr, data_dir: &Path, jwt: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    // In full, as the other terminal may be in another folder.
    let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    let data_dir = data_dir.display();
    let program = std::env::current_exe().unwrap_or_else(|_| "gatekey".into());
    let program = program.display();
    format!(
        r#"
Gatekey {version} in development mode: for this machine only. Its data is in {data_dir}.
  gRPC  {grpc}, with reflection
  HTTP  http://{http}/livez and /readyz
The life of a token, with grpcurl (https://github.com/fullstorydev/grpcurl):

# --- paste into another terminal ---
export GATEKEY_JWT='{jwt}'
gk() {{ grpcurl -plaintext -H "authorization: Bearer $GATEKEY_JWT" -d "$2" {grpc} gatekey.v1.TokenService/"$1"; }}
CREATED=$(gk CreateToken '{{"name": "Production Integration", "type": "TOKEN_TYPE_BATCH", "years_valid": 1}}'); echo "$CREATED"
ID=$(echo "$CREATED" | sed -n 's/.*"id": *"\([0-9]*\)".*/\1/p')
VALUE=$(echo "$CREATED" | sed -n 's/.*"tokenValue": *"\([^"]*\)".*/\1/p')
gk CreateToken '{{"name": "Live captions", "type": "TOKEN_TYPE_REALTIME", "years_valid": 2}}'
gk ListTokens '{{}}'
gk VerifyToken "{{\"token_value\": \"$VALUE\", \"required_type\": \"TOKEN_TYPE_BATCH\"}}"
gk DeleteToken "{{\"id\": $ID}}"
gk VerifyToken "{{\"token_value\": \"$VALUE\"}}"
# --- end ---

Another JWT:  '{program}' dev-token --data-dir '{data_dir}' --role developer --role verifier --tenant acme
For production, with an issuer of JWTs:  '{program}' --help
"#
    )
}
