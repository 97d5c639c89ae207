//! Outlines: the order of a workchain's steps, as its author writes it with [`outline!`](crate::outline!).
//!
//! This is the tree; `program` makes the flat list of it that is run.

use std::fmt;

use ferry_plugin_proto::Exit;

use super::StepCx;
use crate::{
    error::{Error, Result},
    process::exit::ExitCodes,
    workflow::workchain::WorkChain,
};

/// The steps of a workchain and their order; written with [`outline!`](crate::outline!).
pub struct Outline<W: WorkChain>(pub(super) Vec<Block<W>>);

/// A part of an outline.
pub(super) enum Block<W: WorkChain> {
    Step { name: &'static str, take: TakeStep<W> },
    If { test: Test<W>, then: Outline<W>, otherwise: Outline<W> },
    While { test: Test<W>, body: Outline<W> },
    Return(Option<Exit>),
}

/// A named condition.
pub(super) struct Test<W: WorkChain> {
    pub(super) name: &'static str,
    pub(super) negated: bool,
    pub(super) holds: Holds<W>,
}

pub(super) type TakeStep<W> = Box<dyn Fn(&mut W, &mut StepCx<W>) -> Result<Option<Exit>>>;
pub(super) type Holds<W> = Box<dyn Fn(&W, &StepCx<W>) -> Result<bool>>;

impl<W: WorkChain> Outline<W> {
    /// Makes an outline without steps.
    #[expect(clippy::new_without_default, reason = "it is the beginning of a chain of calls")]
    pub fn new() -> Self {
        Outline(Vec::new())
    }

    /// Adds a step: a method that takes `&mut self`, and `&mut Cx<Self>` if it wants to.
    #[must_use]
    pub fn step<M>(mut self, name: &'static str, step: impl Step<W, M>) -> Self {
        self.0.push(Block::Step { name, take: Box::new(move |chain, cx| step.take(chain, cx)) });
        self
    }

    /// Adds one of two outlines. The condition chooses: a method that takes `&self`, and `&Cx<Self>` if it
    /// wants to.
    #[must_use]
    pub fn if_<M>(mut self, test: Condition<W, M>, then: Outline<W>, otherwise: Outline<W>) -> Self {
        self.0.push(Block::If { test: test.test, then, otherwise });
        self
    }

    /// Adds an outline that is repeated as long as a condition holds.
    #[must_use]
    pub fn while_<M>(mut self, test: Condition<W, M>, body: Outline<W>) -> Self {
        self.0.push(Block::While { test: test.test, body });
        self
    }

    /// Adds the end of the workchain, with success.
    #[must_use]
    pub fn return_(mut self) -> Self {
        self.0.push(Block::Return(None));
        self
    }

    /// Adds the end of the workchain, with an exit code.
    #[must_use]
    pub fn return_with(mut self, exit: &impl ExitCodes) -> Self {
        self.0.push(Block::Return(Some(exit.exit())));
        self
    }
}

impl<W: WorkChain> fmt::Debug for Outline<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|block| write!(f, "{block}"))
    }
}

/// As [`outline!`](crate::outline!) is written.
impl<W: WorkChain> fmt::Display for Block<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Block::Step { name, .. } => write!(f, "{name}; "),
            Block::If { test, then, otherwise } if otherwise.0.is_empty() => {
                write!(f, "if {test} {{ {then:?}}} ")
            }
            Block::If { test, then, otherwise } => {
                write!(f, "if {test} {{ {then:?}}} else {{ {otherwise:?}}} ")
            }
            Block::While { test, body } => write!(f, "while {test} {{ {body:?}}} "),
            Block::Return(None) => f.write_str("return; "),
            Block::Return(Some(exit)) => write!(f, "return {}; ", exit.status),
        }
    }
}

/// A condition of an outline.
pub struct Condition<W: WorkChain, M> {
    test: Test<W>,
    marker: std::marker::PhantomData<M>,
}

impl<W: WorkChain, M> Condition<W, M> {
    /// Makes a condition that holds when the method returns true.
    pub fn is(name: &'static str, predicate: impl Predicate<W, M>) -> Self {
        Self::new(name, false, predicate)
    }

    /// Makes a condition that holds when the method returns false.
    pub fn not(name: &'static str, predicate: impl Predicate<W, M>) -> Self {
        Self::new(name, true, predicate)
    }

    fn new(name: &'static str, negated: bool, predicate: impl Predicate<W, M>) -> Self {
        let holds: Holds<W> = Box::new(move |chain, cx| Ok(predicate.holds(chain, cx)? != negated));
        Condition { test: Test { name, negated, holds }, marker: std::marker::PhantomData }
    }
}

impl<W: WorkChain, M> fmt::Debug for Condition<W, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.test, f)
    }
}

impl<W: WorkChain> fmt::Display for Test<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negated { "!" } else { "" }, self.name)
    }
}

/// A function that may be a step of an outline. The `M` keeps its forms apart.
#[diagnostic::on_unimplemented(
    message = "this is no step of `{W}`",
    note = "a step is `fn step(&mut self)` or `fn step(&mut self, cx: &mut Cx<Self>)`, and returns nothing, a `Result`, or \
            an `Option` of an exit code"
)]
pub trait Step<W: WorkChain, M>: 'static {
    /// Takes it.
    ///
    /// # Errors
    /// Returns the step's error.
    fn take(&self, chain: &mut W, cx: &mut StepCx<W>) -> Result<Option<Exit>>;
}

impl<W: WorkChain, R: StepReturn, F: Fn(&mut W) -> R + 'static> Step<W, (R,)> for F {
    fn take(&self, chain: &mut W, _: &mut StepCx<W>) -> Result<Option<Exit>> {
        self(chain).into_exit()
    }
}

impl<W: WorkChain, R: StepReturn, F: Fn(&mut W, &mut StepCx<W>) -> R + 'static> Step<W, (R, StepCx<W>)>
    for F
{
    fn take(&self, chain: &mut W, cx: &mut StepCx<W>) -> Result<Option<Exit>> {
        self(chain, cx).into_exit()
    }
}

/// A function that may be a condition of an outline. The `M` keeps its forms apart.
#[diagnostic::on_unimplemented(
    message = "this is no condition of `{W}`",
    note = "a condition is `fn test(&self) -> bool` or `fn test(&self, cx: &Cx<Self>) -> bool`, or returns a `Result<bool>`"
)]
pub trait Predicate<W: WorkChain, M>: 'static {
    /// Returns whether the condition holds.
    ///
    /// # Errors
    /// Returns the method's error.
    fn holds(&self, chain: &W, cx: &StepCx<W>) -> Result<bool>;
}

impl<W: WorkChain, T: Truth, F: Fn(&W) -> T + 'static> Predicate<W, (T,)> for F {
    fn holds(&self, chain: &W, _: &StepCx<W>) -> Result<bool> {
        self(chain).into_truth()
    }
}

impl<W: WorkChain, T: Truth, F: Fn(&W, &StepCx<W>) -> T + 'static> Predicate<W, (T, StepCx<W>)> for F {
    fn holds(&self, chain: &W, cx: &StepCx<W>) -> Result<bool> {
        self(chain, cx).into_truth()
    }
}

/// A return type of a step.
#[diagnostic::on_unimplemented(
    message = "a step can't return `{Self}`",
    note = "return nothing, an `Option` of an exit code, or a `Result` of either"
)]
pub trait StepReturn {
    /// Returns the exit code that ends the workchain, if there is one.
    ///
    /// # Errors
    /// Returns the step's error.
    fn into_exit(self) -> Result<Option<Exit>>;
}

impl StepReturn for () {
    fn into_exit(self) -> Result<Option<Exit>> {
        Ok(None)
    }
}

impl<E: ExitCodes> StepReturn for Option<E> {
    fn into_exit(self) -> Result<Option<Exit>> {
        Ok(self.map(|exit| exit.exit()))
    }
}

impl<T: StepReturn, E: Into<Error>> StepReturn for Result<T, E> {
    fn into_exit(self) -> Result<Option<Exit>> {
        self.map_err(Into::into)?.into_exit()
    }
}

/// A return type of a condition.
///
/// ```
/// # use ferry_plugin::prelude::*;
/// # #[derive(Inputs)] pub struct I {}
/// # #[derive(Outputs)] pub struct O {}
/// # #[derive(Default, serde::Serialize, serde::Deserialize)] pub struct Chain { n: i64 }
/// # #[workchain(name = "test.chain")]
/// # impl WorkChain for Chain {
/// #     type Inputs = I;
/// #     type Outputs = O;
/// #     fn outline() -> Outline<Self> { outline! { while unfinished { step; } } }
/// # }
/// # impl Chain {
/// #     fn step(&mut self) { self.n += 1; }
/// fn unfinished(&self) -> bool { self.n < 3 }
/// # }
/// ```
///
/// Where it is something else, and where a step is not there, the workchain does not compile:
///
/// ```compile_fail
/// # use ferry_plugin::prelude::*;
/// # #[derive(Inputs)] pub struct I {}
/// # #[derive(Outputs)] pub struct O {}
/// # #[derive(Default, serde::Serialize, serde::Deserialize)] pub struct Chain { n: i64 }
/// # #[workchain(name = "test.chain")]
/// # impl WorkChain for Chain {
/// #     type Inputs = I;
/// #     type Outputs = O;
/// #     fn outline() -> Outline<Self> { outline! { while unfinished { step; } } }
/// # }
/// # impl Chain {
/// #     fn step(&mut self) { self.n += 1; }
/// fn unfinished(&self) -> i64 { 3 - self.n }
/// # }
/// ```
/// ```compile_fail
/// # use ferry_plugin::prelude::*;
/// # #[derive(Inputs)] pub struct I {}
/// # #[derive(Outputs)] pub struct O {}
/// # #[derive(Default, serde::Serialize, serde::Deserialize)] pub struct Chain { n: i64 }
/// # #[workchain(name = "test.chain")]
/// # impl WorkChain for Chain {
/// #     type Inputs = I;
/// #     type Outputs = O;
/// fn outline() -> Outline<Self> { outline! { while unfinished { stpe; } } }
/// # }
/// # impl Chain {
/// #     fn step(&mut self) { self.n += 1; }
/// #     fn unfinished(&self) -> bool { self.n < 3 }
/// # }
/// ```
#[diagnostic::on_unimplemented(message = "a condition returns `bool` or `Result<bool>`, not `{Self}`")]
pub trait Truth {
    /// Returns whether the condition holds.
    ///
    /// # Errors
    /// Returns the condition's error.
    fn into_truth(self) -> Result<bool>;
}

impl Truth for bool {
    fn into_truth(self) -> Result<bool> {
        Ok(self)
    }
}

impl<E: Into<Error>> Truth for Result<bool, E> {
    fn into_truth(self) -> Result<bool> {
        self.map_err(Into::into)
    }
}
