//! The service over gRPC as a program.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use gatekey_examples::{Settings, run, serve_grpc};

/// A service over gRPC that Gatekey's tokens protect.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where it listens; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50061")]
    addr: SocketAddr,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { addr, settings } = Cli::parse();
    run(settings, addr, examples, serve_grpc).await
}

/// Commands to paste.
fn examples(bound: SocketAddr) -> String {
    format!(
        r#"
With a token's value in BATCH or REALTIME:
  grpcurl -plaintext -H "authorization: Bearer $BATCH" {bound} transcribe.v1.BatchService/Describe
  grpcurl -plaintext -H "authorization: Bearer $BATCH" -d '{{"chunk": "AAAA"}}' {bound} transcribe.v1.BatchService/Upload
  grpcurl -plaintext -H "authorization: Bearer $REALTIME" -d @ {bound} transcribe.v1.RealtimeService/Transcribe
      and type {{"audio": "AAAA"}}, as often as you like: it ends when the token is deleted
"#
    )
}
