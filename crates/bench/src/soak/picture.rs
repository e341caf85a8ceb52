//! The picture of a run, as SVG, in the light and in the dark: memory, descriptors, how far behind the log, and what is left of the
//! lease, over time.

use std::fmt::Write;

use super::Seen;
use super::sample::Sample;
use super::verdict::{memory, name};

const WIDTH: f64 = 900.0;
/// Where the axes are, from the left, and what is free to their right.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
/// Of the head, of each panel with its title, and of its drawing.
const HEAD: f64 = 112.0;
const PANEL: f64 = 168.0;
const DRAWING: f64 = 112.0;
const FOOT: f64 = 44.0;
/// So many marks on an axis, or a few less or more.
const MARKS: f64 = 4.0;

const STYLE: &str = "
.back { fill: #ffffff } .warm { fill: #f3f4f6 } .grid { stroke: #d8dee4 } .axis { stroke: #8c959f }
.head { fill: #1f2328; font-size: 18px; font-weight: 600 } .title { fill: #1f2328; font-weight: 600 } .note { fill: #59636e }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round } .fit { fill: none; stroke: #1f2328; stroke-width: 1.2; stroke-dasharray: 6 4 }
.p0 { stroke: #0969da } .p1 { stroke: #bc4c00 } .p2 { stroke: #1a7f37 }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117 } .warm { fill: #161b22 } .grid { stroke: #30363d } .axis { stroke: #6e7681 }
.head { fill: #f0f6fc } .title { fill: #f0f6fc } .note { fill: #9198a1 } .fit { stroke: #f0f6fc }
.p0 { stroke: #4493f8 } .p1 { stroke: #f0883e } .p2 { stroke: #3fb950 }
}
";

/// A line in a panel: its class, and its points in seconds and the panel's unit.
type Drawn = (String, Vec<(f64, f64)>);

struct Panel {
    title: &'static str,
    lines: Vec<Drawn>,
    /// The top of its axis, at least.
    least: f64,
}

/// The picture, as a file's text.
pub(super) fn draw(seen: &Seen) -> String {
    let panels = [
        resident(seen),
        Panel {
            title: "Descriptors",
            lines: of_processes(seen, |sample, process| wide(sample.processes[process].descriptors)),
            least: 10.0,
        },
        Panel {
            title: "Revocations that the server has yet to apply (head − applied)",
            lines: vec![of_server(seen, |sample| sample.behind)],
            least: 10.0,
        },
        Panel {
            title: "Left of the server's lease, in seconds",
            lines: vec![of_server(seen, |sample| sample.lease_left)],
            least: 10.0,
        },
    ];
    let height = HEAD + PANEL * wide(panels.len()) + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\" role=\"img\" aria-label=\"Memory, descriptors, lag and lease over time\">\n<style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    head(&mut svg, seen);
    let end = seen.samples.last().map_or(1.0, |sample| sample.seconds.max(1.0));
    for (number, panel) in panels.iter().enumerate() {
        panel.draw(&mut svg, HEAD + PANEL * wide(number), end, seen.warm);
    }
    text(
        &mut svg,
        "note",
        "middle",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        height - 14.0,
        "minutes at half load, of which the shaded ones are warm-up",
    );
    svg.push_str("</svg>\n");
    svg
}

fn head(svg: &mut String, seen: &Seen) {
    text(svg, "head", "start", 24.0, 34.0, &format!("Soak at half load: {}", seen.what));
    let last = &seen.after;
    let calls = format!(
        "{}. In all {} checks, {} failed calls, {} stale accepts.",
        seen.pace, last.checks, last.failed, last.stale
    );
    text(svg, "note", "start", 24.0, 58.0, &calls);
    let mut x = 24.0;
    for process in 0..last.processes.len() {
        let (slope, error) = memory(seen, process).an_hour();
        let label = format!("{} ({slope:+.2} ± {error:.2} MiB an hour)", name(process));
        writeln_to(svg, &format!("<path class=\"line p{process}\" d=\"M{x} 82h22\"/>"));
        text(svg, "note", "start", x + 28.0, 86.0, &label);
        x += 282.0;
    }
}

/// With the line of the verdict over what counts for it.
fn resident(seen: &Seen) -> Panel {
    let mut lines = of_processes(seen, |sample, process| sample.processes[process].resident_mib);
    let end = seen.samples.last().map_or(seen.warm, |sample| sample.seconds);
    for process in 0..seen.after.processes.len() {
        let fit = memory(seen, process).fit;
        lines.push(("fit".to_owned(), vec![(seen.warm, fit.at(seen.warm)), (end, fit.at(end))]));
    }
    Panel { title: "Resident memory in MiB, and its slope after warm-up", lines, least: 10.0 }
}

fn of_processes(seen: &Seen, value: impl Fn(&Sample, usize) -> f64) -> Vec<Drawn> {
    let points =
        |process| seen.samples.iter().map(|sample| (sample.seconds, value(sample, process))).collect();
    (0..seen.after.processes.len()).map(|process| (format!("line p{process}"), points(process))).collect()
}

fn of_server(seen: &Seen, value: impl Fn(&Sample) -> f64) -> Drawn {
    ("line p0".to_owned(), seen.samples.iter().map(|sample| (sample.seconds, value(sample))).collect())
}

impl Panel {
    fn draw(&self, svg: &mut String, y: f64, end: f64, warm: f64) {
        let values = self.lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value);
        let most = values.fold(self.least, f64::max);
        let step = step(most / MARKS);
        let top = (most / step).ceil() * step;
        let drawing = y + 26.0;
        let across = |seconds: f64| LEFT + seconds / end * (WIDTH - LEFT - RIGHT);
        let down = |value: f64| drawing + DRAWING * (1.0 - value / top);
        text(svg, "title", "start", LEFT, y + 14.0, self.title);
        let warmed = across(warm) - LEFT;
        writeln_to(
            svg,
            &format!(
                "<rect class=\"warm\" x=\"{LEFT}\" y=\"{drawing}\" width=\"{warmed:.1}\" height=\"{DRAWING}\"/>"
            ),
        );
        for value in marks(step, top) {
            let at = down(value);
            writeln_to(svg, &format!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{}\"/>", WIDTH - RIGHT));
            text(svg, "note", "end", LEFT - 8.0, at + 4.0, &format!("{value}"));
        }
        for minutes in marks(step_of_minutes(end / 60.0), end / 60.0) {
            let (at, foot) = (across(minutes * 60.0), drawing + DRAWING);
            writeln_to(svg, &format!("<path class=\"axis\" d=\"M{at:.1} {foot}v5\"/>"));
            text(svg, "note", "middle", at, foot + 18.0, &format!("{minutes}"));
        }
        for (class, points) in &self.lines {
            let mut path = String::new();
            for (number, (seconds, value)) in points.iter().enumerate() {
                let pen = if number == 0 { 'M' } else { 'L' };
                write!(path, "{pen}{:.1} {:.1}", across(*seconds), down(*value)).expect("a String takes all");
            }
            writeln_to(svg, &format!("<path class=\"{class}\" d=\"{path}\"/>"));
        }
    }
}

fn text(svg: &mut String, class: &str, anchor: &str, x: f64, y: f64, text: &str) {
    writeln_to(
        svg,
        &format!("<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"),
    );
}

fn writeln_to(svg: &mut String, line: &str) {
    svg.push_str(line);
    svg.push('\n');
}

/// 1, 2 or 5 times a power of ten: the least that is not less than this.
fn step(least: f64) -> f64 {
    let ten = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * ten);
    steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(least)
}

/// Whole minutes, unless there are only a few.
fn step_of_minutes(minutes: f64) -> f64 {
    step((minutes / 6.0).max(0.5))
}

/// From 0 up to this.
fn marks(step: f64, upto: f64) -> impl Iterator<Item = f64> {
    (0..1_000_u32)
        .map(move |number| f64::from(number) * step)
        .take_while(move |mark| *mark <= upto * (1.0 + 1e-9))
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
const fn wide(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "steps of exact numbers")]
    fn axes_have_round_marks() {
        for (least, expected) in [(0.4, 0.5), (1.0, 1.0), (1.2, 2.0), (3.0, 5.0), (7.0, 10.0), (25.0, 50.0)] {
            assert_eq!(step(least), expected);
        }
        assert_eq!(marks(5.0, 20.0).collect::<Vec<_>>(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(step_of_minutes(3.0), 0.5);
        assert_eq!(step_of_minutes(60.0), 10.0);
    }
}
