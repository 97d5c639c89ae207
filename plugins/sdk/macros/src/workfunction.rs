//! `#[workfunction]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{FnArg, Ident, ItemFn, ReturnType, Type, spanned::Spanned};

use crate::{
    args::Args,
    function::{Argument, check_plain, exit, handle, judge, process, take_argument, typed},
};

const KIND: &str = "workfunction";

/// Returns the unchanged function, and its entry.
pub(crate) fn expand(args: &Args, mut function: ItemFn) -> syn::Result<TokenStream> {
    check(&function)?;
    let span = function.sig.span();
    let mut inputs = function.sig.inputs.iter_mut();
    let context = inputs.next().ok_or_else(|| {
        syn::Error::new(span, "a workfunction is given its context: write `async fn name(cx: Cx, ..)`")
    })?;
    let context = context_type(context)?;
    let arguments = inputs.map(|argument| take_argument(KIND, argument)).collect::<syn::Result<Vec<_>>>()?;
    let returned = match &function.sig.output {
        ReturnType::Type(_, ty) => quote!(#ty),
        ReturnType::Default => quote!(()),
    };
    let entry = entry(args, &function, &context, &arguments, &returned);
    let handle = handle(&function, &arguments);
    Ok(quote! {
        #function
        #handle
        const _: () = { #entry };
    })
}

fn check(function: &ItemFn) -> syn::Result<()> {
    if function.sig.asyncness.is_none() {
        let message = "a workfunction calls processes and waits for them: write `async fn`; a plain function that \
                       makes data is a `#[calcfunction]`";
        return Err(syn::Error::new(function.sig.fn_token.span(), message));
    }
    check_plain(KIND, function)
}

/// Returns the type of the first argument, which is no port.
fn context_type(argument: &mut FnArg) -> syn::Result<Type> {
    let argument = typed(KIND, argument)?;
    if let Type::Reference(ty) = &*argument.ty {
        return Err(syn::Error::new(ty.span(), "take the context by value: `cx: Cx`; it can be cloned"));
    }
    if let Some(attr) = argument.attrs.iter().find(|attr| attr.path().is_ident("port")) {
        let message = "the first argument is the context, `cx: Cx`, and no port";
        return Err(syn::Error::new(attr.span(), message));
    }
    Ok((*argument.ty).clone())
}

fn entry(
    args: &Args,
    function: &ItemFn,
    context: &Type,
    arguments: &[Argument],
    returned: &TokenStream,
) -> TokenStream {
    let name = &function.sig.ident;
    let idents: Vec<&Ident> = arguments.iter().map(|argument| &argument.ident).collect();
    let nodes = quote!(<#returned as ::ferry_plugin::ReturnedNodes>::Nodes);
    let process = process(args, function, arguments, &nodes);
    let (exit, judge) = (exit(args), judge(args, arguments));
    let is_context = quote_spanned! {context.span()=>
        let cx = <#context as ::ferry_plugin::macros::IsCx>::of(cx);
    };
    quote! {
        #process

        impl ::ferry_plugin::macros::WorkFunction for #name {
            type Inputs = Arguments;
            type Returned = #returned;
            type Exit = #exit;

            fn call(
                cx: ::ferry_plugin::FlowCx,
                arguments: Arguments,
            ) -> impl ::core::future::Future<Output = #returned> + ::core::marker::Send {
                let Arguments { #(#idents),* } = arguments;
                #is_context
                #name(cx, #(#idents),*)
            }

            #judge
        }

        ::ferry_plugin::macros::inventory::submit! {
            ::ferry_plugin::macros::Entry::workfunction::<#name>(<#name as ::ferry_plugin::Process>::ABOUT)
        }
    }
}
