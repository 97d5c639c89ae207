//! Calls of types that are not what they were, or nowhere.

use ferry_plugin::prelude::*;

use crate::{arithmetic, nowhere};

/// Multiplies and adds as an older plugin did.
#[workfunction(name = "caller.stale")]
pub async fn stale(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let mut call = Draft::<arithmetic::MultiplyAdd>::new();
    call.x(&x).y(2).z(3);
    cx.call(call).await?.result.cast()
}

/// Calls what no plugin offers.
#[workfunction(name = "caller.absent")]
pub async fn absent(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let mut call = Draft::<nowhere::Thing>::new();
    call.x(&x);
    cx.call(call).await?.rows.cast()
}
