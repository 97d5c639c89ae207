//! `#[calcjob]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ImplItem, ItemImpl, Type, parse_quote, spanned::Spanned};

use crate::{
    args::Args,
    words::{doc, plain, snake},
};

/// The block as it was, and its entry.
pub(crate) fn expand(args: &Args, mut block: ItemImpl) -> syn::Result<TokenStream> {
    check(args, &block)?;
    let has_exit =
        block.items.iter().any(|item| matches!(item, ImplItem::Type(item) if item.ident == "Exit"));
    if !has_exit {
        block.items.push(parse_quote!(
            type Exit = ::ferry_plugin::NoExit;
        ));
    }
    let job = &block.self_ty;
    let about = args.about(&snake(&name_of(job)?), &doc(&block.attrs));
    Ok(quote! {
        #block
        ::ferry_plugin::macros::inventory::submit! {
            ::ferry_plugin::macros::Entry::calcjob::<#job>(#about)
        }
    })
}

fn check(args: &Args, block: &ItemImpl) -> syn::Result<()> {
    let is_calcjob = block.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    if is_calcjob.is_none_or(|segment| segment.ident != "CalcJob") {
        return Err(syn::Error::new(block.self_ty.span(), "expected `impl CalcJob for ..`"));
    }
    if !block.generics.params.is_empty() {
        return Err(syn::Error::new(
            block.generics.span(),
            "a calcjob can't be generic: it has one set of ports",
        ));
    }
    if let Some(exit) = &args.exit {
        return Err(syn::Error::new(exit.span(), "a calcjob says it inside: `type Exit = ..;`"));
    }
    Ok(())
}

fn name_of(job: &Type) -> syn::Result<String> {
    let Type::Path(path) = job else {
        return Err(syn::Error::new(job.span(), "expected the name of a struct"));
    };
    let last = path.path.segments.last();
    last.map(|segment| plain(&segment.ident)).ok_or_else(|| syn::Error::new(job.span(), "expected a name"))
}
