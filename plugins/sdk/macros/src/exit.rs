//! `#[derive(ExitCodes)]`.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Data, DeriveInput, Fields, Ident, LitInt, LitStr, Token, Variant, Visibility,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::words::{plain, snake};

/// Smallest status of a plugin's own exit codes; lower ones belong to the engine.
const FIRST: u32 = 200;

/// The arguments of `#[exit(..)]`.
struct Exit {
    status: LitInt,
    message: LitStr,
    label: Option<LitStr>,
    invalidates_cache: bool,
}

impl Parse for Exit {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let status: LitInt = input.parse()?;
        input.parse::<Token![,]>()?;
        let mut exit = Exit { status, message: input.parse()?, label: None, invalidates_cache: false };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                exit.parse_more(input)?;
            }
        }
        Ok(exit)
    }
}

impl Exit {
    fn parse_more(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let key: Ident = input.parse()?;
        match key.to_string().as_str() {
            "label" => {
                input.parse::<Token![=]>()?;
                self.label = Some(label(input.parse()?)?);
            }
            "invalidates_cache" => self.invalidates_cache = true,
            _ => {
                return Err(syn::Error::new(
                    key.span(),
                    "expected `label = \"ERROR_..\"` or `invalidates_cache`",
                ));
            }
        }
        Ok(())
    }

    fn label(&self, variant: &Ident) -> String {
        match &self.label {
            Some(label) => label.value(),
            None => format!("ERROR_{}", snake(&variant.to_string()).to_uppercase()),
        }
    }
}

fn label(label: LitStr) -> syn::Result<LitStr> {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if label.value().starts_with(|c: char| c.is_ascii_uppercase()) && label.value().chars().all(fits) {
        return Ok(label);
    }
    Err(syn::Error::new(label.span(), "a label is capital letters, digits and `_`: `ERROR_NO_OUTPUT`"))
}

/// Generates the implementation of `ExitCodes` for an enum, and its conversion into the SDK's error.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &item.data else {
        return Err(syn::Error::new(item.ident.span(), "exit codes are the variants of an enum"));
    };
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new(item.generics.span(), "exit codes can't be generic"));
    }
    let exits = data.variants.iter().map(exit_of).collect::<syn::Result<Vec<_>>>()?;
    check_statuses(&exits)?;
    let enum_name = &item.ident;
    let declared = data.variants.iter().zip(&exits).map(|(variant, exit)| declared(variant, exit));
    let statuses = data.variants.iter().zip(&exits).map(|(variant, exit)| status(&item.vis, variant, exit));
    let arms = data.variants.iter().zip(&exits).map(|(variant, exit)| arm(variant, exit));
    Ok(quote! {
        #[allow(dead_code, missing_docs)]
        impl #enum_name {
            #(#statuses)*
        }

        #[automatically_derived]
        impl ::ferry_plugin::ExitCodes for #enum_name {
            fn declared() -> ::std::vec::Vec<::ferry_plugin::proto::ExitCode> {
                ::std::vec![#(#declared),*]
            }

            #[allow(unused_variables, clippy::useless_format)]
            fn exit(&self) -> ::ferry_plugin::proto::Exit {
                match *self {
                    #(#arms)*
                }
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#enum_name> for ::ferry_plugin::Error {
            fn from(exit: #enum_name) -> Self {
                ::ferry_plugin::Error::exit(::ferry_plugin::ExitCodes::exit(&exit))
            }
        }
    })
}

fn exit_of(variant: &Variant) -> syn::Result<Exit> {
    if let Fields::Unnamed(fields) = &variant.fields {
        let message =
            "give the fields names, so that the message can use them: `NotConverged { steps: u32 }`";
        return Err(syn::Error::new(fields.span(), message));
    }
    let mut attrs = variant.attrs.iter().filter(|attr| attr.path().is_ident("exit"));
    match (attrs.next(), attrs.next()) {
        (Some(attr), None) => attr.parse_args(),
        (None, _) => {
            Err(syn::Error::new(variant.span(), "an exit code needs `#[exit(STATUS, \"MESSAGE\")]`"))
        }
        (_, Some(second)) => Err(syn::Error::new(second.span(), "an exit code has one `#[exit(..)]`")),
    }
}

fn check_statuses(exits: &[Exit]) -> syn::Result<()> {
    let mut seen = BTreeMap::new();
    for exit in exits {
        let status: u32 = exit.status.base10_parse()?;
        if status < FIRST {
            let message = format!("statuses below {FIRST} are the engine's: use {FIRST} or more");
            return Err(syn::Error::new(exit.status.span(), message));
        }
        if seen.insert(status, ()).is_some() {
            return Err(syn::Error::new(
                exit.status.span(),
                format!("status {status} is taken by another variant"),
            ));
        }
    }
    Ok(())
}

fn declared(variant: &Variant, exit: &Exit) -> TokenStream {
    let Exit { status, message, invalidates_cache, .. } = exit;
    let label = exit.label(&variant.ident);
    quote! {
        ::ferry_plugin::proto::ExitCode {
            status: #status,
            label: ::std::string::String::from(#label),
            message: ::std::string::String::from(#message),
            invalidates_cache: #invalidates_cache,
        }
    }
}

/// Generates the status as a constant, for uses without a value: `PwExit::NOT_CONVERGED`.
fn status(visibility: &Visibility, variant: &Variant, exit: &Exit) -> TokenStream {
    let name = Ident::new(&snake(&plain(&variant.ident)).to_uppercase(), variant.ident.span());
    let (status, about) = (&exit.status, format!("The status of [`{0}`](Self::{0}).", variant.ident));
    quote! {
        #[doc = #about]
        #visibility const #name: u32 = #status;
    }
}

/// Generates the match arm of a variant. The message is a format string over the variant's fields, so the
/// compiler checks their names.
fn arm(variant: &Variant, exit: &Exit) -> TokenStream {
    let Exit { status, message, .. } = exit;
    let (ident, label) = (&variant.ident, exit.label(&variant.ident));
    let fields = variant.fields.iter().filter_map(|field| field.ident.as_ref());
    quote! {
        Self::#ident { #(ref #fields),* } => ::ferry_plugin::proto::Exit {
            status: #status,
            label: ::std::string::String::from(#label),
            message: ::std::format!(#message),
        },
    }
}
