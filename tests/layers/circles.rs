//! Circles of imports inside one folder: between its files, and between its subfolders taken as one each.
//!
//! A front door (`mod.rs`, or `folder.rs` beside `folder/`) that re-exports a name imports nothing by that; a user of
//! the name imports the file that defines it. The needs of a method call cannot be seen here.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::source::{self, Compiled, Source};

/// A module's path from the crate's root, without `crate`.
type Module = Vec<String>;

/// One line that imports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// The imports of each part of a folder from the others, with their lines.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<Import>>>;

/// The modules of a crate and what they import.
pub(crate) struct Crate {
    files: HashMap<Module, File>,
    /// The importing module, the imported one, and the line.
    imports: Vec<(Module, Module, Import)>,
}

struct File {
    path: String,
    source: Source,
}

impl Crate {
    /// Reads files given as path (`src/pool/mod.rs`) and text.
    pub(crate) fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files
            .into_iter()
            .map(|(path, text)| {
                let file = File {
                    path: path.to_owned(),
                    source: source::read(text),
                };
                (module_at(path), file)
            })
            .collect();
        let mut this = Crate {
            files,
            imports: Vec::new(),
        };
        this.drop_tests();
        this.imports = this.all_imports();
        this
    }

    /// Each folder with modules in it, as `pool` or `session/live`.
    pub(crate) fn folders(&self) -> BTreeSet<String> {
        self.files
            .keys()
            .flat_map(|module| (1..module.len()).map(|depth| module[..depth].join("/")))
            .collect()
    }

    /// The shortest circle of each knot of parts in `folder`, and the line to change, for a person to read.
    pub(crate) fn circles(&self, folder: &str) -> Vec<String> {
        let graph = self.graph(folder);
        let mut told = BTreeSet::new();
        let mut circles = Vec::new();
        for part in graph.keys() {
            if told.contains(part) {
                continue;
            }
            if let Some(circle) = shortest_circle(&graph, part) {
                told.extend(knot(&graph, part));
                circles.push(describe(folder, &graph, &circle));
            }
        }
        circles
    }

    fn graph(&self, folder: &str) -> Graph {
        let root: Module = folder.split('/').map(str::to_owned).collect();
        let mut graph = Graph::new();
        for (from, to, import) in &self.imports {
            let (Some(from), Some(to)) = (from.strip_prefix(&root[..]), to.strip_prefix(&root[..])) else {
                continue;
            };
            let part = |inside: &[String]| inside.first().map_or("mod.rs", String::as_str).to_owned();
            let (from, to) = (part(from), part(to));
            if from != to {
                let lines = graph.entry(from).or_default().entry(to).or_default();
                lines.insert(import.clone());
            }
        }
        graph
    }

    fn drop_tests(&mut self) {
        let mut for_tests: Vec<Module> = Vec::new();
        for (module, file) in &self.files {
            for (child, compiled) in &file.source.children {
                if *compiled == Compiled::ForTests {
                    for_tests.push([module.as_slice(), std::slice::from_ref(child)].concat());
                }
            }
        }
        self.files
            .retain(|module, _| !for_tests.iter().any(|tests| module.starts_with(tests)));
    }

    fn all_imports(&self) -> Vec<(Module, Module, Import)> {
        let folders = self.folders();
        let mut imports = Vec::new();
        for (module, file) in &self.files {
            let is_front_door = folders.contains(&module.join("/"));
            for path in &file.source.paths {
                if path.is_reexport && is_front_door {
                    continue;
                }
                let Some(target) = self.target(module, path, 0) else {
                    continue;
                };
                let import = Import {
                    file: file.path.clone(),
                    line: path.line,
                };
                imports.push((module.clone(), target, import));
            }
        }
        imports
    }

    /// The file that defines the name `path`, written in `module`; `None` for other crates.
    fn target(&self, module: &Module, path: &source::Path, depth: usize) -> Option<Module> {
        let mut at = [module.as_slice(), &path.inside].concat();
        let mut rest = path.segments.as_slice();
        match rest.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            // A path in an expression may begin with a module of this file; other beginnings are names that a `use`
            // brought, which counts already, or other crates.
            first => {
                let children = &self.files[module].source.children;
                if children.get(first) != Some(&Compiled::Always) {
                    return None;
                }
            }
        }
        self.definition(at, rest, depth)
    }

    /// Follows `rest` from the module `at` through files, inline modules and re-exports.
    fn definition(&self, mut at: Module, mut rest: &[String], depth: usize) -> Option<Module> {
        // Inline modules belong to the file around them.
        while !self.files.contains_key(&at) {
            at.pop()?;
        }
        while let Some((segment, after)) = rest.split_first() {
            let child = [at.as_slice(), std::slice::from_ref(segment)].concat();
            if self.files.contains_key(&child) {
                at = child;
                rest = after;
                continue;
            }
            let reexport = self.files[&at]
                .source
                .paths
                .iter()
                .find(|path| path.name.as_deref() == Some(segment) && path.inside.is_empty());
            // Two names that stand for each other would lead on for ever.
            if let Some(path) = reexport.filter(|_| depth < 16)
                && let Some(module) = self.target(&at, path, depth + 1)
            {
                return self.definition(module, after, depth + 1);
            }
            break;
        }
        Some(at)
    }
}

/// `src/pool/mod.rs` is `pool`, as a `pool.rs` beside it would be; `src/lib.rs` is the root.
fn module_at(path: &str) -> Module {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let name = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut module: Module = name.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// The parts of the shortest circle through `start`, from `start` to the last before it again.
fn shortest_circle(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(part) = queue.pop_front() {
        for next in graph.get(part).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut circle = vec![part.to_owned()];
                let mut at = part;
                while at != start {
                    at = came_from[at];
                    circle.push(at.to_owned());
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, part);
                queue.push_back(next);
            }
        }
    }
    None
}

/// All parts that lie on a circle with `start`.
fn knot<'g>(graph: &'g Graph, start: &'g str) -> BTreeSet<String> {
    let reached = |from: &'g str| {
        let mut seen = BTreeSet::from([from]);
        let mut queue = vec![from];
        while let Some(part) = queue.pop() {
            for next in graph.get(part).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(next) {
                    queue.push(next);
                }
            }
        }
        seen
    };
    let mut parts = reached(start);
    parts.retain(|part| reached(part).contains(start));
    parts.into_iter().map(str::to_owned).collect()
}

/// Names the circle, each step of it, and the step with the fewest lines to change.
fn describe(folder: &str, graph: &Graph, circle: &[String]) -> String {
    let steps: Vec<(&str, &str, &BTreeSet<Import>)> = circle
        .iter()
        .zip(circle.iter().cycle().skip(1))
        .map(|(from, to)| (from.as_str(), to.as_str(), &graph[from][to]))
        .collect();
    let lines = |imports: &BTreeSet<Import>| {
        imports
            .iter()
            .map(|import| format!("{}:{}", import.file, import.line))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let weakest = steps
        .iter()
        .min_by_key(|(_, _, imports)| imports.len())
        .expect("a circle has steps");
    let mut text = format!(
        "src/{folder}: {} -> {} is a circle; change {}, where `{}` imports `{}`:",
        circle.join(" -> "),
        circle[0],
        lines(weakest.2),
        weakest.0,
        weakest.1,
    );
    for (from, to, imports) in &steps {
        text += &format!("\n    {from} -> {to}: {}", lines(imports));
    }
    text
}
