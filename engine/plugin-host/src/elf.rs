//! Inspects a plugin file without loading it: is it complete, is it for this machine, what does it declare?
//!
//! Loading maps the file into memory. If the file is cut inside one of its segments, that ends the loading process
//! with SIGBUS. So every part that the headers promise is checked against the file's length first. A file with
//! damaged *contents* still passes; only the probe in a child can detect those.

use ferry_plugin_abi as abi;
use object::{
    LittleEndian as LE,
    elf::{self, FileHeader64, ProgramHeader64, SectionHeader64, Sym64},
    read::elf::{
        FileHeader as _, ProgramHeader as _, SectionHeader as _, SectionTable, Sym as _, SymbolTable,
    },
};

use super::{Error, ErrorKind, Result};

type Header = FileHeader64<LE>;
type Sections<'a> = SectionTable<'a, Header>;

/// Bytes of the descriptor that are the same in all versions of the contract.
const FROZEN_PREFIX: u64 = 16;

/// The facts that a plugin file declares in its ELF note. Only the ABI version has been compared with ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Major version of the contract; equal to ours.
    pub abi_major: u16,
    /// Minor version of the contract.
    pub abi_minor: u16,
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of the SDK it was built with.
    pub sdk: String,
    /// Its compiler.
    pub rustc: String,
    /// The target it was built for.
    pub target: String,
}

/// Reads the facts of a plugin file, given all of its bytes. Never panics, whatever the bytes are.
///
/// # Errors
/// `NotElf`, `Truncated`, `WrongMachine`, `NotAPlugin`, `Abi` or `TooSmall`, in this order.
pub fn inspect(file: &[u8]) -> Result<Facts> {
    let header = read_header(file)?;
    check_machine(header)?;
    let segments =
        header.program_headers(LE, file).map_err(|_| truncated("its program headers", file.len()))?;
    for segment in segments {
        check_extent("a segment", segment.p_offset(LE), segment.p_filesz(LE), file)?;
    }
    let sections = header.sections(LE, file).map_err(|_| truncated("its section headers", file.len()))?;
    for section in sections.iter() {
        check_section(section, file)?;
    }
    let facts = read_facts(&sections, file)?;
    check_symbol(&sections, segments, file)?;
    Ok(facts)
}

fn read_header(file: &[u8]) -> Result<&Header> {
    if !file.starts_with(b"\x7fELF") {
        let what = if file.is_empty() { "the file is empty" } else { "not an ELF shared library" };
        return Err(error(ErrorKind::NotElf, what).help("give the `.so` file that cargo built"));
    }
    if file.len() < size_of::<Header>() {
        return Err(truncated("its file header", file.len()));
    }
    if file[4] == elf::ELFCLASS32.0 || file[5] == elf::ELFDATA2MSB.0 {
        let what = "built for a machine that is 32-bit or big-endian";
        return Err(error(ErrorKind::WrongMachine, what).help("build the plugin on this kind of machine"));
    }
    Header::parse(file).map_err(|_| error(ErrorKind::NotElf, "its ELF file header is invalid"))
}

fn check_machine(header: &Header) -> Result<()> {
    let want = native_machine();
    let found = header.e_machine(LE).0;
    if found != want {
        let message = format!("built for {}, this machine is {}", machine_name(found), machine_name(want));
        return Err(error(ErrorKind::WrongMachine, message).help("build the plugin on this kind of machine"));
    }
    if header.e_type(LE) != elf::ET_DYN {
        return Err(error(ErrorKind::NotAPlugin, "not a ferry plugin (not a shared library)")
            .help("build it with crate-type = [\"cdylib\"]"));
    }
    Ok(())
}

fn check_section(section: &SectionHeader64<LE>, file: &[u8]) -> Result<()> {
    match section.file_range(LE) {
        Some((offset, size)) => check_extent("a section", offset, size, file),
        None => Ok(()),
    }
}

fn check_extent(what: &str, offset: u64, size: u64, file: &[u8]) -> Result<()> {
    let fits = offset.checked_add(size).is_some_and(|end| end <= file.len() as u64);
    if fits { Ok(()) } else { Err(truncated(what, file.len())) }
}

fn read_facts(sections: &Sections<'_>, file: &[u8]) -> Result<Facts> {
    let not_a_plugin = |why: &str| {
        error(ErrorKind::NotAPlugin, format!("not a ferry plugin ({why})"))
            .help("build it with ferry_plugin::export_plugin!")
    };
    let (_, section) = sections
        .section_by_name(LE, abi::NOTE_SECTION.as_bytes())
        .ok_or_else(|| not_a_plugin(&format!("it has no {} section", abi::NOTE_SECTION)))?;
    let (abi_major, abi_minor, lines) = section
        .data(LE, file)
        .ok()
        .and_then(abi::read_note)
        .ok_or_else(|| not_a_plugin(&format!("its {} section is damaged", abi::NOTE_SECTION)))?;
    check_abi(abi_major)?;
    let mut lines = lines.lines().map(printable);
    let mut next = || lines.next().unwrap_or_default();
    let facts = Facts {
        abi_major,
        abi_minor,
        name: next(),
        version: next(),
        sdk: next(),
        rustc: next(),
        target: next(),
    };
    if facts.name.is_empty() { Err(not_a_plugin("its note gives no name")) } else { Ok(facts) }
}

fn check_abi(major: u16) -> Result<()> {
    if major == abi::ABI_MAJOR {
        return Ok(());
    }
    let message = format!("built for ABI {major}, this ferry speaks {}", abi::ABI_MAJOR);
    Err(error(ErrorKind::Abi, message).help("install a build of the plugin for this ferry, or a newer ferry"))
}

/// Looks for the descriptor among the dynamic symbols and reads its frozen prefix from the file. A foreign
/// library could export the name with another meaning.
fn check_symbol(sections: &Sections<'_>, segments: &[ProgramHeader64<LE>], file: &[u8]) -> Result<()> {
    let name = abi::SYMBOL.strip_suffix(b"\0").unwrap_or(abi::SYMBOL);
    let shown = String::from_utf8_lossy(name);
    let missing = |why: &str| {
        error(ErrorKind::NotAPlugin, format!("not a ferry plugin ({why})"))
            .help("build it with ferry_plugin::export_plugin!")
    };
    let symbols = sections
        .symbols(LE, file, elf::SHT_DYNSYM)
        .map_err(|_| missing("its dynamic symbols can't be read"))?;
    let symbol = find(&symbols, name).ok_or_else(|| missing(&format!("it exports no symbol {shown}")))?;
    if symbol.st_type() != elf::STT_OBJECT {
        return Err(missing(&format!("its symbol {shown} is not data")));
    }
    if symbol.st_size(LE) < FROZEN_PREFIX {
        let message =
            format!("its symbol {shown} has {} bytes, expected {FROZEN_PREFIX}", symbol.st_size(LE));
        return Err(error(ErrorKind::TooSmall, message));
    }
    let prefix = segments
        .iter()
        .find_map(|segment| segment.data_range(LE, file, symbol.st_value(LE), FROZEN_PREFIX).ok().flatten())
        .ok_or_else(|| missing(&format!("its symbol {shown} lies outside of the file")))?;
    check_prefix(prefix).map_err(|error| error.with("symbol", shown))
}

fn find<'a>(symbols: &SymbolTable<'a, Header>, name: &[u8]) -> Option<&'a Sym64<LE>> {
    let is_it = |symbol: &&Sym64<LE>| {
        !symbol.is_undefined(LE) && symbols.symbol_name(LE, symbol).is_ok_and(|found| found == name)
    };
    symbols.iter().find(is_it)
}

/// Checks the prefix on the file's bytes, as is done again in memory before the first call.
fn check_prefix(prefix: &[u8]) -> Result<()> {
    let [m0, m1, m2, m3, m4, m5, m6, m7, a0, a1, _, _, s0, s1, s2, s3] = *prefix else {
        return Err(error(ErrorKind::NotAPlugin, "its descriptor is truncated"));
    };
    if [m0, m1, m2, m3, m4, m5, m6, m7] != abi::MAGIC {
        return Err(error(ErrorKind::NotAPlugin, "its descriptor does not begin with ferry's magic bytes"));
    }
    check_abi(u16::from_le_bytes([a0, a1]))?;
    let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
    let want = size_of::<abi::Descriptor>();
    if size < want {
        return Err(error(ErrorKind::TooSmall, format!("its descriptor has {size} bytes, expected {want}")));
    }
    Ok(())
}

/// Returns a fact in a form that is safe for a terminal.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn native_machine() -> u16 {
    match std::env::consts::ARCH {
        "x86_64" => elf::EM_X86_64.0,
        "aarch64" => elf::EM_AARCH64.0,
        "riscv64" => elf::EM_RISCV.0,
        "powerpc64" => elf::EM_PPC64.0,
        "loongarch64" => elf::EM_LOONGARCH.0,
        _ => elf::EM_NONE.0,
    }
}

fn machine_name(machine: u16) -> String {
    let names = [
        (elf::EM_X86_64, "x86_64"),
        (elf::EM_AARCH64, "aarch64"),
        (elf::EM_386, "32-bit x86"),
        (elf::EM_ARM, "32-bit ARM"),
        (elf::EM_RISCV, "RISC-V"),
        (elf::EM_PPC64, "POWER"),
        (elf::EM_LOONGARCH, "LoongArch"),
        (elf::EM_S390, "IBM Z"),
    ];
    let known = names.iter().find(|(number, _)| number.0 == machine);
    known.map_or_else(|| format!("ELF machine {machine}"), |(_, name)| (*name).to_owned())
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, "plugin file").message(message)
}

fn truncated(what: &str, len: usize) -> Error {
    error(
        ErrorKind::Truncated,
        format!("the file is truncated: {what} would lie beyond its end at {len} bytes"),
    )
    .help("copy or build the file again")
}

#[cfg(test)]
pub(super) mod tests;
