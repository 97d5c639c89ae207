//! `#[monitor]`: an attribute on a block that implements `Monitor`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemImpl, spanned::Spanned};

use crate::{
    args::Args,
    block::name_of,
    words::{doc, snake},
};

/// Returns the unchanged block, and its entry.
pub(crate) fn expand(args: &Args, block: &ItemImpl) -> syn::Result<TokenStream> {
    let named = block.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    if named.is_none_or(|segment| segment.ident != "Monitor") {
        return Err(syn::Error::new(block.self_ty.span(), "expected `impl Monitor for ..`"));
    }
    if !block.generics.params.is_empty() {
        return Err(syn::Error::new(block.generics.span(), "a monitor can't be generic"));
    }
    if let Some(exit) = &args.exit {
        return Err(syn::Error::new(exit.span(), "a monitor has no exit codes: its verdict is ferry's 150"));
    }
    if let Some(version) = &args.cache_version {
        return Err(syn::Error::new(version.span(), "a monitor has no results, so nothing to be reused"));
    }
    let item = &block.self_ty;
    let about = args.about(&snake(&name_of(item)?), &doc(&block.attrs));
    Ok(quote! {
        #block

        ::ferry_plugin::macros::inventory::submit! {
            ::ferry_plugin::macros::MonitorEntry::of::<#item>(#about)
        }
    })
}
