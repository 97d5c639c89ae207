//! The figures at the end, each beside its baseline and its aim; and the median.

/// Figures in the order they were taken.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<[String; 4]>,
}

/// An upper or lower bound that a figure should keep.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    /// No more than this.
    Under(f64),
    /// This or more.
    AtLeast(f64),
}

impl Aim {
    fn met(self, figure: f64) -> bool {
        match self {
            Aim::Under(bound) => figure < bound,
            Aim::AtLeast(bound) => figure >= bound,
        }
    }
}

impl Table {
    /// Adds a figure with an aim. `unit` is printed behind both.
    pub(super) fn judge(&mut self, what: &str, figure: f64, unit: &str, baseline: &str, aim: Aim) {
        let bound = match aim {
            Aim::Under(bound) => format!("under {bound}{unit}"),
            Aim::AtLeast(bound) => format!("{bound:.2}{unit} or more"),
        };
        let verdict = if aim.met(figure) { "met" } else { "NOT met" };
        self.row(what, &format!("{figure:.2}{unit}"), baseline, &format!("{bound}: {verdict}"));
    }

    /// Adds a figure without an aim.
    pub(super) fn note(&mut self, what: &str, figure: f64, unit: &str, baseline: &str) {
        self.row(what, &format!("{figure:.2}{unit}"), baseline, "");
    }

    /// Adds a figure that could not be measured, with the reason.
    pub(super) fn skip(&mut self, what: &str, why: &str) {
        self.row(what, "skipped", "", why.lines().last().unwrap_or_default());
    }

    /// Prints all.
    pub(super) fn print(&self) {
        let head = ["figure", "ferry", "baseline", "aim"].map(str::to_owned);
        let width = |column: usize| {
            std::iter::once(&head).chain(&self.rows).map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let [a, b, c] = [width(0), width(1), width(2)];
        println!();
        for [what, figure, baseline, aim] in std::iter::once(&head).chain(&self.rows) {
            println!("{}", format!("{what:a$}  {figure:>b$}  {baseline:>c$}  {aim}").trim_end());
        }
    }

    fn row(&mut self, what: &str, figure: &str, baseline: &str, aim: &str) {
        self.rows.push([what, figure, baseline, aim].map(str::to_owned));
    }
}

/// Returns the median of the figures: the mean of the two middle ones if their number is even.
pub(super) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn an_aim_is_met_or_not() {
        assert!(Aim::Under(10.0).met(9.9) && !Aim::Under(10.0).met(10.0));
        assert!(Aim::AtLeast(0.33).met(0.33) && !Aim::AtLeast(0.33).met(0.32));
        assert!(!Aim::Under(10.0).met(f64::NAN));
    }
}
