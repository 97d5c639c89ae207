//! Several futures at once: [`join!`](crate::join!), [`select!`](crate::select!) and [`join_all`]. All of them poll in
//! the order in which their futures are written, so that a replay decides as the first run did.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// A future that is being waited for, or what it gave.
pub struct Part<F: Future> {
    future: Option<Pin<Box<F>>>,
    output: Option<F::Output>,
}

// Nothing in it is pinned in place: the future has a place of its own.
impl<F: Future> Unpin for Part<F> {}

impl<F: Future> fmt::Debug for Part<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("ended", &self.output.is_some()).finish_non_exhaustive()
    }
}

impl<F: Future> Part<F> {
    fn new(future: F) -> Self {
        Part { future: Some(Box::pin(future)), output: None }
    }

    /// Polls it unless it has ended; whether it has.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(future) = self.future.as_mut()
            && let Poll::Ready(output) = future.as_mut().poll(context)
        {
            self.future = None;
            self.output = Some(output);
        }
        self.future.is_none()
    }
}

/// A tuple of futures that [`join`] waits for; up to twelve.
#[diagnostic::on_unimplemented(
    message = "`join!` takes up to twelve futures",
    note = "use `join_all` for many of one type"
)]
pub trait Join {
    /// Their outputs.
    type Output;
    /// The futures, each with a place for its output.
    type Parts: Unpin;

    /// Makes places for the outputs.
    #[doc(hidden)]
    fn parts(self) -> Self::Parts;

    /// Polls the futures that have not ended.
    #[doc(hidden)]
    fn poll(parts: &mut Self::Parts, context: &mut Context<'_>) -> Poll<Self::Output>;
}

macro_rules! tuples {
    ($($name:ident $index:tt),+) => {
        impl<$($name: Future),+> Join for ($($name,)+) {
            type Output = ($($name::Output,)+);
            type Parts = ($(Part<$name>,)+);

            fn parts(self) -> Self::Parts {
                ($(Part::new(self.$index),)+)
            }

            #[allow(non_snake_case, reason = "a variable is called like its type")]
            fn poll(parts: &mut Self::Parts, context: &mut Context<'_>) -> Poll<Self::Output> {
                let mut all = true;
                $(all &= parts.$index.poll(context);)+
                if !all {
                    return Poll::Pending;
                }
                match ($(parts.$index.output.take(),)+) {
                    ($(Some($name),)+) => Poll::Ready(($($name,)+)),
                    // Polled after it was ready: there is nothing more to come.
                    _ => Poll::Pending,
                }
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

/// Waits for all futures of a tuple: what [`join!`](crate::join!) awaits.
pub fn join<J: Join>(futures: J) -> Joined<J> {
    Joined(futures.parts())
}

/// Made by [`join`].
pub struct Joined<J: Join>(J::Parts);

impl<J: Join> fmt::Debug for Joined<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Joined")
    }
}

impl<J: Join> Future for Joined<J> {
    type Output = J::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<J::Output> {
        J::poll(&mut self.0, context)
    }
}

/// Waits for many futures; gives their outputs in the order in which the futures came.
///
/// ```
/// # use ferry_plugin::{join_all, Cx, Node, Result, workfunction, calcfunction};
/// # #[calcfunction(name = "doc.square")] pub fn square(x: i64) -> i64 { x * x }
/// /// The squares of 0 to `n`, all at once; returns the last one.
/// #[workfunction(name = "doc.squares")]
/// pub async fn squares(cx: Cx, n: Node<i64>) -> Result<Node<i64>> {
///     let calls = (0..=n.value()?).map(|x| cx.call(square::with(x)));
///     let mut last = None;
///     for square in join_all(calls).await {
///         last = Some(square?);
///     }
///     Ok(last.ok_or("n is negative")?)
/// }
/// # assert_eq!(ferry_plugin::testing::call(squares::with(3)).value::<i64>(), Ok(9));
/// ```
pub fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> JoinAll<F> {
    let parts: Vec<Part<F>> = futures.into_iter().map(Part::new).collect();
    JoinAll { parts }
}

/// Made by [`join_all`].
pub struct JoinAll<F: Future> {
    parts: Vec<Part<F>>,
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").field("futures", &self.parts.len()).finish()
    }
}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<F::Output>> {
        let mut all = true;
        for part in &mut self.parts {
            all &= part.poll(context);
        }
        if !all {
            return Poll::Pending;
        }
        Poll::Ready(self.parts.drain(..).filter_map(|part| part.output).collect())
    }
}

/// The result of the first of two futures that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The one that is written first; it wins where both are there.
    Left(A),
    /// The other one.
    Right(B),
}

/// Waits for the first of two futures, and drops the other: what [`select!`](crate::select!) awaits.
pub fn first<A: Future, B: Future>(a: A, b: B) -> First<A, B> {
    First { a: Box::pin(a), b: Box::pin(b) }
}

/// Made by [`first`].
pub struct First<A, B> {
    a: Pin<Box<A>>,
    b: Pin<Box<B>>,
}

impl<A, B> fmt::Debug for First<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("First")
    }
}

impl<A: Future, B: Future> Future for First<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.a.as_mut().poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        self.b.as_mut().poll(context).map(Either::Right)
    }
}

/// Waits for all of several futures and gives a tuple: `let (a, b) = join!(cx.call(..), cx.call(..));`.
#[macro_export]
macro_rules! join {
    ($($future:expr),+ $(,)?) => {
        $crate::join(($($future,)+)).await
    };
}

/// Waits for the first of several futures. The others are dropped before the branch runs, which gives up
/// their operations and ends the processes they called. It is biased: if several are ready at once, the first
/// one in the list wins, in every replay. A future that is passed by reference, `&mut job`, is kept.
///
/// ```
/// # use ferry_plugin::{select, Cx, Node, Result, workfunction, calcfunction};
/// # use ferry_plugin::ExitCodes;
/// # use std::time::Duration;
/// # #[calcfunction(name = "doc.half")] pub fn half(x: i64) -> i64 { x / 2 }
/// # #[derive(ExitCodes)] pub enum InTimeExit { #[exit(400, "it took more than an hour")] Late }
/// /// Half of `x`, if it comes within an hour.
/// #[workfunction(name = "doc.in_time", exit = InTimeExit)]
/// pub async fn in_time(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
///     select! {
///         half = cx.call(half::with(&x)) => Ok(half?),
///         _ = cx.sleep(Duration::from_secs(3600)) => Err(InTimeExit::Late)?,
///     }
/// }
/// # assert_eq!(ferry_plugin::testing::call(in_time::with(8)).value::<i64>(), Ok(4));
/// ```
#[macro_export]
macro_rules! select {
    (@futures $future:expr) => { $future };
    (@futures $future:expr, $($rest:expr),+) => {
        $crate::first($future, $crate::select!(@futures $($rest),+))
    };
    (@branches $winner:expr; $pattern:pat => $body:expr) => {
        match $winner { $pattern => $body }
    };
    (@branches $winner:expr; $pattern:pat => $body:expr, $($rest:tt)+) => {
        match $winner {
            $crate::Either::Left($pattern) => $body,
            $crate::Either::Right(winner) => $crate::select!(@branches winner; $($rest)+),
        }
    };
    ($($pattern:pat = $future:expr => $body:expr),+ $(,)?) => {{
        let winner = $crate::select!(@futures $($future),+).await;
        $crate::select!(@branches winner; $($pattern => $body),+)
    }};
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::{pending, ready},
        pin::pin,
        task::Waker,
    };

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn join_waits_for_all_and_select_for_the_first() {
        assert_eq!(now(async { crate::join!(ready(1), ready("a")) }), Some((1, "a")));
        assert_eq!(now(async { crate::join!(ready(1), pending::<()>()) }), None);
        assert_eq!(now(join_all([ready(1), ready(2)])), Some(vec![1, 2]));
        assert_eq!(now(join_all(Vec::<std::future::Ready<()>>::new())), Some(vec![]));
        let last = async {
            crate::select! {
                _ = pending::<()>() => 1,
                _ = pending::<()>() => 2,
                n = ready(3) => n,
            }
        };
        assert_eq!(now(last), Some(3));
    }

    #[test]
    fn select_is_biased_and_drops_the_losers_first() {
        struct Loser<'a>(&'a std::cell::Cell<bool>);
        impl Drop for Loser<'_> {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = std::cell::Cell::new(false);
        let loser = Loser(&dropped);
        let won = async {
            crate::select! {
                _ = ready(()) => (1, dropped.get()),
                _ = async { drop(loser) } => (2, false),
            }
        };
        assert_eq!(now(won), Some((1, true)));
    }
}
