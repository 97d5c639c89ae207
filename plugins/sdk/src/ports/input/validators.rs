//! Validators: an author's functions that check a port, a namespace or all inputs, when a process is
//! submitted and never again, least of all by a step. They all run, so that all problems are reported at once.

use std::{fmt, marker::PhantomData};

use ferry_plugin_proto::Inputs as Nodes;

use super::{InputField, Inputs, read_inputs};
use crate::ports::problems::Problems;

/// Returns all problems of the inputs: ports that can't be read, those found by the validators of ports and
/// namespaces, and, if all can be read, those found by `together`.
pub(crate) fn judge_inputs<I: Inputs>(nodes: &Nodes, together: impl FnOnce(&I, &mut Problems)) -> Problems {
    let (inputs, mut bad) = match read_inputs::<I>(nodes) {
        Ok(inputs) => (Some(inputs), Problems::default()),
        Err(bad) => (None, bad),
    };
    I::judge_all(nodes, "", &mut bad);
    if let Some(inputs) = inputs {
        together(&inputs, &mut bad);
    }
    bad
}

/// A function that judges a `T`: it returns what is wrong (`How` is then [`Says`]), or notes it ([`Notes`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't judge a `{T}`",
    note = "a validator is a function `fn(&{T}) -> Result` or `fn(&{T}, &mut Problems)`"
)]
pub trait Validator<T, How> {
    /// Judges.
    fn judge(&self, value: &T, bad: &mut Problems);
}

/// See [`Validator`].
#[derive(Debug)]
pub struct Says<E>(PhantomData<E>);
/// See [`Validator`].
#[derive(Debug)]
pub struct Notes;

impl<T, E: fmt::Display, F: Fn(&T) -> Result<(), E>> Validator<T, Says<E>> for F {
    fn judge(&self, value: &T, bad: &mut Problems) {
        if let Err(wrong) = self(value) {
            bad.together(wrong.to_string());
        }
    }
}

impl<T, F: Fn(&T, &mut Problems)> Validator<T, Notes> for F {
    fn judge(&self, value: &T, bad: &mut Problems) {
        self(value, bad);
    }
}

/// Lets a validator look at a port, if something can be read there.
pub fn validate_port<T: InputField, How, V: Validator<T::Judged, How>>(
    validator: V,
    nodes: &Nodes,
    name: &str,
    bad: &mut Problems,
) {
    let Some(field) = T::read(nodes, name, &mut Problems::default()) else { return };
    if let Some(judged) = field.judged() {
        let mut inner = Problems::default();
        validator.judge(judged, &mut inner);
        bad.nest(name, inner);
    }
}

/// Lets a validator look at a whole namespace, if all of it can be read.
pub fn validate_all<I: Inputs, How, V: Validator<I, How>>(
    validator: V,
    nodes: &Nodes,
    prefix: &str,
    bad: &mut Problems,
) {
    if let Some(inputs) = I::read_all(nodes, prefix, &mut Problems::default()) {
        let mut inner = Problems::default();
        validator.judge(&inputs, &mut inner);
        bad.nest(prefix, inner);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing;

    fn is_even(n: &u32) -> Result<(), String> {
        if n.is_multiple_of(2) { Ok(()) } else { Err(format!("{n} is odd")) }
    }

    fn is_half(shift: &f64) -> crate::error::Result {
        if *shift == 0.5 { Ok(()) } else { Err("is not one half")? }
    }

    fn fits(grid: &Grid, bad: &mut Problems) {
        if grid.n < 4 && grid.shift.is_some() {
            bad.at("shift", "is for larger grids");
            bad.together("does not fit");
        }
    }

    fn few(weights: &BTreeMap<String, f64>, bad: &mut Problems) {
        if weights.len() > 1 {
            bad.together(format!("{} are too many", weights.len()));
        }
    }

    #[derive(crate::Inputs)]
    #[port(validate = fits)]
    struct Grid {
        #[port(validate = is_even)]
        n: u32,
        #[port(validate = is_half)]
        shift: Option<f64>,
    }

    fn not_alone(outer: &Outer) -> Result<(), &'static str> {
        if outer.maybe.is_none() { Err("needs `maybe`") } else { Ok(()) }
    }

    #[derive(crate::Inputs)]
    #[port(validate = not_alone)]
    struct Outer {
        grid: Grid,
        maybe: Option<Grid>,
        #[port(validate = few)]
        weights: BTreeMap<String, f64>,
    }

    #[test]
    fn validators_are_asked_at_every_level_and_all_is_told_by_full_name() {
        let grid = |n, shift| Grid { n, shift };
        let judged = |outer: &Outer, change: fn(&mut Nodes)| {
            let mut nodes = testing::nodes(outer);
            change(&mut nodes);
            let bad = judge_inputs::<Outer>(&nodes, |_, bad| bad.together("last"));
            bad.to_string()
        };
        let good = Outer { grid: grid(4, Some(0.5)), maybe: Some(grid(2, None)), weights: BTreeMap::new() };
        assert_eq!(judged(&good, |_| ()), "last");
        let weights = [("a".to_owned(), 1.0), ("b".to_owned(), 2.0)].into();
        let bad = Outer { grid: grid(3, Some(1.0)), maybe: None, weights };
        assert_eq!(
            judged(&bad, |_| ()),
            "grid.n: 3 is odd; grid.shift: is not one half; grid.shift: is for larger grids; grid: does not fit; \
             weights: 2 are too many; needs `maybe`; last"
        );
        // A port that can't be read hides neither the problems of others nor those around it.
        let said = judged(&bad, |nodes| drop(nodes.remove("grid.n")));
        assert_eq!(said, "grid.n: is required; grid.shift: is not one half; weights: 2 are too many");
    }
}
