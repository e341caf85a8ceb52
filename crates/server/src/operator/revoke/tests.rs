//! Which flags go together, and what is said where they don't.

use clap::Parser;
use gatekey_model::TokenKey;

use super::*;
use crate::cli::{Cli, Command};

fn parsed(flags: &[&str]) -> (Option<Asked>, Vec<String>) {
    let cli = Cli::try_parse_from(["gatekey", "revoke"].iter().chain(flags)).expect("known flags");
    let Some(Command::Revoke(request)) = cli.command else { panic!("the command") };
    let mut problems = Vec::new();
    let asked = asked(&request, &mut problems);
    record(&request.record, &mut problems);
    (asked, problems)
}

fn tenant() -> TenantId {
    TenantId::parse("acme").expect("a tenant")
}

#[test]
fn each_way_to_name_tokens() {
    let subject = || "ada".to_owned();
    let cases: [(&[&str], Asked); 6] = [
        (&["--value-stdin"], Asked::Values),
        (
            &["--key", "gk_b_vZ9YpZhu"],
            Asked::Named(Selection::Keys(vec![TokenKey::from_stored("gk_b_vZ9YpZhu".to_owned())])),
        ),
        (&["--tenant", "acme"], Asked::All(Selection::Tenant(tenant()))),
        (&["--creator", "ada"], Asked::All(Selection::Creator { subject: subject(), tenant: None })),
        (
            &["--creator", "ada", "--tenant", "acme"],
            Asked::All(Selection::Creator { subject: subject(), tenant: Some(tenant()) }),
        ),
        (
            &["--id", "7", "--tenant", "acme"],
            Asked::Named(Selection::Id { tenant: tenant(), id: TokenId::parse(7).expect("an id") }),
        ),
    ];
    for (flags, expected) in cases {
        assert_eq!(parsed(flags), (Some(expected), vec![]), "{flags:?}");
    }
}

#[test]
fn what_does_not_go_together_is_told_with_its_flag() {
    let value = gatekey_model::TokenValue::generate(
        &gatekey_model::TokenPrefix::default(),
        gatekey_model::TokenType::Batch,
    );
    let value = value.expect("random numbers");
    let cut_off = &value.expose()[..20];
    let cases: [(&[&str], &str); 13] = [
        (&[], "give one, to say which tokens"),
        (&["--value-stdin", "--key", "gk_b_vZ9YpZhu"], "give one of them only"),
        (&["--creator", "ada", "--id", "7"], "give one of them only"),
        (&["--value-stdin", "--tenant", "acme"], "--tenant: goes alone"),
        (&["--key", "gk_b_vZ9YpZhu", "--tenant", "acme"], "--tenant: goes alone"),
        (&["--id", "7"], "--id: give --tenant too"),
        (&["--id", "0", "--tenant", "acme"], "--id: must be 1 or more"),
        (&["--tenant", ""], "--tenant: a tenant has 1 to 255 characters"),
        (&["--key", value.expose()], "not the value"),
        (&["--key", cut_off], "not the value"),
        (&["--key", "gk_b_vZ9YpZhu", "--key", cut_off], "not the value"),
        (&["--key", "gk_b_vZ9YpZhu", "--reason", value.expose()], "--reason: must not hold a token value"),
        (&["--key", "gk_b_vZ9YpZhu", "--operator", " "], "--operator: must have 1 to 255 characters"),
    ];
    for (flags, expected) in cases {
        let (_, problems) = parsed(flags);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
        assert!(problems.iter().all(|problem| !problem.contains(cut_off)));
    }
}
