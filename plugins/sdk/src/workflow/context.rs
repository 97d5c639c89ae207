//! One name for what workflows of both styles are given: `cx: Cx` in a workfunction, `cx: &mut Cx<Self>` in a step of
//! a workchain.

use crate::workflow::{
    flow::FlowCx,
    workchain::{StepCx, WorkChain},
};

/// The context of a workflow: [`FlowCx`] in a workfunction, [`StepCx`] in a step of the workchain `W`.
pub type Cx<W = Flow> = <W as Context>::Cx;

/// Whose context it is: a workchain, or [`Flow`].
pub trait Context {
    /// The context.
    type Cx;
}

/// Stands for all workfunctions.
#[derive(Debug)]
pub enum Flow {}

impl Context for Flow {
    type Cx = FlowCx;
}

impl<W: WorkChain> Context for W {
    type Cx = StepCx<W>;
}
