//! The one form of every benchmark's result, as `crates/bench` prints it.

/// A line of the table.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) peer: String,
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: &'static str,
    pub(crate) met: Option<bool>,
}

/// Prints the lines as a Markdown table.
pub(crate) fn print(lines: &[Line]) {
    println!("| what | figure | beside it | ratio | goal | met |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for Line { what, figure, peer, ratio, goal, met } in lines {
        let ratio = ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        let met = match met {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        println!("| {what} | {figure} | {peer} | {ratio} | {goal} | {met} |");
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
