//! Diagnostics for people: the cited line with a mark under the place.

use std::collections::BTreeMap;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use usherd_model::diagnostic::{Report, Reports, Severity};

/// One finding as several lines of text.
pub fn render(report: &Report, colours: Colours) -> String {
    let level = match report.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(report.message.as_str()).id(report.code.as_str());
    let expected =
        if report.expected.is_empty() { String::new() } else { format!("expected {}", report.expected) };
    let mut group = match &report.excerpt {
        Some(excerpt) => {
            let (start, end) = excerpt.mark;
            let snippet = Snippet::source(excerpt.text.clone())
                .line_start(excerpt.line as usize)
                .annotation(AnnotationKind::Primary.span(start..end).label(expected.clone()));
            if excerpt.is_whole_line() {
                title.element(snippet.path(report.path.clone()))
            } else {
                // The renderer would count columns from the excerpt's beginning.
                title.element(Origin::path(report.position())).element(snippet)
            }
        }
        None => {
            let group = title.element(Origin::path(report.path.clone()));
            if expected.is_empty() { group } else { group.element(Level::NOTE.message(expected)) }
        }
    };
    if !report.hint.is_empty() {
        group = group.element(Level::HELP.message(report.hint.as_str()));
    }
    let renderer = match colours {
        Colours::Plain => Renderer::plain(),
        Colours::Terminal => Renderer::styled(),
    };
    renderer.render(&[group])
}

/// Says of each file how much is not shown, where that is something.
pub fn more(reports: &Reports) -> impl Iterator<Item = String> {
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    for more in &reports.more {
        *files.entry(&more.path).or_default() += more.count;
    }
    files.into_iter().map(|(path, count)| format!("and {count} more like these in {path}"))
}

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// No.
    Plain,
    /// Yes.
    Terminal,
}
