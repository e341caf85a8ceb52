//! The one decision: from a verdict on a token to an answer.

use gatekey_model::Verdict;

use crate::{Refusal, Rule};

/// Lets a request through, or says why not. `verdict` is that on its token where the rule's type is required
/// ([`Rule::required`]).
///
/// # Errors
/// Every verdict but [`Verdict::Active`] is a refusal.
#[inline]
pub const fn decide(verdict: Verdict, rule: Rule) -> Result<(), Refusal> {
    match (verdict, rule.required()) {
        (Verdict::Active, _) => Ok(()),
        (Verdict::WrongType, Some(required)) => Err(Refusal::WrongType(required)),
        // Which of these is not told; and where no type is required, none is wrong.
        (Verdict::Malformed | Verdict::Unknown | Verdict::Revoked | Verdict::Expired, _)
        | (Verdict::WrongType, None) => Err(Refusal::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use gatekey_model::TokenType;

    use super::*;

    const VERDICTS: [Verdict; 6] = [
        Verdict::Malformed,
        Verdict::Unknown,
        Verdict::Revoked,
        Verdict::Expired,
        Verdict::WrongType,
        Verdict::Active,
    ];

    #[test]
    fn only_an_active_token_is_let_through() {
        for rule in [Rule::Batch, Rule::Realtime, Rule::Any] {
            for verdict in VERDICTS {
                assert_eq!(decide(verdict, rule).is_ok(), verdict == Verdict::Active, "{verdict:?} {rule:?}");
            }
        }
    }

    #[test]
    fn only_a_good_token_is_told_that_its_type_is_wrong() {
        for kind in [TokenType::Batch, TokenType::Realtime] {
            for verdict in VERDICTS {
                let told = decide(verdict, kind.into()) == Err(Refusal::WrongType(kind));
                assert_eq!(told, verdict == Verdict::WrongType, "{verdict:?}");
            }
        }
    }
}
