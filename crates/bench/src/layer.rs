//! A tonic echo with the interceptor's layer in front, beside the same echo without it: what the check costs a service. And
//! beside the same echo once more: what cannot be told from nothing on this machine.

use std::sync::Arc;
use std::time::Duration;

use gatekey_e2e::{Start, dev_token};
use tempfile::TempDir;

use crate::echo::PeerProcess;
use crate::load::{Asked, verify};
use crate::table::{Line, median, print};
use crate::verify::SHAPES;

/// Short, so that what else goes on comes to all alike.
const EACH: Duration = Duration::from_millis(250);
/// Each in processes of its own: of two that do the same, one is faster by some percent for as long as they run.
const STARTS: usize = 8;

pub(crate) async fn run(pairs: usize) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--log", "warn"]).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let (_, value) = client.create_batch("benchmark").await;
    let jwt = dev_token(folder.path(), &["--role", "verifier"]);
    // The message holds no token: what is verified is the bearer.
    let asked = Arc::new(Asked::Values(vec!["a message".to_owned()]));
    let mut rates = SHAPES.map(|_| [Vec::new(), Vec::new(), Vec::new()]);
    for start in 0..STARTS {
        eprintln!("start {} of {STARTS}: {pairs} pairs for each of {} shapes", start + 1, SHAPES.len());
        let echoes = [PeerProcess::bare(), PeerProcess::bare(), PeerProcess::protected(server.grpc, &jwt)];
        for (rates, shape) in rates.iter_mut().zip(SHAPES) {
            for pair in 0..pairs {
                // Each goes first in its turn.
                for turn in 0..echoes.len() {
                    let which = (start + pair + turn) % echoes.len();
                    rates[which].push(verify(echoes[which].address, &value, &asked, shape, EACH).await);
                }
            }
        }
    }
    let mut lines = Vec::new();
    for ([bare, again, layered], shape) in rates.into_iter().zip(SHAPES) {
        let shape = format!("{}×{}", shape.connections, shape.in_flight);
        let ratio = |rates: &[f64]| median(rates.iter().zip(&bare).map(|(rate, bare)| rate / bare).collect());
        let (same, ratio) = (ratio(&again), ratio(&layered));
        let peer = format!("without {:.0}/s", median(bare));
        lines.push(Line {
            what: format!("tonic echo with the layer, {shape}"),
            figure: format!("{:.0}/s", median(layered)),
            peer: peer.clone(),
            ratio: Some(ratio),
            goal: "≥ 0.97",
            met: Some(ratio >= 0.97),
        });
        lines.push(Line {
            what: format!("the echo without it in another process, {shape}"),
            figure: format!("{:.0}/s", median(again)),
            peer,
            ratio: Some(same),
            goal: "",
            met: None,
        });
    }
    print(&lines);
}
