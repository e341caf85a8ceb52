//! The service over HTTP as a program.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use gatekey_examples::{Settings, run, serve_http};

/// A service over HTTP that Gatekey's tokens protect.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where it listens; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    addr: SocketAddr,
    /// Where traces are sent, by OTLP over gRPC, as in http://127.0.0.1:4317. Without it there are none.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { addr, otlp_endpoint, settings } = Cli::parse();
    run(settings.with_traces(otlp_endpoint), addr, examples, serve_http).await
}

/// Commands to paste.
fn examples(bound: SocketAddr) -> String {
    format!(
        r#"
With a token's value in BATCH or REALTIME:
  curl -i -H "authorization: Bearer $BATCH" http://{bound}/v1/batch/caller
  curl -i -H "authorization: Bearer $BATCH" --data-binary @README.md http://{bound}/v1/uploads
  curl -N -H "authorization: Bearer $REALTIME" http://{bound}/v1/realtime/events
      ends when the token is deleted
  websocat -H="authorization: Bearer $REALTIME" ws://{bound}/v1/realtime
      the same, and answers each line until then
"#
    )
}
