//! `#[calcfunction]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, ItemFn, ReturnType, Type, spanned::Spanned};

use crate::{
    args::Args,
    function::{Argument, check_plain, exit, handle, judge, process, take_argument},
};

const KIND: &str = "calcfunction";

/// Returns the unchanged function, and its entry.
pub(crate) fn expand(args: &Args, mut function: ItemFn) -> syn::Result<TokenStream> {
    check(&function)?;
    let arguments = function.sig.inputs.iter_mut().map(|argument| take_argument(KIND, argument));
    let arguments = arguments.collect::<syn::Result<Vec<_>>>()?;
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
    if let Some(word) = &function.sig.asyncness {
        return Err(syn::Error::new(word.span(), "a calcfunction is a plain function: it waits for nothing"));
    }
    check_plain(KIND, function)
}

fn entry(args: &Args, function: &ItemFn, arguments: &[Argument], returned: &Type) -> TokenStream {
    let name = &function.sig.ident;
    let idents: Vec<&Ident> = arguments.iter().map(|argument| &argument.ident).collect();
    let process = process(args, function, arguments, &quote!(<#returned as ::ferry_plugin::Returned>::Nodes));
    let (exit, judge) = (exit(args), judge(args, arguments));
    quote! {
        #process

        impl ::ferry_plugin::macros::CalcFunction for #name {
            type Inputs = Arguments;
            type Returned = #returned;
            type Exit = #exit;

            fn call(arguments: Arguments) -> #returned {
                let Arguments { #(#idents),* } = arguments;
                #name(#(#idents),*)
            }

            #judge
        }

        ::ferry_plugin::macros::inventory::submit! {
            ::ferry_plugin::macros::Entry::calcfunction::<#name>(<#name as ::ferry_plugin::Process>::ABOUT)
        }
    }
}
