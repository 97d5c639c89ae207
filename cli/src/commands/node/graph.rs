//! `node graph generate`: a picture of the provenance graph around some nodes. The DOT text and the page for a
//! browser are always there; other formats need Graphviz.

mod classes;
mod dot;
mod draw;
mod label;
mod page;
mod render;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use ferry_engine::{
    node::{Depth, LinkFilter, Traversal, collect},
    store::NodeId,
};

use self::{label::Identifier, render::Picture};
use crate::{
    error::{Failure, Result},
    output,
    session::Session,
};

/// The words of `ferry node graph`.
#[derive(Debug, Subcommand)]
pub(crate) enum GraphCommand {
    /// Draw the graph around nodes
    Generate(GenerateArgs),
}

/// Arguments of `node graph generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Nodes in the middle: ids, uuids or labels
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
    /// Links to follow: all, those of calculations, or those of workflows
    #[arg(short, long, value_enum, default_value_t = Links::All)]
    link_types: Links,
    /// How nodes are named; may be given several times [default: id]
    #[arg(long, value_enum, value_name = "NAME")]
    identifier: Vec<Identifier>,
    /// How many links to go back [default: all]
    #[arg(short, long, value_name = "LINKS")]
    ancestor_depth: Option<u32>,
    /// How many links to go on [default: all]
    #[arg(short, long, value_name = "LINKS")]
    descendant_depth: Option<u32>,
    /// Show all outputs of the processes on the way back
    #[arg(short = 'o', long)]
    process_out: bool,
    /// Show all inputs of the processes on the way on
    #[arg(short = 'i', long)]
    process_in: bool,
    /// Format of the picture; html is a page to look around in, needs no Graphviz and no network [default: that of
    /// the output file's name; else svg, or dot without Graphviz]
    #[arg(short = 'f', long, value_enum, value_name = "FORMAT")]
    output_format: Option<Picture>,
    /// Graphviz layout engine
    #[arg(short, long, default_value = "dot")]
    engine: String,
    /// Colour only nodes of this class: a type as it is shown, or a kind as `calcjob`; may be given several times
    #[arg(short = 'c', long, visible_alias = "target-cls", alias = "highlight-class", value_name = "CLASS")]
    highlight_classes: Vec<String>,
    /// Open the picture when it is written
    #[arg(short, long, conflicts_with = "stdout")]
    show: bool,
    /// File to write [default: ID.ENGINE.FORMAT, ID.html or ID.dot]
    #[arg(short = 'O', long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Write to standard output rather than to a file
    #[arg(long, conflicts_with = "output_file")]
    stdout: bool,
}

/// Kinds of link to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Links {
    /// All.
    All,
    /// Inputs and outputs of calculations.
    Data,
    /// Inputs and outputs of workflows.
    Logic,
}

pub(super) async fn run(session: &Session, command: GraphCommand) -> Result {
    let GraphCommand::Generate(args) = command;
    let picture = picture(&args)?;
    let reader = session.reader().await?;
    let roots: Vec<NodeId> =
        args.nodes.iter().map(|name| Ok(reader.find_node(name)?.id)).collect::<Result<_>>()?;
    let graph = collect(&reader, &roots, &traversal(&args))?;
    let coloured = classes::chosen(&reader, &graph, &args.highlight_classes)?;
    let path = args.output_file.clone().unwrap_or_else(|| default_path(&graph.roots, picture, &args.engine));
    let drawing = draw::draw(&reader, graph, &identifiers(&args), coloured.as_ref())?;
    let bytes = match picture {
        Picture::Html => page::page(&reader, &drawing)?.into_bytes(),
        other => render::render(&drawing.dot(), other, &args.engine).await?,
    };
    if args.stdout {
        return output::file(&bytes);
    }
    write(&path, &bytes)?;
    output::line(path.display().to_string())?;
    if args.show { show::open(&path) } else { Ok(()) }
}

fn traversal(args: &GenerateArgs) -> Traversal {
    let depth = |limit: Option<u32>| limit.map_or(Depth::Unlimited, Depth::Links);
    Traversal {
        links: match args.link_types {
            Links::All => LinkFilter::All,
            Links::Data => LinkFilter::Data,
            Links::Logic => LinkFilter::Logic,
        },
        ancestors: depth(args.ancestor_depth),
        descendants: depth(args.descendant_depth),
        process_in: args.process_in,
        process_out: args.process_out,
    }
}

fn identifiers(args: &GenerateArgs) -> Vec<Identifier> {
    if args.identifier.is_empty() { vec![Identifier::Id] } else { args.identifier.clone() }
}

/// Returns the format that was asked for, else that of the file's extension, else the best one available.
fn picture(args: &GenerateArgs) -> Result<Picture> {
    if let Some(picture) = args.output_format {
        return Ok(picture);
    }
    match args.output_file.as_deref().and_then(Path::extension).map(|extension| extension.to_string_lossy()) {
        Some(extension) => Picture::from_extension(&extension).ok_or_else(|| {
            Failure::usage(format!("no picture can be written as `.{extension}`"))
                .help("name the file .html, .dot, .svg, .png or .pdf, or say the format with -f")
        }),
        None if args.stdout || !render::is_installed() => Ok(Picture::Dot),
        None => Ok(Picture::Svg),
    }
}

fn default_path(roots: &[NodeId], picture: Picture, engine: &str) -> PathBuf {
    let ids: Vec<_> = roots.iter().take(8).map(ToString::to_string).collect();
    match picture {
        Picture::Dot | Picture::Html => format!("{}.{}", ids.join("."), picture.as_str()).into(),
        other => format!("{}.{engine}.{}", ids.join("."), other.as_str()).into(),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result {
    std::fs::write(path, bytes).map_err(|error| {
        Failure::new(format!("{}: {error}", path.display())).help("choose another file with -O")
    })
}
