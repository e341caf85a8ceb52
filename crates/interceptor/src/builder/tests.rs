//! What can't be connected is told before anything is.

use super::*;

#[test]
fn every_problem_is_told_at_once() {
    let error = Gatekey::builder(["gatekey", "http://a:1", "http://a:1/"])
        .bearer_file("/no/such/file")
        .max_verifications(0)
        .verify_timeout(Duration::ZERO)
        .connect()
        .expect_err("wrong");
    assert_eq!(error.problems().len(), 5, "{error}");
    for part in
        ["endpoints: gatekey", "twice", "credentials: /no/such/file", "max_verifications", "verify_timeout"]
    {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let error = Gatekey::builder(["http://127.0.0.1:1"])
        .bearer("a.jwt")
        .capacity((1 << 28) + 1)
        .verify_timeout(Duration::MAX)
        .connect()
        .expect_err("too much");
    assert_eq!(error.problems().len(), 2, "{error}");
    let none: [&str; 0] = [];
    let error = Gatekey::builder(none).connect().expect_err("nothing was given");
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[test]
fn credentials_are_not_shown() {
    let builder = Gatekey::builder(["http://127.0.0.1:1"]).bearer("hunter2");
    assert!(!format!("{builder:?}").contains("hunter2"));
    let error = Gatekey::builder(["http://127.0.0.1:1"]).bearer("two hunter2").connect().expect_err("no JWT");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
