//! Who may name whom inside the core, as a list that is reviewed.
//!
//! Two rules beside the list: only the configuration may name the configuration (it may name run-time types, never
//! the other way), and without the edges that `layering.txt` calls `back`, each with a reason, there is no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::modules::{self, Edges};
use crate::{Outcome, listed, project};

const FILE: &str = "xtask/layering.txt";

/// What may name only itself: text and its readers.
const CONFIGURATION: &str = "config";

pub fn run(words: &[String]) -> Outcome {
    let write = match words {
        [] => false,
        [option] if option == "--write" => true,
        _ => return Err("usage: layering [--write]".to_owned()),
    };
    let edges = modules::edges(&project::path("crates/model/src"))?;
    let text = fs::read_to_string(project::path(FILE)).unwrap_or_default();
    let (head, back) = head(&text)?;
    let mut faults = upward(&edges);
    faults.extend(unused(&edges, &back));
    faults.extend(circle(&edges, &back).map(|circle| format!("a circle: {}", circle.join(" -> "))));
    for fault in &faults {
        println!("{fault}");
    }
    let backs = back.iter().map(|((from, to), reason)| format!("back {from} -> {to}: {reason}"));
    let now = edges.iter().map(|(from, to)| line(from, to)).chain(backs).collect();
    println!("{} modules, {} edges back", edges.len(), back.len());
    let compared = listed::compare(FILE, &head, &now, write);
    if faults.is_empty() { compared } else { Err("the layers are not what they should be".to_owned()) }
}

fn line(from: &str, to: &BTreeSet<String>) -> String {
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    format!("{from}: {}", to.join(" ")).trim_end().to_owned()
}

/// Edges against the direction of the layers, and why they are there.
type Back = BTreeMap<(String, String), String>;

/// The comments at the top of the file, and its `back` lines.
fn head(text: &str) -> Result<(String, Back), String> {
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    let head = comments.map(|line| format!("{line}\n")).collect();
    let mut back = Back::new();
    for line in listed::lines(text) {
        let Some(rest) = line.strip_prefix("back ") else { continue };
        let parts = rest.split_once(" -> ").and_then(|(from, rest)| Some((from, rest.split_once(": ")?)));
        let Some((from, (to, reason))) = parts else {
            return Err(format!("{FILE}: not \"back FROM -> TO: REASON\": {line}"));
        };
        back.insert((from.to_owned(), to.to_owned()), reason.to_owned());
    }
    Ok((head, back))
}

/// Edges into the configuration from outside.
fn upward(edges: &Edges) -> Vec<String> {
    let is_inside = |module: &str| module == CONFIGURATION || module.starts_with("config::");
    let mut faults = Vec::new();
    for (from, to) in edges.iter().filter(|(from, _)| !is_inside(from)) {
        for to in to.iter().filter(|to| is_inside(to)) {
            faults.push(format!("{from} names {to}: nothing outside of the configuration may"));
        }
    }
    faults
}

/// Edges back that are not there, or without which there is no circle anyway.
fn unused(edges: &Edges, back: &Back) -> Vec<String> {
    let mut faults = Vec::new();
    for edge in back.keys() {
        let (from, to) = edge;
        let exists = edges.get(from).is_some_and(|named| named.contains(to));
        let mut others = back.clone();
        others.remove(edge);
        if !exists || circle(edges, &others).is_none() {
            faults.push(format!("back {from} -> {to} is not needed"));
        }
    }
    faults
}

/// A circle, when there is one that does not go over an edge back.
fn circle(edges: &Edges, back: &Back) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    let mut path = Vec::new();
    edges.keys().find_map(|start| visit(start, edges, back, &mut done, &mut path))
}

fn visit(
    module: &str,
    edges: &Edges,
    back: &Back,
    done: &mut BTreeSet<String>,
    path: &mut Vec<String>,
) -> Option<Vec<String>> {
    if let Some(at) = path.iter().position(|other| other == module) {
        let mut circle = path[at..].to_vec();
        circle.push(module.to_owned());
        return Some(circle);
    }
    if done.contains(module) {
        return None;
    }
    path.push(module.to_owned());
    for to in edges.get(module).into_iter().flatten() {
        let is_back = back.contains_key(&(module.to_owned(), to.clone()));
        if !is_back && let Some(circle) = visit(to, edges, back, done, path) {
            return Some(circle);
        }
    }
    path.pop();
    done.insert(module.to_owned());
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(list: &[(&str, &str)]) -> Edges {
        let mut edges = Edges::new();
        for (from, to) in list {
            edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            edges.entry((*to).to_owned()).or_default();
        }
        edges
    }

    #[test]
    fn a_circle_is_found_unless_it_goes_over_an_edge_back() {
        let edges = edges(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]);
        let circle_found = circle(&edges, &Back::new()).expect("a circle");
        assert_eq!(circle_found, ["a", "b", "c", "a"]);
        let (_, back) = head("# x\nback c -> a: names only\n").expect("well written");
        assert_eq!(circle(&edges, &back), None);
        assert!(unused(&edges, &back).is_empty());
        let (_, back) = head("back c -> a: y\nback c -> d: y\n").expect("well written");
        assert_eq!(unused(&edges, &back), ["back c -> d is not needed"]);
    }

    #[test]
    fn nothing_outside_names_the_configuration() {
        let edges = edges(&[
            ("config::check", "service"),
            ("service", "config::syntax"),
            ("config", "config::facts"),
        ]);
        assert_eq!(upward(&edges).len(), 1);
    }
}
