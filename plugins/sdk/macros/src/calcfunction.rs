//! `#[calcfunction]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, FnArg, Ident, ItemFn, Pat, ReturnType, Type, spanned::Spanned};

use crate::{
    args::Args,
    words::{doc, plain},
};

/// An argument that is an input port.
struct Argument {
    ident: Ident,
    ty: Type,
    /// `#[port(..)]` and doc comments; the function itself may not keep them.
    attrs: Vec<Attribute>,
}

/// The function as it was, and its entry.
pub(crate) fn expand(args: &Args, mut function: ItemFn) -> syn::Result<TokenStream> {
    check(&function)?;
    let arguments = function.sig.inputs.iter_mut().map(take_argument).collect::<syn::Result<Vec<_>>>()?;
    let returned = match &function.sig.output {
        ReturnType::Type(_, ty) => ty,
        ReturnType::Default => {
            let message = "a calcfunction makes data: return a value, or a struct that derives `Outputs`";
            return Err(syn::Error::new(function.sig.span(), message));
        }
    };
    let entry = entry(args, &function, &arguments, returned);
    let handle = handle(&function, &arguments);
    Ok(quote! {
        #function
        #handle
        const _: () = { #entry };
    })
}

fn check(function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    if let Some(word) = &signature.asyncness {
        return Err(syn::Error::new(word.span(), "a calcfunction is a plain function: it waits for nothing"));
    }
    if !signature.generics.params.is_empty() {
        return Err(syn::Error::new(
            signature.generics.span(),
            "a calcfunction can't be generic: its ports have one type",
        ));
    }
    Ok(())
}

fn take_argument(argument: &mut FnArg) -> syn::Result<Argument> {
    let FnArg::Typed(argument) = argument else {
        return Err(syn::Error::new(argument.span(), "a calcfunction is a free function, without `self`"));
    };
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

/// A type of the function's name, by which workflows call it.
fn handle(function: &ItemFn, arguments: &[Argument]) -> TokenStream {
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

fn entry(args: &Args, function: &ItemFn, arguments: &[Argument], returned: &Type) -> TokenStream {
    let name = &function.sig.ident;
    let about = args.about(&plain(name), &doc(&function.attrs));
    let exit = args.exit.as_ref().map_or_else(|| quote!(::ferry_plugin::NoExit), |exit| quote!(#exit));
    let idents: Vec<&Ident> = arguments.iter().map(|argument| &argument.ident).collect();
    let fields = arguments.iter().map(|Argument { ident, ty, attrs }| quote!(#(#attrs)* #ident: #ty));
    quote! {
        #[derive(::ferry_plugin::Inputs)]
        pub struct Arguments { #(#fields),* }

        #[automatically_derived]
        impl ::ferry_plugin::Process for #name {
            type Inputs = Arguments;
            type Nodes = <#returned as ::ferry_plugin::Returned>::Nodes;
            const ABOUT: ::ferry_plugin::macros::About = #about;
        }

        impl ::ferry_plugin::macros::CalcFunction for #name {
            type Inputs = Arguments;
            type Returned = #returned;
            type Exit = #exit;

            fn call(arguments: Arguments) -> #returned {
                let Arguments { #(#idents),* } = arguments;
                #name(#(#idents),*)
            }
        }

        ::ferry_plugin::macros::inventory::submit! {
            ::ferry_plugin::macros::Entry::calcfunction::<#name>(<#name as ::ferry_plugin::Process>::ABOUT)
        }
    }
}
