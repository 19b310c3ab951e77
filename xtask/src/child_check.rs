//! What a child does between clone and exec shares the daemon's memory: this looks in its object code for what it
//! must not do there.
//!
//! No call (so no allocator, no panic, no memcpy, no C library), no jump that leaves the function, no thread-local
//! storage (`errno`, stack protector). Only the machine code says what the compiler made of the source. The function
//! on which clone(2) starts the child may call that one function and do nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{Outcome, product, program};

/// The function, which has this very name in the object code.
const FUNCTION: &str = "usherd_child_main";

/// The end of the name of the function that calls it in the child.
const ENTRY: &str = "spawn::child_entry";

pub fn run(words: &[String]) -> Outcome {
    if !cfg!(target_arch = "x86_64") {
        return Err("this check reads x86-64 code only".to_owned());
    }
    let binary = match words {
        [] => product::build()?.to_string_lossy().into_owned(),
        [option, path] if option == "--binary" => path.clone(),
        _ => return Err("usage: child-check [--binary PATH]".to_owned()),
    };
    let symbols = symbols(&binary)?;
    let main = find(&symbols, |name| name == FUNCTION)
        .ok_or_else(|| format!("{binary} has no symbol {FUNCTION}: renamed, inlined or stripped?"))?;
    let code = disassemble(&binary, &main)?;
    let mut faults: Vec<String> = code.iter().filter_map(|line| fault(line, &main)).collect();
    // With the entry inlined into nothing there is still one symbol for it, since clone gets its address.
    let entry = find(&symbols, |name| name.ends_with(ENTRY))
        .ok_or_else(|| format!("{binary} has no symbol that ends with {ENTRY}"))?;
    faults.extend(entry_faults(&binary, &entry, &main)?);
    println!("{FUNCTION}: {} instructions, {} bytes", code.len(), main.size);
    println!("system calls: {}", system_calls(&code).into_iter().collect::<Vec<_>>().join(" "));
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        println!("{fault}");
    }
    Err(format!("{} instructions that a child must not execute", faults.len()))
}

/// A function in the object code.
struct Symbol {
    name: String,
    address: u64,
    size: u64,
}

impl Symbol {
    fn holds(&self, address: u64) -> bool {
        (self.address..self.address + self.size).contains(&address)
    }
}

fn symbols(binary: &str) -> Result<Vec<Symbol>, String> {
    let text = program::output(Command::new("nm").args(["--demangle", "--print-size", binary]))?;
    let symbol = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let address = hexadecimal(words.next()?)?;
        let size = hexadecimal(words.next()?)?;
        let name = words.nth(1)?.to_owned();
        Some(Symbol { name, address, size })
    };
    Ok(text.lines().filter_map(symbol).collect())
}

fn find(symbols: &[Symbol], wanted: impl Fn(&str) -> bool) -> Option<Symbol> {
    let Symbol { name, address, size } = symbols.iter().find(|symbol| wanted(&symbol.name))?;
    Some(Symbol { name: name.clone(), address: *address, size: *size })
}

/// One instruction.
struct Instruction {
    /// As objdump shows it.
    line: String,
    mnemonic: String,
    operands: String,
}

fn disassemble(binary: &str, symbol: &Symbol) -> Result<Vec<Instruction>, String> {
    let start = format!("--start-address={:#x}", symbol.address);
    let stop = format!("--stop-address={:#x}", symbol.address + symbol.size);
    let text =
        program::output(Command::new("objdump").args(["-d", "--no-show-raw-insn", &start, &stop, binary]))?;
    let code: Vec<Instruction> = text.lines().filter_map(instruction).collect();
    if code.is_empty() { Err(format!("objdump shows no code of {}", symbol.name)) } else { Ok(code) }
}

/// `  130560:\tpush   %rbp`; prefixes like `data16` and `lock` stand before the mnemonic.
fn instruction(line: &str) -> Option<Instruction> {
    const PREFIXES: [&str; 6] = ["data16", "lock", "rep", "repz", "notrack", "bnd"];
    let (address, text) = line.trim_start().split_once(":\t")?;
    hexadecimal(address)?;
    let mut words = text.split_whitespace().skip_while(|word| PREFIXES.contains(word));
    let mnemonic = words.next()?.to_owned();
    let operands = words.collect::<Vec<_>>().join(" ");
    Some(Instruction { line: line.trim().to_owned(), mnemonic, operands })
}

/// What is wrong with an instruction of the child's function.
fn fault(instruction: &Instruction, function: &Symbol) -> Option<String> {
    let Instruction { line, mnemonic, operands } = instruction;
    let wrong = if mnemonic.starts_with("call") {
        "a call"
    } else if operands.contains("%fs:") || operands.contains("%gs:") {
        "thread-local storage"
    } else if mnemonic.starts_with("ret") {
        "a return: nothing is above this function"
    } else if mnemonic.starts_with('j') && leaves(operands, function) {
        "a jump out of the function"
    } else if matches!(mnemonic.as_str(), "int" | "sysenter" | "ud2" | "int3") {
        "a trap: an abort that the compiler put in"
    } else {
        return None;
    };
    Some(format!("{wrong}: {line}"))
}

/// Whether a jump goes elsewhere. One through a register is the table of a `match`; one through memory is a call of
/// another function, in the place of a call and a return.
fn leaves(operands: &str, function: &Symbol) -> bool {
    match operands.strip_prefix('*') {
        Some(target) => !target.starts_with('%'),
        None => {
            let target = operands.split(' ').next().and_then(hexadecimal);
            !target.is_some_and(|target| function.holds(target))
        }
    }
}

/// What the entry does besides calling the function.
fn entry_faults(binary: &str, entry: &Symbol, main: &Symbol) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for instruction in disassemble(binary, entry)? {
        let Instruction { line, mnemonic, operands } = &instruction;
        let fine = match mnemonic.as_str() {
            "push" | "pop" | "sub" | "add" | "mov" | "endbr64" | "ret" | "nop" | "nopw" | "nopl" | "cs"
            | "int3" | "ud2" => !operands.contains("%fs:"),
            "call" | "jmp" => is_call_of(binary, operands, main)?,
            _ => false,
        };
        if !fine {
            faults.push(format!("not expected in {}: {line}", entry.name));
        }
    }
    Ok(faults)
}

/// Whether a call's target is the function: directly, or by an address in memory that the loader fills in.
fn is_call_of(binary: &str, operands: &str, main: &Symbol) -> Result<bool, String> {
    if !operands.starts_with('*') {
        return Ok(operands.split(' ').next().and_then(hexadecimal) == Some(main.address));
    }
    // `*0x6df1(%rip) # 137248 <_DYNAMIC+0x4b8>`
    let Some(place) = operands.split_once("# ").and_then(|(_, rest)| hexadecimal(rest.split(' ').next()?))
    else {
        return Ok(false);
    };
    let relocations = program::output(Command::new("objdump").args(["--dynamic-reloc", binary]))?;
    let value = relocations.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let at = hexadecimal(words.next()?)?;
        let value = words.nth(1)?;
        (at == place).then(|| value.to_owned())
    });
    Ok(value.is_some_and(|value| {
        value == main.name || value.strip_prefix("*ABS*+").and_then(hexadecimal) == Some(main.address)
    }))
}

/// The calls that are made, by name where this file knows it. The number is the last that was put into the register.
fn system_calls(code: &[Instruction]) -> BTreeSet<String> {
    let mut number = None;
    let mut calls = BTreeSet::new();
    for Instruction { mnemonic, operands, .. } in code {
        match (mnemonic.as_str(), operands.split_once(',')) {
            ("mov", Some((value, "%eax" | "%rax"))) => number = value.strip_prefix('$').and_then(hexadecimal),
            ("xor", Some(("%eax", "%eax"))) => number = Some(0),
            ("syscall", _) => {
                calls.insert(number.map_or_else(|| "?".to_owned(), call_name));
            }
            _ => {}
        }
    }
    calls
}

fn call_name(number: u64) -> String {
    const NAMES: [(u64, &str); 15] = [
        (14, "rt_sigprocmask"),
        (59, "execve"),
        (95, "umask"),
        (112, "setsid"),
        (116, "setgroups"),
        (117, "setresuid"),
        (118, "getresuid"),
        (119, "setresgid"),
        (120, "getresgid"),
        (141, "setpriority"),
        (231, "exit_group"),
        (292, "dup3"),
        (302, "prlimit64"),
        (322, "execveat"),
        (436, "close_range"),
    ];
    let name = NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    name.map_or_else(|| format!("number {number}"), |name| format!("{name}({number})"))
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(line: &str) -> Option<String> {
        let function = Symbol { name: FUNCTION.to_owned(), address: 0x1000, size: 0x100 };
        fault(&instruction(line).expect("an instruction"), &function)
    }

    #[test]
    fn what_a_child_must_not_do_is_seen() {
        for line in [
            "  1000:\tcall   2000 <memcpy>",
            "  1000:\tcall   *0x6df1(%rip)        # 137248 <_DYNAMIC+0x4b8>",
            "  1000:\tjmp    2000 <memcpy>",
            "  1000:\tjmp    *0x6df1(%rip)        # 137248 <_DYNAMIC+0x4b8>",
            "  1000:\tmov    %fs:0x28,%rax",
            "  1000:\tud2",
            "  1000:\tret",
        ] {
            assert!(fault_of(line).is_some(), "{line}");
        }
    }

    #[test]
    fn what_a_child_may_do_is_let_through() {
        for line in [
            "  1000:\tjs     1042 <usherd_child_main+0x42>",
            "  1000:\tjmp    *%rax",
            "  1000:\tnotrack jmp *%rax",
            "  1000:\tsyscall",
            "  1000:\tdata16 data16 cs nopw 0x0(%rax,%rax,1)",
        ] {
            assert_eq!(fault_of(line), None, "{line}");
        }
    }

    #[test]
    fn system_calls_are_named() {
        let lines = ["  1:\tmov    $0x3b,%eax", "  2:\tsyscall", "  3:\txor    %eax,%eax", "  4:\tsyscall"];
        let code: Vec<Instruction> = lines.iter().filter_map(|line| instruction(line)).collect();
        assert_eq!(system_calls(&code).into_iter().collect::<Vec<_>>(), ["execve(59)", "number 0"]);
    }
}
