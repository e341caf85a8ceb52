//! What a holder in a process of its own is told on standard input and answers on standard output: a line of
//! JSON each. A value is only ever told, never answered.

use std::io::{BufRead, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Checked, HolderStart, Outcome};

/// Has it check a token.
pub(super) fn command(number: u64, value: &str) -> String {
    json!({ "n": number, "check": value }).to_string()
}

fn answer(number: u64, checked: Checked) -> String {
    let Checked { outcome, cached, invoked, returned } = checked;
    let outcome = match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Rejected => "rejected",
        Outcome::CannotTell => "cannot_tell",
    };
    json!({ "n": number, "outcome": outcome, "cached": cached, "invoked": invoked, "returned": returned })
        .to_string()
}

pub(super) fn answered(line: &str) -> Option<(u64, Checked)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let number = |name: &str| line[name].as_u64();
    let outcome = match line["outcome"].as_str()? {
        "accepted" => Outcome::Accepted,
        "rejected" => Outcome::Rejected,
        "cannot_tell" => Outcome::CannotTell,
        _ => return None,
    };
    let cached = line["cached"].as_bool()?;
    let (invoked, returned) = (number("invoked")?, number("returned")?);
    Some((number("n")?, Checked { outcome, cached, invoked, returned }))
}

/// Runs a holder in this process: what `bin/holder.rs` does. Ends with standard input.
///
/// # Panics
/// If a line on standard input is no command, or the server broke the contract.
pub fn serve(start: HolderStart) {
    let runtime = Runtime::new().expect("a runtime");
    let holder = {
        let _inside = runtime.enter();
        Arc::new(start.start())
    };
    for line in std::io::stdin().lock().lines() {
        // A value is never part of a message, so this says no more.
        let line = line.expect("standard input is text");
        let command: Value = serde_json::from_str(&line).expect("a command");
        let (number, value) = (command["n"].as_u64(), command["check"].as_str());
        let (number, value) = (number.expect("a number"), value.expect("a value").to_owned());
        let holder = Arc::clone(&holder);
        runtime.spawn(async move {
            let checked = holder.check(&value).await;
            let mut out = std::io::stdout().lock();
            // Who started it may be gone: then this ends soon, too.
            writeln!(out, "{}", answer(number, checked)).and_then(|()| out.flush()).ok();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for outcome in [Outcome::Accepted, Outcome::Rejected, Outcome::CannotTell] {
            let checked = Checked { outcome, cached: true, invoked: u64::MAX - 1, returned: u64::MAX };
            assert_eq!(answered(&answer(7, checked)), Some((7, checked)));
        }
        assert_eq!(answered("{}"), None);
    }
}
