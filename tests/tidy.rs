//! Rules of the house that the compiler and clippy cannot hold: who may import whom, what is pure, what opens a file, how
//! long it may be, what a suppression must say, which requirement has a test.
//!
//! Every check names all offenders with file and line, and what to do. Every detector is itself tested with a planted
//! offender. It must never import a crate of the workspace, so that it can be built whatever state those are in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

// ---------------------------------------------------------------------------------------------------------------------
// The rules, as data.

/// A crate, what it may import of the workspace, and what its tests may import beside that. A crate may only import what
/// stands above it, so the table has no cycle.
const DAG: &[(&str, &[&str], &[&str])] = &[
    ("domain", &[], &[]),
    ("ledger", &["domain"], &[]),
    ("risk", &["domain", "ledger"], &[]),
    ("strategy", &["domain"], &[]),
    ("engine", &["domain", "ledger", "risk", "strategy"], &[]),
    ("simulator", &["domain"], &[]),
    ("exchange", &["domain", "risk"], &["ledger", "simulator"]),
    ("store", &["domain", "ledger", "risk", "engine"], &[]),
    ("runtime", &["domain", "ledger", "risk", "strategy", "engine", "simulator", "exchange", "store"], &[]),
    ("console", &["domain", "engine", "store", "runtime"], &[]),
    (
        "bench",
        &["domain", "ledger", "risk", "strategy", "engine", "simulator", "exchange", "store", "runtime", "console"],
        &[],
    ),
    (
        "vigia",
        &["domain", "ledger", "risk", "strategy", "engine", "simulator", "exchange", "store", "runtime", "console"],
        &["bench"],
    ),
];

/// Libraries that live in few crates only. Tests may use them anywhere.
const ONLY_IN: &[(&str, &[&str])] =
    &[("sqlx", &["store"]), ("actix", &["runtime", "console"]), ("awc", &["exchange"]), ("backoff", &["exchange"])];

/// The one file that may name `backoff`.
const RETRY: &str = "crates/exchange/src/retry.rs";

/// Sources that do no I/O, read no clock, wait for nothing and are the same on every run.
const PURE: &[&str] = &[
    "crates/domain/src/",
    "crates/ledger/src/",
    "crates/risk/src/",
    "crates/strategy/src/",
    "crates/engine/src/",
    "crates/simulator/src/model/",
];

/// What makes code impure, and what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("Instant", "take monotonic milliseconds as an argument"),
    ("SystemTime", "take `now: Timestamp` as an argument"),
    ("Utc::now", "take `now: Timestamp` as an argument"),
    ("std::fs", "files belong to the store or the shells"),
    ("std::net", "the network belongs to the exchange crate"),
    ("std::thread", "threads belong to the runtime"),
    ("tokio", "waiting belongs to the shells; return an effect"),
    ("async", "waiting belongs to the shells; return an effect"),
    ("HashMap", "its order differs between runs; use BTreeMap"),
    ("HashSet", "its order differs between runs; use BTreeSet"),
    ("rand::", "randomness comes in as an argument"),
    ("rand_chacha::", "randomness comes in as an argument"),
];

/// Sources in which every number may be money.
const EXACT: &[&str] = &["crates/domain/src/", "crates/ledger/src/", "crates/risk/src/", "crates/engine/src/"];

/// Longest file before its tests, in lines.
const LINES_MAX: usize = 400;
/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// Every requirement of the specification.
const SPEC_IDS: &[&str] = &[
    "H1", "H2", "H3", "H4", "B1a", "B1b", "B1c", "B2a", "B2b", "B3a", "B3b", "B3c", "B3d", "S1", "S2", "S3", "S4",
    "S5", "S6", "S7", "S8", "S9", "R1", "R2", "R3", "R4", "R5", "C1", "C2", "C3", "D1", "D2", "D3", "D4", "D5", "D6",
    "D7", "D8", "K1", "K2", "K3", "K4", "K5", "K6", "L1", "L2", "L3", "L4", "E1", "E2", "E3", "E4", "O1", "O2", "O3",
    "O4", "O5", "O6", "O7", "O8",
];

/// Paths of a workplace, which nobody else has. Put together here, so that this file does not contain them.
const WORKPLACE: &[&str] = &[concat!("/wo", "rk/"), concat!("/tmp/bash", "_jobs"), concat!("/tmp/tar", "get-")];

// ---------------------------------------------------------------------------------------------------------------------
// The checks.

#[test]
fn crates_import_only_what_the_dag_allows() {
    let manifests = manifests();
    let mut offences = Vec::new();
    for (name, manifest) in &manifests {
        offences.extend(dag_offences(name, manifest));
    }
    for (name, _, _) in DAG {
        if !manifests.contains_key(*name) {
            offences.push(offence("tests/tidy.rs", 1, format!("DAG names {name}, which is no crate: take it out")));
        }
    }
    offences.extend(table_offences(DAG));
    report("The crates form a DAG (docs/architecture.md, \"Crates\")", &offences);
}

#[test]
fn libraries_stay_in_their_crates() {
    let mut offences: Vec<_> =
        manifests().iter().flat_map(|(name, manifest)| library_offences(name, manifest)).collect();
    offences.extend(sources().iter().filter(|source| source.path != RETRY).flat_map(backoff_offences));
    report("sqlx, actix, awc and backoff live in few places only", &offences);
}

#[test]
fn pure_crates_are_pure() {
    let sources = sources();
    let pure = sources.iter().filter(|source| PURE.iter().any(|prefix| source.path.starts_with(prefix)));
    report("Machines decide, shells act: these sources are pure", &pure.flat_map(impurities).collect::<Vec<_>>());
}

#[test]
fn money_is_never_a_float() {
    let sources = sources();
    let exact = sources.iter().filter(|source| EXACT.iter().any(|prefix| source.path.starts_with(prefix)));
    report("Where money is counted there are no floats", &exact.flat_map(floats).collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is() {
    report("Every file opens with `//!`", &sources().iter().filter_map(headless).collect::<Vec<_>>());
}

#[test]
fn files_are_short() {
    let sources = sources();
    let mut offences: Vec<_> = sources.iter().filter_map(|source| too_long(source, LONGER)).collect();
    for (path, _) in LONGER {
        let needed = sources.iter().any(|source| source.path == *path && source.shipped_lines() > LINES_MAX);
        if !needed {
            offences.push(offence(path, 1, "needs no exception any more: take it out of LONGER in tests/tidy.rs"));
        }
    }
    report("A file has at most 400 lines before its tests", &offences);
}

#[test]
fn suppressions_say_why() {
    let sources = sources();
    report(
        "Every allow, expect and ignore carries a reason",
        &sources.iter().flat_map(unexplained).collect::<Vec<_>>(),
    );
}

#[test]
fn what_is_done_is_tested() {
    let path = "docs/spec-status.md";
    let text = read(&root().join(path));
    let tests: BTreeSet<String> = sources().iter().flat_map(tests_of).collect();
    report("What is said to be done has a test", &status_offences(path, &text, &tests, SPEC_IDS));
}

#[test]
fn nothing_names_a_workplace() {
    let mut offences = Vec::new();
    for path in project_files() {
        if let Ok(text) = fs::read_to_string(root().join(&path)) {
            offences.extend(workplace_offences(&path, &text));
        }
    }
    report("The project is the same on every machine", &offences);
}

// ---------------------------------------------------------------------------------------------------------------------
// The detectors.

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Offence {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

fn offence(path: &str, line: usize, what: impl Into<String>) -> Offence {
    Offence { path: path.to_owned(), line, what: what.into() }
}

fn report(rule: &str, offences: &[Offence]) {
    let list: String = offences.iter().map(|offence| format!("  {offence}\n")).collect();
    assert!(offences.is_empty(), "{rule}. {} offenders:\n{list}", offences.len());
}

/// A manifest: where it is, its text, and what it imports (by the package's name).
#[derive(Debug)]
struct Manifest {
    path: String,
    text: String,
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

impl Manifest {
    fn parse(path: &str, text: &str) -> Self {
        let table: toml::Table = text.parse().map_err(|error| format!("{path}: {error}")).expect("a manifest");
        let mut manifest =
            Self { path: path.to_owned(), text: text.to_owned(), normal: BTreeSet::new(), dev: BTreeSet::new() };
        manifest.take(&table);
        let targets = table.get("target").and_then(toml::Value::as_table);
        for target in targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table) {
            manifest.take(target);
        }
        manifest
    }

    fn take(&mut self, table: &toml::Table) {
        let names = |section: &str| {
            let entries = table.get(section).and_then(toml::Value::as_table);
            entries.into_iter().flatten().map(package_name).collect::<Vec<_>>()
        };
        self.normal.extend(names("dependencies"));
        self.normal.extend(names("build-dependencies"));
        self.dev.extend(names("dev-dependencies"));
    }

    /// The line that imports `name`.
    fn line_of(&self, name: &str) -> usize {
        let names = |line: &str| {
            let key = line.split(['.', '=', ' ']).next().unwrap_or_default().trim_matches('"');
            key == name || (line.contains("package") && line.contains(&format!("\"{name}\"")))
        };
        self.text.lines().position(names).map_or(1, |index| index + 1)
    }
}

/// The package that a dependency names, under whatever name it is imported.
fn package_name((key, value): (&String, &toml::Value)) -> String {
    value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned()
}

fn dag_offences(name: &str, manifest: &Manifest) -> Vec<Offence> {
    let Some((_, allowed, in_tests)) = DAG.iter().find(|(row, _, _)| *row == name) else {
        return vec![offence(&manifest.path, 1, format!("crate {name} has no row in DAG of tests/tidy.rs: add one"))];
    };
    let ours = |dependency: &&String| DAG.iter().any(|(row, _, _)| row == dependency);
    let normal = manifest.normal.iter().filter(ours).filter(|d| !allowed.contains(&d.as_str()));
    let dev = manifest.dev.iter().filter(ours);
    let dev = dev.filter(|d| !allowed.contains(&d.as_str()) && !in_tests.contains(&d.as_str()));
    let say = |dependency: &String, kind: &str| {
        let what = format!(
            "{name} must not import {dependency}{kind}: move the code to where it may be used, or change DAG in \
             tests/tidy.rs and say why in docs/decisions"
        );
        offence(&manifest.path, manifest.line_of(dependency), what)
    };
    normal.map(|d| say(d, "")).chain(dev.map(|d| say(d, " in its tests"))).collect()
}

/// A table whose rows only import rows above them has no cycle.
fn table_offences(table: &[(&str, &[&str], &[&str])]) -> Vec<Offence> {
    let mut above: BTreeSet<&str> = BTreeSet::new();
    let mut offences = Vec::new();
    for (name, allowed, in_tests) in table {
        for dependency in allowed.iter().chain(*in_tests).filter(|dependency| !above.contains(*dependency)) {
            let what =
                format!("DAG: {name} may import {dependency}, which does not stand above it: a cycle is possible");
            offences.push(offence("tests/tidy.rs", 1, what));
        }
        above.insert(name);
    }
    offences
}

fn library_offences(name: &str, manifest: &Manifest) -> Vec<Offence> {
    let strays =
        ONLY_IN.iter().filter(|(library, crates)| manifest.normal.contains(*library) && !crates.contains(&name));
    strays
        .map(|(library, crates)| {
            let what = format!("{name} must not import {library}: it lives in {} only", crates.join(" and "));
            offence(&manifest.path, manifest.line_of(library), what)
        })
        .collect()
}

fn backoff_offences(source: &Source) -> Vec<Offence> {
    let what = format!("only {RETRY} knows the crate backoff: use exchange::retry");
    source.found("backoff::", &source.code).map(|line| offence(&source.path, line, what.clone())).collect()
}

fn impurities(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (word, remedy) in IMPURE {
        let what = format!("`{word}` is impure: {remedy}");
        offences.extend(source.found(word, &source.shipped).map(|line| offence(&source.path, line, what.clone())));
        // The same, imported in a group: `use std::{fmt, fs}`.
        let Some(part) = word.strip_prefix("std::") else { continue };
        for at in positions(&source.shipped, "std::{") {
            let group = &source.shipped[at..closing(source.shipped.as_bytes(), at + "std::".len())];
            let named = group.split(['{', ',', '}']).any(|one| one.trim().split("::").next() == Some(part));
            offences.extend(named.then(|| offence(&source.path, source.line(at), what.clone())));
        }
    }
    offences
}

fn floats(source: &Source) -> Vec<Offence> {
    let what = "a float: use Decimal, or Price, Quantity, Notional, Ratio";
    let found = ["f64", "f32"].into_iter().flat_map(|word| source.found(word, &source.shipped));
    found.map(|line| offence(&source.path, line, what)).collect()
}

fn headless(source: &Source) -> Option<Offence> {
    let what = "begin the file with `//!`: what it is, and what it must never do";
    (!source.text.starts_with("//!")).then(|| offence(&source.path, 1, what))
}

fn too_long(source: &Source, exceptions: &[(&str, &str)]) -> Option<Offence> {
    let lines = source.shipped_lines();
    let excepted = exceptions.iter().any(|(path, reason)| *path == source.path && !reason.is_empty());
    let what = format!("{lines} lines before its tests: split it, or name it in LONGER of tests/tidy.rs with a reason");
    (lines > LINES_MAX && !excepted).then(|| offence(&source.path, LINES_MAX + 1, what))
}

fn unexplained(source: &Source) -> Vec<Offence> {
    let bare = |(start, end): &(usize, usize)| {
        let body = &source.code[*start..*end];
        let suppresses = positions(body, "allow").chain(positions(body, "expect")).next().is_some();
        let ignores = positions(body, "ignore").next().is_some();
        let reason = positions(body, "reason").next().is_some();
        (suppresses && body.contains('(') && !reason) || (ignores && !body.contains('=') && !reason)
    };
    let what = "say why: `reason = \"...\"`, or `#[ignore = \"...\"]`";
    attributes(&source.code).filter(bare).map(|(start, _)| offence(&source.path, source.line(start), what)).collect()
}

/// Names of the tests of a file that run by default.
fn tests_of(source: &Source) -> Vec<String> {
    let code = &source.code;
    let names = attributes(code).filter_map(|(start, end)| {
        let body = code[start..end].trim_start_matches(['#', '!', '[']);
        let path = body.split(['(', ']']).next().unwrap_or_default().trim();
        if path != "test" && !path.ends_with("::test") {
            return None;
        }
        let head = positions(&code[end..], "fn").next()? + end;
        if positions(&code[start..head], "ignore").next().is_some() {
            return None;
        }
        let name: String = code[head + 2..].trim_start().chars().take_while(|c| is_word(*c)).collect();
        Some(name)
    });
    names.collect()
}

/// Rows `| id | status | tests |`: a row that is done has a test with its id as a word; every test named exists.
fn status_offences(path: &str, text: &str, tests: &BTreeSet<String>, ids: &[&str]) -> Vec<Offence> {
    let mut offences = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, row) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, status, named, ..] = cells[..] else { continue };
        if id == "id" || id.starts_with('-') {
            continue;
        }
        let mut say = |what: String| offences.push(offence(path, index + 1, what));
        if !ids.contains(&id) {
            say(format!("{id} is no requirement: see SPEC_IDS in tests/tidy.rs"));
        }
        if !seen.insert(id) {
            say(format!("{id} has two rows: keep one"));
        }
        if !["done", "partial", "later"].contains(&status) {
            say(format!("{id}: status is {status:?}: write done, partial or later"));
        }
        let word = id.to_lowercase();
        let tested = tests.iter().any(|test| test.split('_').any(|part| part == word));
        if status == "done" && !tested {
            say(format!("{id} is done, and no test's name carries {word}: write the test, or write partial"));
        }
        for name in named.split('`').skip(1).step_by(2).filter(|name| !tests.contains(*name)) {
            say(format!("{id}: there is no test {name}: correct the name"));
        }
    }
    let missing = ids.iter().filter(|id| !seen.contains(**id));
    offences.extend(missing.map(|id| offence(path, 1, format!("{id} has no row: add one"))));
    offences
}

fn workplace_offences(path: &str, text: &str) -> Vec<Offence> {
    let lines = text.lines().enumerate();
    let found = lines.filter(|(_, line)| WORKPLACE.iter().any(|word| line.contains(word)));
    let what = "names a path that only one machine has: make it relative, or take it from the environment";
    found.map(|(index, _)| offence(path, index + 1, what)).collect()
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading sources.

/// A Rust file.
#[derive(Debug)]
struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
    /// The text with comments and literals blanked, byte for byte.
    code: String,
    /// The code with its tests blanked too; nothing of a file that is all tests.
    shipped: String,
}

impl Source {
    fn parse(path: &str, text: &str) -> Self {
        let code = code_of(text);
        let mut shipped = code.clone().into_bytes();
        for (start, end) in test_items(&code) {
            blank(&mut shipped[start..end]);
        }
        let shipped = String::from_utf8_lossy(&shipped).into_owned();
        Self { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn found(&self, word: &str, code: &str) -> impl Iterator<Item = usize> {
        positions(code, word).map(|at| self.line(at)).collect::<Vec<_>>().into_iter()
    }

    /// Lines outside tests, comments and empty lines included.
    fn shipped_lines(&self) -> usize {
        if self.shipped.trim().is_empty() && !self.code.trim().is_empty() {
            return 0;
        }
        let tests = test_items(&self.code).into_iter();
        let of_tests: usize = tests.map(|(start, end)| self.code[start..end].lines().count()).sum();
        self.text.lines().count() - of_tests
    }

    /// Files that this one declares as modules for tests only.
    fn test_modules(&self) -> Vec<String> {
        let file = Path::new(&self.path);
        let here = file.parent().unwrap_or(Path::new(""));
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let inside = if ["mod", "lib", "main"].contains(&stem) { here.to_owned() } else { here.join(stem) };
        let mut modules = Vec::new();
        for (start, end) in test_items(&self.code) {
            let Some(at) = positions(&self.code[start..end], "mod").next() else { continue };
            if !self.code[start..end].ends_with(';') {
                continue;
            }
            let name = self.code[start + at + 3..end].trim_matches([' ', ';']);
            let given = self.text[start..end].split_once("path").and_then(|(_, rest)| rest.split('"').nth(1));
            match given {
                Some(given) => modules.push(here.join(given)),
                None => modules.extend([inside.join(format!("{name}.rs")), inside.join(name).join("mod.rs")]),
            }
        }
        modules.iter().map(|path| slashed(path)).collect()
    }
}

/// Every Rust file of the crates and of `tests`.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for directory in ["crates", "tests"] {
        walk(&root().join(directory), &mut files);
    }
    let rust = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut sources: Vec<Source> = rust.map(|path| Source::parse(&from_root(path), &read(path))).collect();
    assert!(sources.len() > 50, "only {} sources found: the walk is broken", sources.len());
    let of_tests: BTreeSet<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let is_test = source.path.split('/').any(|part| part == "tests") || of_tests.contains(&source.path);
        if is_test {
            source.shipped = source.shipped.lines().map(|_| "\n").collect();
        }
    }
    sources
}

fn manifests() -> BTreeMap<String, Manifest> {
    let mut manifests = BTreeMap::new();
    manifests.insert("vigia".to_owned(), Manifest::parse("Cargo.toml", &read(&root().join("Cargo.toml"))));
    let crates = fs::read_dir(root().join("crates")).expect("the directory crates");
    for directory in crates.flatten().map(|entry| entry.path()) {
        let file = directory.join("Cargo.toml");
        if file.exists() {
            let manifest = Manifest::parse(&from_root(&file), &read(&file));
            let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
            manifests.insert(name.unwrap_or_default(), manifest);
        }
    }
    manifests
}

/// What belongs to the project: what git has or would take, else all but what is built.
fn project_files() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "-coz", "--exclude-standard"]).current_dir(root()).output();
    if let Ok(listed) = listed
        && listed.status.success()
        && !listed.stdout.is_empty()
    {
        let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        return names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    }
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files.iter().map(|path| from_root(path)).collect()
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if !["target", ".git", ".vigia", "data"].contains(&from_root(&path).as_str()) {
                walk(&path, files);
            }
        } else {
            files.push(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn from_root(path: &Path) -> String {
    slashed(path.strip_prefix(root()).unwrap_or(path))
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display())).expect("a file that can be read")
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading Rust, as far as it is needed.

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where `word` stands in `code`, as a word of its own.
fn positions(code: &str, word: &str) -> impl Iterator<Item = usize> {
    let ends_in_word = word.ends_with(is_word);
    let alone = |(at, _): &(usize, &str)| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let joined = before.is_some_and(is_word) || (ends_in_word && after.is_some_and(is_word));
        !joined
    };
    code.match_indices(word).filter(alone).map(|(at, _)| at).collect::<Vec<_>>().into_iter()
}

/// `text` with comments and literals blanked, byte for byte, so that places stay what they are.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        match no_code_until(text, at) {
            Some(end) => {
                blank(&mut code[at..end]);
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// The end of the comment or literal that begins at `at`, if one does.
fn no_code_until(text: &str, at: usize) -> Option<usize> {
    let rest = text.as_bytes().get(at..)?;
    let find = |from: usize, what: &[u8]| {
        let tail = rest.get(from..)?;
        tail.windows(what.len()).position(|window| window == what).map(|index| from + index + what.len())
    };
    let len = match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => escaped_until(rest, b'"'),
        [b'r', b'"' | b'#', ..] => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return None;
            }
            let end = [&b"\""[..], &vec![b'#'; hashes]].concat();
            find(2 + hashes, &end).unwrap_or(rest.len())
        }
        [b'\'', b'\\', ..] => escaped_until(rest, b'\''),
        [b'\'', ..] => {
            // A character, else a lifetime.
            let character = text.get(at + 1..)?.chars().next()?;
            if rest.get(1 + character.len_utf8()) != Some(&b'\'') {
                return None;
            }
            2 + character.len_utf8()
        }
        _ => return None,
    };
    Some(at + len)
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a literal that ends with `quote`.
fn escaped_until(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// After the bracket that closes the one at `open`; brackets of all kinds count alike.
fn closing(code: &[u8], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Start and end of every attribute.
fn attributes(code: &str) -> impl Iterator<Item = (usize, usize)> {
    code.match_indices('#').filter_map(|(at, _)| {
        let rest = &code[at + 1..];
        let open = at + 1 + rest.len() - rest.trim_start_matches('!').len();
        code[open..].starts_with('[').then(|| (at, closing(code.as_bytes(), open)))
    })
}

/// Start and end of every item under `#[cfg(test)]`.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let bytes = code.as_bytes();
    let mut items: Vec<(usize, usize)> = Vec::new();
    for (start, attribute_end) in attributes(code) {
        let body: String = code[start..attribute_end].split_whitespace().collect();
        let nested = items.last().is_some_and(|(_, end)| start < *end);
        if nested || body != "#[cfg(test)]" {
            continue;
        }
        let mut at = attribute_end;
        let end = loop {
            match bytes.get(at) {
                None => break at,
                Some(b';') => break at + 1,
                Some(b'{') => break closing(bytes, at),
                Some(b'(' | b'[') => at = closing(bytes, at),
                Some(_) => at += 1,
            }
        };
        items.push((start, end));
    }
    items
}

// ---------------------------------------------------------------------------------------------------------------------
// Every detector finds what is planted, and lets pass what is in order.

mod planted {
    use super::*;

    fn source(text: &str) -> Source {
        Source::parse("crates/x/src/a.rs", text)
    }

    fn lines(offences: &[Offence]) -> Vec<usize> {
        offences.iter().map(|offence| offence.line).collect()
    }

    #[test]
    fn an_import_against_the_dag() {
        let text = "[dependencies]\ndomain.workspace = true\nengine.workspace = true\nserde = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\nstore = { path = \"x\" }\n\
                    [dev-dependencies]\nother = { package = \"runtime\", path = \"y\" }\n";
        let found = dag_offences("ledger", &Manifest::parse("a", text));
        assert_eq!(lines(&found), [3, 6, 8]);
        assert!(found[2].what.contains("ledger must not import runtime in its tests"), "{}", found[2]);
        assert_eq!(dag_offences("engine", &Manifest::parse("a", "[dependencies]\nledger.workspace = true\n")), []);
        assert_eq!(dag_offences("newcomer", &Manifest::parse("a", "")).len(), 1);
        let tests_only = "[dev-dependencies]\nsimulator.workspace = true\n";
        assert_eq!(dag_offences("exchange", &Manifest::parse("a", tests_only)), []);
        assert_eq!(dag_offences("exchange", &Manifest::parse("a", &tests_only.replace("dev-", ""))).len(), 1);
    }

    #[test]
    fn a_cycle_in_the_table() {
        assert_eq!(table_offences(&[("a", &[], &[]), ("b", &["a"], &[])]), []);
        assert_eq!(table_offences(&[("a", &["b"], &[]), ("b", &["a"], &[])]).len(), 1);
    }

    #[test]
    fn a_library_out_of_place() {
        let manifest =
            Manifest::parse("a", "[dependencies]\nsqlx = \"1\"\nawc = \"1\"\n[dev-dependencies]\nactix = \"1\"\n");
        assert_eq!(lines(&library_offences("console", &manifest)), [2, 3]);
        assert_eq!(lines(&library_offences("store", &manifest)), [3]);
        assert_eq!(lines(&backoff_offences(&source("//! backoff::x\nuse backoff::Backoff;\nlet backoff = 1;\n"))), [2]);
    }

    #[test]
    fn impure_code() {
        for (word, _) in IMPURE {
            let text = format!("//! {word}\nfn f() {{ x({word} y) }} // {word}\nconst A: &str = \"{word}\";\n");
            assert_eq!(lines(&impurities(&source(&text))), [2], "{word}");
        }
        assert_eq!(lines(&impurities(&source("//! x\nuse std::{\n fmt,\n fs,\n};\n"))), [2]);
        assert_eq!(lines(&impurities(&source("//! x\nuse std::time::{Duration, Instant};\n"))), [2]);
        assert_eq!(impurities(&source("//! x\nuse std::fmt;\nfn instant_of(operand: u8) {}\n")), []);
        let tests = "//! x\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nuse std::net;\n";
        assert_eq!(lines(&impurities(&source(tests))), [6]);
    }

    #[test]
    fn a_float() {
        assert_eq!(
            lines(&floats(&source("//! f64\nlet a: f64 = 1.0;\nlet b = x as f32;\nlet f64_like = 1;\n"))),
            [2, 3]
        );
    }

    #[test]
    fn a_file_without_a_head() {
        assert!(headless(&source("use x;\n")).is_some());
        assert!(headless(&source("//! What it is.\n")).is_none());
    }

    #[test]
    fn a_long_file() {
        let long = "let a = 1;\n".repeat(LINES_MAX + 1);
        assert!(too_long(&source(&long), &[]).is_some());
        assert!(too_long(&source(&long), &[("crates/x/src/a.rs", "a table")]).is_none());
        assert!(too_long(&source(&long), &[("crates/x/src/a.rs", "")]).is_some(), "an exception needs a reason");
        let with_tests = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(source(&with_tests).shipped_lines(), 1);
    }

    #[test]
    fn a_suppression_without_a_reason() {
        let text = "#![allow(dead_code)]\n#[expect(\n    clippy::x,\n)]\n#[ignore]\n#[cfg_attr(unix, allow(y))]\n";
        assert_eq!(lines(&unexplained(&source(text))), [1, 2, 5, 6]);
        let explained = "#[allow(x, reason = \"because\")]\n#[ignore = \"slow\"]\n#[expect(y, reason = \"z\")]\n\
                         #[derive(Debug)]\n#[doc = \"#[allow(x)]\"]\n// #[ignore]\n";
        assert_eq!(unexplained(&source(explained)), []);
    }

    #[test]
    fn a_requirement_that_is_done_without_a_test() {
        let text = "#[test]\nfn h1_beats() {}\n#[test]\n#[ignore = \"slow\"]\nfn s2_holds() {}\nfn r4_helper() {}\n\
                    proptest! {\n#[test]\nfn c1_r1_once(a in 0..1) {}\n}\n#[actix_rt::test]\nasync fn k1_stops() {}\n";
        let tests: BTreeSet<String> = tests_of(&source(text)).into_iter().collect();
        assert_eq!(tests, ["c1_r1_once", "h1_beats", "k1_stops"].map(str::to_owned).into());
        let status = "| id | status | tests |\n|---|---|---|\n| H1 | done | `h1_beats` |\n| S2 | done | |\n\
                      | R1 | done | `r1_gone` |\n| R4 | later | |\n| R4 | maybe | |\n| Z9 | later | |\n";
        let found = status_offences("a", status, &tests, &["H1", "S2", "R1", "R4", "C1"]);
        // S2 has no test that runs; r1_gone is not there; R4 comes twice, with no status; Z9 is unknown; C1 is missing.
        assert_eq!(lines(&found), [4, 5, 7, 7, 8, 1]);
    }

    #[test]
    fn a_path_of_a_workplace() {
        for word in WORKPLACE {
            assert_eq!(lines(&workplace_offences("a", &format!("all is well\nsee {word}x\n"))), [2]);
        }
        assert_eq!(workplace_offences("a", "../shared/data, work/, /tmp/x\n"), []);
    }

    #[test]
    fn what_is_no_code() {
        let text =
            "a /* b /* c */ d */ e \"f \\\" g\" h r#\"i \" j\"# k 'l' m '\\'' n 'static o b\"p\" // q\nr#type '\"' s";
        let words: Vec<String> = code_of(text).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["a", "e", "h", "k", "m", "n", "'static", "o", "b", "r#type", "s"]);
        assert_eq!(code_of(text).len(), text.len());
        assert_eq!(code_of("\"é\" é").len(), "\"é\" é".len());
    }

    #[test]
    fn modules_for_tests_only() {
        let text = "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\n#[cfg(test)]\nmod helpers;\nmod real;\n";
        let found = source(text).test_modules();
        assert_eq!(found, ["crates/x/src/a_tests.rs", "crates/x/src/a/helpers.rs", "crates/x/src/a/helpers/mod.rs"]);
    }
}
