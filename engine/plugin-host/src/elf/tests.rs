//! A synthetic plugin file, small enough to be cut at every length, and tests with damaged ones.

use super::*;

/// The note of [`sample`].
const NOTE: [u8; abi::note_len(FACTS)] = abi::note(FACTS);
const FACTS: &[&str] = &["sample", "1.2.3", "0.1.0", "rustc 1.95.0", "x86_64-unknown-linux-gnu"];
const SHSTR: &[u8] = b"\0.note.ferry\0.dynsym\0.dynstr\0.shstrtab\0";
const DYNSTR: &[u8] = b"\0FERRY_PLUGIN_V1\0";

/// Makes a file that passes [`inspect`], though no loader would accept it. Each `tag` gives a different file.
pub(crate) fn sample(tag: u32) -> Vec<u8> {
    let mut file = vec![0; 64 + 56];
    let note = append(&mut file, &NOTE);
    let descriptor = append(&mut file, &descriptor_bytes(tag));
    let mut symbols = vec![0; 24];
    for bytes in
        [&1u32.to_le_bytes()[..], &[0x11, 0, 1, 0], &descriptor.0.to_le_bytes(), &128u64.to_le_bytes()]
    {
        symbols.extend(bytes);
    }
    let symbols = append(&mut file, &symbols);
    let dynstr = append(&mut file, DYNSTR);
    let shstr = append(&mut file, SHSTR);
    let mut table = vec![0; 64];
    for (name, kind, link, entry, (offset, size)) in [
        (1u32, 7u32, 0u32, 0u64, note),
        (13, 11, 3, 24, symbols),
        (21, 3, 0, 0, dynstr),
        (29, 3, 0, 0, shstr),
    ] {
        table.extend([name, kind].map(u32::to_le_bytes).concat());
        table.extend([0, offset, offset, size].map(u64::to_le_bytes).concat());
        table.extend([link, 1].map(u32::to_le_bytes).concat());
        table.extend([1, entry].map(u64::to_le_bytes).concat());
    }
    let (sections, _) = append(&mut file, &table);
    let len = file.len() as u64;
    file[..64].copy_from_slice(&file_header(sections));
    file[64..120].copy_from_slice(&load_segment(len));
    file
}

fn append(file: &mut Vec<u8>, bytes: &[u8]) -> (u64, u64) {
    file.resize(file.len().next_multiple_of(8), 0);
    let at = file.len() as u64;
    file.extend(bytes);
    (at, bytes.len() as u64)
}

fn descriptor_bytes(tag: u32) -> Vec<u8> {
    let mut bytes = abi::MAGIC.to_vec();
    bytes.extend([abi::ABI_MAJOR, abi::ABI_MINOR].map(u16::to_le_bytes).concat());
    bytes.extend([128, abi::FLAG_PANIC_UNWIND, abi::CODEC_MESSAGEPACK, tag].map(u32::to_le_bytes).concat());
    bytes.resize(128, 0);
    bytes
}

fn file_header(sections: u64) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([3, native_machine()].map(u16::to_le_bytes).concat());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend([0, 64, sections].map(u64::to_le_bytes).concat());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend([64u16, 56, 1, 64, 5, 4].map(u16::to_le_bytes).concat());
    bytes
}

fn load_segment(len: u64) -> Vec<u8> {
    let mut bytes = [1u32, 4].map(u32::to_le_bytes).concat();
    bytes.extend([0, 0, 0, len, len, 4096].map(u64::to_le_bytes).concat());
    bytes
}

fn kind(file: &[u8]) -> ErrorKind {
    *inspect(file).unwrap_err().kind()
}

/// Returns the sample with the first occurrence of `old` overwritten.
fn patched(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut file = sample(0);
    let at = file.windows(old.len()).position(|window| window == old).unwrap();
    file[at..at + new.len()].copy_from_slice(new);
    file
}

#[test]
fn the_sample_tells_its_facts() {
    let facts = inspect(&sample(0)).unwrap();
    assert_eq!((facts.name.as_str(), facts.version.as_str()), ("sample", "1.2.3"));
    assert_eq!((facts.abi_major, facts.target.as_str()), (1, "x86_64-unknown-linux-gnu"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let file = sample(0);
    for len in 0..file.len() {
        let kind = kind(&file[..len]);
        let want = if len < 4 { ErrorKind::NotElf } else { ErrorKind::Truncated };
        assert_eq!(kind, want, "cut at {len} of {}", file.len());
    }
}

#[test]
fn each_thing_that_can_be_wrong_has_its_kind() {
    assert_eq!(kind(b"#!/bin/sh\n"), ErrorKind::NotElf);
    assert_eq!(kind(&patched(b"\x7fELF\x02\x01", b"\x7fELF\x01\x01")), ErrorKind::WrongMachine);
    assert_eq!(kind(&patched(b"\x7fELF\x02\x01", b"\x7fELF\x02\x07")), ErrorKind::NotElf);
    assert_eq!(kind(&patched(b".note.ferry", b".note.f3rry")), ErrorKind::NotAPlugin);
    assert_eq!(kind(&patched(b"FERRY_PLUGIN_V1", b"FERRY_PLUGIN_V2")), ErrorKind::NotAPlugin);
    let mut other = sample(0);
    other[18] ^= 1;
    assert_eq!(kind(&other), ErrorKind::WrongMachine);
    let mut executable = sample(0);
    executable[16] = 2;
    assert_eq!(kind(&executable), ErrorKind::NotAPlugin);
}

#[test]
fn another_abi_is_named() {
    let mark = abi::MAGIC;
    let newer = patched(&[&mark[..], &[1, 0]].concat(), &[&mark[..], &[2, 0]].concat());
    let error = inspect(&newer).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Abi);
    assert_eq!(error.to_string(), "built for ABI 2, this ferry speaks 1");
    assert_eq!(error.help_text(), Some("install a build of the plugin for this ferry, or a newer ferry"));
}

#[test]
fn a_short_descriptor_is_too_small() {
    let size = [0, 0, 128, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    let mut shorter = size;
    shorter[2] = 120;
    assert_eq!(kind(&patched(&size, &shorter)), ErrorKind::TooSmall);
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let sound = sample(0);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..20_000 {
        let mut file = sound.clone();
        for _ in 0..=random() % 8 {
            let at = random() as usize % file.len();
            file[at] = if random() % 2 == 0 { random() as u8 } else { 0xff };
        }
        file.truncate(random() as usize % (2 * file.len()));
        let _ = inspect(&file);
    }
    for at in 0..sound.len() {
        for bits in 0..=255 {
            let mut file = sound.clone();
            file[at] ^= bits;
            let _ = inspect(&file);
        }
    }
}
