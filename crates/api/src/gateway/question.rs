//! The question of a gateway: which token its route asks for, and which token came.

use gatekey_access::{Refusal, Rule};
use gatekey_model::PresentedToken;

use super::path;

/// A request that a gateway asks about, as far as it matters here.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// What its route asks for.
    pub(crate) rule: Result<Rule, NoRule>,
    /// Its token.
    pub(crate) presented: Result<PresentedToken<'a>, Refusal>,
}

/// Why nothing says who may pass: for the log, and for whoever sets up the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRule {
    TypeMissing,
    TypeUnknown,
    TypeContradicted,
    ParameterUnknown,
    ValueUnknown,
    PathAmbiguous,
    OriginalMissing,
    OriginalContradicted,
}

impl NoRule {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TypeMissing => "a gateway asks without a type: set type to batch, realtime or any",
            Self::TypeUnknown => "a gateway asks with a type that is none: set it to batch, realtime or any",
            Self::TypeContradicted => "a gateway asks with more than one type",
            Self::ParameterUnknown => "a gateway asks with a parameter that is none, or that is there twice",
            Self::ValueUnknown => "a gateway asks with a value that its parameter does not have",
            Self::PathAmbiguous => "the path of a request can be read in more than one way",
            Self::OriginalMissing => {
                "a gateway does not say what the original request is for: set X-Original-URI"
            }
            Self::OriginalContradicted => {
                "a gateway's headers contradict each other about the original request"
            }
        }
    }
}

/// What a gateway's configuration says of a route, collected from its parameters.
#[derive(Debug, Default)]
pub(crate) struct Mandate {
    rule: Option<Rule>,
    ambiguous_paths: bool,
    strip_authorization: bool,
    seen: Vec<&'static str>,
}

impl Mandate {
    /// The parameters, each a name and a value.
    pub(crate) fn read<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, NoRule> {
        let mut mandate = Self::default();
        for (name, value) in parameters {
            mandate.take(name, value)?;
        }
        Ok(mandate)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), NoRule> {
        const NAMES: [&str; 3] = ["type", "ambiguous_paths", "strip_authorization"];
        let name = NAMES.into_iter().find(|known| *known == name).ok_or(NoRule::ParameterUnknown)?;
        if name == "type" {
            return self.ask_for(value);
        }
        if self.seen.contains(&name) {
            return Err(NoRule::ParameterUnknown);
        }
        self.seen.push(name);
        match (name, value) {
            ("ambiguous_paths", "allow") => self.ambiguous_paths = true,
            ("strip_authorization", "true") => self.strip_authorization = true,
            ("ambiguous_paths", "refuse") | ("strip_authorization", "false") => {}
            _ => return Err(NoRule::ValueUnknown),
        }
        Ok(())
    }

    /// Another place says which type is asked for. All must say the same.
    pub(crate) fn ask_for(&mut self, kind: &str) -> Result<(), NoRule> {
        let rule = Rule::from_name(kind).ok_or(NoRule::TypeUnknown)?;
        match self.rule.replace(rule) {
            Some(before) if before != rule => Err(NoRule::TypeContradicted),
            _ => Ok(()),
        }
    }

    /// Whether the service shall not see the token.
    pub(crate) const fn strips_authorization(&self) -> bool {
        self.strip_authorization
    }

    /// The rule for a request to this target. A gateway that does not say to which can't have its path looked at.
    pub(crate) fn rule(&self, target: Option<&str>) -> Result<Rule, NoRule> {
        let rule = self.rule.ok_or(NoRule::TypeMissing)?;
        if self.ambiguous_paths {
            return Ok(rule);
        }
        let target = target.ok_or(NoRule::OriginalMissing)?;
        if path::is_ambiguous(target) { Err(NoRule::PathAmbiguous) } else { Ok(rule) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(parameters: &[(&str, &str)], target: Option<&str>) -> Result<Rule, NoRule> {
        Mandate::read(parameters.iter().copied()).and_then(|mandate| mandate.rule(target))
    }

    #[test]
    fn a_rule_is_one_known_type() {
        assert_eq!(rule(&[("type", "batch")], Some("/a")), Ok(Rule::Batch));
        assert_eq!(rule(&[("type", "realtime")], Some("/a")), Ok(Rule::Realtime));
        assert_eq!(rule(&[("type", "any"), ("type", "any")], Some("/a")), Ok(Rule::Any));
        assert_eq!(rule(&[("type", "any")], None), Err(NoRule::OriginalMissing));
        assert_eq!(rule(&[], None), Err(NoRule::TypeMissing));
        for unknown in ["", "Batch", "public", "batch ", "batch,realtime"] {
            assert_eq!(rule(&[("type", unknown)], None), Err(NoRule::TypeUnknown), "{unknown:?}");
        }
        assert_eq!(rule(&[("type", "batch"), ("type", "any")], None), Err(NoRule::TypeContradicted));
        assert_eq!(rule(&[("Type", "batch")], None), Err(NoRule::ParameterUnknown));
        assert_eq!(rule(&[("type", "batch"), ("tpye", "any")], None), Err(NoRule::ParameterUnknown));
    }

    #[test]
    fn ambiguous_paths_are_refused_unless_the_route_wants_them() {
        let odd = Some("/batch/../realtime");
        assert_eq!(rule(&[("type", "batch")], odd), Err(NoRule::PathAmbiguous));
        assert_eq!(
            rule(&[("type", "batch"), ("ambiguous_paths", "refuse")], odd),
            Err(NoRule::PathAmbiguous)
        );
        let allow = ("ambiguous_paths", "allow");
        assert_eq!(rule(&[("type", "batch"), allow], odd), Ok(Rule::Batch));
        assert_eq!(rule(&[("type", "batch"), allow], None), Ok(Rule::Batch), "nothing of the path matters");
        assert_eq!(rule(&[("type", "batch"), allow, allow], odd), Err(NoRule::ParameterUnknown));
        assert_eq!(rule(&[("type", "batch"), ("ambiguous_paths", "yes")], None), Err(NoRule::ValueUnknown));
    }
}
