//! Which traces are sent. A trace that began elsewhere goes as whoever began it decided; of those that begin here, a share.

use opentelemetry_sdk::trace::Sampler;

/// The share of traces that begin here, unless it is set: at 10,000 verifications a second as many spans as fit into the queue.
const RATIO: f64 = 0.01;

/// Which traces are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    /// Whether whoever began a trace decides.
    follows_parent: bool,
    /// The share of all others, 0 to 1.
    ratio: f64,
}

impl Sampling {
    const fn parent_based(ratio: f64) -> Self {
        Self { follows_parent: true, ratio }
    }

    pub(super) fn sampler(self) -> Sampler {
        let root = Sampler::TraceIdRatioBased(self.ratio);
        if self.follows_parent { Sampler::ParentBased(Box::new(root)) } else { root }
    }
}

/// By `--trace-ratio`, else by `OTEL_TRACES_SAMPLER` and its argument, which `variable` reads, else by default.
pub(crate) fn sampling(
    ratio: Option<f64>,
    variable: impl Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> Sampling {
    if let Some(ratio) = ratio {
        if !is_ratio(ratio) {
            problems.push("--trace-ratio: must be 0 to 1".to_owned());
        }
        return Sampling::parent_based(ratio);
    }
    let given = |name: &str| variable(name).filter(|text| !text.is_empty());
    let Some(name) = given("OTEL_TRACES_SAMPLER") else { return Sampling::parent_based(RATIO) };
    let argument = given("OTEL_TRACES_SAMPLER_ARG");
    let (follows_parent, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name.as_str()),
    };
    let ratio = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => argument.map_or(1.0, |text| text.parse().unwrap_or(f64::NAN)),
        _ => {
            problems.push(
                "OTEL_TRACES_SAMPLER: must be always_on, always_off or traceidratio, or one of these after \
                 parentbased_; or give --trace-ratio"
                    .to_owned(),
            );
            0.0
        }
    };
    if !is_ratio(ratio) {
        problems.push("OTEL_TRACES_SAMPLER_ARG: must be 0 to 1".to_owned());
    }
    Sampling { follows_parent, ratio }
}

fn is_ratio(ratio: f64) -> bool {
    (0.0..=1.0).contains(&ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ratio: Option<f64>, name: &str, argument: &str) -> (Sampling, Vec<String>) {
        let mut problems = Vec::new();
        let variable = |asked: &str| match asked {
            "OTEL_TRACES_SAMPLER" => Some(name.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(argument.to_owned()),
            _ => None,
        };
        (sampling(ratio, variable, &mut problems), problems)
    }

    #[test]
    fn the_flag_goes_before_the_environment_and_that_before_the_default() {
        for (ratio, name, argument, expected) in [
            (None, "", "", Sampling::parent_based(RATIO)),
            (None, "", "0.5", Sampling::parent_based(RATIO)),
            (Some(0.25), "always_on", "", Sampling::parent_based(0.25)),
            (None, "always_on", "", Sampling { follows_parent: false, ratio: 1.0 }),
            (None, "always_off", "", Sampling { follows_parent: false, ratio: 0.0 }),
            (None, "traceidratio", "0.5", Sampling { follows_parent: false, ratio: 0.5 }),
            (None, "traceidratio", "", Sampling { follows_parent: false, ratio: 1.0 }),
            (None, "parentbased_always_on", "x", Sampling::parent_based(1.0)),
            (None, "parentbased_traceidratio", "0.5", Sampling::parent_based(0.5)),
        ] {
            assert_eq!(read(ratio, name, argument), (expected, Vec::new()), "{ratio:?} {name} {argument}");
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for (ratio, name, argument, expected) in [
            (Some(1.5), "", "", "--trace-ratio: must be 0 to 1"),
            (Some(f64::NAN), "", "", "--trace-ratio: must be 0 to 1"),
            (None, "jaeger_remote", "", "OTEL_TRACES_SAMPLER: must be"),
            (None, "traceidratio", "2", "OTEL_TRACES_SAMPLER_ARG: must be"),
            (None, "parentbased_traceidratio", "half", "OTEL_TRACES_SAMPLER_ARG: must be"),
        ] {
            let (_, problems) = read(ratio, name, argument);
            assert!(problems.len() == 1 && problems[0].starts_with(expected), "{name}: {problems:?}");
        }
    }
}
