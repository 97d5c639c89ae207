//! Validators of ports, of namespaces inside namespaces and of all inputs together, in every kind of process that calls
//! or is a function.

use std::collections::BTreeMap;

use ferry_plugin::{Problems, prelude::*};
use serde::{Deserialize, Serialize};

fn is_even(n: &i64) -> Result<(), String> {
    if n % 2 == 0 { Ok(()) } else { Err(format!("{n} is odd, and must be even")) }
}

fn is_even_node(n: &Node<i64>) -> Result {
    Ok(is_even(&n.value()?)?)
}

fn is_short(mesh: &Mesh, bad: &mut Problems) {
    if mesh.points.len() > 2 {
        bad.at("points", format!("{} points, at most 2 are wanted", mesh.points.len()));
    }
    if mesh.from >= mesh.to {
        bad.together(format!("`from` {} is not below `to` {}", mesh.from, mesh.to));
    }
}

fn all_named(points: &BTreeMap<String, f64>, bad: &mut Problems) {
    for name in points.keys().filter(|name| name.len() < 2) {
        bad.at(name, "a name of one letter");
    }
}

/// A namespace with a validator of its own.
#[derive(Inputs)]
#[port(validate = is_short)]
pub struct Mesh {
    #[port(validate = is_even)]
    pub from: i64,
    pub to: i64,
    #[port(validate = all_named)]
    pub points: BTreeMap<String, f64>,
}

#[derive(Inputs)]
pub struct Grid {
    pub mesh: Mesh,
    pub again: Option<Mesh>,
}

#[derive(Inputs)]
pub struct CheckedInputs {
    #[port(validate = is_even_node)]
    pub n: Node<i64>,
    #[port(validate = is_even, default = 4)]
    pub m: i64,
    #[port(validate = is_even)]
    pub maybe: Option<i64>,
    pub grid: Grid,
}

#[derive(Outputs)]
pub struct CheckedOutputs {
    pub n: Node<i64>,
}

/// It has nothing to remember.
#[derive(Default, Serialize, Deserialize)]
pub struct Checked {}

/// Returns an even number, if the inputs are good.
#[workchain(name = "caller.checked")]
impl WorkChain for Checked {
    type Inputs = CheckedInputs;
    type Outputs = CheckedOutputs;

    fn outline() -> Outline<Self> {
        outline! { results; }
    }

    fn validate(inputs: &CheckedInputs, bad: &mut Problems) {
        if inputs.maybe == Some(inputs.m) {
            bad.at("maybe", "is the same as `m`");
        }
    }
}

impl Checked {
    fn results(&mut self, cx: &mut Cx<Self>) {
        let n = cx.inputs().n.clone();
        cx.out().n(n);
    }
}

/// The outputs of [`parts`].
#[derive(Outputs)]
pub struct Parts {
    /// How often it fits
    pub quotient: i64,
    /// What is left
    pub rest: i64,
    /// By the names of the weights
    pub weighed: BTreeMap<String, f64>,
}

/// Exit codes of [`parts`].
#[derive(ExitCodes)]
pub enum PartsExit {
    #[exit(410, "{by} is larger than {n}", invalidates_cache)]
    TooLarge { n: i64, by: i64 },
}

fn is_not_null(n: &i64) -> Result<(), &'static str> {
    if *n == 0 { Err("nothing can be divided by 0") } else { Ok(()) }
}

fn fit(n: &i64, by: &i64, _: &BTreeMap<String, f64>, bad: &mut Problems) {
    if *n < 0 && *by < 0 {
        bad.together("both are negative");
    }
}

/// Divides with a rest.
///
/// The rest has the sign of `n`.
#[calcfunction(name = "caller.parts", exit = PartsExit, validate = fit)]
pub fn parts(
    /// What is divided
    n: i64,
    /// By what
    #[port(default = 2, validate = is_not_null)]
    by: i64,
    /// Factors of the quotient
    weights: BTreeMap<String, f64>,
) -> Result<Parts> {
    if by > n.abs() {
        Err(PartsExit::TooLarge { n, by })?;
    }
    let weighed = weights.into_iter().map(|(name, weight)| (name, weight * (n / by) as f64)).collect();
    Ok(Parts { quotient: n / by, rest: n % by, weighed })
}

fn differ(a: &Node<i64>, b: &Node<i64>, bad: &mut Problems) {
    if a.value().ok() == b.value().ok() {
        bad.at("b", "is the same as `a`");
    }
}

/// The first of two different numbers.
#[workfunction(name = "caller.first", validate = differ)]
pub async fn first(_: Cx, #[port(validate = is_even_node)] a: Node<i64>, b: Node<i64>) -> Result<Node<i64>> {
    let _ = b;
    Ok(a)
}
