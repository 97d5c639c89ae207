//! Calcfunctions: plain functions from values to values, called in the plugin itself.

use std::path::Path;

use ferry_plugin_proto::{Inputs as Nodes, Kind, Namespace, Task, WorkReply};

use crate::{
    error::{Error, Result},
    host::report,
    ports::{
        input::{Inputs, read_inputs, unreadable, validators::judge_inputs},
        node_ref::Node,
        output::{IntoNode, OutputField, OutputSet},
        output_nodes::{OutputNodes, RESULT},
        places::Places,
        problems::Problems,
    },
    process::{
        exit::ExitCodes,
        registry::{About, Entry, Spec, Unable, no_steps},
    },
};

/// A return type of a calcfunction: a value, a struct that derives [`Outputs`](crate::Outputs), or a `Result`
/// of either.
///
/// ```
/// # use ferry_plugin::{calcfunction, testing, Outputs, Result};
/// #[derive(Outputs)]
/// pub struct Parts { pub quotient: i64, pub rest: i64 }
///
/// /// Divides with a rest.
/// #[calcfunction(name = "sums.divide")]
/// pub fn divide(x: i64, #[port(default = 2)] by: i64) -> Result<Parts> {
///     let quotient = x.checked_div(by).ok_or("can't divide by 0")?;
///     Ok(Parts { quotient, rest: x - quotient * by })
/// }
///
/// assert_eq!(divide(7, 2).unwrap().rest, 1);
/// let krate = module_path!().split("::").next().unwrap();
/// let parts = testing::call_by_name(krate, "sums.divide", testing::inputs().with("x", 7_i64).with("by", 2_i64));
/// assert_eq!(parts.value("quotient").as_int(), Some(3));
/// ```
///
/// A calcfunction makes data, out of values:
///
/// ```compile_fail
/// #[ferry_plugin::calcfunction]
/// fn nothing(x: i64) {}
/// ```
/// ```compile_fail
/// #[ferry_plugin::calcfunction]
/// fn length(x: &str) -> i64 { x.len() as i64 }
/// ```
#[diagnostic::on_unimplemented(
    message = "a calcfunction can't return `{Self}`",
    note = "return a type that becomes a data node, a struct that derives `Outputs`, or a `Result` of either"
)]
pub trait Returned: Sized {
    /// The outputs as stored nodes, for the function's caller.
    type Nodes: OutputNodes;

    /// Returns the output ports.
    fn namespace() -> Namespace;

    /// Sets the outputs.
    ///
    /// # Errors
    /// Returns the function's error.
    fn emit(self, set: &mut OutputSet) -> Result;
}

impl<T: IntoNode + 'static> Returned for T {
    type Nodes = Node<T>;

    fn namespace() -> Namespace {
        Namespace { ports: [(RESULT.to_owned(), <T as OutputField>::port())].into(), dynamic: None }
    }

    fn emit(self, set: &mut OutputSet) -> Result {
        set.set(RESULT, self);
        Ok(())
    }
}

impl<T: Returned, E: Into<Error>> Returned for Result<T, E> {
    type Nodes = T::Nodes;

    fn namespace() -> Namespace {
        T::namespace()
    }

    fn emit(self, set: &mut OutputSet) -> Result {
        self.map_err(Into::into)?.emit(set)
    }
}

/// The definition that `#[calcfunction]` makes of a function.
#[doc(hidden)]
pub trait CalcFunction: 'static {
    /// A field per argument.
    type Inputs: Inputs;
    /// The function's return type.
    type Returned: Returned;
    /// Its exit codes.
    type Exit: ExitCodes;

    /// Calls the function.
    fn call(inputs: Self::Inputs) -> Self::Returned;

    /// Validates inputs together, by the attribute's `validate = ..`.
    fn judge(inputs: &Self::Inputs, bad: &mut Problems) {
        let _ = (inputs, bad);
    }
}

impl Entry {
    /// Returns the entry of a calcfunction.
    pub const fn calcfunction<F: CalcFunction>(about: About) -> Self {
        Entry {
            about,
            kind: Kind::CalcFunction,
            spec: spec::<F>,
            validate: validate::<F>,
            work: work::<F>,
            step: no_steps,
        }
    }
}

fn spec<F: CalcFunction>() -> Spec {
    Spec {
        inputs: F::Inputs::namespace(),
        outputs: F::Returned::namespace(),
        exit_codes: F::Exit::declared(),
        ..Spec::default()
    }
}

fn validate<F: CalcFunction>(nodes: &Nodes) -> Problems {
    judge_inputs(nodes, F::judge)
}

fn work<F: CalcFunction>(nodes: &Nodes, task: Task) -> Result<WorkReply, Unable> {
    let Task::Call { sandbox } = task else {
        return Err(Unable("it is a calcfunction, which is called, not prepared or parsed"));
    };
    let (mut outcome, reports) = report::collect(|| {
        let mut set = OutputSet::new(Places::new(Path::new(&sandbox)));
        let result = match read_inputs::<F::Inputs>(nodes) {
            Ok(inputs) => F::call(inputs).emit(&mut set),
            Err(bad) => Err(unreadable(bad).into()),
        };
        set.settle(result)
    });
    outcome.reports = reports;
    Ok(WorkReply::Outcome(outcome))
}
