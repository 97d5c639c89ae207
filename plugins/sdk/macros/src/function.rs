//! Code that `#[calcfunction]` and `#[workfunction]` share: arguments that are ports, and a type by which
//! workflows call the function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, FnArg, Ident, ItemFn, Pat, PatType, Type, spanned::Spanned};

use crate::{
    args::Args,
    words::{doc, plain},
};

/// An argument that is an input port.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// `#[port(..)]` and doc comments; the function itself may not keep them.
    attrs: Vec<Attribute>,
}

/// Refuses what no process type can be; `kind` is what the function is to be.
pub(crate) fn check_plain(kind: &str, function: &ItemFn) -> syn::Result<()> {
    let generics = &function.sig.generics;
    if generics.params.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(generics.span(), format!("a {kind} can't be generic: its ports have one type")))
}

/// Returns an argument that is not `self`.
pub(crate) fn typed<'a>(kind: &str, argument: &'a mut FnArg) -> syn::Result<&'a mut PatType> {
    match argument {
        FnArg::Typed(argument) => Ok(argument),
        FnArg::Receiver(receiver) => {
            Err(syn::Error::new(receiver.span(), format!("a {kind} is a free function, without `self`")))
        }
    }
}

/// Returns the port that an argument is. Removes the attributes from the argument that the function itself
/// may not keep.
pub(crate) fn take_argument(kind: &str, argument: &mut FnArg) -> syn::Result<Argument> {
    let argument = typed(kind, argument)?;
    let Pat::Ident(pattern) = &*argument.pat else {
        return Err(syn::Error::new(argument.pat.span(), "an argument is a port: give it a plain name"));
    };
    if let Type::Reference(ty) = &*argument.ty {
        let message = "take it by value: it is read from a node for this call";
        return Err(syn::Error::new(ty.span(), message));
    }
    let is_ours = |attr: &Attribute| attr.path().is_ident("port") || attr.path().is_ident("doc");
    let (attrs, rest) = std::mem::take(&mut argument.attrs).into_iter().partition(is_ours);
    argument.attrs = rest;
    Ok(Argument { ident: pattern.ident.clone(), ty: (*argument.ty).clone(), attrs })
}

/// Generates a type of the function's name, by which workflows call it.
pub(crate) fn handle(function: &ItemFn, arguments: &[Argument]) -> TokenStream {
    let (visibility, name) = (&function.vis, &function.sig.ident);
    let about = format!("[`{name}()`] as a process: what a workflow calls.");
    let idents: Vec<&Ident> = arguments.iter().map(|argument| &argument.ident).collect();
    let types: Vec<&Type> = arguments.iter().map(|argument| &argument.ty).collect();
    let given: Vec<Ident> = (0..arguments.len()).map(|i| format_ident!("V{i}")).collect();
    quote! {
        #[doc = #about]
        #[derive(Debug, Clone, Copy)]
        #[allow(non_camel_case_types)]
        #visibility enum #name {}

        impl #name {
            /// A call with these inputs.
            #[allow(dead_code, clippy::too_many_arguments)]
            #visibility fn with<#(#given),*>(#(#idents: #given),*) -> ::ferry_plugin::Draft<#name>
            where
                #(#types: ::ferry_plugin::Fill<#given>),*
            {
                #[allow(unused_mut)]
                let mut draft = ::ferry_plugin::Draft::<#name>::new();
                #(draft.#idents(#idents);)*
                draft
            }
        }
    }
}

/// Generates the struct of the ports, and the function's type as a process type. `nodes` are its outputs as
/// others see them.
pub(crate) fn process(
    args: &Args,
    function: &ItemFn,
    arguments: &[Argument],
    nodes: &TokenStream,
) -> TokenStream {
    let name = &function.sig.ident;
    let about = args.about(&plain(name), &doc(&function.attrs));
    let fields = arguments.iter().map(|Argument { ident, ty, attrs }| quote!(#(#attrs)* #ident: #ty));
    quote! {
        #[derive(::ferry_plugin::Inputs)]
        pub struct Arguments { #(#fields),* }

        #[automatically_derived]
        impl ::ferry_plugin::Process for #name {
            type Inputs = Arguments;
            type Nodes = #nodes;
            const ABOUT: ::ferry_plugin::macros::About = #about;
        }
    }
}

/// Generates the function that validates the arguments together; `None` without `validate = ..`.
pub(crate) fn judge(args: &Args, arguments: &[Argument]) -> Option<TokenStream> {
    let validate = args.validate.as_ref()?;
    let idents = arguments.iter().map(|argument| &argument.ident);
    Some(quote! {
        fn judge(arguments: &Arguments, bad: &mut ::ferry_plugin::Problems) {
            #validate(#(&arguments.#idents,)* bad);
        }
    })
}

/// Returns the type of the exit codes.
pub(crate) fn exit(args: &Args) -> TokenStream {
    args.exit.as_ref().map_or_else(|| quote!(::ferry_plugin::NoExit), |exit| quote!(#exit))
}
