//! `#[calcjob]` and `#[machine]`: attributes on a block that implements a trait.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{ImplItem, ItemImpl, Type, parse_quote, spanned::Spanned};

use crate::{
    args::Args,
    words::{doc, plain, snake},
};

/// The kind of entry that an attribute registers.
pub(crate) struct Sort {
    /// The trait.
    pub(crate) name: &'static str,
    /// The function that makes its entry.
    pub(crate) entry: &'static str,
}

/// Returns the unchanged block, and its entry.
pub(crate) fn expand(sort: &Sort, args: &Args, mut block: ItemImpl) -> syn::Result<TokenStream> {
    check(sort, args, &block)?;
    let has_exit =
        block.items.iter().any(|item| matches!(item, ImplItem::Type(item) if item.ident == "Exit"));
    if !has_exit {
        block.items.push(parse_quote!(
            type Exit = ::ferry_plugin::NoExit;
        ));
    }
    let item = &block.self_ty;
    let about = args.about(&snake(&name_of(item)?), &doc(&block.attrs));
    let entry = Ident::new(sort.entry, Span::call_site());
    let by = Ident::new(sort.name, Span::call_site());
    let by = quote!(<#item as ::ferry_plugin::#by>);
    Ok(quote! {
        #block

        #[automatically_derived]
        impl ::ferry_plugin::Process for #item {
            type Inputs = #by::Inputs;
            type Nodes = <#by::Outputs as ::ferry_plugin::Outputs>::Nodes;
            const ABOUT: ::ferry_plugin::macros::About = #about;
        }

        ::ferry_plugin::macros::inventory::submit! {
            ::ferry_plugin::macros::Entry::#entry::<#item>(<#item as ::ferry_plugin::Process>::ABOUT)
        }
    })
}

fn check(sort: &Sort, args: &Args, block: &ItemImpl) -> syn::Result<()> {
    let named = block.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    if named.is_none_or(|segment| segment.ident != sort.name) {
        return Err(syn::Error::new(block.self_ty.span(), format!("expected `impl {} for ..`", sort.name)));
    }
    if !block.generics.params.is_empty() {
        return Err(syn::Error::new(
            block.generics.span(),
            "a process type can't be generic: it has one set of ports",
        ));
    }
    if let Some(exit) = &args.exit {
        return Err(syn::Error::new(exit.span(), "say it inside the block: `type Exit = ..;`"));
    }
    if let Some(validate) = &args.validate {
        let message = "say it inside the block: `fn validate(inputs: &.., bad: &mut Problems) { .. }`";
        return Err(syn::Error::new(validate.span(), message));
    }
    Ok(())
}

pub(crate) fn name_of(item: &Type) -> syn::Result<String> {
    let Type::Path(path) = item else {
        return Err(syn::Error::new(item.span(), "expected the name of a struct"));
    };
    let last = path.path.segments.last();
    last.map(|segment| plain(&segment.ident)).ok_or_else(|| syn::Error::new(item.span(), "expected a name"))
}
