//! The start-up message of development mode: commands to paste into another terminal.

use std::net::SocketAddr;
use std::path::Path;

/// Where the server listens, and where the page is.
pub(crate) struct Addresses<'a> {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) base_path: &'a str,
    /// The server's certificate, where TLS is on.
    pub(crate) certificate: Option<&'a Path>,
}

/// The message, with a JWT that the server takes.
pub(crate) fn message(addresses: &Addresses<'_>, data_dir: &Path, jwt: &str) -> String {
    let Addresses { grpc, http, base_path, certificate } = addresses;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let transport = certificate.map_or_else(
        || "-plaintext".to_owned(),
        // Whatever its authority is: on one machine the certificate itself will do.
        |file| format!("-cacert '{}'", file.canonicalize().unwrap_or_else(|_| file.to_owned()).display()),
    );
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
  Page  {scheme}://{http}{base_path} in a browser: "API keys"
  HTTP  {scheme}://{http}/api/v3 (/api/v3/openapi.json describes it), /livez and /readyz
The life of a token, with grpcurl (https://github.com/fullstorydev/grpcurl):

# --- paste into another terminal ---
export GATEKEY_JWT='{jwt}'
gk() {{ grpcurl {transport} -H "authorization: Bearer $GATEKEY_JWT" -d "$2" {grpc} gatekey.v1.TokenService/"$1"; }}
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
