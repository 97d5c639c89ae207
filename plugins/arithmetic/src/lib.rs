//! The smallest plugin: sums and products, as functions, as a job and as a workchain of both. Every guide begins with it and every test
//! of the engine may end in it.

use ferry_plugin::prelude::*;

mod add_job;
mod flows;
mod multiply_add;

pub use add_job::{AddExit, AddInputs, AddJob, AddOutputs};
pub use flows::{RaceExit, add_mul, nested, race};
pub use multiply_add::{MultiplyAdd, MultiplyAddExit, MultiplyAddInputs, MultiplyAddOutputs};

/// Adds two integers.
///
/// # Errors
/// A sum that does not fit into 64 bits.
#[calcfunction]
pub fn add(
    /// One summand
    x: i64,
    /// The other
    y: i64,
) -> Result<i64> {
    Ok(x.checked_add(y).ok_or_else(|| format!("{x} + {y} does not fit into a 64-bit signed integer"))?)
}

/// Multiplies two integers.
///
/// # Errors
/// A product that does not fit into 64 bits.
#[calcfunction]
pub fn multiply(
    /// One factor
    x: i64,
    /// The other
    y: i64,
) -> Result<i64> {
    Ok(x.checked_mul(y).ok_or_else(|| format!("{x} * {y} does not fit into a 64-bit signed integer"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_plugin::proto::Kind;

    const ME: &str = "arithmetic";

    #[test]
    fn functions_stay_plain_functions() {
        assert_eq!(add(2, 3).unwrap(), 5);
        assert_eq!(multiply(-4, 6).unwrap(), -24);
        assert!(add(i64::MAX, 1).unwrap_err().to_string().contains("does not fit"));
        assert!(multiply(i64::MIN, -1).is_err());
    }

    #[test]
    fn they_answer_by_name_too() {
        let given = |x: i64, y: i64| testing::inputs().with("x", x).with("y", y);
        let sum = testing::call_by_name(ME, "arithmetic.add", given(2, 3));
        assert_eq!((sum.status(), sum.value("result").as_int()), (0, Some(5)));
        let over = testing::call_by_name(ME, "arithmetic.multiply", given(i64::MAX, 2));
        assert_eq!(
            over.exception.as_deref(),
            Some("9223372036854775807 * 2 does not fit into a 64-bit signed integer")
        );
        assert!(over.outputs.is_empty() && over.exit.is_none());
    }

    #[test]
    fn wrong_inputs_are_told_by_port() {
        let given = testing::inputs().with("x", 0.5).with("z", 1_i64);
        let problems = testing::problems(ME, "arithmetic.add", given);
        let of = |port: &str| {
            problems.iter().find(|problem| problem.port == port).map(|problem| &*problem.message)
        };
        assert_eq!(of("x"), Some("expected an int, found the float 0.5 in a node of type `float`"));
        assert_eq!(of("y"), Some("is required"));
        assert_eq!(of("z"), Some("there is no such port; the ports are: x, y"));
    }

    #[test]
    fn the_manifest_tells_all_of_it() {
        let manifest = testing::manifest(ME);
        let names: Vec<&str> = manifest.types.iter().map(|ty| &*ty.name).collect();
        assert_eq!(
            names,
            [
                "arithmetic.add",
                "arithmetic.add_job",
                "arithmetic.add_mul",
                "arithmetic.multiply",
                "arithmetic.multiply_add",
                "arithmetic.nested",
                "arithmetic.race",
            ]
        );
        let add = &manifest.types[0];
        assert_eq!((add.kind, &*add.inputs.ports["x"].types), (Kind::CalcFunction, &["int".to_owned()][..]));
        assert!(add.doc.starts_with("Adds two integers.") && add.inputs.ports["y"].required);
        assert_eq!(add.inputs.ports["x"].help, "One summand");
        assert_eq!(add.outputs.ports["result"].types, ["int"]);
    }
}
