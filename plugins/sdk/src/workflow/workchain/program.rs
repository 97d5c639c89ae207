//! An outline as a flat program, so that the position is one integer, and its shape, so that a changed one is
//! noticed.

use std::collections::BTreeMap;

use ferry_plugin_proto::Exit;

use super::{
    StepCx,
    outline::{Block, Outline, TakeStep, Test},
};
use crate::{
    error::{Error, Result},
    workflow::workchain::WorkChain,
};

/// The operation at one position.
enum Op<W: WorkChain> {
    /// Take a step.
    Step { name: &'static str, take: TakeStep<W> },
    /// Go on at `to` unless the condition holds.
    Unless { test: Test<W>, to: usize, is_loop: bool },
    /// Go on there.
    Jump(usize),
    /// The end.
    Return(Option<Exit>),
}

/// Rounds of the loops that the position is in, by the position of their condition.
pub(super) type Rounds = BTreeMap<usize, u64>;

/// The next operation.
pub(super) enum Next<'a, W: WorkChain> {
    /// A step, and its position.
    Step { at: usize, name: &'static str, take: &'a TakeStep<W> },
    /// The end.
    End(Option<Exit>),
}

/// A flat program.
pub(super) struct Program<W: WorkChain> {
    ops: Vec<Op<W>>,
    /// A hash of names and order: another one is another outline.
    pub(super) shape: u64,
}

impl<W: WorkChain> Program<W> {
    pub(super) fn of(outline: Outline<W>) -> Self {
        let shape = fnv1a(format!("{outline:?}").as_bytes());
        let mut ops = Vec::new();
        flatten(outline, &mut ops);
        Program { ops, shape }
    }

    /// Follows conditions and jumps from `at` to the next step, or to the end.
    ///
    /// # Errors
    /// Returns the error of a condition. Fails also at a loop without a step: nothing would ever change its
    /// condition.
    pub(super) fn next(
        &self,
        mut at: usize,
        rounds: &mut Rounds,
        chain: &W,
        cx: &StepCx<W>,
    ) -> Result<Next<'_, W>> {
        let mut begun = Vec::new();
        loop {
            match self.ops.get(at) {
                None => return Ok(Next::End(None)),
                Some(Op::Return(exit)) => return Ok(Next::End(exit.clone())),
                Some(Op::Step { name, take }) => return Ok(Next::Step { at, name, take }),
                Some(Op::Jump(to)) => at = *to,
                Some(Op::Unless { test, to, is_loop }) => {
                    crate::host::doing(format_args!("the condition `{test}`"));
                    let holds = (test.holds)(chain, cx).map_err(|error| in_condition(test, error))?;
                    if *is_loop && holds && begun.contains(&at) {
                        Err(format!(
                            "the loop `while {test}` goes round without a step, so it would never end"
                        ))?;
                    }
                    if *is_loop && holds {
                        begun.push(at);
                        *rounds.entry(at).or_default() += 1;
                    } else {
                        rounds.remove(&at);
                    }
                    at = if holds { at + 1 } else { *to };
                }
            }
        }
    }

    /// Describes the operation at a position, for people.
    pub(super) fn name_at(&self, at: usize) -> String {
        match self.ops.get(at) {
            Some(Op::Step { name, .. }) => (*name).to_owned(),
            Some(Op::Unless { test, is_loop: true, .. }) => format!("while {test}"),
            Some(Op::Unless { test, .. }) => format!("if {test}"),
            Some(Op::Jump(to)) => self.name_at(*to),
            Some(Op::Return(_)) => "return".to_owned(),
            None => "the end".to_owned(),
        }
    }
}

fn in_condition<W: WorkChain>(test: &Test<W>, error: Error) -> Error {
    match error.into_exit() {
        Ok(exit) => Error::exit(exit),
        Err(text) => format!("the condition `{test}` failed: {text}").into(),
    }
}

fn flatten<W: WorkChain>(outline: Outline<W>, ops: &mut Vec<Op<W>>) {
    for block in outline.0 {
        match block {
            Block::Step { name, take } => ops.push(Op::Step { name, take }),
            Block::Return(exit) => ops.push(Op::Return(exit)),
            Block::If { test, then, otherwise } => {
                let fork = fork(ops, test, false);
                flatten(then, ops);
                if otherwise.0.is_empty() {
                    land(ops, fork);
                } else {
                    let over = ops.len();
                    ops.push(Op::Jump(over));
                    land(ops, fork);
                    flatten(otherwise, ops);
                    land(ops, over);
                }
            }
            Block::While { test, body } => {
                let head = fork(ops, test, true);
                flatten(body, ops);
                ops.push(Op::Jump(head));
                land(ops, head);
            }
        }
    }
}

/// Adds a condition whose exit is not known yet, and returns its position.
fn fork<W: WorkChain>(ops: &mut Vec<Op<W>>, test: Test<W>, is_loop: bool) -> usize {
    ops.push(Op::Unless { test, to: 0, is_loop });
    ops.len() - 1
}

/// Lets the condition or jump at `from` lead to what comes next.
fn land<W: WorkChain>(ops: &mut [Op<W>], from: usize) {
    let here = ops.len();
    if let Some(Op::Unless { to, .. } | Op::Jump(to)) = ops.get_mut(from) {
        *to = here;
    }
}

/// Returns the FNV-1a hash. It is the same in every version of Rust, unlike the standard library's.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
