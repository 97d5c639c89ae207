//! `interface!`: types of other plugins, from the files that `ferry plugin interface` writes.
//!
//! The stubs are structs as an author would have written them, over the exact ports of the file. The file's message
//! travels with them into the manifest (`Manifest::interfaces`). So a launch compares it with the installed type
//! without asking anybody.

mod ports;

use std::{collections::BTreeMap, env, fs, path::Path};

use ferry_plugin_proto::{ExitCode, INTERFACE, Interface, Kind, ProcessType};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use serde::Serialize;
use syn::{
    Ident, LitStr, Token, Type,
    parse::{Parse, ParseStream},
};

use self::ports::Ports;
use crate::words::camel;

/// The arguments of `interface!(..)`.
#[derive(Default)]
pub(crate) struct Files {
    files: Vec<LitStr>,
    /// Rust types of data types.
    types: BTreeMap<String, Type>,
}

impl Parse for Files {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut said = Files::default();
        while !input.is_empty() {
            let text: LitStr = input.parse()?;
            if input.peek(Token![=>]) {
                input.parse::<Token![=>]>()?;
                said.types.insert(text.value(), input.parse()?);
            } else {
                said.files.push(text);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(said)
    }
}

/// Modules of stubs.
pub(crate) fn expand(said: &Files) -> syn::Result<TokenStream> {
    if said.files.is_empty() {
        let message =
            "name a file that `ferry plugin interface TYPE` wrote: `interface!(\"interfaces/qe.pw.json\")`";
        return Err(syn::Error::new(proc_macro2::Span::call_site(), message));
    }
    let mut modules: BTreeMap<Vec<String>, Vec<TokenStream>> = BTreeMap::new();
    for file in &said.files {
        let (module, stub) =
            stub(file, &said.types).map_err(|message| syn::Error::new(file.span(), message))?;
        modules.entry(module).or_default().push(stub);
    }
    let modules = modules.iter().map(|(path, stubs)| nested(path, quote!(#(#stubs)*)));
    Ok(quote!(#(#modules)*))
}

/// Types inside modules inside one another.
fn nested(path: &[String], inside: TokenStream) -> TokenStream {
    let Some((first, rest)) = path.split_first() else { return inside };
    let (name, inside) = (name(first), nested(rest, inside));
    let about = format!("Process types `{first}.*` of another plugin.");
    quote! {
        #[doc = #about]
        #[allow(
            dead_code,
            missing_debug_implementations,
            clippy::derive_partial_eq_without_eq,
            clippy::needless_update
        )]
        pub mod #name { #inside }
    }
}

/// Returns the stub of one file, and the path of its modules.
fn stub(file: &LitStr, types: &BTreeMap<String, Type>) -> Result<(Vec<String>, TokenStream), String> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(|_| "cargo does not say where this crate is")?;
    let path = Path::new(&root).join(file.value());
    let path = path.to_str().ok_or("the file's path is not UTF-8")?;
    let text = fs::read_to_string(path).map_err(|error| {
        format!("{path}: {error}; `ferry plugin interface TYPE > {}` writes it", file.value())
    })?;
    let interface = read(&text).map_err(|error| format!("{path}: {error}"))?;
    let full_name = &interface.process_type.name;
    let (module, last) = full_name.rsplit_once('.').ok_or_else(|| format!("{path}: its type has no name"))?;
    let (module, name) = (module.split('.').map(str::to_owned).collect(), camel(last));
    Ok((module, process(interface, &name, path, types)))
}

/// Reads an interface. The version is read first, because a newer file may have another form.
fn read(text: &str) -> Result<Interface, String> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match json["interface"].as_u64() {
        Some(version) if version == u64::from(INTERFACE) => {}
        Some(other) => {
            return Err(format!(
                "it has format {other}, this ferry-plugin reads {INTERFACE}: build with a newer one"
            ));
        }
        None => return Err("it is no file that `ferry plugin interface` wrote".to_owned()),
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Generates the process type, its ports and its exit codes.
fn process(interface: Interface, name: &str, path: &str, types: &BTreeMap<String, Type>) -> TokenStream {
    let process = Ident::new(name, proc_macro2::Span::call_site());
    let ProcessType { name: full_name, doc, inputs, outputs, exit_codes, kind, .. } = &interface.process_type;
    let about = format!("`{full_name}` of plugin {} {}. {doc}", interface.plugin, interface.version);
    let [taken, given, nodes, exit] =
        ["Inputs", "Outputs", "OutputsNodes", "Exit"].map(|end| format_ident!("{name}{end}"));
    let mut ports = Ports::new(types);
    ports.inputs(&taken, inputs);
    ports.outputs(&given, outputs);
    let (structs, kind) = (ports.items, variant(*kind));
    let exits = self::exit_codes(&exit, full_name, exit_codes);
    // Only these play a part in whether it fits.
    let bare = ProcessType {
        doc: String::new(),
        aliases: Vec::new(),
        cache_version: 0,
        options: BTreeMap::new(),
        ..interface.process_type.clone()
    };
    let needed = described(&Interface { process_type: bare, ..interface.clone() });
    quote! {
        #structs
        #exits

        #[doc = #about]
        #[derive(Debug, Clone, Copy)]
        pub struct #process;

        impl ::ferry_plugin::Process for #process {
            type Inputs = #taken;
            type Nodes = #nodes;
            const ABOUT: ::ferry_plugin::macros::About = ::ferry_plugin::macros::About {
                module: ::core::module_path!(),
                name: ::core::option::Option::Some(#full_name),
                item: #full_name,
                doc: "",
                aliases: &[],
                cache_version: 0,
            };

            fn kind() -> ::ferry_plugin::proto::Kind {
                ::ferry_plugin::proto::Kind::#kind
            }

            fn outputs() -> ::ferry_plugin::proto::Namespace {
                <#given as ::ferry_plugin::Outputs>::namespace()
            }
        }

        const _: () = {
            // So that the crate is built again when the file changes.
            const _: &[u8] = ::core::include_bytes!(#path);

            fn interface() -> ::ferry_plugin::proto::Interface {
                #needed
            }

            ::ferry_plugin::macros::inventory::submit! {
                ::ferry_plugin::macros::Needed { module: ::core::module_path!(), interface }
            }
        };
    }
}

fn variant(kind: Kind) -> Ident {
    let name = match kind {
        Kind::CalcFunction => "CalcFunction",
        Kind::CalcJob => "CalcJob",
        Kind::WorkFunction => "WorkFunction",
        Kind::WorkChain => "WorkChain",
        Kind::Unknown => "Unknown",
    };
    Ident::new(name, proc_macro2::Span::call_site())
}

/// Statuses as constants, and errors of them for fakes.
fn exit_codes(exit: &Ident, full_name: &str, codes: &Vec<ExitCode>) -> TokenStream {
    let about = format!("Exit codes of `{full_name}`.");
    let consts = codes.iter().map(|ExitCode { status, label, message, .. }| {
        let about = format!("{label}: {message}");
        let name = label.strip_prefix("ERROR_").unwrap_or(label).to_uppercase();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let name = if is_name { name } else { format!("EXIT_{status}") };
        let name = Ident::new(&name, proc_macro2::Span::call_site());
        quote! {
            #[doc = #about]
            pub const #name: u32 = #status;
        }
    });
    let declared = described(codes);
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub enum #exit {}

        impl #exit {
            #(#consts)*

            /// One of them as the error that a fake in a test ends with.
            pub fn error(status: u32) -> ::ferry_plugin::Error {
                ::ferry_plugin::macros::declared_error(status, #declared)
            }
        }
    }
}

/// Generates an expression that makes the value again. It decodes the value's message in the caller's plugin
/// when the manifest is read.
fn described<T: Serialize>(what: &T) -> TokenStream {
    let bytes = Literal::byte_string(&ferry_plugin_proto::encode(what));
    quote!(::ferry_plugin::macros::described(#bytes))
}

/// Returns the name of a port or module as a Rust identifier.
fn name(name: &str) -> Ident {
    const NEVER_RAW: &[&str] = &["self", "super", "crate", "Self", "_"];
    let span = proc_macro2::Span::call_site();
    if NEVER_RAW.contains(&name) {
        return Ident::new(&format!("{name}_"), span);
    }
    let plain = name.replace('-', "_");
    syn::parse_str::<Ident>(&plain).unwrap_or_else(|_| Ident::new_raw(&plain, span))
}
