//! A straight line through points, by least squares, and how sure its slope is.

/// `value = start + slope · x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    pub(super) start: f64,
    pub(super) slope: f64,
    /// The slope's standard error, as if the deviations from the line were independent of each other.
    pub(super) error: f64,
}

/// The line through these; at least three of them, not all at one place.
pub(super) fn fit(points: &[(f64, f64)]) -> Fit {
    assert!(points.len() > 2, "too few samples for a slope and its error");
    #[expect(clippy::cast_precision_loss, reason = "few points")]
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let slope = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>() / spread;
    let start = y_mean - slope * x_mean;
    let rest: f64 = points.iter().map(|(x, y)| (y - start - slope * x).powi(2)).sum();
    Fit { start, slope, error: (rest / (count - 2.0) / spread).sqrt() }
}

impl Fit {
    pub(super) fn at(&self, x: f64) -> f64 {
        self.start + self.slope * x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn points_on_a_line_give_that_line_without_an_error() {
        let fit = fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 7.0)]);
        assert!(near(fit.start, 1.0) && near(fit.slope, 2.0) && near(fit.error, 0.0), "{fit:?}");
        assert!(near(fit.at(10.0), 21.0));
    }

    #[test]
    fn the_error_is_that_of_the_textbook() {
        // Deviations of ±1 around 0: rest 4 − 0.8, spread 5, two degrees of freedom.
        let fit = fit(&[(0.0, 1.0), (1.0, -1.0), (2.0, 1.0), (3.0, -1.0)]);
        assert!(near(fit.slope, -0.4) && near(fit.error, (3.2_f64 / 2.0 / 5.0).sqrt()), "{fit:?}");
    }
}
