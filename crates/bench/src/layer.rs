//! A tonic echo with the interceptor's layer in front, beside the same echo without it: what the check costs a service.

use std::sync::Arc;
use std::time::Duration;

use gatekey_e2e::{Start, dev_token};
use tempfile::TempDir;

use crate::echo::PeerProcess;
use crate::load::{Asked, Shape, verify};
use crate::table::{Line, median, print};
use crate::verify::SHAPES;

const EACH: Duration = Duration::from_secs(2);

pub(crate) async fn run(pairs: usize) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--log", "warn"]).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let (_, value) = client.create_batch("benchmark").await;
    let bare = PeerProcess::bare();
    let protected = PeerProcess::protected(server.grpc, &dev_token(folder.path(), &["--role", "verifier"]));
    // The message holds no token: what is verified is the bearer.
    let asked = Arc::new(Asked::Values(vec!["a message".to_owned()]));
    let mut lines = Vec::new();
    for shape in SHAPES {
        let Shape { connections, in_flight } = shape;
        eprintln!("{connections} connections with {in_flight} calls in flight: {pairs} pairs");
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for pair in 0..pairs {
            // Each goes first in every other pair.
            for turn in [pair % 2, (pair + 1) % 2] {
                if turn == 0 {
                    without.push(verify(bare.address, &value, &asked, shape, EACH).await);
                } else {
                    with.push(verify(protected.address, &value, &asked, shape, EACH).await);
                }
            }
        }
        let ratio = median(with.iter().zip(&without).map(|(with, without)| with / without).collect());
        lines.push(Line {
            what: format!("tonic echo with the layer, {connections}×{in_flight}"),
            figure: format!("{:.0}/s", median(with)),
            peer: format!("without {:.0}/s", median(without)),
            ratio: Some(ratio),
            goal: "≥ 0.97",
            met: Some(ratio >= 0.97),
        });
    }
    print(&lines);
}
