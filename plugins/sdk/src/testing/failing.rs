//! Ends of a fake that are a failure with outputs.

use ferry_plugin_proto::Namespace;

use crate::{
    error::{Error, Result},
    ports::output::OutputSet,
    process::calcfunction::Returned,
};

/// Makes an end with outputs and an error: of a process that failed and still left some outputs.
///
/// ```
/// # use ferry_plugin::{prelude::*, testing::*};
/// # #[calcfunction(name = "doc.negate")] pub fn negate(x: i64) -> Result<i64> { Ok(-x) }
/// # #[derive(ExitCodes)] pub enum SumExit { #[exit(410, "negative")] Negative }
/// let world = world().fake::<negate, _>(|given| failing(-given.x, SumExit::Negative));
/// assert_eq!(world.call(negate::with(1)).status(), 410);
/// ```
pub fn failing<R: Returned>(outputs: R, error: impl Into<Error>) -> Failing<R> {
    Failing { outputs, error: error.into() }
}

/// Made by [`failing`].
#[derive(Debug)]
pub struct Failing<R> {
    outputs: R,
    error: Error,
}

impl<R: Returned> Returned for Failing<R> {
    type Nodes = R::Nodes;

    fn namespace() -> Namespace {
        R::namespace()
    }

    fn emit(self, set: &mut OutputSet) -> Result {
        self.outputs.emit(set)?;
        Err(self.error)
    }
}
