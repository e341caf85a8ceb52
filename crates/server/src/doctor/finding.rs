//! What the doctor says: a line for each thing that was looked at, as it is seen, and how many there were at the end.

use serde_json::json;

use crate::{Failure, say};

/// What was said so far.
pub(super) struct Findings {
    json: bool,
    ok: usize,
    warnings: usize,
    failures: usize,
}

impl Findings {
    pub(super) const fn new(json: bool) -> Self {
        Self { json, ok: 0, warnings: 0, failures: 0 }
    }

    /// As it should be.
    pub(super) fn ok(&mut self, what: &str, text: &str) -> Result<(), Failure> {
        self.ok += 1;
        self.line("ok", what, text)
    }

    /// A server does its work, and somebody should look at it all the same.
    pub(super) fn warn(&mut self, what: &str, text: &str) -> Result<(), Failure> {
        self.warnings += 1;
        self.line("warn", what, text)
    }

    /// A server would not start, or not do its work.
    pub(super) fn fail(&mut self, what: &str, text: &str) -> Result<(), Failure> {
        self.failures += 1;
        self.line("FAIL", what, text)
    }

    fn line(&self, level: &str, what: &str, text: &str) -> Result<(), Failure> {
        if self.json {
            say(&json!({ "level": level.to_lowercase(), "what": what, "text": text }).to_string())
        } else {
            say(&format!("{level:<4}  {what}: {text}"))
        }
    }

    /// The verdict on all of it.
    pub(super) fn end(self) -> Result<(), Failure> {
        let Self { json, ok, warnings, failures } = self;
        if json {
            say(&json!({ "level": "summary", "ok": ok, "warn": warnings, "fail": failures }).to_string())?;
        }
        if failures > 0 {
            return Err(Failure::Run(format!("{failures} failed, {warnings} warnings, {ok} are well")));
        }
        if json { Ok(()) } else { say(&format!("nothing failed, {warnings} warnings, {ok} are well")) }
    }
}
