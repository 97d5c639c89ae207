//! The attributes and derives of `ferry-plugin`, which documents and re-exports them. The generated code only
//! implements traits: no type is recognised by its name, so an author's own types work like ours.

mod args;
mod block;
mod calcfunction;
mod data;
mod exit;
mod field;
mod function;
mod inputs;
mod interface;
mod monitor;
mod outline;
mod outputs;
mod restart;
mod schema;
mod words;
mod workfunction;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes input ports of a struct's fields: see the trait `Inputs`.
///
/// A doc comment is the port's help. `#[port(default = .., range(..), choices(..), help = "..")]` adds
/// details. In a namespace, `exclude(a, b.c)` leaves out these ports, and `include(a)` leaves out all others.
#[proc_macro_derive(Inputs, attributes(port))]
pub fn derive_inputs(item: TokenStream) -> TokenStream {
    expand(inputs::derive(&parse_macro_input!(item)))
}

/// Makes output ports of a struct's fields, and a draft with a setter per port: see the trait `Outputs`.
#[proc_macro_derive(Outputs, attributes(port))]
pub fn derive_outputs(item: TokenStream) -> TokenStream {
    expand(outputs::derive(&parse_macro_input!(item)))
}

/// Makes exit codes of an enum's variants: see the trait `ExitCodes`.
#[proc_macro_derive(ExitCodes, attributes(exit))]
pub fn derive_exit_codes(item: TokenStream) -> TokenStream {
    expand(exit::derive(&parse_macro_input!(item)))
}

/// Makes a data type of a struct with named fields, which serde reads and writes: see the trait `Data`.
///
/// `#[data(name = "library.type", version = 2, upgrade(1 => from_v1), read("cif"), write("cif"), check = path)]`: all
/// but the name may be left out. A field under `#[data(file)]` and `#[serde(skip)]` is a file of the node.
#[proc_macro_derive(Data, attributes(data, serde))]
pub fn derive_data(item: TokenStream) -> TokenStream {
    expand(data::derive(&parse_macro_input!(item)))
}

/// Describes what serde makes of a struct or an enum, for the data types that have it inside: see the trait `Schema`.
#[proc_macro_derive(Schema, attributes(serde))]
pub fn derive_schema(item: TokenStream) -> TokenStream {
    expand(schema::derive(&parse_macro_input!(item)))
}

/// Makes a calcfunction of a plain function, which stays one.
///
/// Arguments are input ports and may carry `#[port(..)]` and doc comments. One value is the output port `result`;
/// a struct that derives `Outputs` is several. `#[calcfunction(name = "plugin.type", alias = "..",
/// cache_version = 2, exit = MyExit)]`: all may be left out; the name is then `crate.function`.
#[proc_macro_attribute]
pub fn calcfunction(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args);
    expand(calcfunction::expand(&args, parse_macro_input!(item)))
}

/// Makes a workfunction of an `async fn`: it calls processes, waits for them, sleeps, and returns nodes.
///
/// The first argument is the context, `cx: Cx`; the others are input ports and may carry `#[port(..)]` and doc
/// comments. It returns a `Node<T>` (the output port `result`), a struct of nodes that derives `Outputs`, or a
/// `Result` of either. `#[workfunction(name = "plugin.type", alias = "..", exit = MyExit)]`: all may be left out; the
/// name is then `crate.function`.
#[proc_macro_attribute]
pub fn workfunction(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args);
    expand(workfunction::expand(&args, parse_macro_input!(item)))
}

/// Registers an `impl CalcJob for X`.
///
/// `#[calcjob(name = "plugin.type", alias = "..", cache_version = 2)]`: all may be left out; the name is then
/// `crate.x`. Without a `type Exit` there are no exit codes.
#[proc_macro_attribute]
pub fn calcjob(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args);
    let sort = block::Sort { name: "CalcJob", entry: "calcjob" };
    expand(block::expand(&sort, &args, parse_macro_input!(item)))
}

/// Registers an `impl Machine for X`: a process that calls others, written as a machine of steps.
///
/// `#[machine(name = "plugin.type", alias = "..", cache_version = 2)]`: all may be left out; the name is then
/// `crate.x`. Without a `type Exit` there are no exit codes.
#[proc_macro_attribute]
pub fn machine(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args);
    let sort = block::Sort { name: "Machine", entry: "machine" };
    expand(block::expand(&sort, &args, parse_macro_input!(item)))
}

/// Registers an `impl WorkChain for X`.
///
/// `#[workchain(name = "plugin.type", alias = "..", cache_version = 2)]`: all may be left out; the name is then
/// `crate.x`. Without a `type Exit` there are no exit codes.
#[proc_macro_attribute]
pub fn workchain(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args);
    let sort = block::Sort { name: "WorkChain", entry: "workchain" };
    expand(block::expand(&sort, &args, parse_macro_input!(item)))
}

/// Makes a restart workchain of a block of methods: see the trait `Restart`.
///
/// `#[restart(name = "plugin.type", child = Pw, exit = MyExit, alias = "..")]`: all but the child may be left out.
/// Methods under `#[handler(priority = 500, on(PwExit::NotConverged), enabled = true)]` look at children that ended;
/// one under `#[setup]` runs before the first.
#[proc_macro_attribute]
pub fn restart(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args as restart::RestartArgs);
    expand(restart::expand(&args, parse_macro_input!(item)))
}

/// Registers an `impl Monitor for X`: what looks at running jobs.
///
/// `#[monitor(name = "plugin.monitor", alias = "..")]`: both may be left out; the name is then `crate.x`.
#[proc_macro_attribute]
pub fn monitor(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args);
    expand(monitor::expand(&args, &parse_macro_input!(item)))
}

/// Writes the outline of a workchain: see the function `outline` of the trait `WorkChain`.
#[proc_macro]
pub fn outline(item: TokenStream) -> TokenStream {
    let outline = parse_macro_input!(item as outline::Outline);
    outline.expand().into()
}

/// Makes stubs of process types of other plugins, from the files that `ferry plugin interface TYPE` writes.
///
/// `interface!("interfaces/qe.pw.json")`, relative to the crate's root, makes a module `qe` with a process
/// type `Pw`. It is called, exposed and restarted like one whose crate is linked: `Draft<qe::Pw>`,
/// `Child<qe::Pw>`, `#[restart(child = qe::Pw)]`. Its exit codes are constants, `qe::PwExit::NOT_CONVERGED`;
/// `qe::PwExit::error(410)` makes one for the fakes of tests. Ports of the base types have Rust's types.
/// Others take any value or node, and return nodes to be
/// [`cast`](../ferry_plugin/struct.Node.html#method.cast), unless their Rust type is given:
/// `interface!("interfaces/qe.pw.json", "core.structure" => Structure)`. Several files may be named in one
/// call; files of the same plugin must be in one call.
///
/// Whenever such a type is launched, ferry checks that the installed one still has everything that the file
/// describes. So remove from the file what you don't use.
#[proc_macro]
pub fn interface(item: TokenStream) -> TokenStream {
    expand(interface::expand(&parse_macro_input!(item)))
}

fn expand(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(|error| error.into_compile_error()).into()
}
