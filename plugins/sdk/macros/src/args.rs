//! The arguments of `#[calcjob(..)]`, `#[calcfunction(..)]` and `#[workfunction(..)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    LitInt, LitStr, Path, Token,
    parse::{Parse, ParseStream},
};

use crate::words::check_type_name;

/// Arguments of a process type's attribute.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) cache_version: Option<LitInt>,
    pub(crate) exit: Option<Path>,
    pub(crate) validate: Option<Path>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Args::default();
        while !input.is_empty() {
            args.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

impl Args {
    pub(crate) fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let key: syn::Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        match key.to_string().as_str() {
            "name" => self.name = Some(type_name(input)?),
            "alias" => self.aliases.push(type_name(input)?),
            "cache_version" => self.cache_version = Some(u32_literal(input)?),
            "exit" => self.exit = Some(input.parse()?),
            "validate" => self.validate = Some(input.parse()?),
            _ => {
                return Err(syn::Error::new(
                    key.span(),
                    "expected `name`, `alias`, `cache_version`, `exit` or `validate`",
                ));
            }
        }
        Ok(())
    }

    /// Generates the `About` of an entry.
    pub(crate) fn about(&self, item: &str, doc: &str) -> TokenStream {
        let name = match &self.name {
            Some(name) => quote!(::core::option::Option::Some(#name)),
            None => quote!(::core::option::Option::None),
        };
        let aliases = &self.aliases;
        let cache_version = self.cache_version.as_ref().map_or_else(|| quote!(0), |version| quote!(#version));
        quote! {
            ::ferry_plugin::macros::About {
                module: ::core::module_path!(),
                name: #name,
                item: #item,
                doc: #doc,
                aliases: &[#(#aliases),*],
                cache_version: #cache_version,
            }
        }
    }
}

fn type_name(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let name: LitStr = input.parse()?;
    check_type_name(&name)?;
    Ok(name)
}

fn u32_literal(input: ParseStream<'_>) -> syn::Result<LitInt> {
    let number: LitInt = input.parse()?;
    number.base10_parse::<u32>()?;
    Ok(number)
}
