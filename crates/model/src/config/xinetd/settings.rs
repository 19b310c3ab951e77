//! Attribute lines → what is set for one service, with what the defaults say.

use std::collections::BTreeMap;

use super::attribute::{self, Attribute, Form, Operators, Place, Values};
use super::blocks::{Block, Kind, Line, Operator};
use crate::config::syntax::Word;
use crate::diagnostic::{Diagnostic, Place as Shown, printable};

/// What is set.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    values: BTreeMap<Attribute, Setting>,
}

/// One attribute with its values.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The attribute's name where it was given first.
    pub(super) name: Word,
    pub(super) values: Vec<Word>,
}

impl Settings {
    /// What an attribute is set to.
    pub(super) fn get(&self, attribute: Attribute) -> Option<&Setting> {
        self.values.get(&attribute)
    }

    /// The only value of an attribute.
    pub(super) fn word(&self, attribute: Attribute) -> Option<&Word> {
        self.get(attribute)?.values.first()
    }

    /// Adds what the first `defaults` of a file say; false when something in it is wrong.
    pub(super) fn add_defaults(&mut self, block: &Block, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let mut own = Settings::default();
        let is_good = own.read(block, diagnostics);
        for (attribute, setting) in own.values {
            match self.values.get_mut(&attribute) {
                Some(known) if attribute::form(&setting.name.value).is_some_and(is_cumulative) => {
                    known.values.extend(setting.values);
                }
                Some(_) => {
                    let message = format!("{} has a default already", printable(&setting.name.value));
                    diagnostics.push(
                        warning("set-twice", &setting.name, message)
                            .hint("the first one is followed, as in xinetd"),
                    );
                }
                None => drop(self.values.insert(attribute, setting)),
            }
        }
        is_good
    }

    /// What a service's block says, and the defaults where it says nothing; `None` when a line is wrong.
    pub(super) fn of_service(
        block: &Block,
        defaults: &Settings,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Settings> {
        let mut settings = Settings::default();
        // Lists are added to and taken from as the lines come.
        let lists = defaults
            .values
            .iter()
            .filter(|(_, setting)| attribute::form(&setting.name.value).is_some_and(is_cumulative));
        settings.values.extend(lists.map(|(attribute, setting)| (*attribute, setting.clone())));
        let is_good = settings.read(block, diagnostics);
        for (attribute, setting) in &defaults.values {
            settings.values.entry(*attribute).or_insert_with(|| setting.clone());
        }
        if is_good { Some(settings) } else { None }
    }

    fn read(&mut self, block: &Block, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let place = if block.kind == Kind::Service { Place::Service } else { Place::Defaults };
        let mut is_good = true;
        for line in &block.lines {
            is_good &= self.read_line(line, place, diagnostics);
        }
        is_good
    }

    /// False when the line is wrong in a way that matters.
    fn read_line(&mut self, line: &Line, place: Place, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let name = printable(&line.name.value);
        let Some(form) = attribute::form(&line.name.value).filter(|form| form.can_stand_in(place)) else {
            let (diagnostic, is_good) = unknown(line, place);
            diagnostics.push(diagnostic);
            return is_good;
        };
        let takes_others = match (line.operator, form.operators) {
            (Operator::Set, _) | (_, Operators::All) | (Operator::Add, Operators::SetAdd) => true,
            (Operator::Add | Operator::Remove, _) => false,
        };
        if !takes_others {
            let message = format!("{name} cannot be used with {}", line.operator.word());
            diagnostics.push(error("bad-operator", &line.name, message).expected(format!("{name} = value")));
            return false;
        }
        if let Values::Exactly(count) = form.values
            && count != line.values.len()
        {
            let message = format!("{name} has {} values", line.values.len());
            let expected = if count == 1 { "one".to_owned() } else { count.to_string() };
            diagnostics.push(error("value-count", &line.name, message).expected(expected));
            return false;
        }
        if !is_cumulative(form) {
            let is_new = !self.values.contains_key(&form.attribute);
            if is_new {
                let setting = Setting { name: line.name.clone(), values: line.values.clone() };
                self.values.insert(form.attribute, setting);
            } else {
                let message = format!("{name} is set already");
                let hint = "the first one is followed, as in xinetd";
                diagnostics.push(warning("set-twice", &line.name, message).hint(hint));
            }
            return true;
        }
        self.change_list(line, form, place, diagnostics);
        true
    }

    fn change_list(&mut self, line: &Line, form: &Form, place: Place, diagnostics: &mut Vec<Diagnostic>) {
        let empty = Setting { name: line.name.clone(), values: Vec::new() };
        let setting = self.values.entry(form.attribute).or_insert(empty);
        match line.operator {
            Operator::Add => setting.values.extend(line.values.iter().cloned()),
            // In defaults each line adds to those before it.
            Operator::Set if place == Place::Defaults => setting.values.extend(line.values.iter().cloned()),
            Operator::Set => {
                *setting = Setting { name: line.name.clone(), values: line.values.clone() };
            }
            Operator::Remove => {
                for value in &line.values {
                    let before = setting.values.len();
                    setting.values.retain(|other| !other.value.eq_ignore_ascii_case(&value.value));
                    if setting.values.len() == before {
                        let message = format!("{:?} is not in the list", printable(&value.value));
                        diagnostics.push(warning("removes-nothing", value, message));
                    }
                }
            }
        }
    }
}

/// Whether each line in `defaults` adds to those before it, and the lines of a service to those.
fn is_cumulative(form: &Form) -> bool {
    form.operators != Operators::Set
}

/// An attribute that there is not, or not here, and whether that can be left at a warning, as xinetd does.
fn unknown(line: &Line, place: Place) -> (Diagnostic, bool) {
    let name = printable(&line.name.value);
    if let Some(form) = attribute::form(&line.name.value) {
        let message = match place {
            Place::Defaults => format!("{name} cannot stand in defaults"),
            Place::Service | Place::Both => format!("{name} stands in defaults only"),
        };
        if form.restricts && place == Place::Defaults {
            let hint = "without it services would be more open than is meant: write it for each of them";
            return (error("misplaced", &line.name, message).hint(hint), false);
        }
        return (warning("misplaced", &line.name, message).hint("the line is left out"), true);
    }
    let message = format!("there is no attribute {name:?}");
    match attribute::nearest(&line.name.value).filter(|form| form.can_stand_in(place)) {
        Some(form) if form.restricts => {
            let hint = format!("did you mean {}? Without it the service would be open", form.name);
            (error("unknown-attribute", &line.name, message).hint(hint), false)
        }
        Some(form) => {
            let hint = format!("did you mean {}? The line is left out", form.name);
            (warning("unknown-attribute", &line.name, message).hint(hint), true)
        }
        None => (warning("unknown-attribute", &line.name, message).hint("the line is left out"), true),
    }
}

fn error(code: &'static str, word: &Word, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, Shown::Text(word.span), message)
}

fn warning(code: &'static str, word: &Word, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning(code, Shown::Text(word.span), message)
}
