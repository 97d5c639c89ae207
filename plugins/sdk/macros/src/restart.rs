//! `#[restart]`: a block of methods, some of which are handlers.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Expr, ExprLit, Ident, ImplItem, ImplItemFn, ItemImpl, Lit, LitBool, Path, Token,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

use crate::{
    args::Args,
    block::name_of,
    words::{doc, plain, snake},
};

/// The arguments of `#[restart(..)]`.
pub(crate) struct RestartArgs {
    args: Args,
    child: Option<Path>,
}

impl Parse for RestartArgs {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut said = RestartArgs { args: Args::default(), child: None };
        while !input.is_empty() {
            if input.fork().parse::<Ident>().is_ok_and(|key| key == "child") {
                input.parse::<Ident>()?;
                input.parse::<Token![=]>()?;
                said.child = Some(input.parse()?);
            } else {
                said.args.parse_one(input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(said)
    }
}

/// The arguments of `#[handler(..)]`.
#[derive(Default)]
struct Said {
    priority: Option<Expr>,
    on: Vec<Expr>,
    enabled: Option<LitBool>,
}

impl Said {
    fn read(attr: &Attribute) -> syn::Result<Said> {
        let mut said = Said::default();
        if matches!(attr.meta, syn::Meta::Path(_)) {
            return Ok(said);
        }
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("priority") {
                said.priority = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("enabled") {
                said.enabled = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("on") {
                let content;
                syn::parenthesized!(content in meta.input);
                said.on = Punctuated::<Expr, Token![,]>::parse_terminated(&content)?.into_iter().collect();
            } else {
                return Err(
                    meta.error("expected `priority = ..`, `on(SomeExit::X, ..)` or `enabled = false`")
                );
            }
            Ok(())
        })?;
        Ok(said)
    }
}

/// Returns the block without our attributes, and the code that makes a process type of it.
pub(crate) fn expand(said: &RestartArgs, mut block: ItemImpl) -> syn::Result<TokenStream> {
    let child = said.child.as_ref().ok_or_else(|| {
        syn::Error::new(block.self_ty.span(), "say what it runs: `#[restart(name = \"..\", child = Pw)]`")
    })?;
    if let Some((_, path, _)) = &block.trait_ {
        return Err(syn::Error::new(
            path.span(),
            "expected `impl X { .. }`, with methods under `#[handler(..)]`",
        ));
    }
    if let Some(validate) = &said.args.validate {
        let message = "a restart workchain has its child's ports, and the child's validators with them";
        return Err(syn::Error::new(validate.span(), message));
    }
    let mut handlers = Vec::new();
    let mut setup = None;
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        if let Some(attr) = take(method, "handler") {
            handlers.push(handler(&Said::read(&attr)?, method)?);
        }
        if take(method, "setup").is_some() {
            let name = &method.sig.ident;
            setup = Some(quote! {
                fn setup(&mut self) -> ::ferry_plugin::Result {
                    Self::#name(self)
                }
            });
        }
    }
    let item = &block.self_ty;
    let namespace = child.segments.last().map(|segment| snake(&plain(&segment.ident))).unwrap_or_default();
    let about = said.args.about(&snake(&name_of(item)?), &doc(&block.attrs));
    let exit = said.args.exit.as_ref().map_or_else(|| quote!(::ferry_plugin::NoExit), |exit| quote!(#exit));
    Ok(quote! {
        #block

        #[automatically_derived]
        impl ::ferry_plugin::Restart for #item {
            type Child = #child;
            type Exit = #exit;
            const NAMESPACE: &'static str = #namespace;

            fn next(&mut self) -> &mut ::ferry_plugin::Draft<#child> {
                &mut self.next
            }

            fn handlers() -> ::std::vec::Vec<::ferry_plugin::Handler<Self>> {
                ::std::vec![#(#handlers),*]
            }

            #setup
        }

        #[automatically_derived]
        impl ::ferry_plugin::Process for #item {
            type Inputs = ::ferry_plugin::RestartInputs<#item>;
            type Nodes = <#child as ::ferry_plugin::Process>::Nodes;
            const ABOUT: ::ferry_plugin::macros::About = #about;
        }

        ::ferry_plugin::macros::inventory::submit! {
            ::ferry_plugin::macros::Entry::workchain::<::ferry_plugin::Restarting<#item>>(
                <#item as ::ferry_plugin::Process>::ABOUT
            )
        }
    })
}

/// Takes one of our attributes off a method.
fn take(method: &mut ImplItemFn, name: &str) -> Option<Attribute> {
    let at = method.attrs.iter().position(|attr| attr.path().is_ident(name))?;
    Some(method.attrs.remove(at))
}

fn handler(said: &Said, method: &ImplItemFn) -> syn::Result<TokenStream> {
    let ident = &method.sig.ident;
    let name = plain(ident);
    let on = said.on.iter().map(status).collect::<syn::Result<Vec<_>>>()?;
    let priority = said.priority.as_ref().map_or_else(|| quote!(0), |priority| quote!(#priority));
    let enabled = said.enabled.as_ref().is_none_or(|enabled| enabled.value);
    Ok(quote! {
        ::ferry_plugin::Handler {
            name: #name,
            priority: #priority,
            on: &[#(#on),*],
            enabled: #enabled,
            handle: Self::#ident,
        }
    })
}

/// Returns the status of an exit code: `PwExit::NotConverged` becomes the constant `PwExit::NOT_CONVERGED`; a
/// number stays as it is.
fn status(exit: &Expr) -> syn::Result<TokenStream> {
    match exit {
        Expr::Lit(ExprLit { lit: Lit::Int(status), .. }) => Ok(quote!(#status)),
        Expr::Path(path) => {
            let mut path = path.path.clone();
            let last = path.segments.last_mut();
            let last = last.ok_or_else(|| syn::Error::new(exit.span(), "expected an exit code"))?;
            last.ident =
                format_ident!("{}", snake(&plain(&last.ident)).to_uppercase(), span = last.ident.span());
            Ok(quote!(#path))
        }
        other => {
            Err(syn::Error::new(other.span(), "expected an exit code, `PwExit::NotConverged`, or its number"))
        }
    }
}
